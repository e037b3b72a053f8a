"""HockeyApp's door over both stores: triage, histograms, a user's crashes, deletion."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib import bootstrap, clock, keys
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.left_groups import left_groups
from chalicelib.payload import Attachment, Payload
from chalicelib.records import App, Deleted
from chalicelib.recount import recount_app
from chalicelib.settling import Settling
from chalicelib.storage.aws.store import AwsStore
from chalicelib.storage.embedded.store import EmbeddedStore
from tests.crashes import android_log, drain
from tests.wsgi_client import Answer, get, request

TEXT = (Attachment("attachment0", "a.txt", "text/plain", 1, b"x"),)


@pytest.fixture
def services(store: AwsStore | EmbeddedStore) -> Iterator[Services]:
    built = bootstrap.build(Settings(), store.table, store.blobs, store.queue)
    bootstrap.use(built)
    yield built
    bootstrap.use(None)


@pytest.fixture
def app(services: Services) -> App:
    return services.accounts.create_app("Demo")


def crash(services: Services, app: App, version: str, **fields: str) -> int:
    made = Payload(
        app.app_id, "hockeyapp", clock.now(), android_log("a", version), fields=fields,
        attachments=TEXT,
    )  # fmt: skip
    report_id = services.intake.receive(made)
    drain(services)
    return report_id


def test_a_group_is_triaged_regresses_and_goes_with_its_crashes(
    services: Services, app: App
) -> None:
    token = services.accounts.create_token("write")
    base = f"/api/2/apps/{app.app_id}"

    def ask(method: str, path: str) -> Answer:
        return request(method, f"{base}{path}", headers={"X-HockeyAppToken": token})

    first = crash(services, app, "1", user="ann", contact="a@b")
    services.counts.fold_all(app.app_id)
    group_id = services.crashes.report(first).group_id
    path = f"/crash_reasons/{group_id}"
    assert ask("POST", f"{path}?status=1&ticket_url=http://t/1").json["crash_reason"]["fixed"]
    assert ask("POST", f"{path}/crash_annotations?text=x").json["status"] == "success"
    assert ask("POST", f"{path}/crash_annotations?text=y").json["status"] == "success"
    second = crash(services, app, "2", contact="a@b")
    for _ in range(2):
        group = ask("GET", path).json["crash_reason"]
        assert (group["status"], group["number_of_crashes"]) == (0, 2)
        assert group["regressed_in_version_id"] == services.crashes.report(second).version_id
        services.counts.fold_all(app.app_id)
    today = clock.to_wire(clock.now())[:10]
    days = f"start_date={today}&end_date={today}"
    assert ask("GET", f"{path}/histogram?{days}").json["histogram"] == [[today, 2]]
    found = ask("GET", "/crashes/user_search?query=a@b").json
    assert [entry["id"] for entry in found["crashes"]] == [second, first]

    assert ask("GET", f"/crashes/{first}/attachments/attachment0").body == b"x"
    assert [ask("DELETE", f"/crashes/{i}").status for i in (first, first, second)] == [
        200, 404, 200
    ]  # fmt: skip
    assert ask("GET", path).status == 404
    assert recount_app(services, app.app_id).differences == ()
    assert list(services.blobs.keys("")) == []
    assert Deleted.at(services.table.get(keys.report(first)))
    for _ in range(2):
        Settling(services, app.app_id).run(clock.to_stored(clock.now()))
    assert left_groups(services.table, app.app_id) == []
    assert services.table.get(keys.group(group_id)) is None
    assert recount_app(services, app.app_id).differences == ()
    again = services.crashes.report(crash(services, app, "1"))
    assert again.group_id != group_id
    assert get(f"{base}/crash_reasons", token).json["total_entries"] == 1
