"""Stacks made by hand: each technique of unwinding, and what Breakpad's own tool said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.formats.minidump.breakpad_stacks import BREAKPAD_CASES
from tests.formats.minidump.stacks import CASES, Case, shown

ALL_CASES = (*CASES, *BREAKPAD_CASES)


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.name)
def test_the_stack_is_breakpads_or_better(case: Case, tmp_path: Path) -> None:
    assert shown(case.report(tmp_path)) == list(case.ours or case.breakpad)


def test_a_stack_that_differs_says_why() -> None:
    for case in ALL_CASES:
        assert bool(case.ours) == bool(case.why)
        assert case.ours != case.breakpad
