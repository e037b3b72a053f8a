"""`crashbucket person`: what is kept of a person, and its erasure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from chalicelib.user_commands import Answer, Open, Option

if TYPE_CHECKING:
    from chalicelib.bootstrap import Services
    from chalicelib.records import StoredReport

_PAGE = 100


def register(
    commands: click.Group, data: Option, as_json_option: Option, open_services: Open, answer: Answer
) -> None:
    """Add the group `person` to the command."""

    @commands.group()
    def person() -> None:
        """A person's data: show what is kept, erase it."""

    app_option = click.option("--app", "app_id", default=None, help="This app only (default: all).")
    in_option = click.option(
        "--in",
        "where",
        default=None,
        help="user, contact (the default: both), install_id, text; with commas between.",
    )

    @person.command("show")
    @click.argument("identifier")
    @app_option
    @in_option
    @data
    @as_json_option
    def show(
        identifier: str, app_id: str | None, where: str | None, data: str | None, as_json: bool
    ) -> None:
        """Everything that is kept of a person."""
        from chalicelib import hockeyapp_json  # noqa: PLC0415 - slows --help
        from chalicelib.persons import wanted_of  # noqa: PLC0415

        services = open_services(data)
        found = list(_found(services, identifier, app_id, where))
        told = [
            {
                "app_id": report.app_id,
                "crash": hockeyapp_json.crash(report),
                **services.persons.kept_of(report),
            }
            for report in found
        ]
        of_all = wanted_of(
            services.accounts.app(app_id).app_id if app_id else "", identifier, where
        )
        letters = [letter.report_id for letter in services.persons.dead_letters(of_all)]
        account = services.users.find(identifier) if app_id is None else None
        whole: dict[str, Any] = {
            "crashes": told,
            "dead_letters": letters,
            "account": account.email if account else None,
        }
        lines = [f"{r.app_id}  {r.report_id}  {r.date}  {r.user or '-'}" for r in found]
        lines += [f"dead letter {letter}" for letter in letters]
        lines += [f"account {account.email}"] if account else []
        answer(as_json, whole, [*lines, f"{len(found)} crashes"])

    @person.command("erase")
    @click.argument("identifier")
    @app_option
    @in_option
    @data
    @as_json_option
    def erase(
        identifier: str, app_id: str | None, where: str | None, data: str | None, as_json: bool
    ) -> None:
        """Erase it: what an index finds at once, the rest by the workers, who look once more."""
        services = open_services(data)
        erased, queued = 0, 0
        for wanted in _wanted(services, identifier, app_id, where):
            done = services.persons.erase(wanted)
            erased += done.crashes
            queued += not done.is_done
        account = services.users.find(identifier) if app_id is None else None
        if account is not None:
            services.users.remove(account.email)
        whole = {"erased": erased, "queued": queued, "account": account is not None}
        lines = [f"{erased} crashes erased"]
        lines += [f"workers go on with {queued} apps"] if queued else []
        lines += [f"removed the account {account.email}"] if account else []
        answer(as_json, whole, lines)


def _wanted(
    services: Services, identifier: str, app_id: str | None, where: str | None
) -> Iterator[Any]:
    from chalicelib.persons import wanted_of  # noqa: PLC0415

    if app_id is not None:
        yield wanted_of(services.accounts.app(app_id).app_id, identifier, where)
        return
    for app in services.accounts.apps():
        yield wanted_of(app.app_id, identifier, where)


def _found(
    services: Services, identifier: str, app_id: str | None, where: str | None
) -> Iterator[StoredReport]:
    for wanted in _wanted(services, identifier, app_id, where):
        after: str | None = None
        while True:
            page = services.persons.find(wanted, _PAGE, after)
            yield from page.entries
            after = page.after
            if after is None:
                break
