"""After all the others: every count is what a recount of the reports finds."""

from __future__ import annotations

from tests.blackbox.client import eventually
from tests.blackbox.conftest import App
from tests.blackbox.target import Target


def test_every_count_is_that_of_the_reports(service: Target, app: App) -> None:
    def is_exact() -> bool:
        told = service.crashbucket.run("recount", "--app", app.app_id)
        return told["reports"] > 0 and not told["differences"]

    eventually(is_exact, service.patience_s)
