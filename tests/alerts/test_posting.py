"""One POST to somebody else's server: bounded, without redirects, to public addresses only."""

from __future__ import annotations

import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from chalicelib.alerts.posting import NotPosted, Poster
from tests.alerts.receiver import Answer, Receiver


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    with Receiver(Answer(307, {"Location": receiver.url})) as leading:
        with pytest.raises(NotPosted, match="answered 307") as failed:
            Poster(allow_private=True).post(leading.url, b"{}", {})
        assert failed.value.status == 307
    assert receiver.posts == []


@pytest.mark.parametrize("answer", [Answer(wait_s=2.0), Answer(drip_s=0.05)], ids=["none", "drip"])
def test_an_answer_that_does_not_come_to_an_end_is_waited_for_no_longer_than_that(
    answer: Answer,
) -> None:
    with Receiver(answer) as receiver:
        started = time.monotonic()
        with pytest.raises(NotPosted, match=r"no answer within 0\.4 seconds"):
            Poster(allow_private=True, total_s=0.4).post(receiver.url, b"{}", {})
        assert time.monotonic() - started < 1.5


def test_a_large_answer_is_not_read() -> None:
    with Receiver(Answer(500, body=b"x" * 50_000_000)) as receiver:
        with pytest.raises(NotPosted) as failed:
            Poster(allow_private=True).post(receiver.url, b"{}", {})
        assert len(str(failed.value)) < 300


def test_a_port_where_nobody_listens_is_a_failure_with_a_reason() -> None:
    with pytest.raises(NotPosted, match="no answer: "):
        Poster(allow_private=True).post("http://127.0.0.1:9/", b"{}", {})


def test_a_certificate_that_nobody_vouches_for_is_refused(receiver: Receiver) -> None:
    with pytest.raises(NotPosted, match=r"no answer: .*SSL"):
        url = receiver.url.replace("http:", "https:")
        Poster(allow_private=True).post(url, b"{}", {})
    assert receiver.posts == []


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server called localhost speaks TLS with; this process trusts its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


def test_tls_is_spoken_with_the_host_of_the_url_and_nobody_else(trusted: ssl.SSLContext) -> None:
    poster = Poster(allow_private=True)
    with Receiver(Answer(204, body=b""), tls=trusted) as receiver:
        assert poster.post(f"https://localhost:{receiver.port}/a", b"{}", {}) == 204
        with pytest.raises(NotPosted, match=r"(?i)certificate"):
            poster.post(f"https://127.0.0.1:{receiver.port}/a", b"{}", {})
        assert [post.headers["host"] for post in receiver.posts] == [f"localhost:{receiver.port}"]


def test_an_answer_over_tls_is_waited_for_no_longer_either(trusted: ssl.SSLContext) -> None:
    with Receiver(Answer(drip_s=0.05), tls=trusted) as receiver:
        started = time.monotonic()
        with pytest.raises(NotPosted, match=r"no answer within 0\.5 seconds"):
            Poster(allow_private=True, total_s=0.5).post(
                f"https://localhost:{receiver.port}/a", b"{}", {}
            )
        assert time.monotonic() - started < 1.5


def test_a_name_that_leads_to_this_machine_is_refused_when_it_is_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it led to when the webhook was made."""
    lookups: list[str] = []

    def resolve(host: str, port: int, **_: object) -> list[object]:
        lookups.append(host)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = f"http://rebound.example.com:{receiver.port}/"
    with pytest.raises(NotPosted, match=r"leads to 127\.0\.0\.1.*ALLOW_PRIVATE_WEBHOOKS"):
        Poster().post(url, b"{}", {})
    assert (receiver.posts, lookups) == ([], ["rebound.example.com"])
