"""What omaha-server's clients call an app (`appid`), and which app that is."""

from __future__ import annotations

from typing import cast

from chalicelib import keys
from chalicelib.storage.ports import Put, Table

MAX_CHARS = 38  # omaha-server's column: a GUID with its braces


def omaha_id_put(omaha_id: str, app_id: str) -> Put:
    """Give the id to the app, unless another has it."""
    place = keys.omaha_id(omaha_id)
    return Put({"pk": place.pk, "sk": place.sk, "app_id": app_id}, if_absent=True)


def app_with_omaha_id(table: Table, omaha_id: str) -> str | None:
    """The `app_id` of the app that has this id."""
    item = table.get(keys.omaha_id(omaha_id))
    return cast(str, item["app_id"]) if item else None
