"""BCubed precision against recall over all thresholds, as a PNG, with lines of equal F1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.evaluation.measures import Clustering

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_F1_LINES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_STYLES = (("#1f5fa8", "o"), ("#b8442c", "s"), ("#3d7d3d", "^"), ("#7a4b94", "D"))
_SIZE_IN = (7.2, 6.0)
_DPI = 150


@dataclass(frozen=True, slots=True)
class Curve:
    """One method's figures by threshold; `marked` thresholds get their number written."""

    name: str
    points: Mapping[str, Clustering]
    marked: Sequence[str]


def draw(title: str, curves: Sequence[Curve], path: Path) -> None:
    """Write the PNG, and the folders above it. Needs `requirements-plot.txt`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_IN, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _f1_lines(axes)
    for curve, (colour, marker) in zip(curves, _STYLES, strict=False):
        points = curve.points.values()
        axes.plot(
            [point.recall for point in points],
            [point.precision for point in points],
            color=colour,
            label=curve.name,
        )
        for threshold in curve.marked:
            point = curve.points[threshold]
            axes.plot(point.recall, point.precision, marker=marker, color=colour)
            axes.annotate(
                threshold,
                (point.recall, point.precision),
                xytext=(5, 5),
                textcoords="offset points",
                color=colour,
                fontsize=8,
            )
    axes.set(
        title=title, xlabel="BCubed recall", ylabel="BCubed precision", xlim=(0, 1), ylim=(0, 1.02)
    )
    axes.legend(loc="lower left")
    path.parent.mkdir(parents=True, exist_ok=True)
    # The writer's version would make every drawing differ from the last.
    figure.savefig(path, metadata={"Software": None})


def _f1_lines(axes: Axes) -> None:
    for f1 in _F1_LINES:
        low = f1 / (2 - f1)  # the recall at full precision
        recalls = [low + (1 - low) * step / 100 for step in range(101)]
        precisions = [f1 * recall / (2 * recall - f1) for recall in recalls]
        axes.plot(recalls, precisions, color="#bbbbbb", linewidth=0.8, zorder=0)
        axes.annotate(
            f"F1 {f1:.1f}",
            (1.0, low),
            xytext=(-2, 3),
            textcoords="offset points",
            ha="right",
            color="#888888",
            fontsize=7,
        )
