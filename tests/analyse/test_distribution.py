"""Raw latencies as the few numbers of a picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.analyse.distribution import Distribution, distribution

LATENCIES = st.integers(1, 200).flatmap(lambda n: arrays(np.int64, n, elements=st.integers(1, 10**10)))


def made(latency_ns: np.ndarray) -> Distribution:
    found = distribution(latency_ns.astype(np.int64))
    assert found is not None
    return found


def lognormal(n: int, spread: float = 0.05) -> np.ndarray:
    return np.random.default_rng(3).lognormal(np.log(80e3), spread, n)


@given(LATENCIES)
def test_every_quantile_is_the_nearest_rank_of_the_samples_and_both_ends_are_there(samples: np.ndarray) -> None:
    found = made(samples)
    # A share is a rank over n: the product is a whole number but for rounding.
    wanted = np.sort(samples)[np.rint(np.array(found.at) * found.n).astype(int) - 1] / 1e9
    assert found.n == len(samples)
    np.testing.assert_allclose(found.quantiles, wanted, rtol=1e-12)
    assert found.quantiles[0] == pytest.approx(samples.min() / 1e9)
    assert found.at[-1] == 1.0
    assert found.quantiles[-1] == pytest.approx(samples.max() / 1e9)
    assert list(found.at) == sorted(set(found.at))
    assert len(found.at) <= 120


@given(LATENCIES, st.randoms())
def test_the_order_of_the_samples_does_not_matter(samples: np.ndarray, random: object) -> None:
    shuffled = samples.tolist()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert made(samples) == made(np.array(shuffled))


@pytest.mark.parametrize("n", [121, 1_000, 50_000, 3_000_000])
def test_many_samples_are_a_hundred_points_with_most_of_them_in_the_tail(n: int) -> None:
    found = made(np.arange(1, n + 1))
    assert 80 <= len(found.at) <= 120
    tail = [share for share in found.at if share > 0.9]
    assert len(tail) >= 10
    for share in (0.5, 0.9, 0.99):
        assert found.quantile(share) * 1e9 == pytest.approx(share * n, rel=0.03)


def test_the_density_holds_all_samples_and_is_highest_where_they_lie() -> None:
    found = made(lognormal(5_000))
    area = np.trapezoid(found.density, np.log10(found.grid))
    assert area == pytest.approx(1.0, abs=0.02)
    assert found.grid[int(np.argmax(found.density))] == pytest.approx(80e-6, rel=0.03)
    assert len(found.grid) <= 96


def test_a_few_slow_calls_do_not_blur_the_others() -> None:
    alone, beside = lognormal(5_000), np.concatenate([lognormal(5_000), np.full(50, 80e6)])
    assert max(made(beside).density) == pytest.approx(max(made(alone).density), rel=0.1)


@pytest.mark.parametrize(
    "samples",
    [
        np.full(5_000, 80_000),
        np.append(np.full(5_000, 80_000), 90_000),
        np.array([5, 7, 9]),
        np.array([0, 0, 0]),
        np.full(1, 80_000),
    ],
)
def test_of_samples_that_are_few_or_all_alike_there_is_no_density(samples: np.ndarray) -> None:
    found = made(samples)
    assert found.grid == found.density == ()
    assert found.quantiles[-1] == samples.max() / 1e9


def test_a_clock_that_ticks_coarsely_still_has_a_density() -> None:
    found = made(np.repeat([80_000, 81_000], [9_000, 1_000]))
    assert found.density
    assert np.isfinite(found.density).all()


def test_without_samples_there_is_no_distribution() -> None:
    assert distribution(np.array([], dtype=np.int64)) is None


def test_the_quartiles_are_those_of_the_samples() -> None:
    samples = np.arange(1, 10_001) * 1_000
    found = distribution(samples)
    assert found is not None
    for share in (0.25, 0.5, 0.75):
        assert found.quantile(share) * 1e9 == pytest.approx(share * 10_000 * 1_000)
