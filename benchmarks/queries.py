"""Lists, histograms and searches over a full store: how long, and how much is read.

    python -m benchmarks.queries [--reports 100000] [--cache FOLDER]

One app with reports of 60 days in a group for each twenty of them, on the
embedded store. Every request goes through the app as the server calls it; the
clock is the server's. Read units are what DynamoDB would charge for the same
request. With `--cache` the store is kept for the next time, as long as the
code that fills it stays the same.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks import corpus, output, storehouse
from chalicelib import bootstrap, clock
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.payload import Payload
from chalicelib.storage.counting import CountingTable, TableCounts
from chalicelib.storage.embedded.store import open_store

LIST_MS = 50.0
"""What a page of any list and any histogram may take at the server."""
SEARCH_MS = 1000.0
"""What a search over 30 days may take."""

_DAYS = 60
_FILLERS = 2
_AT_ONCE = 500
_ROUNDS = 9
_SORTS = ("date", "class", "number_of_crashes", "last_crash_at")
_CODE = Path(__file__).resolve().parent.parent / "chalicelib"
_FILLED_BY = ("commit.py", "counts.py", "deltas.py", "keys.py", "records.py", "bucketing/stack.py")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: the median and the slowest of the rounds, and what it reads."""

    name: str
    median_ms: float
    most_ms: float
    entries: int
    read_units: float
    read_requests: int
    allowed_ms: float


@dataclass(frozen=True, slots=True)
class Place:
    """The app that is asked, and the parts of it with most in them."""

    app_id: str
    token: str
    version_id: int
    groups: int
    group_id: int
    crashes: int


def main() -> None:
    options = _options()
    with _store(options.reports, options.cache) as folder:
        store = open_store(folder)
        table = CountingTable(store.table)
        settings = Settings(data=str(folder))
        timed = bootstrap.build(settings, store.table, store.blobs, store.queue)
        counted = bootstrap.build(settings, table, store.blobs, store.queue)
        place = _place(timed)
        results = []
        for request in requests(place):
            bootstrap.use(counted)  # counting costs time
            table.reset()
            _get(request[1], place.token)
            bootstrap.use(timed)
            results.append(_ask(table.snapshot(), place, *request))
        bootstrap.use(None)
        store.close()
    _print(options.reports, place, results)
    slow = [entry.name for entry in results if entry.median_ms > entry.allowed_ms]
    print(f"\n{len(results) - len(slow)} of {len(results)} within their time" + _told(slow))
    output.keep("queries", {"place": asdict(place), "asked": [asdict(entry) for entry in results]})


def requests(place: Place) -> Iterator[tuple[str, str, float]]:
    """(name, path and query, milliseconds allowed)."""
    app = f"/api/2/apps/{place.app_id}"
    version = f"{app}/app_versions/{place.version_id}"
    last = min(100, -(-place.groups // 100))
    for owner, base in (("app", app), ("version", version)):
        for sort in _SORTS:
            for page in (1, last // 2, last):
                name = f"groups of {owner} by {sort}, page {page}"
                path = f"{base}/crash_reasons?sort={sort}&order=desc&per_page=100&page={page}"
                yield name, path, LIST_MS
    group = f"{app}/crash_reasons/{place.group_id}"
    for page in (1, min(100, -(-place.crashes // 100))):
        yield f"crashes of the largest group, page {page}", f"{group}?per_page=100&page={page}", 50
    end = clock.now().date()
    dates = f"start_date={end - timedelta(days=29)}&end_date={end}"
    for name, base in (
        ("app", f"{app}/crashes"),
        ("version", f"{version}/crashes"),
        ("group", group),
    ):
        yield f"histogram of {name}", f"{base}/histogram?{dates}", LIST_MS
    since = end - timedelta(days=30)
    for query in ("os_version:14*", "checkout", "oem:samsung AND model:SM*"):
        asked = f"({query}) AND created_at:>={since}".replace(" ", "%20").replace(">", "%3E")
        yield f"search: {query}, 30 days", f"{app}/crashes/search?query={asked}", SEARCH_MS
    yield "search of groups", f"{app}/crash_reasons/search?query=cclass:*Store", SEARCH_MS


def _ask(counts: TableCounts, place: Place, name: str, path: str, allowed_ms: float) -> Asked:
    times = []
    body = _get(path, place.token)
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        body = _get(path, place.token)
        times.append((time.perf_counter() - began) * 1000)
    entries = next((len(value) for value in body.values() if isinstance(value, list)), 0)
    return Asked(
        name, statistics.median(times), max(times), entries,
        counts.read_units, counts.read_requests, allowed_ms,
    )  # fmt: skip


def _get(path: str, token: str) -> dict[str, Any]:
    from app import app
    from infra.wsgi import WsgiApp

    path_info, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path_info, "QUERY_STRING": query,
        "wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "0", "HTTP_X_HOCKEYAPPTOKEN": token,
    }  # fmt: skip
    statuses: list[str] = []
    parts = WsgiApp(app, 1_000_000)(environ, lambda status, _: statuses.append(status))
    if not statuses[0].startswith("200"):
        raise RuntimeError(f"{path}: {statuses[0]} {b''.join(parts)[:200]!r}")
    answer: dict[str, Any] = json.loads(b"".join(parts))
    return answer


def _place(services: Services) -> Place:
    (app,) = services.accounts.apps()
    token = services.accounts.create_token("read", app_id=app.app_id)
    from chalicelib.queries.paging import Paging

    listed = services.groups.of_app(app.app_id, Paging(), "number_of_crashes", True)
    largest = listed.entries[0]
    return Place(
        app.app_id, token, largest.version.version_id,
        listed.total_entries, largest.group.group_id, largest.total,
    )  # fmt: skip


# --- the store ---


@contextmanager
def _store(reports: int, cache: Path | None) -> Iterator[Path]:
    if cache is None:
        with storehouse.fresh_folder() as folder:
            _fill(folder, reports)
            yield folder
        return
    folder = cache / f"queries-{reports}-{_digest()}"
    if not folder.exists():
        unfinished = folder.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        _fill(unfinished, reports)
        unfinished.rename(folder)
    yield folder


def _digest() -> str:
    parts = (_CODE / name for name in _FILLED_BY)
    return hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()[:12]


def _fill(folder: Path, reports: int) -> None:
    app_id = storehouse.make_tenant(folder).app_id
    context = get_context("spawn")
    fillers = [
        context.Process(target=_fill_part, args=(folder, app_id, reports // _FILLERS, number))
        for number in range(_FILLERS)
    ]
    for filler in fillers:
        filler.start()
    for filler in fillers:
        filler.join()
        if filler.exitcode != 0:
            raise RuntimeError("filling the store failed")
    services = storehouse.open_services(folder)
    storehouse.worker_of(services).drain()
    services.counts.fold_all(app_id)


def _fill_part(folder: Path, app_id: str, reports: int, number: int) -> None:
    services = storehouse.open_services(folder)
    worker = storehouse.worker_of(services)
    began = clock.now() - timedelta(days=_DAYS)
    for taken, crash in enumerate(corpus.Corpus(100 + number).crashes(reports), start=1):
        received_at = began + timedelta(days=_DAYS) * (taken / (reports + 1))
        fields = {"user": corpus.user(crash)}
        services.intake.receive(
            Payload(app_id, "hockeyapp", received_at, corpus.log(crash), fields=fields)
        )
        if taken % _AT_ONCE == 0:
            worker.drain()
    worker.drain()


# --- what is printed ---


def _print(reports: int, place: Place, results: Sequence[Asked]) -> None:
    print(f"{reports:,} reports in {place.groups:,} groups over {_DAYS} days\n")
    heading = ("request", "median ms", "most ms", "allowed", "entries", "read units", "requests")
    rows = [
        (e.name, e.median_ms, e.most_ms, e.allowed_ms, e.entries, e.read_units, e.read_requests)
        for e in results
    ]
    print(output.table(heading, rows))


def _told(slow: Sequence[str]) -> str:
    return "; too slow: " + ", ".join(slow) if slow else ""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=100_000)
    parser.add_argument("--cache", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
