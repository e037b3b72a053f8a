"""`crashbucket reprocess`: stored reports, read again."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING

import click

from chalicelib.user_commands import Answer, Open, Option

if TYPE_CHECKING:
    from chalicelib.records import StoredReport


def register(
    commands: click.Group, data: Option, as_json_option: Option, open_services: Open, answer: Answer
) -> None:
    """Add the command; the rest is how it opens its store and prints its answer."""

    @commands.command()
    @click.argument("ids", nargs=-1, type=click.IntRange(min=1))
    @click.option("--app", "app_id", default=None, help="Every report of this app.")
    @click.option("--all", "every", is_flag=True, help="Every report of every app.")
    @click.option(
        "--missing", is_flag=True, help="Payloads without a report, as after a restored table."
    )
    @data
    @as_json_option
    def reprocess(
        ids: tuple[int, ...],
        app_id: str | None,
        every: bool,
        missing: bool,
        data: str | None,
        as_json: bool,
    ) -> None:
        """Read reports again from what was received, after a fix of what reads it.

        Exit status 1 when a report could not be read; it stays as it is.
        """
        from tqdm import tqdm  # noqa: PLC0415

        from chalicelib.reprocessing import Reprocessing  # noqa: PLC0415 - the formats' imports

        if (bool(ids), app_id is not None, every, missing).count(True) != 1:
            raise click.UsageError("name ids, or --app, or --all, or --missing")
        services = open_services(data)
        reprocessing = Reprocessing(services)
        if missing:
            with tqdm(unit="payload", disable=not sys.stderr.isatty()) as bar:
                found = reprocessing.run_missing(bar.update)
            told = f"{found.payloads} payloads, {found.stored} of them stored, {found.dead} dead"
            answer(as_json, asdict(found), [told])
            if found.dead:
                sys.exit(1)
            return
        reports: Iterable[StoredReport]
        if ids:
            reports = reprocessing.reports(ids)
        else:
            apps = [services.accounts.app(app_id)] if app_id else services.accounts.apps()
            reports = chain.from_iterable(services.crashes.of_app(app.app_id) for app in apps)
        with tqdm(unit="report", disable=not sys.stderr.isatty()) as bar:
            done = reprocessing.run(reports, bar.update)
        answer(
            as_json,
            asdict(done),
            [
                f"{done.reports} reports read again, {done.moved} moved to another group, "
                f"{done.changed} changed, {done.unreadable} unreadable"
            ],
        )
        if done.unreadable:
            sys.exit(1)
