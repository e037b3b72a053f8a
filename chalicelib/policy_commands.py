"""`crashbucket app policy`: quota, retention and alerts of an app."""

from __future__ import annotations

from typing import Any

import click

from chalicelib.user_commands import Answer, Open, Option

_UNLIMITED = "unlimited"
_DEFAULT = "default"


class _Limit(click.ParamType[int | str]):
    """A whole number, `unlimited`, or `default` for what the service's settings say."""

    name = f"N|{_UNLIMITED}|{_DEFAULT}"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if isinstance(value, int) or value == _DEFAULT:
            return value  # type: ignore[no-any-return]
        if value == _UNLIMITED:
            return 0
        if not (value.isascii() and value.isdigit() and len(value) <= 12):
            self.fail(f"{value!r} is no number, {_UNLIMITED} or {_DEFAULT}", param, ctx)
        return int(value)


def register(
    app: click.Group, data: Option, as_json_option: Option, open_services: Open, answer: Answer
) -> None:
    """Add `policy` to the commands of apps."""

    @app.command("policy")
    @click.argument("app_id")
    @click.option("--retention-days", type=_Limit(), help="Days for which reports are kept.")
    @click.option("--stored-per-minute", type=_Limit(), help="Reports stored in a minute.")
    @click.option(
        "--refused-above",
        "refused_above_per_minute",
        type=_Limit(),
        help="Reports in a minute above which more are refused.",
    )
    @click.option("--spike-percent", type=_Limit(), help="A spike, in percent of what is expected.")
    @click.option("--spike-floor", type=_Limit(), help="The crashes a spike has at the least.")
    @click.option("--alerts", help="Kinds with commas between; `none`, `default`.")
    @data
    @as_json_option
    def policy(app_id: str, data: str | None, as_json: bool, **said: Any) -> None:
        """Show what holds for an app, after changing what is named."""
        from chalicelib.policies import told_policy  # noqa: PLC0415 - slows --help

        services = open_services(data)
        services.accounts.app(app_id)
        changes = {name: _changed(name, value) for name, value in said.items() if value is not None}
        services.policies.change(app_id, changes)
        holds, decided = services.policies.now(app_id)
        told = told_policy(holds)
        lines = (
            f"{name:<26}{_shown(name, value)}{'' if name in decided else '  (default)'}"
            for name, value in told.items()
        )
        answer(as_json, {"policy": told, "decided": sorted(decided)}, lines)


def _changed(name: str, value: int | str) -> object:
    if value == _DEFAULT:
        return None
    if name == "alerts":
        return [] if value == "none" else [kind.strip() for kind in str(value).split(",")]
    return value


def _shown(name: str, value: object) -> str:
    if name == "alerts":
        return ", ".join(value) or "none"  # type: ignore[arg-type]
    return str(value or _UNLIMITED)
