"""omaha-server's door over both stores: users, links, lists, feedback, erasure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib import bootstrap
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.storage.aws.store import AwsStore
from chalicelib.storage.embedded.store import EmbeddedStore
from tests.crashes import drain
from tests.formats.test_crash_archive import archive
from tests.omaha_client import CRASHES, basic, follow, posted
from tests.wsgi_client import request


@pytest.fixture
def services(store: AwsStore | EmbeddedStore) -> Iterator[Services]:
    built = bootstrap.build(Settings(), store.table, store.blobs, store.queue)
    bootstrap.use(built)
    yield built
    bootstrap.use(None)


def test_a_crash_is_posted_listed_downloaded_described_and_erased(services: Services) -> None:
    data = archive([("trace.log", b"x" * 300)])
    ids = [posted(data, appid="{a}", lang="en") for _ in range(3)]
    drain(services)
    services.counts.fold_all(services.omaha_apps.open("{a}").app_id)
    app_id = services.omaha_apps.open("{A}").app_id
    services.users.create("jo@example.com", "open sesame", app_ids=[app_id])
    jo = basic("jo@example.com", "open sesame")
    listed = request("GET", f"{CRASHES}?page_size=2", headers=jo).json
    assert (listed["count"], [entry["id"] for entry in listed["results"]]) == (3, ids[:2])
    assert listed["results"][0]["meta"] == {"lang": "en"}
    path = listed["results"][0]["archive"].removeprefix("http://localhost")
    assert follow(path).body == data
    services.feedback.add(ids[0], "it broke", "")
    assert services.feedback.text(ids[0]) == "it broke"
    services.eraser.erase([app_id])
    assert services.feedback.find(ids[0]) is None
    assert request("GET", CRASHES, headers=jo).json["count"] == 0
    assert not list(services.blobs.keys("raw/"))
