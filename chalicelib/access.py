"""What someone who asks may do: the scope, and the apps it is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from chalicelib.errors import Forbidden
from chalicelib.records import Token, User

Scope: TypeAlias = Literal["upload", "read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

# What each scope may do.
_COVERS: dict[str, frozenset[str]] = {
    "upload": frozenset({"upload"}),
    "read": frozenset({"read"}),
    "write": frozenset({"read", "write", "upload"}),
    "admin": frozenset(SCOPES),
}


@dataclass(frozen=True, slots=True)
class Access:
    """A token's or a user's rights; `app_ids` None is every app, those made later too.

    `who` is what a person knows the holder by: an email, or a token's name.
    """

    scope: str
    app_ids: frozenset[str] | None
    who: str = field(default="a token", compare=False)

    @classmethod
    def of_token(cls, token: Token) -> Access:
        app_ids = None if token.app_id is None else frozenset({token.app_id})
        return cls(token.scope, app_ids, token.name or "a token")

    @classmethod
    def of_user(cls, user: User) -> Access:
        app_ids = None if user.app_ids is None else frozenset(user.app_ids)
        return cls(user.scope, app_ids, user.email)

    def opens(self, app_id: str | None) -> bool:
        """Whether the app is one of those; None, what all apps share, is for whom all are open."""
        return self.app_ids is None or app_id in self.app_ids

    def require(self, scope: Scope) -> None:
        """Raises `Forbidden` unless `scope` is covered."""
        if scope not in _COVERS[self.scope]:
            raise Forbidden(f"{scope} is needed, and these credentials are for {self.scope}")
