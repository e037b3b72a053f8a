"""Bucket a labelled corpus online and tell how well that went.

    python -m benchmarks.evaluation [--baseline] [--plot [PNG]] [CORPUS ...]

A CORPUS is a `NAME.jsonl.gz` with its oracle beside it, or a folder with one.
The plot needs `requirements-plot.txt`, and draws the first corpus.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks import output, storehouse
from benchmarks.evaluation import baseline, corpus, plot, protocol
from benchmarks.evaluation.corpus import Labelled
from benchmarks.evaluation.protocol import Run
from chalicelib.bucketing.assignment import DEFAULT_THRESHOLD, THRESHOLDS
from chalicelib.bucketing.engine import Bucketing
from chalicelib.storage.embedded.store import open_store

_PLOT = Path(__file__).resolve().parents[2] / "docs" / "images" / "bucketing.png"
_MARKED = ("2.0", "3.0", "4.0", "5.0", "6.0", "8.0")
_HEADING = ("threshold", "B3 P", "B3 R", "B3 F1", "purity", "inverse", "purity-F", "buckets")
_BASELINE = "PartyCrasher's method"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="*", help="default: the development corpus")
    parser.add_argument("--baseline", action="store_true", help="PartyCrasher's method beside it")
    parser.add_argument("--plot", nargs="?", type=Path, const=_PLOT, help=f"default: {_PLOT.name}")
    options = parser.parse_args()
    results: dict[str, object] = {}
    for labelled in _corpora(options.corpus):
        runs = {"Crashbucket": of_engine(labelled)}
        if options.baseline or options.plot:
            runs[_BASELINE] = protocol.run(labelled, baseline.PartyCrasher())
        for method, run in runs.items():
            print(told(method, run), flush=True)
        if options.plot and not results:
            curves = [plot.Curve(method, run.curve(), _MARKED) for method, run in runs.items()]
            plot.draw(f"{labelled.name}: {len(labelled.entries):,} reports", curves, options.plot)
            print(f"drawn: {options.plot}")
        results[labelled.name] = {method: kept(run) for method, run in runs.items()}
    output.keep("evaluation", results)


def _corpora(paths: list[str]) -> list[Labelled]:
    """Those named, which must be there; else the development corpus if it is there."""
    named: list[str | None] = [*paths] or [None]
    try:
        return [corpus.read(corpus.find(path)) for path in named]
    except corpus.CorpusAbsent as absent:
        if paths:
            sys.exit(str(absent))
        print(f"skipped: {absent}")
        return []


def of_engine(labelled: Labelled) -> Run:
    """Run the engine over a fresh embedded store."""
    with storehouse.fresh_folder() as folder:
        store = open_store(folder)
        try:
            return protocol.run(labelled, protocol.Engine(Bucketing(store.table)))
        finally:
            store.close()


def told(method: str, run: Run) -> str:
    """For people: a row for each threshold, then what belongs to the whole run."""
    curve = run.curve()
    best = protocol.best_threshold(curve)
    return (
        f"{method} on {run.corpus.name}, {len(run.verdicts):,} reports\n"
        f"{output.table(_HEADING, protocol.shown(run, THRESHOLDS))}\n"
        f"default {DEFAULT_THRESHOLD}: F1 {run.clustering(DEFAULT_THRESHOLD).f1:.3f}; "
        f"best {best}: F1 {curve[best].f1:.3f}; AUC {run.auc():.3f}; RR@1 {run.rr_at_1():.3f} "
        f"({run.rr_at_1(latest=True):.3f} by the latest of equals); "
        f"{run.reports_per_s:,.0f} reports/s\n"
    )


def kept(run: Run) -> dict[str, object]:
    """For machines: the figures at each threshold of the curve, and of the run."""
    return {
        "reports": len(run.verdicts),
        "auc": run.auc(),
        "rr_at_1": run.rr_at_1(),
        "rr_at_1_latest": run.rr_at_1(latest=True),
        "reports_per_s": run.reports_per_s,
        "thresholds": {t: asdict(run.clustering(t)) for t in THRESHOLDS},
        "curve": {t: asdict(figures) for t, figures in run.curve().items()},
    }


if __name__ == "__main__":
    main()
