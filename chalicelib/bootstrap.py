"""The one place that chooses adapters and puts the parts together."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.accounts import Accounts
from chalicelib.alerts.attempts import Attempts
from chalicelib.alerts.book import AlertBook
from chalicelib.alerts.delivery import Notifier, Tools
from chalicelib.alerts.detector import Detector
from chalicelib.alerts.outbox import Outbox
from chalicelib.alerts.posting import Poster
from chalicelib.alerts.webhooks import Webhooks
from chalicelib.bucketing.engine import Bucketing
from chalicelib.config import Settings
from chalicelib.counts import Counts
from chalicelib.deletion import Deletion
from chalicelib.downloads import Downloads
from chalicelib.erasure import Eraser
from chalicelib.expiry import Expiry
from chalicelib.exports import Exports
from chalicelib.feedback import FeedbackBook
from chalicelib.ids import IdSource
from chalicelib.intake import Intake
from chalicelib.intake_limit import IntakeLimit
from chalicelib.landing import Landings
from chalicelib.links import Links
from chalicelib.metrics import Metrics, NoMetrics
from chalicelib.omaha_apps import OmahaApps
from chalicelib.persons import Persons
from chalicelib.policies import Policies, default_policy
from chalicelib.processing import Processor
from chalicelib.projects import Projects
from chalicelib.queries.all_crashes import AllCrashes
from chalicelib.queries.buckets import BucketQueries
from chalicelib.queries.crashes import CrashQueries
from chalicelib.queries.fixes import Fixes
from chalicelib.queries.groups import GroupQueries
from chalicelib.queries.histograms import HistogramQueries
from chalicelib.queries.missing_symbols import MissingSymbolsQueries
from chalicelib.queries.reports import ReportQueries
from chalicelib.queries.search import ScanSearch, Search
from chalicelib.queries.searchable import DocumentReader
from chalicelib.queries.symbol_lists import SymbolLists
from chalicelib.queries.user_search import UserSearch
from chalicelib.reading import Reader
from chalicelib.sessions import Sessions
from chalicelib.storage.no_queue import NoQueue
from chalicelib.storage.ports import Blobs, Queue, Table, Topic
from chalicelib.symbol_uploads import SymbolUploads
from chalicelib.symbols.store import Symbols
from chalicelib.tasks import ReadAnew, announce, encode
from chalicelib.telemetry import on_lambda
from chalicelib.triage import Triage
from chalicelib.uploads import Uploads
from chalicelib.users import Users
from chalicelib.versions import Versions

if TYPE_CHECKING:
    from chalicelib.storage.embedded.store import EmbeddedStore

_LOST_GROUP_S = 10  # after which the index of reports by group has those that just came


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a door, a worker or the command line calls."""

    settings: Settings
    table: Table
    blobs: Blobs
    queue: Queue
    notifications: Queue
    metrics: Metrics
    secret: Callable[[], bytes]
    """What webhooks are signed with, the same in every process."""
    ids: IdSource
    accounts: Accounts
    users: Users
    links: Links
    policies: Policies
    omaha_apps: OmahaApps
    projects: Projects
    intake: Intake
    landings: Landings
    uploads: Uploads
    processor: Processor
    bucketing: Bucketing
    counts: Counts
    groups: GroupQueries
    fixes: Fixes
    histograms: HistogramQueries
    triage: Triage
    crashes: CrashQueries
    all_crashes: AllCrashes
    downloads: Downloads
    feedback: FeedbackBook
    exports: Exports
    reports: ReportQueries
    buckets: BucketQueries
    deletion: Deletion
    expiry: Expiry
    persons: Persons
    eraser: Eraser
    search: Search
    user_search: UserSearch
    reader: Reader
    symbols: Symbols
    symbol_uploads: SymbolUploads
    versions: Versions
    missing_symbols: MissingSymbolsQueries
    symbol_lists: SymbolLists
    alerts: AlertBook
    detector: Detector
    sessions: Sessions
    outbox: Outbox
    webhooks: Webhooks
    notifier: Notifier


@cache
def _secret_of_process() -> bytes:
    return secrets.token_bytes(32)


def build(
    settings: Settings,
    table: Table,
    blobs: Blobs,
    queue: Queue,
    *,
    notifications: Queue | None = None,
    topic: Topic | None = None,
    metrics: Metrics | None = None,
    secret: Callable[[], bytes] = _secret_of_process,
) -> Services:
    """The services over the given adapters; without `notifications` nobody is told of alerts,
    without a `topic` only webhooks are."""
    metrics = metrics or NoMetrics()
    ids = IdSource()
    accounts = Accounts(table, ids)
    bucketing = Bucketing(table, settings.all_thresholds, settings.default_threshold)
    symbols = Symbols(
        table,
        blobs,
        ids,
        cache_bytes=settings.symbol_cache_bytes,
        arrived=lambda what: announce(queue, what, settings.visibility_s),
    )
    reader = Reader(symbols.source)
    limit = IntakeLimit(table, accounts, metrics or NoMetrics(), settings.refused_above_per_minute)
    counts = Counts(
        table,
        bucketing.count_reports,
        on_lost=lambda app_id, group_id: queue.send(
            encode(ReadAnew(app_id, group_id, everything=True)), delay_s=_LOST_GROUP_S
        ),
        metrics=metrics,
    )
    crashes = CrashQueries(table, blobs, counts)
    deletion = Deletion(table, blobs, queue, counts, ids, settings.visibility_s)
    feedback = FeedbackBook(table, blobs)
    notifications = notifications or NoQueue()
    outbox = Outbox(table, notifications, ids)
    versions = Versions(table, ids)
    policies = Policies(table, default_policy(settings), accounts.forget_app)
    alerts = AlertBook(table, ids, outbox, metrics)
    webhooks = Webhooks(table, ids, settings, secret)
    groups = GroupQueries(table, counts)
    landings = Landings(table, blobs, ids, settings.max_dump_bytes, metrics)
    search = ScanSearch(table, DocumentReader(table, blobs, bucketing, accounts.find_app))
    return Services(
        settings=settings,
        table=table,
        blobs=blobs,
        queue=queue,
        notifications=notifications,
        metrics=metrics,
        secret=secret,
        ids=ids,
        accounts=accounts,
        users=Users(table, accounts, sign_in_s=settings.sign_in_s),
        links=Links(table),
        policies=policies,
        omaha_apps=OmahaApps(table, ids, accounts, max_made=settings.max_auto_created_apps),
        projects=Projects(table, ids, accounts),
        intake=Intake(blobs, ids, metrics, limit),
        landings=landings,
        uploads=Uploads(
            table,
            blobs,
            max_dump_bytes=settings.max_dump_bytes,
            link_s=settings.upload_link_s,
        ),
        processor=Processor(
            table,
            blobs,
            bucketing,
            ids,
            reader.crash,
            accounts.find_app,
            max_dump_bytes=settings.max_dump_bytes,
            land=landings.land,
            counts=counts,
            stored_per_minute=settings.stored_per_minute,
            metrics=metrics,
        ),
        bucketing=bucketing,
        counts=counts,
        groups=groups,
        fixes=Fixes(table, bucketing, groups, counts),
        histograms=HistogramQueries(table, counts),
        triage=Triage(table, counts, ids),
        crashes=crashes,
        all_crashes=AllCrashes(table, blobs, counts),
        downloads=Downloads(blobs),
        feedback=feedback,
        exports=Exports(
            table,
            blobs,
            queue,
            crashes,
            accounts,
            feedback,
            reader,
            kept_s=settings.export_s,
            visibility_s=settings.visibility_s,
        ),
        reports=ReportQueries(table, crashes, bucketing, accounts, reader),
        buckets=BucketQueries(table, counts, bucketing, search),
        deletion=deletion,
        expiry=Expiry(table, blobs, counts, ids, deletion),
        persons=Persons(table, blobs, queue, crashes, feedback, deletion, settings.visibility_s),
        eraser=Eraser(table, blobs, crashes, counts, accounts.apps),
        search=search,
        user_search=UserSearch(table, search),
        reader=reader,
        symbols=symbols,
        symbol_uploads=SymbolUploads(table, blobs, symbols),
        versions=versions,
        missing_symbols=MissingSymbolsQueries(table, counts),
        symbol_lists=SymbolLists(table),
        alerts=alerts,
        detector=Detector(table, counts, accounts, policies, alerts),
        sessions=Sessions(table, counts, versions, ids),
        outbox=outbox,
        webhooks=webhooks,
        notifier=Notifier(
            Tools(
                notifications,
                outbox,
                alerts,
                webhooks,
                Attempts(table),
                topic,
                Poster(allow_private=bool(settings.allow_private_webhooks)),
                accounts,
                groups,
                metrics,
                ids,
                base_url=settings.base_url,
                visibility_s=settings.visibility_s,
            )
        ),
    )


def connect(settings: Settings, *, measuring: bool = False) -> Services:
    """The services over the store that the settings name.

    What a function on AWS does is measured; embedded, what a process does that
    is part of a server (`measuring`).
    """
    if settings.store == "aws":
        return _on_aws(settings)
    return _embedded(settings, measuring)


def _on_aws(settings: Settings) -> Services:
    from chalicelib.storage.aws import store as aws  # noqa: PLC0415 - boto3 costs 200 ms of a start

    store = aws.open_store(
        table=settings.table,
        bucket=settings.bucket,
        queue_url=settings.queue_url,
        dead_letters_url=settings.dead_letter_queue_url or None,
        notifications_url=settings.notifications_url or None,
        notifications_dead_letters_url=settings.notifications_dead_letter_url or None,
        topic_arn=settings.topic_arn or None,
    )
    return build(
        settings,
        store.table,
        store.blobs,
        store.queue,
        notifications=store.notifications,
        topic=store.topic,
        metrics=_metrics_of_function(settings),
        secret=lambda: _secret_on_aws(settings.secret_name),
    )


def _metrics_of_function(settings: Settings) -> Metrics:
    if not on_lambda():
        return NoMetrics()  # a command: its output is for people
    from chalicelib.telemetry.emf import EmfMetrics  # noqa: PLC0415 - powertools

    return EmfMetrics(list(filter(None, settings.metrics_apps.split(","))))


def _secret_on_aws(name: str) -> bytes:
    from chalicelib.storage.aws.secret import secret  # noqa: PLC0415 - powertools and boto3

    return secret(name)


def _embedded(settings: Settings, measuring: bool) -> Services:
    from chalicelib.storage.embedded import store as embedded  # noqa: PLC0415 - not in a Lambda
    from chalicelib.storage.embedded.signing import kept_secret  # noqa: PLC0415

    folder = Path(settings.data)
    store = embedded.open_store(
        settings.data, base_url=settings.base_url, max_deliveries=settings.max_deliveries
    )
    metrics = _metrics_for_prometheus(folder, store) if measuring else None
    return build(
        settings,
        store.table,
        store.blobs,
        store.queue,
        notifications=store.notifications,
        topic=store.topic,
        metrics=metrics,
        secret=lambda: kept_secret(folder / "secret"),
    )


def _metrics_for_prometheus(folder: Path, store: EmbeddedStore) -> Metrics:
    from chalicelib.telemetry import gauges, prometheus  # noqa: PLC0415

    return prometheus.PrometheusMetrics(
        folder / prometheus.FOLDER, gauges.of_store(store.table, store.queue, store.notifications)
    )


_current: Services | None = None


def services() -> Services:
    """The services of this process: those in use, else as its environment says."""
    global _current  # noqa: PLW0603 - one process, one composition
    if _current is None:
        _current = connect(Settings.from_environment())
    return _current


def use(chosen: Services | None) -> None:
    """Make these the services of this process (None: choose anew from the environment)."""
    global _current  # noqa: PLW0603
    _current = chosen
