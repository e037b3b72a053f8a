"""Bucket a labelled corpus online and tell how well that went.

    python -m benchmarks.evaluation [CORPUS ...]

A CORPUS is a `NAME.jsonl.gz` with its oracle beside it, or a folder with one.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from benchmarks import output, storehouse
from benchmarks.evaluation import corpus, protocol
from chalicelib.bucketing.engine import DEFAULT_THRESHOLD, THRESHOLDS, Bucketing
from chalicelib.storage.embedded.store import open_store

_HEADING = ("threshold", "B3 P", "B3 R", "B3 F1", "purity", "inverse", "purity-F", "buckets")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="*", help="default: the development corpus")
    options = parser.parse_args()
    results = {}
    for path in options.corpus or [None]:
        try:
            labelled = corpus.read(corpus.find(path))
        except corpus.CorpusAbsent as absent:
            if path is not None:
                sys.exit(str(absent))
            print(f"skipped: {absent}")
            continue
        run = of_engine(labelled)
        print(told("Crashbucket", run))
        results[labelled.name] = kept(run)
    output.keep("evaluation", results)


def of_engine(labelled: corpus.Labelled) -> protocol.Run:
    """Run the engine over a fresh embedded store."""
    with storehouse.fresh_folder() as folder:
        store = open_store(folder)
        try:
            return protocol.run(labelled, protocol.Engine(Bucketing(store.table)))
        finally:
            store.close()


def told(method: str, run: protocol.Run) -> str:
    """For people: a row for each threshold, then what belongs to the whole run."""
    curve = run.curve()
    best = protocol.best_threshold(curve)
    return (
        f"{method} on {run.corpus.name}, {len(run.verdicts):,} reports\n"
        f"{output.table(_HEADING, protocol.shown(run, THRESHOLDS))}\n"
        f"default {DEFAULT_THRESHOLD}: F1 {run.clustering(DEFAULT_THRESHOLD).f1:.3f}; "
        f"best {best}: F1 {curve[best].f1:.3f}; AUC {run.auc():.3f}; RR@1 {run.rr_at_1():.3f}; "
        f"{run.reports_per_s:,.0f} reports/s\n"
    )


def kept(run: protocol.Run) -> dict[str, object]:
    """For machines: the figures at each threshold of the curve, and of the run."""
    return {
        "reports": len(run.verdicts),
        "auc": run.auc(),
        "rr_at_1": run.rr_at_1(),
        "reports_per_s": run.reports_per_s,
        "thresholds": {t: asdict(run.clustering(t)) for t in THRESHOLDS},
        "curve": {t: asdict(figures) for t, figures in run.curve().items()},
    }


if __name__ == "__main__":
    main()
