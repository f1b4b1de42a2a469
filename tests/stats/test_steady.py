"""The warm-up's steady state, and drift after the fact."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, norm, theilslopes

from bench.stats.steady import SteadyDetector, drifted, is_steady, shift, theil_sen_slope, trend

series = st.lists(st.floats(1, 1000), min_size=5, max_size=12)


def test_fewer_windows_than_asked_for_are_not_steady():
    assert not is_steady([1.0] * 4)
    assert is_steady([1.0] * 5)


def test_noise_within_the_cut_off_is_steady():
    assert is_steady([100, 100.5, 99.6, 100.2, 99.9])


def test_noise_beyond_the_cut_off_is_not():
    assert not is_steady([100, 108, 95, 104, 97])


def test_one_odd_window_is_forgiven_unless_it_is_the_last():
    assert is_steady([100, 100.1, 250, 100.2, 99.9])
    assert not is_steady([100, 100.1, 100.2, 99.9, 250])


def test_two_odd_windows_are_not_forgiven():
    assert not is_steady([100, 200, 100, 200, 100])


def test_a_slow_decline_below_the_cov_is_seen_as_trend():
    falling = [104, 103, 102, 101, 100]
    assert np.std(falling, ddof=1) / np.mean(falling) < 0.02
    assert not is_steady(falling)


def test_only_the_last_windows_count():
    assert is_steady([900, 500, 300, 150, 100, 100, 100, 100, 100])


def test_constant_zero_is_steady_since_the_clock_can_tell_no_more():
    assert is_steady([0.0] * 5)
    assert not is_steady([0, 0, 0, 0, 1.0])


@given(series, st.floats(1e-3, 1e3))
def test_the_unit_does_not_matter(medians, scale):
    ours = is_steady(medians, cov=0.0512345)
    assert is_steady([m * scale for m in medians], cov=0.0512345) == ours


@given(series, st.floats(0.001, 0.5), st.floats(0.001, 0.5))
def test_a_wider_cut_off_never_unsettles(medians, one, other):
    low, high = sorted((one, other))
    assert is_steady(medians, cov=high) or not is_steady(medians, cov=low)


def test_the_detector_settles_after_warm_up_despite_spikes():
    rng = np.random.default_rng(0)
    detector = SteadyDetector()
    answers = []
    for i in range(30):
        window = (100 + 400 * np.exp(-i / 2)) * rng.lognormal(0, 0.05, 200)
        window[::50] *= 30  # spikes inside a window leave its median alone
        answers.append(detector.add(window))
    assert not any(answers[:8])
    assert all(answers[15:])
    assert "steady after 30 windows" in detector.how


def test_an_empty_window_is_refused():
    with pytest.raises(ValueError, match="no latency"):
        SteadyDetector().add([])


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="at least 3"):
        is_steady([1.0], k=2)
    with pytest.raises(ValueError, match="positive"):
        is_steady([1.0], cov=0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_the_slope_is_scipys(values):
    assert theil_sen_slope(values) == pytest.approx(theilslopes(values).slope, rel=1e-9, abs=1e-9)


@given(st.lists(st.integers(1, 30), min_size=10, max_size=60))
def test_the_trends_significance_is_that_of_kendalls_tau_but_for_the_continuity(values):
    if len(set(values)) == 1:
        assert trend(values).p_value == 1
        return
    theirs = kendalltau(np.arange(len(values)), values, method="asymptotic").pvalue
    # The continuity correction is ours alone: one less of the pairs in order than of those out of it.
    s = abs(sum(np.sign(b - a) for a, b in itertools.combinations(values, 2)))
    corrected = 2 * norm.sf(norm.isf(theirs / 2) * (s - 1) / s) if s else 1
    assert trend(values).p_value == pytest.approx(corrected, rel=1e-6, abs=1e-12)


def test_quiet_blocks_have_no_drift():
    rng = np.random.default_rng(1)
    alarms = sum(drifted(100 * rng.lognormal(0, 0.03, 40)).drifted for _ in range(500))
    assert alarms / 500 <= 0.02


def test_a_ramp_is_told_with_its_size():
    rng = np.random.default_rng(2)
    verdict = drifted(np.linspace(100, 110, 40) * rng.lognormal(0, 0.005, 40))
    assert verdict.drifted
    assert verdict.trend.change == pytest.approx(0.095, abs=0.01)
    assert "latency rose by" in verdict.sentence


def test_a_step_is_told_with_its_place():
    rng = np.random.default_rng(3)
    y = np.r_[np.full(30, 100.0), np.full(10, 93.0)] * rng.lognormal(0, 0.002, 40)
    verdict = drifted(y)
    assert verdict.drifted
    assert verdict.shift.at == 30
    assert verdict.sentence == "latency fell by 7.0% at block 31 of 40 and stayed there"


def test_a_significant_but_small_change_is_no_drift():
    verdict = drifted(np.linspace(100, 100.5, 40))
    assert verdict.trend.p_value < 1e-6
    assert not verdict.drifted
    assert "no drift" in verdict.sentence


def test_few_blocks_give_no_verdict():
    assert "too few" in drifted([1.0, 2.0, 3.0]).sentence
    assert shift([1.0, 1.0]).p_value == 1
    assert trend([]).p_value == 1


def test_the_measuring_process_gets_no_scipy_from_what_it_uses():
    code = (
        "import sys, numpy as np, bench.stats.steady as s, bench.stats.precision as p, bench.quality as q;"
        "s.drifted(np.ones(20)); p.median_half_width(np.arange(1000));"
        "q.METRICS['accuracy'](np.eye(5), np.arange(5)); q.METRICS['auc']([.1, .9], [0, 1]); "
        "q.parity(np.ones(1), np.ones(1));"
        "sys.exit('scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
