"""What every test may ask for: services over an embedded store in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib import bootstrap
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.records import App
from chalicelib.storage.embedded.store import open_store


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """The whole service over an empty store, in use for the doors too."""
    store = open_store(tmp_path / "data")
    built = bootstrap.build(
        Settings(), store.table, store.blobs, store.queue, notifications=store.notifications
    )
    bootstrap.use(built)
    yield built
    bootstrap.use(None)
    store.close()


@pytest.fixture
def app(services: Services) -> App:
    """The app that the document's Android example belongs to."""
    return services.accounts.create_app(
        "Demo", bundle_id="de.codenauts.hockeyapp", platform="Android"
    )
