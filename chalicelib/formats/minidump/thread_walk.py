"""The threads of a dump, each with its frames."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.formats.minidump import bad_jump
from chalicelib.formats.minidump.code_map import CodeMap
from chalicelib.formats.minidump.dump import Context, Minidump, ThreadDump
from chalicelib.formats.minidump.frame_state import FrameState
from chalicelib.formats.minidump.frames import Frames
from chalicelib.formats.minidump.machine import machine_of
from chalicelib.formats.minidump.ownership import Ownership
from chalicelib.formats.minidump.stack_memory import StackMemory
from chalicelib.formats.minidump.symbol_source import SymbolSource
from chalicelib.formats.minidump.unwinding import MAX_FRAMES, Unwinder
from chalicelib.model import ModuleId, Thread

# Together these bound the worst dump to about a second, a hundred times what a real one with
# many threads takes.
_MAX_FRAMES_IN_ALL = 16_384  # of all threads, without inlined ones
_MAX_LOOKUPS = 20_000


class ThreadWalk:
    """Every thread of a dump, or only the crashed one, unwound: that first, as effort is bounded.

    `lacking` are the builds in the crashed thread that had no symbols.
    """

    def __init__(
        self, dump: Minidump, symbols: SymbolSource, *, only_crashed: bool = False
    ) -> None:
        self._dump = dump
        self._code = CodeMap(dump, symbols, max_lookups=_MAX_LOOKUPS)
        self._unwinder = Unwinder(dump.system.os, self._code)
        self._frames = Frames(Ownership(dump))
        self._frames_left = _MAX_FRAMES_IN_ALL
        self._cut = 0  # threads whose stack goes on
        self._notes: list[str] = []
        self.lacking: tuple[ModuleId, ...] = ()
        crashed = dump.crash_thread
        # A thread that dumps its own process shows the dumping, and nothing else.
        shown = [
            place
            for place, thread in enumerate(dump.threads)
            if place == crashed or thread.thread_id != dump.dump_thread_id
        ]
        numbers = {place: number for number, place in enumerate(shown)}
        first_crashed = sorted(shown, key=lambda place: place != crashed)
        threads = [
            self._thread(numbers[place], dump.threads[place], is_crashed=place == crashed)
            for place in first_crashed
            if place == crashed or not only_crashed
        ]
        self.threads = tuple(sorted(threads, key=lambda thread: thread.number))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the frames leave out, in plain words."""
        if not self._cut:
            return ()
        return (*self._notes, f"stacks that go on behind the last frame shown: {self._cut}")

    def _thread(self, number: int, thread: ThreadDump, *, is_crashed: bool) -> Thread:
        context = thread.context
        exception = self._dump.exception
        if is_crashed and exception and exception.context:
            # The thread's own registers may be those inside the handler of the exception.
            context = exception.context
        machine = machine_of(context.cpu, ios=self._dump.system.os == "ios") if context else None
        states = self._unwound(thread, context, is_crashed=is_crashed) if context else []
        if is_crashed:
            self.lacking = _lacking(states)
        return Thread(
            number=number,
            thread_id=thread.thread_id,
            name=thread.name or None,
            crashed=is_crashed,
            frames=self._frames.of(states, machine) if machine else (),
            registers=tuple(context.registers.items()) if context else (),
        )

    def _unwound(
        self, thread: ThreadDump, context: Context, *, is_crashed: bool
    ) -> list[FrameState]:
        states, goes_on = self._unwinder.unwind(
            context,
            lambda word: self._stack(thread, word),
            max_frames=min(MAX_FRAMES, self._frames_left),
            jumped=is_crashed and bad_jump.is_one(self._dump, context, self._code),
        )
        self._frames_left -= len(states)
        self._cut += goes_on
        if goes_on and is_crashed:
            self._notes.append(f"the crashed thread has more than {len(states)} frames")
        return states

    def _stack(self, thread: ThreadDump, word: int) -> StackMemory | None:
        found = self._dump.memory.range_at(thread.stack_start)
        if found is None or not thread.stack_size:
            return None
        offset = thread.stack_start - found.start
        data = found.data[offset : offset + thread.stack_size]
        if thread.stack_start + len(data) > 1 << 8 * word:
            return None
        return StackMemory(thread.stack_start, data, word)


def _lacking(states: Sequence[FrameState]) -> tuple[ModuleId, ...]:
    found = {
        ModuleId(state.code.debug_file, state.code.module.debug_id): None
        for state in states
        if state.code and state.code.is_identified and state.code.symbols is None
    }
    return tuple(found)
