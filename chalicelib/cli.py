"""The `crashbucket` command, on an embedded data folder or on a deployed stack."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from chalicelib import (
    alert_commands,
    chosen_store,
    group_commands,
    person_commands,
    policy_commands,
    reprocess_commands,
    symbol_commands,
    user_commands,
)
from chalicelib.access import SCOPES
from chalicelib.accounts import PLATFORMS
from chalicelib.errors import CrashbucketError

_DATA = chosen_store.store_options
_services = chosen_store.services
_CREW = click.IntRange(1, 64)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def _answer(as_json: bool, answer: dict[str, Any], lines: Iterable[str]) -> None:
    if as_json:
        click.echo(json.dumps(answer))
    else:
        for line in lines:
            click.echo(line)


@click.group()
@chosen_store.early_options
def commands() -> None:
    """Receive crashes, put those of one cause into one bucket, count them exactly."""


@commands.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option(
    "--workers", type=_CREW, default=1, show_default=True, help="Processes that drain the queue."
)
@click.option(
    "--http", type=_CREW, default=1, show_default=True, help="Processes that answer requests."
)
@click.option("--demo", is_flag=True, help="Make a demo app and token once; print how to use them.")
@chosen_store.folder_option
def serve(host: str, port: int, workers: int, http: int, demo: bool, data: str | None) -> None:
    """Run the service on this machine, without AWS."""
    from infra import serve as server  # noqa: PLC0415 - the server is for this command only
    from infra.demo import address, welcome  # noqa: PLC0415

    settings = chosen_store.settings(data)
    options = server.ServeOptions(host, port, workers, http)
    options = dataclasses.replace(options, host=server.checked_address(options))
    if demo:
        click.echo(welcome(_services(data, make=True), host, port))
    else:
        click.echo(f"Crashbucket on {address(host, port)}, data in {settings.data}")
    server.serve(options, settings)


# --- apps and tokens -----------------------------------------------------


@commands.group()
def app() -> None:
    """Apps: the unit of ownership."""


@app.command("create")
@click.argument("name")
@click.option("--bundle-id", default=None, help="Bundle identifier or package name.")
@click.option("--platform", type=click.Choice(PLATFORMS), default="Custom", show_default=True)
@click.option("--omaha-id", default=None, help="What omaha clients send as appid, a GUID.")
@_DATA
@_JSON
def app_create(
    name: str,
    bundle_id: str | None,
    platform: str,
    omaha_id: str | None,
    data: str | None,
    as_json: bool,
) -> None:
    """Make an app; its id is what the SDKs are configured with."""
    made = _services(data, make=True).accounts.create_app(
        name, bundle_id=bundle_id, platform=platform, omaha_id=omaha_id
    )
    _answer(
        as_json,
        {"app_id": made.app_id, "name": made.name},
        [f"{made.app_id}  {made.name}"],
    )


@app.command("list")
@_DATA
@_JSON
def app_list(data: str | None, as_json: bool) -> None:
    """Every app, with its id."""
    apps = list(_services(data).accounts.apps())
    listed = [
        {"app_id": a.app_id, "name": a.name, "bundle_id": a.bundle_id, "platform": a.platform}
        for a in apps
    ]
    lines = (f"{a.app_id}  {a.name}  {a.bundle_id or '-'}  {a.platform}" for a in apps)
    _answer(as_json, {"apps": listed}, lines)


@commands.group()
def token() -> None:
    """Tokens: who may read and change."""


@token.command("create")
@click.option("--app", "app_id", default=None, help="For this app only (default: every app).")
@click.option("--scope", type=click.Choice(SCOPES), required=True)
@_DATA
@_JSON
def token_create(app_id: str | None, scope: str, data: str | None, as_json: bool) -> None:
    """Make a token. It is shown this once: only its hash is kept."""
    made = _services(data).accounts.create_token(scope, app_id=app_id)
    _answer(as_json, {"token": made, "scope": scope, "app_id": app_id}, [made])


alert_commands.register(commands, _DATA, _JSON, _services, _answer)
reprocess_commands.register(commands, _DATA, _JSON, _services, _answer)
policy_commands.register(app, _DATA, _JSON, _services, _answer)
person_commands.register(commands, _DATA, _JSON, _services, _answer)
user_commands.register(commands, _DATA, _JSON, _services, _answer)
group_commands.register(commands, _DATA, _JSON, _services, _answer)
symbol_commands.register(commands, _DATA, _JSON, _services, _answer)


# --- data ----------------------------------------------------------------


@commands.command()
@click.argument("target", type=click.Path(path_type=Path))
@chosen_store.folder_option
@_JSON
def backup(target: Path, data: str | None, as_json: bool) -> None:
    """Copy a data folder, as it is at this moment, to TARGET; a server may go on with it."""
    from chalicelib.storage.embedded.backup import back_up  # noqa: PLC0415 - SQLite

    done = back_up(chosen_store.folder(data), target)
    told = f"{done.database_bytes + done.file_bytes} bytes, {done.files} files of large blobs"
    gone = f", {done.missing} deleted meanwhile" if done.missing else ""
    _answer(as_json, dataclasses.asdict(done), [f"{target}: {told}{gone}"])


@commands.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--app", "app_id", default=None, help="The app they belong to.")
@click.option("--no-wait", is_flag=True, help="Leave them in the queue, for a running server.")
@_DATA
@_JSON
def import_(
    paths: tuple[Path, ...], app_id: str | None, no_wait: bool, data: str | None, as_json: bool
) -> None:
    """Take in crash files: logs of every known format, minidumps, QuincyKit's XML; folders too.

    Exit status 1 when a file was refused or its crash could not be read.
    """
    from chalicelib.importing import Import  # noqa: PLC0415 - the worker's and formats' imports

    tally = Import(_services(data), app_id, wait=not no_wait).run(paths)
    _answer(as_json, tally.as_json(), tally.lines())
    if tally.dead or tally.refused:
        sys.exit(1)


@commands.group()
def deadletters() -> None:
    """Payloads that could not be made into reports."""


@deadletters.command("list")
@_DATA
@_JSON
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


@commands.command()
@click.option("--app", "app_id", default=None, help="This app only (default: all).")
@_DATA
@_JSON
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


@commands.command()
@click.option("--app", "app_id", default=None, help="This app only (default: all).")
@_DATA
@_JSON
def rebucket(app_id: str | None, data: str | None, as_json: bool) -> None:
    """Put reports that an earlier version grouped where this one would put them.

    Stopped, it goes on where it was when it is called again. Exit status 1
    when a report could not be read; it stays where it is.
    """
    from tqdm import tqdm  # noqa: PLC0415

    from chalicelib.rebucketing import Rebucketing  # noqa: PLC0415

    services = _services(data)
    apps = [services.accounts.app(app_id)] if app_id else list(services.accounts.apps())
    reports = moved = unreadable = 0
    with tqdm(unit="report", disable=not sys.stderr.isatty()) as bar:
        for entry in apps:
            done = Rebucketing(services, entry.app_id).run(bar.update)
            reports += done.reports
            moved += done.moved
            unreadable += done.unreadable
    _answer(
        as_json,
        {"reports": reports, "moved": moved, "unreadable": unreadable},
        [f"{reports} reports looked at, {moved} moved to another group, {unreadable} unreadable"],
    )
    if unreadable:
        sys.exit(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command. A failure that a person can act on is one line and exit status 2."""
    try:
        commands.main(args=arguments, prog_name="crashbucket", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(2)
    except click.ClickException as error:
        _fail(error.format_message())
    except (CrashbucketError, OSError) as error:
        _fail(str(error))
    except click.Abort:
        _fail("stopped")
    except Exception as error:
        told = chosen_store.failure(error)
        if told is None:
            raise
        _fail(told)


def _fail(told: str) -> None:
    click.echo(f"crashbucket: {' '.join(told.split())}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
