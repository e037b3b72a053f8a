"""The queue of those who tell nobody: commands, benchmarks, a stack without alerts."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.storage.ports import Message


class NoQueue:
    """`ports.Queue` that forgets what is sent."""

    def send(self, body: str, *, delay_s: int = 0) -> None: ...

    def receive(
        self,
        max_messages: int = 10,  # noqa: ARG002
        *,
        visibility_s: int = 60,  # noqa: ARG002
        wait_s: float = 0.0,  # noqa: ARG002
    ) -> Sequence[Message]:
        return ()

    def ack(self, messages: Sequence[Message]) -> None: ...

    def release(self, message: Message, *, delay_s: int = 0) -> None: ...

    def depth(self) -> int:
        return 0

    @property
    def dead_letters(self) -> NoQueue:
        return self
