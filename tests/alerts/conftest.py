"""A service whose webhooks may lead to this machine, with a clock that a test turns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chalicelib import bootstrap, clock
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.metrics import Metric, NoMetrics
from chalicelib.queries.paging import Paging
from chalicelib.records import App
from chalicelib.storage.embedded.store import open_store
from tests.alerts.receiver import Receiver
from tests.late_symbols import Clock


@dataclass
class Counted(NoMetrics):
    """Metrics that a test looks at."""

    counts: dict[Metric, int] = field(default_factory=dict)

    def count(
        self,
        metric: Metric,
        value: int = 1,
        *,
        app_id: str | None = None,  # noqa: ARG002
    ) -> None:
        self.counts[metric] = self.counts.get(metric, 0) + value


@dataclass
class Topic:
    published: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    failures: int = 0

    def publish(self, subject: str, text: str, attributes: dict[str, str]) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("the topic is away")
        self.published.append((subject, text, dict(attributes)))


@dataclass
class World:
    services: Services
    app: App
    time: Clock
    metrics: Counted
    topic: Topic

    def opened(
        self, kind: AlertKind = AlertKind.SPIKE, key: str = "spike:1", **more: object
    ) -> Alert:
        """An alert of the app, opened."""
        alert = Alert(
            self.app.app_id, kind, "app", key, clock.to_stored(clock.now()),
            "412 crashes in 10 minutes", 412, 95_500, 10, **more,  # type: ignore[arg-type]
        )  # fmt: skip
        assert self.services.alerts.open(alert)
        return self.services.alerts.list(self.app.app_id, open_only=True, paging=Paging()).entries[
            0
        ]

    def deliver(self, seconds: float = 0.0) -> None:
        """Time passes, in steps that are shorter than most pauses, and what is due is sent."""
        left = seconds
        self._drain()
        while left > 0:
            self.time.let_pass(min(left, 300))
            left -= 300
            self._drain()

    def _drain(self) -> None:
        while self.services.notifier.step():
            pass

    def webhook(self, receiver: Receiver, **more: object) -> int:
        """The id of a webhook of the app that leads to the receiver."""
        made = self.services.webhooks.create(
            receiver.url,
            app_id=self.app.app_id,
            **more,  # type: ignore[arg-type]
        )
        return made.webhook_id


@pytest.fixture
def settings() -> Settings:
    return Settings(allow_private_webhooks=1, base_url="https://crashes.example.com/")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[World]:
    time, metrics, topic = Clock(), Counted(), Topic()
    monkeypatch.setattr(clock, "now", time.moment)
    store = open_store(tmp_path / "data", clock=time)
    services = bootstrap.build(
        settings,
        store.table,
        store.blobs,
        store.queue,
        notifications=store.notifications,
        topic=topic,  # type: ignore[arg-type]
        metrics=metrics,
        secret=lambda: b"the stack's secret",
    )
    bootstrap.use(services)
    app = services.accounts.create_app("Demo", bundle_id="de.codenauts.hockeyapp")
    yield World(services, app, time, metrics, topic)
    bootstrap.use(None)
    store.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started
