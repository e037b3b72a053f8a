"""`crashbucket user`: who may sign in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

if TYPE_CHECKING:
    from chalicelib.bootstrap import Services
    from chalicelib.records import User

_SCOPES = ("read", "write", "admin")  # users.USER_SCOPES, which --help must not import
_MAX_READ_CHARS = 4096  # of standard input: more than any password may have

View = TypeVar("View", bound=Callable[..., None])


class Option(Protocol):
    """A decorator that gives a command an option."""

    def __call__(self, view: View, /) -> View: ...


Open = Callable[..., "Services"]
Answer = Callable[[bool, dict[str, Any], Iterable[str]], None]


def register(
    commands: click.Group, data: Option, as_json_option: Option, open_services: Open, answer: Answer
) -> None:
    """Add the group `user` to the command; the rest is how the command opens its data folder
    and prints its answers."""

    @commands.group()
    def user() -> None:
        """Users: people who sign in with an email and a password."""

    @user.command("create")
    @click.argument("email")
    @click.option(
        "--app", "app_ids", multiple=True, help="For this app; again for more (default: every app)."
    )
    @click.option("--scope", type=click.Choice(_SCOPES), default="write", show_default=True)
    @data
    @as_json_option
    def create(
        email: str, app_ids: tuple[str, ...], scope: str, data: str | None, as_json: bool
    ) -> None:
        """Make a user. The password is read from standard input, or asked for."""
        services = open_services(data)
        made = services.users.create(email, _password(), app_ids=app_ids or None, scope=scope)
        answer(as_json, _told(made), [_line(made)])

    @user.command("list")
    @data
    @as_json_option
    def list_(data: str | None, as_json: bool) -> None:
        """Every user, with the apps and the scope."""
        users = list(open_services(data).users.all())
        answer(as_json, {"users": [_told(entry) for entry in users]}, map(_line, users))

    @user.command("password")
    @click.argument("email")
    @data
    @as_json_option
    def password(email: str, data: str | None, as_json: bool) -> None:
        """Change a user's password; who signed in with the old one is signed out."""
        open_services(data).users.change_password(email, _password())
        answer(as_json, {"changed": email}, [f"changed the password of {email}"])

    @user.command("remove")
    @click.argument("email")
    @data
    @as_json_option
    def remove(email: str, data: str | None, as_json: bool) -> None:
        """Take a user away; the password opens nothing from now on."""
        open_services(data).users.remove(email)
        answer(as_json, {"removed": email}, [f"removed {email}"])


def _password() -> str:
    """The first line of standard input; on a terminal it is asked for, unseen and twice."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline(_MAX_READ_CHARS).rstrip("\r\n")


def _told(user: User) -> dict[str, Any]:
    return {
        "email": user.email,
        "scope": user.scope,
        "apps": None if user.app_ids is None else list(user.app_ids),
        "created_at": user.created_at,
    }


def _line(user: User) -> str:
    apps = "all apps" if user.app_ids is None else ", ".join(user.app_ids)
    return f"{user.email}  {user.scope}  {apps}"
