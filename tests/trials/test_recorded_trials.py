"""The paired gate on noise that real machines made: how often it cries wolf, and what it lets pass.

`noise/*.json` hold medians of one case in fresh processes, in order of time (`python -m tests.trials.record`). A trial
begins anywhere in one of them and goes on from there, as if both sides had been measured then; B is made slower by a
known share. All else is the gate as it runs.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.analyse.rules import parse_word
from bench.runner.gate_paired import gate_pairs
from bench.runner.sides import Opened
from tests.trials.sides import CASE, Quiet, Recorded

NOISE = sorted((Path(__file__).parent / "noise").glob("*.json"))
TRIALS = 200
RULE = parse_word("p50_latency=2%", "--rule")


def _from(medians: list[float], start: int) -> Iterator[float]:
    return itertools.cycle(medians[start:] + medians[:start])


def outcomes(slowdown: float) -> Counter[str]:
    """What came of `TRIALS` trials, in equal shares on each recording."""
    rng = np.random.default_rng(0)
    found: Counter[str] = Counter()
    for number in range(TRIALS):
        medians = json.loads(NOISE[number % len(NOISE)].read_text())["p50_latency_s"]
        machine = _from(medians, int(rng.integers(len(medians))))
        sides = Opened(Recorded("A", machine), Recorded("B", machine, slowdown), (CASE,))
        report = gate_pairs(sides, [RULE], rounds=50, budget_s=60, seed=number, events=Quiet())
        found[report.outcome] += 1
    return found


def test_there_are_recordings_of_more_than_one_session():
    assert len(NOISE) >= 2
    assert all(len(json.loads(path.read_text())["p50_latency_s"]) >= 200 for path in NOISE)


def test_the_same_on_both_sides_is_a_regression_in_at_most_one_of_a_hundred_trials():
    found = outcomes(0.0)
    assert found["regressed"] <= 0.01 * TRIALS, found
    assert found["pass"] >= 0.5 * TRIALS, f"a gate that never decides is of no use: {found}"


@pytest.mark.parametrize("slowdown", [0.03, 0.05, 0.10])
def test_a_slow_down_beyond_the_rule_is_never_passed_in_silence(slowdown):
    found = outcomes(slowdown)
    assert found["pass"] + found["improved"] == 0, found
    if slowdown == 0.05:
        assert found["regressed"] >= 0.95 * TRIALS, found
    if slowdown == 0.10:
        assert found["regressed"] == TRIALS, found
