"""Quotas, refusals, retention and a person's data over both stores."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

import pytest

from chalicelib import bootstrap, clock, keys
from chalicelib.config import Settings
from chalicelib.errors import TooManyCrashes
from chalicelib.group_decisions import GroupDecisions
from chalicelib.payload import Payload
from chalicelib.persons import Wanted
from chalicelib.recount import recount_app
from chalicelib.retention import Retention
from chalicelib.storage.aws.store import AwsStore
from chalicelib.storage.embedded.store import EmbeddedStore
from chalicelib.worker import Worker
from tests.crashes import android_log

_LONG_AGO = timedelta(days=60)


def test_what_is_sampled_moved_shown_refused_and_expired_is_counted_right(
    store: AwsStore | EmbeddedStore,
) -> None:
    services = bootstrap.build(Settings(), store.table, store.blobs, store.queue)
    app = services.accounts.create_app("Demo")
    now = clock.now().replace(second=10, microsecond=0)

    def came(cause: str, many: int, user: str = "jo") -> list[int]:
        ids = []
        for _ in range(many):
            sent = Payload(
                app.app_id, "hockeyapp", clock.now(), android_log(cause), fields={"user": user}
            )
            ids.append(services.intake.receive(sent))
        services.processor.process(ids)
        services.processor.process(ids)  # every event comes twice
        return ids

    def counted() -> int:
        Worker(services).drain()
        services.counts.fold_all(app.app_id)
        found = recount_app(services, app.app_id)
        assert found.differences == ()
        return found.reports

    def decide(**what: int) -> None:
        services.policies.change(app.app_id, what)

    with patch.object(clock, "now", lambda: now - _LONG_AGO):
        decide(stored_per_minute=3)
        old = came("a", 12)
        assert counted() == 12
    with patch.object(clock, "now", lambda: now):
        young = came("b", 6, user="sam")
        groups = [services.crashes.report(ids[0]).group_id for ids in (old, young)]
        GroupDecisions(services, app.app_id).merge(*groups)
        assert counted() == 18
        assert services.groups.group(app.app_id, groups[1]).total == 18
        decide(retention_days=28)
        Retention(services).look()
        assert counted() == 6
        assert all(services.blobs.size(keys.raw_blob(report_id)) is None for report_id in old)
        decide(refused_above_per_minute=len(young) + 1)
        came("b", 1)
        other = bootstrap.build(Settings(), store.table, store.blobs, store.queue)
        decide(refused_above_per_minute=2)
        came("c", 1, user="sam")
        with pytest.raises(TooManyCrashes):
            services.intake.require_open(app.app_id)
        with pytest.raises(TooManyCrashes):
            other.intake.require_open(app.app_id)
        wanted = Wanted(app.app_id, "sam")
        assert services.persons.find(wanted, 100).entries
        services.persons.erase(wanted)
        assert services.persons.find(wanted, 100).entries == ()
        # what was counted through a report of sam's goes with it
        assert counted() == len(list(services.crashes.of_app(app.app_id)))
