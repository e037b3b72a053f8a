"""`crashbucket group`: which crashes belong together, as a person decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from chalicelib.user_commands import Answer, Open, Option

if TYPE_CHECKING:
    from chalicelib.group_decisions import GroupDecisions


def register(
    commands: click.Group, data: Option, as_json_option: Option, open_services: Open, answer: Answer
) -> None:
    """Add the group `group` to the command; the rest is how the command opens its data folder
    and prints its answers."""

    def decisions(data: str | None, app_id: str) -> GroupDecisions:
        from chalicelib.group_decisions import GroupDecisions  # noqa: PLC0415 - slows --help

        services = open_services(data)
        return GroupDecisions(services, services.accounts.app(app_id).app_id)

    @commands.group()
    def group() -> None:
        """Groups: merge two, split a stack off, undo either. The workers bring the crashes over."""

    @group.command("merge")
    @click.argument("app_id")
    @click.argument("group_id", type=int)
    @click.argument("into", type=int)
    @data
    @as_json_option
    def merge(app_id: str, group_id: int, into: int, data: str | None, as_json: bool) -> None:
        """Merge a group into another: crashes, those to come, and its id lead there."""
        decisions(data, app_id).merge(group_id, into)
        answer(as_json, {"merged": group_id, "into": into}, [f"merged {group_id} into {into}"])

    @group.command("split")
    @click.argument("app_id")
    @click.argument("group_id", type=int)
    @click.argument("fingerprint")
    @data
    @as_json_option
    def split(
        app_id: str, group_id: int, fingerprint: str, data: str | None, as_json: bool
    ) -> None:
        """Take a stack out of a group: it has its own from now on."""
        made = decisions(data, app_id).split(group_id, fingerprint)
        told = {"group_id": made, "from": group_id, "stack": fingerprint}
        answer(as_json, told, [f"{fingerprint} has group {made} now"])

    @group.command("undo")
    @click.argument("app_id")
    @click.argument("group_id", type=int)
    @data
    @as_json_option
    def undo(app_id: str, group_id: int, data: str | None, as_json: bool) -> None:
        """Undo a group's merge, or else the split that made it."""
        undone = decisions(data, app_id).undo(group_id)
        answer(as_json, {"undone": undone, "group_id": group_id}, [f"undid the {undone}"])

    @group.command("stacks")
    @click.argument("app_id")
    @click.argument("group_id", type=int)
    @data
    @as_json_option
    def stacks(app_id: str, group_id: int, data: str | None, as_json: bool) -> None:
        """The stacks of a group, those with the most crashes first."""
        found = decisions(data, app_id).stacks(group_id)
        told = [
            {"stack": e.fingerprint, "crashes": e.total, "functions": list(e.functions)}
            for e in found
        ]
        lines = (f"{e.total:>8}  {e.fingerprint}  {' < '.join(e.functions)}" for e in found)
        answer(as_json, {"stacks": told}, lines)
