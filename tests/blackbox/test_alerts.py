"""An alert finds its way to a webhook, signed, and is acknowledged: first the webhook.

The detector looks once a minute, so the alert itself is waited for at the end (`test_told.py`).
"""

from __future__ import annotations

from tests.blackbox.client import Client
from tests.blackbox.told import Hook


def test_a_webhook_is_pinged_with_a_signature(admin: Client, hook: Hook) -> None:
    assert admin.send("POST", f"{hook.path}/ping").status == 200
    [ping] = hook.posts("hello")
    assert (ping.json["type"], ping.json["ping"]) == ("ping", {"hello": "world"})
    assert hook.has_signed(ping)
