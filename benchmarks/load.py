"""The load generator: a process of its own that posts crashes over HTTP.

A closed loop: each of some clients holds one connection, posts, waits for the
answer, posts again. All requests are made before the clock starts, and one
thread with a selector serves all clients, so that the generator takes little
of the machine it measures; what it takes is reported.

    python -m benchmarks.load '{"target": "crashbucket", "port": 8000, ...}'

prints `ready`, waits for a line on its input, posts, and prints one JSON object.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from benchmarks import corpus
from benchmarks.minidumps import made

Target = Literal["crashbucket", "minidumps", "bugsink"]

CLIENTS = 4
_BOUNDARY = "----crashbucket-load-8d1f"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LOCATION = re.compile(rb"\r\nlocation: *\S*/(\d+)\r\n", re.IGNORECASE)
_RECEIVE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Job:
    """What to post where: logs or minidumps to Crashbucket, events to Bugsink.

    `app` is an app's id, or a project and its key (`1/abc...`).
    """

    target: Target
    port: int
    app: str
    reports: int
    seed: int
    clients: int = CLIENTS


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of it. `began` and `ended` are `time.monotonic()`, one clock for all processes.

    `ids` are the crashes' ids in the order of the answers (Crashbucket only).
    """

    accepted: int
    refused: dict[str, int]
    began: float
    ended: float
    p50_ms: float
    p99_ms: float
    cpu_s: float
    ids: list[int]

    @property
    def accepted_per_s(self) -> float:
        return self.accepted / (self.ended - self.began)

    @property
    def cpu_share(self) -> float:
        """Of one core, while it posted."""
        return self.cpu_s / (self.ended - self.began)


class Generator:
    """The generator's process, seen from the benchmark that started it."""

    def __init__(self, job: Job) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load", json.dumps(asdict(job))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parent.parent,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        if self._output.readline().strip() != "ready":
            raise RuntimeError("the load generator did not start")

    def post(self) -> Posted:
        """Post everything; returns when the last answer is there."""
        self._input.write("go\n")
        self._input.flush()
        answer = self._output.readline()
        self._process.wait()
        if not answer:
            raise RuntimeError("the load generator failed")
        return Posted(**json.loads(answer))


def main() -> None:
    job = Job(**json.loads(sys.argv[1]))
    requests = list(_requests(job))
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(asdict(_post(job, requests))), flush=True)


def _requests(job: Job) -> Iterator[bytes]:
    for crash in corpus.Corpus(job.seed).crashes(job.reports):
        if job.target == "crashbucket":
            yield _upload(job, crash)
        elif job.target == "minidumps":
            yield _breakpad_upload(job, crash)
        else:
            yield _sentry_store(job, crash)


def upload_form(crash: corpus.Crash) -> tuple[bytes, str]:
    """A custom crash as HockeyApp's document has it, a multipart form with a file: the body and
    its content type."""
    log = _part('name="log"; filename="crash.log"\r\nContent-Type: text/plain', corpus.log(crash))
    user = _part('name="userID"', corpus.user(crash).encode())
    body = log + user + f"--{_BOUNDARY}--\r\n".encode()
    return body, f"multipart/form-data; boundary={_BOUNDARY}"


def _upload(job: Job, crash: corpus.Crash) -> bytes:
    body, content_type = upload_form(crash)
    path = f"/api/2/apps/{job.app}/crashes/upload"
    return _request(path, job.port, {"Content-Type": content_type}, body)


def _breakpad_upload(job: Job, crash: corpus.Crash) -> bytes:
    """A dump as Breakpad's uploader sends it."""
    said = {"prod": "Shop", "ver": crash.version[1], "guid": f"{crash.number:032x}"}
    parts = [_part(f'name="{name}"', value.encode()) for name, value in said.items()]
    file = 'name="upload_file_minidump"; filename="a.dmp"\r\nContent-Type: application/octet-stream'
    body = b"".join((*parts, _part(file, made.dump(crash)), f"--{_BOUNDARY}--\r\n".encode()))
    content_type = f"multipart/form-data; boundary={_BOUNDARY}"
    return _request(f"/breakpad/{job.app}/upload", job.port, {"Content-Type": content_type}, body)


def _part(disposition: str, data: bytes) -> bytes:
    head = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + data + b"\r\n"


def _sentry_store(job: Job, crash: corpus.Crash) -> bytes:
    project, key = job.app.split("/")
    return _request(
        f"/api/{project}/store/",
        job.port,
        {
            "Content-Type": "application/json",
            "X-Sentry-Auth": f"Sentry sentry_version=7, sentry_client=load/1, sentry_key={key}",
        },
        corpus.sentry_event(crash),
    )


def _request(path: str, port: int, headers: dict[str, str], body: bytes) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class _Client:
    """One connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._received = b""
        self.request = b""
        self.posted_at = 0.0
        self.socket = self._connect()

    def post(self, request: bytes) -> None:
        self.request, self._received = request, b""
        self.posted_at = time.monotonic()
        self.socket.sendall(request)

    def answer(self) -> tuple[bytes, bytes] | None:
        """Take what has come: head and body of the answer, or None while it is not all there."""
        data = self.socket.recv(_RECEIVE_BYTES)
        if not data:
            # A server may close a kept connection at any time: then a client posts again.
            if self._received:
                raise ConnectionError("an answer broke off")
            self.socket.close()
            self.socket = self._connect()
            self.socket.sendall(self.request)
            return None
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return None
        length = _LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return None
        return head + b"\r\n", body

    def _connect(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self._port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


def _id_in(job: Job, head: bytes, body: bytes) -> int:
    if job.target == "minidumps":
        return int(body)
    location = _LOCATION.search(head)
    return int(location[1]) if location else 0


def _post(job: Job, requests: list[bytes]) -> Posted:
    waiting = iter(requests)
    latencies: list[float] = []
    ids: list[int] = []
    refused: Counter[str] = Counter()
    selector = selectors.DefaultSelector()
    cpu, began = time.process_time(), time.monotonic()
    for _ in range(min(job.clients, len(requests))):
        client = _Client(job.port)
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.post(next(waiting))
    while selector.get_map():
        for key, _ in selector.select():
            client = key.data
            answer = client.answer()
            if client.socket is not key.fileobj:
                selector.unregister(key.fileobj)
                selector.register(client.socket, selectors.EVENT_READ, client)
            if answer is None:
                continue
            head, body = answer
            latencies.append(time.monotonic() - client.posted_at)
            status = head[9:12].decode()
            if status in {"200", "201"}:
                ids.append(_id_in(job, head, body))
            else:
                refused[status] += 1
            following = next(waiting, None)
            if following is None:
                selector.unregister(client.socket)
                client.socket.close()
            else:
                client.post(following)
    ended = time.monotonic()
    latencies.sort()
    return Posted(
        accepted=len(ids),
        refused=dict(refused),
        began=began,
        ended=ended,
        p50_ms=1000 * latencies[len(latencies) // 2],
        p99_ms=1000 * latencies[len(latencies) * 99 // 100],
        cpu_s=time.process_time() - cpu,
        ids=ids,
    )


if __name__ == "__main__":
    main()
