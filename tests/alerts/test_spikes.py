"""Simulated apps, watched as `benchmarks.alerts` does: spikes, and little else, are told."""

from __future__ import annotations

from benchmarks.alerts import found
from benchmarks.watched import watched
from chalicelib.policies import AppPolicy

SIMULATED = ((3005, 30.0), (3007, 30.0))  # seeds of apps, and their crashes a minute


def test_simulated_apps_are_told_of_their_spikes_and_of_little_else() -> None:
    results = [watched(seed, 0.5, AppPolicy(), size) for seed, size in SIMULATED]
    clear = [it for result in results for it in result.spikes if it.rate >= 2]
    assert len(clear) >= 5
    assert found(clear) >= 0.8 * len(clear)
    alarms = [alarm for result in results for alarm in result.alarms]
    assert sum(alarm.cause is None for alarm in alarms) <= 2
    assert not any(alarm.again for alarm in alarms)
