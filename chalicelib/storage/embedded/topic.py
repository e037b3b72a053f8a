"""The topic of the embedded server: its log. Who wants to be told elsewhere sets a webhook."""

from __future__ import annotations

import logging
from collections.abc import Mapping

_log = logging.getLogger(__name__)
_MAX_CHARS = 2000


class LogTopic:
    """`ports.Topic` that writes each message into the log, as a warning, in one line."""

    def publish(self, subject: str, text: str, attributes: Mapping[str, str]) -> None:  # noqa: ARG002
        _log.warning("%s", " ".join(f"{subject}: {text}".split())[:_MAX_CHARS])
