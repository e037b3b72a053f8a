"""FollowAnalytics' door over both stores: sign in, list, export, fetch, erase."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from chalicelib import bootstrap, keys
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.errors import Unauthenticated
from chalicelib.storage.aws.store import AwsStore
from chalicelib.storage.embedded.store import EmbeddedStore
from chalicelib.tasks import ExportReport, encode
from chalicelib.worker import Worker
from tests.followanalytics_client import (
    ask,
    crash,
    export,
    follow,
    group_of,
    occurrences,
    sign_in,
    work,
)
from tests.storage.conftest import Clock, let_pass


@pytest.fixture
def services(store: AwsStore | EmbeddedStore) -> Iterator[Services]:
    built = bootstrap.build(Settings(), store.table, store.blobs, store.queue)
    bootstrap.use(built)
    yield built
    bootstrap.use(None)


def test_an_occurrence_is_listed_exported_fetched_and_erased(services: Services) -> None:
    app = services.accounts.create_app("Demo")
    ids = [crash(services, app) for _ in range(5)]
    work(services)
    services.users.create("jo@example.com", "open sesame", app_ids=[app.app_id], scope="read")
    token = sign_in("jo@example.com", "open sesame")
    group_id = group_of(services, ids[0])
    everything = occurrences(group_id, token)
    assert len(everything) == 5
    first = ask(f"/api/crashes/{group_id}/occurrences", token, per_page="2").json
    second = ask(re.sub("^https?://[^/]*", "", first["next"]), token).json
    assert first["result"] + second["result"] == everything[:4]
    job_id = export(group_id, everything[0], token).json["job_id"]
    services.queue.send(encode(ExportReport(ids[-1])))  # delivered twice
    work(services)
    done = ask(f"/api/jobs/{job_id}", token).json
    assert done["loading"] == [False]
    assert follow(done["result"]["url"]).json["id"] == everything[0]["id"]
    assert export(group_id, everything[0], token).json == done
    services.exports.sweep()
    assert len(list(services.blobs.keys(keys.EXPORTS))) == 1
    services.eraser.erase([app.app_id])
    assert follow(done["result"]["url"]).status == 404
    assert not list(services.blobs.keys(keys.EXPORTS))
    services.users.change_password("jo@example.com", "open barley")
    assert ask(f"/api/jobs/{job_id}", token).status == 401


def test_a_file_and_a_sign_in_end_when_their_time_is_over(
    store: AwsStore | EmbeddedStore, clock: Clock
) -> None:
    settings = Settings(export_s=2, sign_in_s=2)
    services = bootstrap.build(settings, store.table, store.blobs, store.queue)
    app = services.accounts.create_app("Demo")
    report_id = crash(services, app)
    Worker(services).drain()
    services.users.create("jo@example.com", "open sesame")
    token = services.users.sign_in("jo@example.com", "open sesame").token
    services.exports.start(services.crashes.report(report_id))
    Worker(services).drain()
    assert services.exports.open(report_id).data
    assert services.accounts.authenticate(token).scope == "write"
    let_pass(store, clock, 3)
    services.exports.sweep()
    assert not list(services.blobs.keys(keys.EXPORTS))
    with pytest.raises(Unauthenticated):
        services.accounts.authenticate(token)
