"""The `crashbucket` command, on an embedded data folder."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click

from chalicelib import bootstrap
from chalicelib.accounts import PLATFORMS, SCOPES
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.errors import CrashbucketError

P = ParamSpec("P")

_DATA = click.option(
    "--data",
    type=click.Path(file_okay=False),
    default=None,
    help="Folder of the embedded store (default: CRASHBUCKET_DATA, else ./data).",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def _told(command: Callable[P, None]) -> Callable[P, None]:
    """A failure that a person can act on is one line and exit status 2."""

    @wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except CrashbucketError as error:
            click.echo(f"crashbucket: {error}", err=True)
            sys.exit(2)

    return told


def _settings(data: str | None) -> Settings:
    settings = Settings.from_environment()
    return dataclasses.replace(settings, data=data) if data else settings


def _services(data: str | None) -> Services:
    return bootstrap.connect(_settings(data))


def _answer(as_json: bool, answer: dict[str, Any], lines: Iterable[str]) -> None:
    if as_json:
        click.echo(json.dumps(answer))
    else:
        for line in lines:
            click.echo(line)


@click.group()
def main() -> None:
    """Receive crashes, put those of one cause into one bucket, count them exactly."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Processes that drain the queue.")
@click.option("--http", default=1, show_default=True, help="Processes that answer requests.")
@click.option("--demo", is_flag=True, help="Make a demo app and token once; print how to use them.")
@_DATA
@_told
def serve(host: str, port: int, workers: int, http: int, demo: bool, data: str | None) -> None:
    """Run the service on this machine, without AWS."""
    from infra import serve as server  # noqa: PLC0415 - the server is for this command only

    settings = _settings(data)
    options = server.ServeOptions(host, port, workers, http)
    server.check_port(options)
    if demo:
        from infra.demo import welcome  # noqa: PLC0415

        click.echo(welcome(bootstrap.connect(settings), host, port))
    else:
        click.echo(f"Crashbucket on http://{host}:{port}, data in {settings.data}")
    server.serve(options, settings)


# --- apps and tokens -----------------------------------------------------


@main.group()
def app() -> None:
    """Apps: the unit of ownership."""


@app.command("create")
@click.argument("name")
@click.option("--bundle-id", default=None, help="Bundle identifier or package name.")
@click.option("--platform", type=click.Choice(PLATFORMS), default="Custom", show_default=True)
@_DATA
@_JSON
@_told
def app_create(
    name: str, bundle_id: str | None, platform: str, data: str | None, as_json: bool
) -> None:
    """Make an app; its id is what the SDKs are configured with."""
    made = _services(data).accounts.create_app(name, bundle_id=bundle_id, platform=platform)
    _answer(
        as_json,
        {"app_id": made.app_id, "name": made.name},
        [f"{made.app_id}  {made.name}"],
    )


@app.command("list")
@_DATA
@_JSON
@_told
def app_list(data: str | None, as_json: bool) -> None:
    """Every app, with its id."""
    apps = list(_services(data).accounts.apps())
    listed = [
        {"app_id": a.app_id, "name": a.name, "bundle_id": a.bundle_id, "platform": a.platform}
        for a in apps
    ]
    lines = (f"{a.app_id}  {a.name}  {a.bundle_id or '-'}  {a.platform}" for a in apps)
    _answer(as_json, {"apps": listed}, lines)


@main.group()
def token() -> None:
    """Tokens: who may read and change."""


@token.command("create")
@click.option("--app", "app_id", default=None, help="For this app only (default: every app).")
@click.option("--scope", type=click.Choice(SCOPES), required=True)
@_DATA
@_JSON
@_told
def token_create(app_id: str | None, scope: str, data: str | None, as_json: bool) -> None:
    """Make a token. It is shown this once: only its hash is kept."""
    made = _services(data).accounts.create_token(scope, app_id=app_id)
    _answer(as_json, {"token": made, "scope": scope, "app_id": app_id}, [made])


# --- data ----------------------------------------------------------------


@main.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--app", "app_id", default=None, help="The app they belong to.")
@_DATA
@_JSON
@_told
def import_(paths: tuple[Path, ...], app_id: str | None, data: str | None, as_json: bool) -> None:
    """Take in crash files: logs of every known format, and QuincyKit's XML; folders too."""
    from chalicelib.importing import import_files  # noqa: PLC0415

    tally = import_files(_services(data), paths, app_id)
    lines = [
        f"{tally.stored} stored, {len(tally.dead)} could not be read, "
        f"{len(tally.refused)} refused, of {tally.files} files",
        *(f"  {name}: {reason}" for name, reason in (*tally.dead, *tally.refused)),
    ]
    _answer(as_json, tally.as_json(), lines)
    if tally.dead or tally.refused:
        sys.exit(1)


@main.group()
def deadletters() -> None:
    """Payloads that could not be made into reports."""


@deadletters.command("list")
@_DATA
@_JSON
@_told
def deadletters_list(data: str | None, as_json: bool) -> None:
    """Every dead letter, with its reason."""
    letters = list(_services(data).crashes.dead_letters())
    _answer(
        as_json,
        {"dead_letters": [letter.attributes() for letter in letters]},
        (f"{entry.report_id}  {entry.failed_at}  {entry.reason}" for entry in letters),
    )


@deadletters.command("replay")
@click.argument("ids", nargs=-1, type=int)
@click.option("--all", "every", is_flag=True, help="Every dead letter.")
@_DATA
@_JSON
@_told
def deadletters_replay(ids: tuple[int, ...], every: bool, data: str | None, as_json: bool) -> None:
    """Process dead letters again, after a fix; those that fail again stay."""
    services = _services(data)
    letters = {letter.report_id for letter in services.crashes.dead_letters()}
    wanted = sorted(letters) if every else list(ids)
    unknown = [report_id for report_id in wanted if report_id not in letters]
    if unknown or not (wanted or every):
        raise click.UsageError(
            f"no dead letters: {', '.join(map(str, unknown))}" if unknown else "name ids, or --all"
        )
    outcomes = {report_id: services.processor.replay(report_id) for report_id in wanted}
    services.processor.fold()
    dead = [report_id for report_id, outcome in outcomes.items() if outcome.dead]
    answer = {"replayed": len(wanted) - len(dead), "dead": dead}
    _answer(as_json, answer, [f"{len(wanted) - len(dead)} replayed, {len(dead)} failed again"])
    if dead:
        sys.exit(1)


@main.command()
@click.option("--app", "app_id", default=None, help="This app only (default: all).")
@_DATA
@_JSON
@_told
def recount(app_id: str | None, data: str | None, as_json: bool) -> None:
    """Prove every count against the reports; differences are printed, exit status 1."""
    from chalicelib.recount import recount_app  # noqa: PLC0415

    services = _services(data)
    apps = [services.accounts.app(app_id)] if app_id else list(services.accounts.apps())
    results = [recount_app(services, entry.app_id) for entry in apps]
    reports = sum(result.reports for result in results)
    differences = [line for result in results for line in result.differences]
    _answer(
        as_json,
        {"reports": reports, "differences": differences},
        [*differences, f"{reports} reports counted, {len(differences)} differences"],
    )
    if differences:
        sys.exit(1)


if __name__ == "__main__":
    main()
