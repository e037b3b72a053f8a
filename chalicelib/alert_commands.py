"""`crashbucket alerts` and `crashbucket webhook`: what people are told of, and how."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from chalicelib.alerts.model import AlertKind
from chalicelib.user_commands import Answer, Open, Option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.alerts.attempts import Attempt
    from chalicelib.alerts.model import Alert
    from chalicelib.alerts.webhooks import Webhook
    from chalicelib.bootstrap import Services
    from chalicelib.records import App

_KINDS = tuple(kind.value for kind in AlertKind)
_SHOWN = 100  # alerts of one list
_APP = click.option("--app", "app_id", default=None, help="This app only (default: every app).")
_OWNER = click.option("--app", "app_id", default=None, help="Of this app (default: of all).")
_WEBHOOK = click.argument("webhook_id", type=int)


def register(
    commands: click.Group, data: Option, as_json_option: Option, open_services: Open, answer: Answer
) -> None:
    """Add the groups `alerts` and `webhook` to the command; the rest is how the command opens its
    data folder and prints its answers."""
    _register_alerts(commands, data, as_json_option, open_services, answer)
    _register_webhooks(commands, data, as_json_option, open_services, answer)


def _apps(services: Services, app_id: str | None) -> Iterable[App]:
    return services.accounts.apps() if app_id is None else [services.accounts.app(app_id)]


def _register_alerts(
    commands: click.Group, data: Option, as_json_option: Option, open_services: Open, answer: Answer
) -> None:
    @commands.group()
    def alerts() -> None:
        """Alerts: spikes, new groups, groups that are back, fewer sessions without a crash."""

    @alerts.command("list")
    @_APP
    @click.option("--all", "every", is_flag=True, help="Those that are over, too.")
    @data
    @as_json_option
    def list_alerts(app_id: str | None, every: bool, data: str | None, as_json: bool) -> None:
        """Alerts, each app's newest first."""
        from chalicelib.alerts import alert_json  # noqa: PLC0415
        from chalicelib.queries.paging import Paging  # noqa: PLC0415

        services = open_services(data)
        found = [
            entry
            for app in _apps(services, app_id)
            for entry in services.alerts.list(
                app.app_id, open_only=not every, paging=Paging(1, _SHOWN)
            ).entries
        ]
        told = [{"app_id": entry.app_id, **alert_json.alert(entry)} for entry in found]
        lines = (
            f"{entry.alert_id}  {entry.app_id}  {entry.opened_at[:19]}Z  "
            f"{_state(entry)}  "
            f"{entry.kind.value}  {entry.title}"
            for entry in found
        )
        answer(as_json, {"alerts": told}, lines)

    @alerts.command("ack")
    @click.argument("app_id")
    @click.argument("alert_id", type=int)
    @click.option("--by", default="the command line", show_default=True, help="Who looks after it.")
    @data
    @as_json_option
    def acknowledge(app_id: str, alert_id: int, by: str, data: str | None, as_json: bool) -> None:
        """Acknowledge an alert: no more is told of it."""
        said = open_services(data).alerts.acknowledge(app_id, alert_id, by)
        told = {"alert_id": alert_id, "acknowledged_by": said.acknowledged_by}
        answer(as_json, told, [f"{alert_id} is looked after by {said.acknowledged_by}"])

    @alerts.command("undelivered")
    @_APP
    @data
    @as_json_option
    def undelivered(app_id: str | None, data: str | None, as_json: bool) -> None:
        """Notifications that were given up, with the reason."""
        lost = _lost(open_services(data), app_id)
        told = [
            {
                "app_id": e.app_id,
                "alert_id": e.alert_id,
                "receiver": e.receiver,
                "problem": e.problem,
            }
            for e in lost
        ]
        lines = (f"{e.alert_id}  {e.app_id}  {e.receiver}  {e.problem}" for e in lost)
        answer(as_json, {"undelivered": told}, lines)

    @alerts.command("replay")
    @click.argument("alert_ids", nargs=-1, type=int)
    @click.option("--all", "every", is_flag=True, help="Every one of them.")
    @_APP
    @data
    @as_json_option
    def replay(
        alert_ids: tuple[int, ...],
        every: bool,
        app_id: str | None,
        data: str | None,
        as_json: bool,
    ) -> None:
        """Try notifications again that were given up: those of some alerts, or all."""
        services = open_services(data)
        lost = _lost(services, app_id)
        unknown = set(alert_ids) - {entry.alert_id for entry in lost}
        if unknown or not (alert_ids or every):
            named = ", ".join(map(str, sorted(unknown)))
            raise click.UsageError(
                f"all of them got there: {named}" if unknown else "name alerts, or --all"
            )
        wanted = [entry for entry in lost if every or entry.alert_id in alert_ids]
        replayed = services.notifier.replay(wanted)
        answer(as_json, {"replayed": replayed}, [f"{replayed} are tried again"])


def _state(alert: Alert) -> str:
    if alert.closed_at:
        return "over"
    return alert.acknowledged_by or (f"part of {alert.part_of}" if alert.part_of else "open")


def _lost(services: Services, app_id: str | None) -> list[Attempt]:
    return [
        entry
        for app in _apps(services, app_id)
        for entry in services.notifier.undelivered(app.app_id)
    ]


def _register_webhooks(
    commands: click.Group, data: Option, as_json_option: Option, open_services: Open, answer: Answer
) -> None:
    @commands.group()
    def webhook() -> None:
        """Webhooks: addresses that are told of alerts, of an app or of all."""

    @webhook.command("add")
    @click.argument("url")
    @_OWNER
    @click.option(
        "--kind", "kinds", multiple=True, type=click.Choice(_KINDS), help="Told of (default: all)."
    )
    @data
    @as_json_option
    def add(
        url: str, app_id: str | None, kinds: tuple[str, ...], data: str | None, as_json: bool
    ) -> None:
        """Add a webhook; prints its id and the secret that its posts are signed with."""
        services = open_services(data)
        if app_id is not None:
            services.accounts.app(app_id)
        made = services.webhooks.create(url, app_id=app_id, kinds=kinds or _KINDS)
        secret = services.webhooks.secret(made)
        told = {"webhook_id": made.webhook_id, "app_id": app_id, "secret": secret}
        answer(as_json, told, [f"{made.webhook_id}  {secret}"])

    @webhook.command("list")
    @_OWNER
    @data
    @as_json_option
    def list_webhooks(app_id: str | None, data: str | None, as_json: bool) -> None:
        """The webhooks of an app, or those of all apps."""
        found = open_services(data).webhooks.listed(app_id)
        told = [_told(entry) for entry in found]
        lines = (
            f"{e.webhook_id}  {e.state}  {e.url}  {','.join(e.kinds)}"
            f"{'  ' + (e.switched_off or e.failure or '') if e.state != 'active' else ''}"
            for e in found
        )
        answer(as_json, {"webhooks": told}, lines)

    @webhook.command("remove")
    @_WEBHOOK
    @_OWNER
    @data
    @as_json_option
    def remove(webhook_id: int, app_id: str | None, data: str | None, as_json: bool) -> None:
        """Take a webhook away."""
        webhooks = open_services(data).webhooks
        webhooks.delete(webhooks.webhook(app_id, webhook_id))
        answer(as_json, {"removed": webhook_id}, [f"removed {webhook_id}"])

    @webhook.command("secret")
    @_WEBHOOK
    @_OWNER
    @data
    @as_json_option
    def secret(webhook_id: int, app_id: str | None, data: str | None, as_json: bool) -> None:
        """The secret of a webhook once more; 0 is the one of CRASHBUCKET_ALERT_WEBHOOK."""
        webhooks = open_services(data).webhooks
        shown = webhooks.secret(webhooks.known(app_id, webhook_id))
        answer(as_json, {"webhook_id": webhook_id, "secret": shown}, [shown])

    @webhook.command("ping")
    @_WEBHOOK
    @_OWNER
    @data
    @as_json_option
    def ping(webhook_id: int, app_id: str | None, data: str | None, as_json: bool) -> None:
        """Post a ping; exit status 1 when it does not get there. 0 is that of the setting."""
        from chalicelib.alerts.posting import NotPosted  # noqa: PLC0415

        services = open_services(data)
        found = services.webhooks.known(app_id, webhook_id)
        try:
            status = services.notifier.ping(found)
        except NotPosted as error:
            answer(as_json, {"delivered": False, "problem": str(error)}, [str(error)])
            sys.exit(1)
        answer(as_json, {"delivered": True, "answered": status}, [f"answered {status}"])


def _told(webhook: Webhook) -> dict[str, Any]:
    return {
        "webhook_id": webhook.webhook_id,
        "app_id": webhook.app_id,
        "url": webhook.url,
        "kinds": list(webhook.kinds),
        "state": webhook.state,
        "failure": webhook.failure,
        "switched_off": webhook.switched_off,
    }
