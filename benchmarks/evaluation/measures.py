"""How good a clustering is, and how well a score tells what was seen from what is new.

Every report counts the same: a cause with many reports weighs more. Sources:
BCubed: Bagga and Baldwin 1998, as extended by Amigó et al. 2009 ("A comparison
of extrinsic clustering evaluation metrics"); purity and inverse purity: the
same; ROC-AUC as the Mann-Whitney statistic.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Clustering:
    """Figures of one clustering, each from 0 to 1; `clusters` is how many there are.

    Precision: of the reports in a report's cluster, the share with its cause.
    Recall: of the reports with its cause, the share in its cluster. Purity: of
    a cluster, the share of its commonest cause; inverse purity: of a cause,
    the share in its largest cluster.
    """

    precision: float
    recall: float
    purity: float
    inverse_purity: float
    clusters: int

    @property
    def f1(self) -> float:
        """Harmonic mean of BCubed precision and recall."""
        return harmonic_mean(self.precision, self.recall)

    @property
    def purity_f(self) -> float:
        """Harmonic mean of purity and inverse purity."""
        return harmonic_mean(self.purity, self.inverse_purity)


def clustering(clusters: Sequence[Hashable], causes: Sequence[Hashable]) -> Clustering:
    """Compare, report by report, the cluster it was put in with its cause."""
    total = len(causes)
    if total == 0:
        raise ValueError("a clustering of nothing has no figures")
    cluster_sizes = Counter(clusters)
    cause_sizes = Counter(causes)
    most_of_cluster: defaultdict[Hashable, int] = defaultdict(int)
    most_of_cause: defaultdict[Hashable, int] = defaultdict(int)
    precision = recall = 0.0
    for (cluster, cause), shared in Counter(zip(clusters, causes, strict=True)).items():
        precision += shared * shared / cluster_sizes[cluster]
        recall += shared * shared / cause_sizes[cause]
        most_of_cluster[cluster] = max(most_of_cluster[cluster], shared)
        most_of_cause[cause] = max(most_of_cause[cause], shared)
    return Clustering(
        precision=precision / total,
        recall=recall / total,
        purity=sum(most_of_cluster.values()) / total,
        inverse_purity=sum(most_of_cause.values()) / total,
        clusters=len(cluster_sizes),
    )


def harmonic_mean(left: float, right: float) -> float:
    return 2 * left * right / (left + right) if left + right else 0.0


def seen_before(causes: Sequence[Hashable]) -> list[bool]:
    """For each report, whether an earlier one has the same cause."""
    seen: set[Hashable] = set()
    told = []
    for cause in causes:
        told.append(cause in seen)
        seen.add(cause)
    return told


def roc_auc(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """The chance that a positive scores above a negative; equal scores count half.

    0.5 where there are no positives or no negatives: then the score tells nothing.
    """
    positives = sum(positive)
    negatives = len(positive) - positives
    if not positives or not negatives:
        return 0.5
    above = 0.0
    below = 0  # negatives with a smaller score
    ranked = sorted(zip(scores, positive, strict=True))
    for _, equal in groupby(ranked, key=lambda pair: pair[0]):
        kinds = [kind for _, kind in equal]
        here = sum(kinds)
        above += here * (below + (len(kinds) - here) / 2)
        below += len(kinds) - here
    return above / (positives * negatives)
