"""Bodies are inflated as their clients meant, never beyond the limit."""

from __future__ import annotations

import gzip
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import InvalidRequest, PayloadTooLarge
from chalicelib.http_body import inflate

LIMIT = 10_000


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        (None, b"crash"),
        ("", b"crash"),
        ("identity", b"crash"),
        ("gzip", gzip.compress(b"crash")),
        (" GZIP ", gzip.compress(b"crash")),
        ("x-gzip", gzip.compress(b"crash")),
        ("gzip", gzip.compress(b"cra") + gzip.compress(b"sh")),
        ("gzip", gzip.compress(b"crash") + b"\0\0"),
        ("deflate", zlib.compress(b"crash")),
        ("deflate", raw_deflate(b"crash")),
    ],
)
def test_every_coding_gives_the_same_body(coding: str | None, packed: bytes) -> None:
    assert inflate(packed, coding, LIMIT) == b"crash"


def test_the_limit_holds_for_the_body_as_sent() -> None:
    assert len(inflate(b"x" * LIMIT, None, LIMIT)) == LIMIT
    with pytest.raises(PayloadTooLarge, match="10001 bytes; the limit is 10000"):
        inflate(b"x" * (LIMIT + 1), None, LIMIT)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, raw_deflate])
def test_the_limit_holds_for_the_body_inflated(pack: object) -> None:
    coding = "gzip" if pack is gzip.compress else "deflate"
    assert callable(pack)
    assert len(inflate(pack(b"x" * LIMIT), coding, LIMIT)) == LIMIT
    with pytest.raises(PayloadTooLarge):
        inflate(pack(b"x" * 5_000_000), coding, LIMIT)


def test_the_limit_holds_over_all_members_of_a_gzip_body() -> None:
    with pytest.raises(PayloadTooLarge):
        inflate(gzip.compress(b"x" * 6000) * 2, "gzip", LIMIT)


@pytest.mark.parametrize(
    ("coding", "body", "told"),
    [
        ("gzip", b"no gzip", "is not what Content-Encoding says"),
        ("gzip", gzip.compress(b"crash")[:-4], "in the middle"),
        ("gzip", gzip.compress(b"crash") + b"rubbish", "is not what Content-Encoding says"),
        ("br", b"anything", "must be gzip, deflate or identity"),
        ("gzip, gzip", b"anything", "must be gzip, deflate or identity"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(
    coding: str, body: bytes, told: str
) -> None:
    with pytest.raises(InvalidRequest, match=told):
        inflate(body, coding, LIMIT)


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "x-gzip", "other"]))
def test_any_body_is_read_or_refused(body: bytes, coding: str) -> None:
    with suppress(InvalidRequest, PayloadTooLarge):
        assert len(inflate(body, coding, 300)) <= 300
