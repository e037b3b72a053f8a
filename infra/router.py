"""Find the route of a path as API Gateway's resource tree does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote


@dataclass(slots=True)
class _Node:
    fixed: dict[str, _Node] = field(default_factory=dict)
    variable: tuple[str, _Node] | None = None
    route: str | None = None


class Router:
    """A tree of path parts; a fixed part wins over a variable one.

    As in API Gateway, variables beside each other share one name, and a
    slash at the end does not matter.
    """

    def __init__(self, routes: Iterable[str]) -> None:
        self._root = _Node()
        for route in routes:
            self._add(route)

    def _add(self, route: str) -> None:
        node = self._root
        for part in _parts(route):
            if part.startswith("{"):
                name = part[1:-1]
                if node.variable is None:
                    node.variable = (name, _Node())
                elif node.variable[0] != name:
                    raise ValueError(f"{route}: beside {{{node.variable[0]}}} stands {{{name}}}")
                node = node.variable[1]
            else:
                node = node.fixed.setdefault(part, _Node())
        node.route = route

    def find(self, path: str) -> tuple[str, dict[str, str]] | None:
        """The route of a path and the values of its variables (percent-decoded), if any."""
        return self._find(self._root, _parts(path), 0)

    def _find(
        self, node: _Node, parts: list[str], position: int
    ) -> tuple[str, dict[str, str]] | None:
        if position == len(parts):
            return (node.route, {}) if node.route is not None else None
        part = parts[position]
        fixed = node.fixed.get(part)
        if fixed is not None:
            found = self._find(fixed, parts, position + 1)
            if found is not None:
                return found
        if node.variable is None or not part:
            return None
        name, below = node.variable
        found = self._find(below, parts, position + 1)
        if found is not None:
            found[1][name] = unquote(part)
        return found


def _parts(path: str) -> list[str]:
    trimmed = path.strip("/")
    return trimmed.split("/") if trimmed else []
