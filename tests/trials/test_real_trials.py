"""The paired gate on this machine, now: the same on both sides, and slow-downs of known size in a real session.

`tox -e trials`; a quarter of an hour on a quiet machine.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bench.analyse.rules import parse_word
from bench.record.comparison import GateReport
from bench.runner.gate_paired import gate_pairs
from bench.runner.sides import Opened
from bench.sensors.sampler import Sampler
from tests.trials.sides import CASE, Quiet, trial_side

pytestmark = [pytest.mark.trials, pytest.mark.timeout(3600)]
RULE = parse_word("p50_latency=2%", "--rule")
SAME = 20


def gated(folder: Path, slowdown: float, seed: int, sampler: Sampler) -> GateReport:
    """One trial."""
    a, b = trial_side("A", folder, 0.0, sampler), trial_side("B", folder, slowdown, sampler)
    report = gate_pairs(Opened(a, b, (CASE,)), [RULE], rounds=50, budget_s=90, seed=seed, events=Quiet())
    (verdict,) = report.verdicts
    print(f"{slowdown:.0%}, trial {seed + 1}: {verdict.outcome}: {verdict.reason}", flush=True)
    return report


def outcomes(folder: Path, slowdown: float, trials: int) -> Counter[str]:
    """What came of so many trials."""
    with Sampler() as sampler:
        return Counter(gated(folder, slowdown, seed, sampler).outcome for seed in range(trials))


def test_the_same_on_both_sides_is_never_a_regression(tmp_path):
    found = outcomes(tmp_path, 0.0, SAME)
    print(dict(found))
    assert found["regressed"] == 0


@pytest.mark.parametrize(("slowdown", "trials"), [(0.10, 20), (0.05, 20), (0.03, 10)])
def test_a_slow_down_beyond_the_rule_is_found_or_said_to_be_open(tmp_path, slowdown, trials):
    found = outcomes(tmp_path, slowdown, trials)
    print(dict(found))
    assert found["pass"] + found["improved"] == 0
    if slowdown == 0.10:
        assert found["regressed"] == trials
