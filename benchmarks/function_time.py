"""Processor time of the deployed functions, with what boto3 takes of it.

    python -m benchmarks.function_time [--calls N]

The functions run in this process over the store's AWS adapters, against moto
in another process; only this process is measured. What a core of this machine
does in a millisecond stands for what one of Lambda's does.
"""

from __future__ import annotations

import argparse
import itertools
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

from benchmarks import corpus, output
from benchmarks.doors import DOORS, Door
from benchmarks.functions import Functions, on_lambda
from benchmarks.usage import crashes_of, make_app
from chalicelib import bootstrap
from chalicelib.bootstrap import Services
from chalicelib.config import Settings

_CHECKOUT = Path(__file__).resolve().parent.parent
CALLS = 9
_BATCH = 10
_WARM_UP = 3
_STARTS = 3
_STARTS_WITHIN_S = 30.0
_NAME = "bench"
# What a function does before it comes to its first call's own work: imports, clients, and the first
# request of each.
_START = """
import time
import {module}
from chalicelib import bootstrap
services = bootstrap.services()
services.accounts.find_app("none")
services.blobs.size("raw/00/0")
print(time.process_time())
"""
_MODULES = {
    "api": "app",
    "process": "chalicelib.handlers.events",
    "detect": "chalicelib.handlers.events",
}


@dataclass(frozen=True, slots=True)
class CpuMs:
    """Milliseconds of a core: a call of the API; one of `process` for one report and for ten; the
    folding of a minute."""

    api: float
    process_one: float
    process_ten: float
    detect: float

    def of_call(self, function: str, batch: int) -> float:
        """Of one call with so many reports."""
        if function == "process":
            each = (self.process_ten - self.process_one) / (_BATCH - 1)
            return self.process_one + each * (batch - 1)
        return self.api if function == "api" else self.detect


@contextmanager
def local_aws() -> Iterator[Services]:
    """The services over a store of moto's, which a process of its own serves."""
    port = _free_port()
    endpoint = f"http://127.0.0.1:{port}"
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "CRASHBUCKET_STORE": "aws",
        "CRASHBUCKET_TABLE": _NAME,
        "CRASHBUCKET_BUCKET": _NAME,
        "CRASHBUCKET_VISIBILITY_S": "360",
    }
    before = dict(os.environ)
    os.environ.update(environment)
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        from chalicelib.storage.aws.store import create_clients, create_store

        create_store(_NAME)
        url = create_clients().sqs.get_queue_url(QueueName=_NAME)["QueueUrl"]
        os.environ["CRASHBUCKET_QUEUE_URL"] = url
        with on_lambda():
            services = bootstrap.connect(Settings.from_environment())
            services.queue.ack(services.queue.receive())  # the test event that S3 sends first
            yield services
    finally:
        bootstrap.use(None)
        server.terminate()
        server.wait()
        os.environ.clear()
        os.environ.update(before)


def measure(door: Door, services: Services, app_id: str, calls: int) -> CpuMs:
    """Medians over that many calls of each function, each warm; all of one known stack.

    moto's transactions take longer with each item it has, so there are few.
    """
    functions = Functions(services, app_id)
    (first, *_) = crashes_of(known=True, seed=1, count=1)
    crashes = (replace(first, number=first.number + n) for n in itertools.count())
    _take(functions, door, islice(crashes, _WARM_UP))
    functions.reset()
    for _ in range(calls):
        _take(functions, door, islice(crashes, 1))
    functions.minute()
    api, detect = _median(functions, "api"), _median(functions, "detect")
    process_one = _median(functions, "process")
    functions.reset()
    for _ in range(max(1, calls // 3)):
        _take(functions, door, islice(crashes, _BATCH))
    return CpuMs(api, process_one, _median(functions, "process"), detect)


def _take(functions: Functions, door: Door, crashes: Iterable[corpus.Crash]) -> None:
    """Send crashes, and have them processed as one batch; a dump that lands is an event more."""
    sent = 0
    for crash in crashes:
        functions.send(door, crash)
        sent += 1
    while functions.process(sent):
        pass


def starts() -> dict[str, float]:
    """Milliseconds of a core until a fresh function has its imports, clients and connections."""
    return {name: _start(module) for name, module in _MODULES.items()}


def _start(module: str) -> float:
    code = _START.format(module=module)
    took = [
        float(
            subprocess.run(
                [sys.executable, "-c", code],
                check=True,
                capture_output=True,
                text=True,
                cwd=_CHECKOUT,
            ).stdout
        )
        for _ in range(_STARTS)
    ]
    return 1000 * min(took)


def _median(functions: Functions, name: str) -> float:
    took = [call.cpu_s for call in functions.calls if call.function == name]
    return 1000 * statistics.median(took)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def of_doors(calls: int) -> dict[str, CpuMs]:
    """Each door's times, on a store of its own."""
    measured = {}
    for door in DOORS:
        with local_aws() as services:
            app_id = make_app(services, symbols=not door.is_small)
            measured[door.name] = measure(door, services, app_id, calls)
            print(f"  {door.name}: measured", flush=True)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=CALLS, help="of each function and door")
    measured = of_doors(parser.parse_args().calls)
    heading = ("milliseconds of a core", "API", "process 1", "process 10", "fold a minute")
    rows = [(n, c.api, c.process_one, c.process_ten, c.detect) for n, c in measured.items()]
    print(output.table(heading, rows))
    with local_aws():
        started = starts()
    print("starts: " + ", ".join(f"{name} {ms:.0f} ms" for name, ms in started.items()))
    doors = {name: asdict(cpu) for name, cpu in measured.items()}
    output.keep("function_time", {"doors": doors, "start_ms": started})


if __name__ == "__main__":
    main()
