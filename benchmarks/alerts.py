"""How soon spikes are told of, and how often people are told of nothing.

    python -m benchmarks.alerts [--apps 40] [--months 1.5] [--seed 900000]

Simulated apps (traffic.py) are watched as the detector watches them, a tick a
minute: the statistics are those of `chalicelib/alerts`, the policy is the
default. Whatever is tuned is tuned on other seeds.

A spike can be found within ten minutes where its tripled rate brings the
floor of a spike (20 crashes) within them: from two thirds of a crash a minute
on. What lies below is printed, too. One false alarm is an alert that no
injected spike explains: of an app, a version or a group.
"""

from __future__ import annotations

import argparse
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from benchmarks import output
from benchmarks.watched import Injected, Result, watched
from chalicelib.policies import AppPolicy

FOUND_WITHIN = 10  # minutes
WANTED_SHARE = 0.95
ALLOWED_FALSE_ALARMS = 1.0  # of an app and month
TRIPLED = 3.0
KINDS = ("app", "version", "group")
_CLASSES = ((0.0, None), (2 / 3, 1.0), (1.0, 2.0), (2.0, 5.0), (5.0, 20.0), (20.0, None))
_JOBS = 2


@dataclass(frozen=True, slots=True)
class Found:
    """Of some spikes: how many there were, how many had an alert in time, or at all."""

    spikes: int
    in_time: int
    ever: int
    median_minutes: float | None

    @property
    def share(self) -> float:
        return self.in_time / self.spikes if self.spikes else 1.0


def floor_rate(policy: AppPolicy, factor: float = TRIPLED) -> float:
    """Crashes a minute from which a spike of that factor reaches the floor in time."""
    return policy.spike_floor / FOUND_WITHIN / factor


def found(spikes: Iterable[Injected]) -> Found:
    counted = list(spikes)
    after = [spike.found_after for spike in counted if spike.found_after is not None]
    return Found(
        len(counted),
        sum(minutes <= FOUND_WITHIN for minutes in after),
        len(after),
        statistics.median(after) if after else None,
    )


def injected(results: Sequence[Result], factor: float, kind: str | None = None) -> list[Injected]:
    return [
        entry
        for result in results
        for entry in result.spikes
        if entry.spike.factor == factor and kind in {None, entry.spike.subject[0]}
    ]


def false_alarms(results: Sequence[Result]) -> dict[str, float]:
    """Of an app and month, by what they were about; `all` is their sum."""
    months = sum(result.months for result in results)
    counted = Counter(
        alarm.subject[0] for result in results for alarm in result.alarms if alarm.cause is None
    )
    rates = {kind: counted[kind] / months for kind in KINDS}
    return {**rates, "all": sum(rates.values())}


def simulate(seeds: Sequence[int], months: float, policy: AppPolicy) -> list[Result]:
    one = partial(watched, months=months, policy=policy)
    with ProcessPoolExecutor(_JOBS) as pool:
        return list(pool.map(one, seeds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apps", type=int, default=40)
    parser.add_argument("--months", type=float, default=1.5)
    parser.add_argument("--seed", type=int, default=900_000, help="of the first app")
    options = parser.parse_args()
    policy = AppPolicy()
    seeds = range(options.seed, options.seed + options.apps)
    results = simulate(seeds, options.months, policy)
    alarms = false_alarms(results)
    told = [entry for entry in injected(results, TRIPLED) if entry.rate >= floor_rate(policy)]
    whole = found(told)
    print(_table_of_rates(results))
    print(_table_of_noise(results))
    _print_verdicts(results, whole, alarms)
    output.keep(
        "alerts",
        {
            "apps": options.apps,
            "months": options.months,
            "seed": options.seed,
            "tripled_above_floor": [whole.spikes, whole.in_time, whole.ever],
            "false_alarms": alarms,
        },
    )


def _print_verdicts(results: Sequence[Result], whole: Found, alarms: dict[str, float]) -> None:
    tripled = injected(results, TRIPLED)
    opened = [alarm for result in results for alarm in result.alarms]
    again = sum(alarm.again for alarm in opened)
    share = "kept" if whole.share >= WANTED_SHARE else "BROKEN"
    rest = "kept" if alarms["all"] < ALLOWED_FALSE_ALARMS else "BROKEN"
    print(
        f"\n{whole.spikes} of {len(tripled)} tripled spikes can reach the floor in time: "
        f"{whole.share:.1%} of them found within {FOUND_WITHIN} minutes "
        f"(wanted {WANTED_SHARE:.0%}: {share}), in the median after {whole.median_minutes:.1f}\n"
        f"false alarms of an app and month: app {alarms['app']:.2f}, version "
        f"{alarms['version']:.2f}, group {alarms['group']:.2f}, together {alarms['all']:.2f} "
        f"(below {ALLOWED_FALSE_ALARMS:g}: {rest})\n"
        f"{again} of {len(opened)} alerts opened again for a spike they had told of\n"
    )


def _table_of_rates(results: Sequence[Result]) -> str:
    """By how often it crashed before, and by what spiked."""
    rows = []
    for factor in (TRIPLED, 2.0, 5.0, 10.0):
        for kind in KINDS:
            entries = injected(results, factor, kind)
            cells = []
            for low, high in _CLASSES[1:]:
                those = found(e for e in entries if low <= e.rate and (not high or e.rate < high))
                cells.append(f"{those.in_time}/{those.spikes}" if those.spikes else "-")
            below = found(entry for entry in entries if entry.rate < _CLASSES[1][0])
            rows.append((f"{factor:g}x, {kind}", f"{below.in_time}/{below.spikes}", *cells))
    heading = ("found in time, by crashes a minute", "less", "2/3-1", "1-2", "2-5", "5-20", "more")
    return output.table(heading, rows)


def _table_of_noise(results: Sequence[Result]) -> str:
    rows = []
    for noise in ("steady", "usual", "bursty"):
        those = [result for result in results if result.noise.name == noise]
        if those:
            alarms = false_alarms(those)
            months = sum(result.months for result in those)
            rows.append((noise, f"{months:.0f}", *(f"{alarms[k]:.2f}" for k in (*KINDS, "all"))))
    heading = ("false alarms of an app and month", "months", *KINDS, "all")
    return "\n" + output.table(heading, rows)


if __name__ == "__main__":
    main()
