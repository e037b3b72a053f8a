"""One POST to somebody else's server, which may be slow, broken or hostile."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from chalicelib.alerts.addresses import Place, WrongAddress, addresses, parsed
from chalicelib.errors import CrashbucketError

_CONNECT_S = 3.0
_TOTAL_S = 10.0  # a receiver that takes longer does its work before it answers
_ADDRESSES_TRIED = 3
_MAX_ANSWER_BYTES = 2000  # of which a person is shown the beginning
_SHOWN_CHARS = 200


class NotPosted(CrashbucketError):
    """The POST came to nothing, or to an answer that is no success; `status` is that answer's."""

    def __init__(self, problem: str, status: int | None = None) -> None:
        super().__init__(problem)
        self.status = status


@dataclass(frozen=True, slots=True)
class Poster:
    """Posts, within a fixed time, to public addresses unless `allow_private`."""

    allow_private: bool = False
    connect_s: float = _CONNECT_S
    total_s: float = _TOTAL_S

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer, 200 to 299. Raises `NotPosted`.

        A redirect is not followed: where it leads, nobody has agreed to.
        """
        try:
            place = parsed(url)
            found = addresses(place, allow_private=self.allow_private)
        except WrongAddress as error:
            raise NotPosted(str(error)) from error
        except (OSError, ValueError) as error:
            raise NotPosted(f"the host is not known: {error}") from error
        try:
            with _ended_after(self.total_s, self._connected(found, place.port)) as connected:
                return _answered(_spoken(connected, place), place, body, headers)
        except TimeoutError as error:
            raise NotPosted(f"no answer within {self.total_s:g} seconds") from error
        except (OSError, HTTPException, ValueError) as error:
            raise NotPosted(f"no answer: {error or type(error).__name__}") from error

    def _connected(self, found: list[str], port: int) -> socket.socket:
        for number, address in enumerate(found[:_ADDRESSES_TRIED], 1):
            try:
                return socket.create_connection((address, port), timeout=self.connect_s)
            except OSError:
                if number in {_ADDRESSES_TRIED, len(found)}:
                    raise
        raise OSError("the host has no address")


@contextmanager
def _ended_after(seconds: float, connected: socket.socket) -> Iterator[socket.socket]:
    """A connection that ends after so long, whoever reads from it then.

    A timeout of the socket's own begins anew with every byte.
    """
    over = threading.Event()
    handle = connected.dup()  # TLS takes the other one over

    def end() -> None:
        over.set()
        with suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    try:
        connected.settimeout(seconds)
        timer.start()
        yield connected
        if over.is_set():  # what was cut off may look like an answer
            raise TimeoutError
    except (OSError, HTTPException, ValueError) as error:
        if over.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
        timer.join()  # before the number of the handle is another file's
        handle.close()
        connected.close()


def _spoken(connected: socket.socket, place: Place) -> socket.socket:
    """The connection, ready to speak HTTP on."""
    if place.scheme == "http":
        return connected
    return ssl.create_default_context().wrap_socket(connected, server_hostname=place.host)


def _answered(spoken: socket.socket, place: Place, body: bytes, headers: Mapping[str, str]) -> int:
    connection = HTTPConnection(place.host, place.port)
    connection.sock = spoken
    try:
        told = {"Host": place.authority, "Connection": "close", **headers}
        connection.request("POST", place.target, body, told)
        with connection.getresponse() as answer:
            if 200 <= answer.status < 300:
                return answer.status
            said = answer.read(_MAX_ANSWER_BYTES).decode("utf-8", "replace")
        shown = " ".join(said.split())[:_SHOWN_CHARS]
        raise NotPosted(f"answered {answer.status}: {shown}".rstrip(": "), answer.status)
    finally:
        connection.close()
