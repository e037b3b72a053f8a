"""Signatures of webhooks: who gets one can tell that it came from here, just now, unchanged.

The scheme that Stripe made common: HMAC-SHA256 of `TIME.BODY` with a secret
that only sender and receiver know.
"""

from __future__ import annotations

import hashlib
import hmac

SIGNATURE_HEADER = "X-Crashbucket-Signature"


def secret_of(key: bytes, webhook_id: int) -> str:
    """The secret of one webhook: 64 hex digits, made of the service's own key."""
    return hmac.new(key, b"webhook %d" % webhook_id, hashlib.sha256).hexdigest()


def signature(secret: str, moment: int, body: bytes) -> str:
    """The header's value for a body that is sent at a moment, in seconds since 1970."""
    signed = b"%d.%b" % (moment, body)
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"
