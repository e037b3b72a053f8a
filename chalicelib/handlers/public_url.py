"""The URL under which a client reached the service, for answers that hold whole URLs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from chalice.app import Request

_HOST = re.compile(r"(?:[\w.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(?::\d{1,5})?", re.ASCII)
_PARAMETER = re.compile(r"([\w-]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^;,\s]*))")


def public_url(request: Request, configured: str) -> str:
    """Scheme, host and stage, without a slash at the end.

    As configured; else as the nearest client of the chain of proxies says in
    `Forwarded` (RFC 7239), `X-Forwarded-Host` and `-Proto`; else `Host`. What
    is no host name is passed over, as headers come from strangers.
    """
    if configured:
        return configured.rstrip("/")
    headers: Mapping[str, str] = request.headers
    forwarded = _forwarded(headers.get("forwarded") or "")
    host = _first(
        forwarded.get("host"), headers.get("x-forwarded-host"), headers.get("host"), "localhost"
    )
    protocol = forwarded.get("proto") or _head(headers.get("x-forwarded-proto"))
    scheme = "https" if protocol.lower() == "https" else "http"
    return f"{scheme}://{host}{_stage(request.context)}"


def absolute(url: str, request: Request, configured: str) -> str:
    """A link that the store gave, whole: the embedded one does not know where it is reached."""
    return public_url(request, configured) + url if url.startswith("/") else url


def path_prefix(request: Request, configured: str) -> str:
    """What the paths of this service begin with for the client: a stage, or a proxy's part."""
    return urlsplit(configured).path.rstrip("/") if configured else _stage(request.context)


def _forwarded(header: str) -> dict[str, str]:
    """The parameters of the first element, which the proxy nearest to the client wrote."""
    element = header[:2000].partition(",")[0]
    return {found[1].lower(): found[2] or found[3] or "" for found in _PARAMETER.finditer(element)}


def _head(header: str | None) -> str:
    return (header or "").partition(",")[0].strip()


def _first(*candidates: str | None) -> str:
    return next(host for host in map(_head, candidates) if _HOST.fullmatch(host))


def _stage(context: Mapping[str, Any]) -> str:
    """API Gateway's stage, where it stands in the path: not below a domain of one's own."""
    prefix = f"/{context.get('stage') or ''}"
    path = str(context.get("path") or "")
    return prefix if prefix != "/" and f"{path}/".startswith(f"{prefix}/") else ""
