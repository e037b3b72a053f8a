"""Merging and splitting groups over both stores."""

from __future__ import annotations

from chalicelib.group_decisions import GroupDecisions
from chalicelib.queries.paging import Paging
from chalicelib.recount import recount_app
from chalicelib.settling import Settling
from chalicelib.storage.aws.store import AwsStore
from chalicelib.storage.embedded.store import EmbeddedStore
from chalicelib.worker import Worker
from tests.named_by_builds import GAME, NamedByBuilds, crash, services_over


def test_a_group_is_merged_split_and_both_are_undone(
    store: AwsStore | EmbeddedStore,
) -> None:
    services = services_over(store.table, store.blobs, store.queue, NamedByBuilds())
    app = services.accounts.create_app("Demo")
    decisions = GroupDecisions(services, app.app_id)

    def came(*offsets: int) -> int:
        made = crash(services, app, *((GAME, offset) for offset in offsets))
        Worker(services).drain()
        return made

    def counted() -> dict[int, int]:
        Worker(services).drain()
        for _ in range(2):
            Settling(services, app.app_id).run()  # no crash is in work: there is no need to wait
        assert recount_app(services, app.app_id).differences == ()
        listed = services.groups.of_app(app.app_id, Paging(), "date", True)
        return {entry.group.group_id: entry.total for entry in listed.entries}

    a, twin, b = (
        services.crashes.report(report_id)
        for report_id in (came(1, 2, 3), came(1, 2, 3, 4), came(11, 12, 13))
    )
    decisions.merge(a.group_id, b.group_id)
    assert counted() == {b.group_id: 3}
    own = decisions.split(b.group_id, twin.fingerprint)
    came(1, 2, 3)
    came(1, 2, 3, 4)
    assert counted() == {b.group_id: 3, own: 2}
    decisions.undo_merge(a.group_id)
    decisions.undo_split(own)
    assert counted() == {a.group_id: 4, b.group_id: 1}
    assert decisions.split(a.group_id, twin.fingerprint) == own
    assert counted() == {a.group_id: 2, b.group_id: 1, own: 2}
