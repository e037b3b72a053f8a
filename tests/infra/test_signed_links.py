"""The embedded store's signed links, as a client without credentials uses them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from chalice.app import Chalice

from chalicelib.storage.embedded.store import EmbeddedStore, open_store
from chalicelib.storage.ports import SignedUpload
from infra.signed_links import SignedLinks
from infra.wsgi import WsgiApp
from tests.wsgi_client import multipart


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    opened = open_store(tmp_path / "data")
    yield opened
    opened.close()


def request(
    store: EmbeddedStore, method: str, url: str, body: bytes = b"", **environ: str
) -> tuple[int, dict[str, str], bytes]:
    path, _, query = url.partition("?")
    told: list[Any] = []
    application = WsgiApp(Chalice("empty", configure_logs=False), 1000, SignedLinks(store.blobs))
    sent = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **environ,
    }
    parts = application(sent, lambda *answer: told.extend(answer))
    return int(told[0].split()[0]), dict(told[1]), b"".join(parts)


def upload(
    store: EmbeddedStore, form: SignedUpload, data: bytes, chunked: bool = False, **changed: str
) -> tuple[int, bytes]:
    fields: Mapping[str, str] = {**form.fields, **changed}
    body, headers = multipart(fields, {"file": data})
    told = {"CONTENT_TYPE": headers["Content-Type"]}
    if chunked:
        told |= {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    status, _, answer = request(store, form.method, form.url, body, **told)
    return status, answer


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_is_stored_whatever_the_limit_of_other_bodies(
    store: EmbeddedStore, chunked: bool
) -> None:
    form = store.blobs.signed_upload("raw/1", max_bytes=2_000_000, expires_in_s=60)
    data = bytes(range(256)) * 4000
    assert upload(store, form, data, chunked) == (204, b"")
    assert store.blobs.get("raw/1") == data
    assert store.queue.depth() == 1


def test_an_upload_above_its_signed_limit_is_refused(store: EmbeddedStore) -> None:
    form = store.blobs.signed_upload("raw/1", max_bytes=1000, expires_in_s=60)
    status, answer = upload(store, form, b"x" * 1001)
    assert (status, b"1000 bytes" in answer) == (413, True)
    assert store.blobs.size("raw/1") is None


@pytest.mark.parametrize("changed", [{"key": "raw/2"}, {"max_bytes": "9"}, {"signature": "0"}])
def test_a_changed_form_is_refused(store: EmbeddedStore, changed: dict[str, str]) -> None:
    form = store.blobs.signed_upload("raw/1", max_bytes=1000, expires_in_s=60)
    assert upload(store, form, b"x", **changed)[0] == 403
    assert list(store.blobs.keys("")) == []


def test_an_expired_form_is_refused(store: EmbeddedStore) -> None:
    form = store.blobs.signed_upload("raw/1", max_bytes=1000, expires_in_s=-1)
    assert upload(store, form, b"x")[0] == 403


@pytest.mark.parametrize("cut", [10, 60, 150])
def test_half_a_form_stores_nothing(store: EmbeddedStore, cut: int) -> None:
    form = store.blobs.signed_upload("raw/1", max_bytes=1000, expires_in_s=60)
    body, headers = multipart(form.fields, {"file": b"x" * 100})
    told = {"CONTENT_TYPE": headers["Content-Type"], "CONTENT_LENGTH": str(len(body))}
    assert request(store, "POST", form.url, body[:-cut], **told)[0] == 400
    assert store.blobs.size("raw/1") is None


def test_a_form_without_its_file_and_what_is_no_form_are_refused(store: EmbeddedStore) -> None:
    form = store.blobs.signed_upload("raw/1", max_bytes=1000, expires_in_s=60)
    body, headers = multipart(form.fields)
    assert request(store, "POST", form.url, body, CONTENT_TYPE=headers["Content-Type"])[0] == 400
    assert request(store, "POST", form.url, b"{}", CONTENT_TYPE="application/json")[0] == 415
    assert request(store, "PUT", form.url, b"")[0] == 404


def test_a_download_is_saved_and_not_shown(store: EmbeddedStore) -> None:
    store.blobs.put("raw/page", b"<script>", content_type="text/html")
    url = store.blobs.signed_download("raw/page", expires_in_s=60, filename="a b.html")
    status, headers, body = request(store, "GET", url)
    assert (status, body) == (200, b"<script>")
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''a%20b.html"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert request(store, "HEAD", url)[2] == b""


def test_a_download_link_is_good_for_its_blob_and_time_only(store: EmbeddedStore) -> None:
    store.blobs.put("raw/1", b"one")
    store.blobs.put("raw/2", b"two")
    url = store.blobs.signed_download("raw/1", expires_in_s=60)
    assert request(store, "GET", url.replace("raw%2F1", "raw%2F2"))[0] == 403
    assert request(store, "GET", "/blobs/download")[0] == 403
    expired = store.blobs.signed_download("raw/1", expires_in_s=-1)
    assert request(store, "GET", expired)[0] == 403
    store.blobs.delete("raw/1")
    assert request(store, "GET", url)[0] == 404
