"""The plot of the evaluation, where matplotlib is installed."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from benchmarks.evaluation.measures import Clustering
from benchmarks.evaluation.plot import Curve, draw

pytest.importorskip("matplotlib", reason="needs requirements-plot.txt")

_POINTS = {
    f"{threshold}.0": Clustering(threshold / 10, 1 - threshold / 10, 0.5, 0.5, threshold)
    for threshold in range(1, 10)
}


def test_the_plot_is_a_png_of_some_size_and_the_same_each_time(tmp_path: Path) -> None:
    curves = [Curve("one", _POINTS, ("4.0",)), Curve("two", _POINTS, ())]
    first, second = tmp_path / "images" / "first.png", tmp_path / "second.png"
    draw("a corpus", curves, first)
    draw("a corpus", curves, second)
    drawn = first.read_bytes()
    assert drawn.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", drawn[16:24])
    assert width > 600
    assert height > 500
    assert drawn == second.read_bytes()
