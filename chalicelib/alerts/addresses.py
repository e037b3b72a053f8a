"""Where webhooks may lead: no request of ours goes to a machine behind our own door.

Who sets a webhook chooses an address that this service then connects to, from
inside: the cloud's metadata, Lambda's own interface and a company's other
servers listen there. So a name is looked up once, every address that it has is
judged, and the connection goes to one of these addresses.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Literal, cast
from urllib.parse import urlsplit

from chalicelib.errors import CrashbucketError

MAX_URL_CHARS = 2000  # more than any service's webhooks have, and what clients have long agreed on
_PRINTABLE = re.compile(r"[!-~]+")
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: IPv4 addresses for those who speak IPv6 only
_TELLS_SETTING = "CRASHBUCKET_ALLOW_PRIVATE_WEBHOOKS=1 allows it"


class WrongAddress(CrashbucketError):
    """The URL is none that a webhook may have."""


@dataclass(frozen=True, slots=True)
class Place:
    """The parts of a webhook's URL; `host` is without the brackets of an IPv6 address."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    authority: str
    """What the header `Host` says."""
    target: str
    """Path and query."""


def parsed(url: str) -> Place:
    """The parts of an absolute http(s) URL. Raises `WrongAddress`."""
    if len(url) > MAX_URL_CHARS or not _PRINTABLE.fullmatch(url):
        told = f"must be a URL of 1 to {MAX_URL_CHARS} ASCII characters, without spaces"
        raise WrongAddress(told)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise WrongAddress(f"is no URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise WrongAddress("must begin with https:// or http:// and a host")
    if "@" in parts.netloc:
        raise WrongAddress("must hold no credentials; the signature says who sends")
    if parts.fragment:
        raise WrongAddress("must have no fragment")
    scheme = cast(Literal["http", "https"], parts.scheme)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    usual = 443 if scheme == "https" else 80
    return Place(scheme, host, usual if port is None else port, parts.netloc, target)


def check(url: str, *, allow_private: bool) -> None:
    """Raises `WrongAddress` for what is no URL of a webhook, as far as that shows without a
    look at what a name stands for: that may be another address by the time of a delivery."""
    place = parsed(url)
    if allow_private:
        return
    if place.host == "localhost" or place.host.endswith(".localhost"):
        raise WrongAddress(f"{place.host} is this machine: {_TELLS_SETTING}")
    try:  # numbers only, in every spelling that connecting understands: 127.1, 0x7f000001
        _resolve(place, socket.AI_NUMERICHOST, allow_private=False)
    except (OSError, ValueError):
        return


def addresses(place: Place, *, allow_private: bool) -> list[str]:
    """What the host stands for now. Raises `WrongAddress` if any of it is private, `OSError` or
    `ValueError` for a name that stands for nothing."""
    return _resolve(place, 0, allow_private=allow_private)


def _resolve(place: Place, flags: int, *, allow_private: bool) -> list[str]:
    found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM, flags=flags)
    resolved = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in resolved:
        if not (allow_private or is_public(address)):
            told = f"{place.host} leads to {address}, which is no public address"
            raise WrongAddress(f"{told}: {_TELLS_SETTING}")
    return resolved


def is_public(address: str) -> bool:
    """Whether anybody on the internet may have this address, and only one of them."""
    known = ip_address(address.partition("%")[0])
    if isinstance(known, IPv6Address):
        inner = _inner(known)
        if inner is not None:
            return is_public(str(inner))
    return known.is_global and not known.is_multicast and not known.is_reserved


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that one of IPv6 leads to."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
