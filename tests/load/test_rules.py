"""Whether a run met LoadGen's rules and, where not, a sentence to act on."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from bench.load import rules
from bench.stats.percentile import min_samples

FINE = {
    "queries": 60_000,
    "late": 100,
    "unserved": 0,
    "seconds": 600.0,
    "bound_s": 0.01,
    "rate": 100.0,
    "p99_s": 0.005,
    "lag_s": 1e-6,
    "mean_s": 1e-3,
}


@pytest.mark.parametrize(
    "verdict",
    [
        rules.single_stream(64, 600, 1),
        rules.single_stream(662, 600, 8),
        rules.offline(24_576, 600, 32),
        rules.server(**FINE),  # type: ignore[arg-type]
    ],
)
def test_a_run_that_meets_the_rules_is_valid(verdict: rules.Validity) -> None:
    assert verdict.valid
    assert not verdict.reasons
    assert verdict.rules.startswith("MLPerf ")


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (rules.single_stream(64, 4, 1), "ran 4 s of the 600 s that MLPerf asks for: set min_s = 600"),
        (rules.single_stream(63, 600, 1), "set min_samples = 64"),
        (rules.single_stream(1000, 600, 4), "set batch = 1 or 8"),
        (rules.single_stream(661, 600, 8), "set min_samples = 662"),
        (rules.multi_stream(661, 600, 8), "set min_samples = 662"),
        (rules.multi_stream(10_000, 600, 8), "run single-stream with batch = 8"),
        (rules.offline(24_575, 600, 32), "set min_samples = 768"),
        (rules.offline(30_000, 599, 32), "set min_s = 600"),
        (rules.server(**FINE | {"bound_s": None}), "set p99_ms"),  # type: ignore[arg-type]
        (rules.server(**FINE | {"late": 700, "p99_s": 0.011}), "over the bound of 10 ms: lower rate"),  # type: ignore[arg-type]
        (rules.server(**FINE | {"late": 590}), "raise min_s for more queries"),  # type: ignore[arg-type]
        (rules.server(**FINE | {"queries": 400, "late": 0}), "set min_s and max_s = 7"),  # type: ignore[arg-type]
        (rules.server(**FINE | {"unserved": 900}), "lower rate"),  # type: ignore[arg-type]
        (rules.server(**FINE | {"lag_s": 1e-4}), "more cores"),  # type: ignore[arg-type]
        (rules.cold_start(), "no cold-start scenario"),
    ],
)
def test_what_a_run_lacks_is_said_with_its_remedy(verdict: rules.Validity, words: str) -> None:
    assert not verdict.valid
    assert any(words in reason for reason in verdict.reasons), verdict.reasons
    assert all(re.search(r"(: |, )", reason) for reason in verdict.reasons)


def test_early_stopping_agrees_with_loadgen() -> None:
    """459 queries without a late one are the least for p99 at 99 %; with one late it takes 662."""
    assert [rules.most_late(n) for n in (0, 1, 458, 459, 661, 662)] == [-1, -1, -1, 0, 0, 1]


def test_the_fewest_queries_are_those_of_the_statistics() -> None:
    assert {"p90": min_samples(0.9), "p99": min_samples(0.99)} == rules.QUERIES


@given(st.integers(1, 50_000))
def test_the_odds_are_those_of_the_binomial(n: int) -> None:
    most, least = rules.most_late(n), rules.least_late(n)
    assert most < least
    assert most < 0 or binom.cdf(most, n, 0.01) <= 0.01 * (1 + 1e-6)
    assert binom.cdf(most + 1, n, 0.01) > 0.01 * (1 - 1e-6)
    assert binom.sf(least - 1, n, 0.01) <= 0.01 * (1 + 1e-6)
    assert least == 1 or binom.sf(least - 2, n, 0.01) > 0.01 * (1 - 1e-6)


def test_bursts_of_late_queries_are_worth_less_than_scattered_ones() -> None:
    luck = np.random.default_rng(0)
    scattered = luck.random(20_000) < 0.01
    bursts = np.repeat(luck.random(200) < 0.02, 100)
    assert rules.independent(scattered) > 0.3
    assert rules.independent(bursts) < 0.1
    assert rules.independent(np.zeros(1000, dtype=bool)) == 1
    assert rules.independent(np.ones(3, dtype=bool)) == 1
