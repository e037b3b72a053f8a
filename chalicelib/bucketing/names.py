"""Names for frames that have none: what other reports call the same place in a module.

Of two devices with one build of a library one may have its symbols and the
other not. The second one's frames then say only where in the library they
are; the first one's say that too, and the name. Another build's functions
stand elsewhere: that one has a frame at just the same address is rare, as the
return addresses that ever show in crashes are few among millions. An app learns
from its own reports only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import cast

from chalicelib import keys
from chalicelib.bucketing.stack import Stack, digest_of, renamed
from chalicelib.storage.ports import Key, Put, Table

# Of a stack, so many are learned and so many asked for: it is the top that tells a crash. They
# are part of the one batch that stores a stack (see `terms.MAX_TERMS`).
MAX_NAMES = 12


class Names:
    """Learns the names of places in modules, and tells them."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def of(self, stack: Stack, app_id: str) -> tuple[Stack, list[Put]]:
        """The stack with the names that are known, and what stores those it teaches.

        One read for a stack that knows where in their modules its frames are, none for others.
        """
        nameless = dict(islice(_places(stack, named=False), MAX_NAMES))
        named = dict(islice(_places(stack, named=True), MAX_NAMES))
        if not (nameless or named):
            return stack, []
        known = self._read({**nameless, **named}, app_id)
        found = {at: known[place] for at, place in nameless.items() if place in known}
        new = {place: stack.frames[at] for at, place in named.items() if place not in known}
        return renamed(stack, found), [_put(app_id, place, name) for place, name in new.items()]

    def _read(self, places: Mapping[int, str], app_id: str) -> dict[str, str]:
        wanted = {_key(app_id, place): place for place in places.values()}
        items = self._table.batch_get(list(wanted))
        return {wanted[key]: cast(str, item["name"]) for key, item in items.items()}


def _places(stack: Stack, *, named: bool) -> Iterator[tuple[int, str]]:
    for at, (name, place) in enumerate(zip(stack.frames, stack.places, strict=False)):
        if place and (name != place) is named:
            yield at, place


def _key(app_id: str, place: str) -> Key:
    return keys.place(app_id, digest_of(place))


def _put(app_id: str, place: str, name: str) -> Put:
    key = _key(app_id, place)
    return Put({"pk": key.pk, "sk": key.sk, "name": name})
