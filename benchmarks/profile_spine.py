"""Where the time of a report goes: each stage of intake and worker, in microseconds.

    python -m benchmarks.profile_spine [--reports N] [--functions]

Everything runs in one process and one thread, with the embedded store; the
HTTP server itself (sockets, HTTP parsing) is what `drain` has on top.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import corpus, floor, output, storehouse
from benchmarks.load import upload_form
from benchmarks.stopwatch import Stopwatch
from chalicelib import bootstrap, commit, forms, payload, processing
from chalicelib.bootstrap import Services
from chalicelib.bucketing.engine import Bucketing
from chalicelib.bucketing.stack import Stack
from chalicelib.config import Settings
from chalicelib.formats import hockeyapp_log
from chalicelib.handlers import plist
from infra.wsgi import WsgiApp

_WARM_UP = 500


@dataclass(frozen=True, slots=True)
class Stage:
    """Microseconds for one report, and how often it was called for one."""

    part: str
    name: str
    us: float
    calls: float


@dataclass(frozen=True, slots=True)
class Profile:
    stages: tuple[Stage, ...]
    intake_us: float
    intake_cpu_us: float
    worker_us: float
    worker_cpu_us: float

    @property
    def total_us(self) -> float:
        return self.intake_us + self.worker_us


def measure(reports: int) -> Profile:
    """Post `reports` through the doors, then process them, at a nearly empty store."""
    with storehouse.fresh_folder() as folder:
        tenant = storehouse.make_tenant(folder)
        services = storehouse.open_services(folder)
        bootstrap.use(services)
        try:
            return _measure(services, tenant.app_id, reports)
        finally:
            bootstrap.use(None)


def _measure(services: Services, app_id: str, reports: int) -> Profile:
    door = _door()
    worker = storehouse.worker_of(services)
    for crash in corpus.Corpus(2).crashes(_WARM_UP):
        door(*upload_form(crash), app_id)
    worker.drain()
    uploads = [upload_form(crash) for crash in corpus.Corpus(1).crashes(reports)]

    intake_watch, worker_watch = Stopwatch(), Stopwatch()
    cpu, began = time.process_time(), time.perf_counter()
    with intake_watch.wrapping(*_intake_stages(services)):
        for upload in uploads:
            door(*upload, app_id)
    intake_cpu, intake_s = time.process_time() - cpu, time.perf_counter() - began

    cpu, began = time.process_time(), time.perf_counter()
    with worker_watch.wrapping(*_worker_stages(services)):
        worker.drain()
    worker_cpu, worker_s = time.process_time() - cpu, time.perf_counter() - began

    stages = [
        *_stages("intake", intake_watch, intake_s, reports, "Chalice, event, answer"),
        *_stages("worker", worker_watch, worker_s, reports, "loop, events, records"),
    ]
    per_report = 1e6 / reports
    return Profile(
        tuple(stages),
        intake_us=intake_s * per_report,
        intake_cpu_us=intake_cpu * per_report,
        worker_us=worker_s * per_report,
        worker_cpu_us=worker_cpu * per_report,
    )


def _door() -> Callable[[bytes, str, str], None]:
    """Posts a form to the app as the server does, without the server."""
    from app import app

    wsgi = WsgiApp(app, Settings().max_body_bytes)

    def post(body: bytes, content_type: str, app_id: str) -> None:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": f"/api/2/apps/{app_id}/crashes/upload",
            "QUERY_STRING": "",
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": content_type,
            "HTTP_HOST": "127.0.0.1",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.input": io.BytesIO(body),
        }
        told: list[str] = []
        wsgi(environ, lambda status, _: told.append(status))
        if not told[0].startswith("201"):
            raise RuntimeError(f"the door answered {told[0]}")

    return post


def _intake_stages(services: Services) -> Sequence[tuple[object, str, str]]:
    return (
        (forms, "parse", "multipart parse"),
        (hockeyapp_log, "read_header", "header check"),
        (payload, "encode", "encode and deflate"),
        (services.blobs, "put", "durable put (fsync)"),
        (plist, "plist_answer", "answer as plist"),
    )


def _worker_stages(services: Services) -> Sequence[tuple[object, str, str]]:
    return (
        (services.queue, "receive", "receive"),
        (services.queue, "ack", "ack"),
        (payload, "read", "payload decode"),
        (services.blobs, "get", "payload get"),
        (services.processor, "_parse", "parse the log"),
        (processing, "normalise", "normalise"),
        (Stack, "fingerprint", "fingerprint"),
        (commit.Batch, "plan", "plan the batch"),
        (Bucketing, "assign", "assign a new stack*"),
        (services.table, "batch_get", "batch_get"),
        (services.table, "get", "get"),
        (services.table, "write", "write (fsync)"),
        (services.processor, "fold", "fold the counts*"),
    )


def _stages(part: str, watch: Stopwatch, whole_s: float, reports: int, rest: str) -> list[Stage]:
    stages = [
        Stage(part, name, seconds * 1e6 / reports, watch.calls[name] / reports)
        for name, seconds in watch.seconds.items()
    ]
    rest_us = (whole_s - sum(watch.seconds.values())) * 1e6 / reports
    return sorted([*stages, Stage(part, rest, rest_us, 1.0)], key=lambda stage: -stage.us)


def functions(reports: int) -> str:
    """The functions that take most time of the same work, by cProfile (which slows them down)."""
    profiler = cProfile.Profile()
    profiler.runcall(measure, reports)
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(30)
    return text.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=4_000)
    parser.add_argument("--floor-seconds", type=float, default=2.0, help="for each way")
    parser.add_argument("--functions", action="store_true", help="cProfile's table too")
    options = parser.parse_args()
    profile = measure(options.reports)
    disk = floor.measure(options.floor_seconds)
    print(tables(profile, disk))
    if options.functions:
        print(functions(options.reports))
    output.keep(
        "profile",
        {
            **asdict(profile),
            "floor": asdict(disk),
        },
    )


def tables(profile: Profile, disk: floor.Floor) -> str:
    """Stages with their shares, the floor, and how far it is."""
    rows = [
        (f"{stage.part}: {stage.name}", stage.us, f"{stage.us / profile.total_us:.1%}", stage.calls)
        for stage in profile.stages
    ]
    rows.append(("intake in all", profile.intake_us, f"{profile.intake_cpu_us:.0f} CPU", 1.0))
    rows.append(("worker in all", profile.worker_us, f"{profile.worker_cpu_us:.0f} CPU", 1.0))
    # A report is one durable row on its way in and one in a batch when it is committed.
    floor_us = 1e6 / disk.rows_one_by_one_full + 1e6 / disk.rows_in_batches_full
    return "\n\n".join(
        [
            output.table(("stage", "us/report", "share", "calls/report"), rows),
            output.table(("storage floor", "per second"), floor.rows(disk)),
            f"in all {profile.total_us:,.0f} us a report in one thread; the floor of its two "
            f"durable writes is {floor_us:,.0f} us: {profile.total_us / floor_us:.1f} times",
        ]
    )


if __name__ == "__main__":
    main()
