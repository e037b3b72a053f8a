"""A webhook of the run, and the receiver on this machine that it leads to."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from tests.alerts.receiver import Post, Receiver

_SIGNATURE = "x-crashbucket-signature"


@dataclass(frozen=True)
class Hook:
    """`path` is the webhook's; `word` names the crash that was posted once it was there."""

    path: str
    secret: str
    word: str
    receiver: Receiver

    def posts(self, word: str) -> Sequence[Post]:
        """What was received with the word in it."""
        return [post for post in self.receiver.posts if word in post.body.decode()]

    def has_signed(self, post: Post) -> bool:
        """As the documentation tells a receiver to look."""
        parts = dict(part.partition("=")[::2] for part in post.headers[_SIGNATURE].split(","))
        signed = f"{parts['t']}.".encode() + post.body
        expected = hmac.new(self.secret.encode(), signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, parts["v1"])
