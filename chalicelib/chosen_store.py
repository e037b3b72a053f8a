"""Which store a command acts on: an embedded data folder, or a deployed stack.

The options stand on a command or before it: `crashbucket --stack NAME app list`
is `crashbucket app list --stack NAME`.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from chalicelib.config import Settings

if TYPE_CHECKING:
    from chalicelib.bootstrap import Services

STACK_VARIABLE = "CRASHBUCKET_STACK"
_FOLDER_HELP = "Folder of the embedded store (default: CRASHBUCKET_DATA, else ./data)."
_STACK_OPTIONS = {
    "stack": f"Act on this deployed stack (default: {STACK_VARIABLE}, else the data folder).",
    "region": "AWS region of the stack (default: as the AWS profile or AWS_REGION says).",
    "profile": "Profile of the AWS credentials.",
}

View = TypeVar("View", bound=Callable[..., None])

folder_option = click.option(
    "--data",
    type=click.Path(file_okay=False),
    default=None,
    help=_FOLDER_HELP,
)


def store_options(view: View) -> View:
    """For a command that acts on either; it is given `data`, the rest is kept in its context."""
    return folder_option(_stack_options(view))


def early_options(view: View) -> View:
    """The same for the command itself, before a subcommand."""
    folder = click.option(
        "--data",
        type=click.Path(file_okay=False),
        expose_value=False,
        callback=_keep,
        help=_FOLDER_HELP,
    )
    return folder(_stack_options(view))


def settings(data: str | None) -> Settings:
    """The settings over a data folder."""
    if _kept("stack"):
        raise click.UsageError("this command is for a data folder, not for a stack")
    return _embedded(data)


def folder(data: str | None) -> Path:
    """The data folder, which must be there."""
    chosen = Path(settings(data).data)
    if not chosen.is_dir():
        raise click.ClickException(f"there is no data folder {chosen}: use --data")
    return chosen


def services(data: str | None, *, make: bool = False) -> Services:
    """The services over the stack, or over the data folder, which must be there unless it may be
    made."""
    from chalicelib import bootstrap  # noqa: PLC0415 - the formats' imports; not for --help

    data = data or _kept("data")
    stack = _kept("stack")
    if data and stack:
        raise click.UsageError("use --data or --stack")
    stack = stack or (None if data else os.environ.get(STACK_VARIABLE))
    if stack:
        from chalicelib.storage.aws import stack_outputs  # noqa: PLC0415 - boto3

        chosen = stack_outputs.settings_of(stack, region=_kept("region"), profile=_kept("profile"))
        return bootstrap.connect(chosen)
    chosen = _embedded(data)
    if not make and not Path(chosen.data).is_dir():
        raise click.ClickException(f"there is no data folder {chosen.data}: use --data")
    return bootstrap.connect(chosen)


def failure(error: Exception) -> str | None:
    """What a person can do about a failure of the store; None: it is a fault of ours."""
    if "botocore" not in sys.modules:
        return None
    from chalicelib.storage.aws import stack_outputs  # noqa: PLC0415 - boto3

    return stack_outputs.failure(error)


def _embedded(data: str | None) -> Settings:
    chosen = Settings.from_environment()
    data = data or _kept("data")
    return dataclasses.replace(chosen, data=data) if data else chosen


def _stack_options(view: View) -> View:
    for name, told in reversed(_STACK_OPTIONS.items()):
        view = click.option(
            f"--{name}", metavar="NAME", expose_value=False, callback=_keep, help=told
        )(view)
    return view


def _keep(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.meta[f"{__name__}.{option.name}"] = value  # one for a command and those above it


def _kept(name: str) -> str | None:
    kept: str | None = click.get_current_context().meta.get(f"{__name__}.{name}")
    return kept
