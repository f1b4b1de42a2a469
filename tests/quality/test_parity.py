"""Numeric agreement with the source model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from bench.errors import UserError
from bench.quality import Parity, bound_for, clear_agreement, parity

tensors = array_shapes(min_dims=1, max_dims=4, max_side=4).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-1e3, 1e3, width=32))
)


@given(tensors)
def test_equal_outputs_agree_in_every_figure(x):
    found = parity(x, x)
    assert (found.max_abs, found.mean_abs, found.max_relative, found.sqnr_db) == (0, 0, 0, 300)
    assert found.cosine is None or found.cosine == pytest.approx(1)
    assert found.argmax_agreement in (None, 1)
    assert all(found.within(bound_for(p)) for p in ("fp32", "fp16", "int8"))


@given(tensors, st.integers(-8, 8))
def test_relative_figures_do_not_depend_on_the_scale(x, power):
    x = x.astype(np.float64)  # scaling by a power of two is exact, where nothing is subnormal
    y = x + 0.5
    plain, scaled = parity(y, x), parity(y * 2.0**power, x * 2.0**power)
    assert scaled.max_abs == pytest.approx(plain.max_abs * 2.0**power)
    assert scaled.max_relative == pytest.approx(plain.max_relative)
    assert (scaled.cosine is None) == (plain.cosine is None)
    assert scaled.cosine is None or scaled.cosine == pytest.approx(plain.cosine)
    assert scaled.sqnr_db == pytest.approx(plain.sqnr_db)


def test_figures_by_hand():
    found = parity(np.array([[3.0, 4.0], [0.0, 2.0]]), np.array([[3.0, 4.0], [1.0, 1.0]]))
    assert (found.examples, found.max_abs, found.mean_abs) == (2, 1.0, 0.5)
    assert found.max_relative == 0.25
    assert found.cosine == pytest.approx(2**-0.5)
    assert found.sqnr_db == pytest.approx(10 * np.log10(27 / 2))
    assert found.argmax_agreement == 0.5


def test_cosine_of_zero_vectors_is_defined():
    assert parity(np.array([[0.0, 0.0]]), np.array([[0.0, 0.0]])).cosine == 1
    assert parity(np.array([[0.0, 0.0]]), np.array([[1.0, 0.0]])).cosine == 0


def test_the_sign_of_a_single_unit_near_zero_is_no_direction():
    found = parity(np.array([[1e-6], [2.0]]), np.array([[-1e-6], [2.0]]))
    assert found.cosine is None
    assert found.within(bound_for("fp32"))


def test_clear_agreement_counts_what_the_source_decides_by_the_margin():
    reference = np.array([[0.9, 0.1], [0.55, 0.45], [0.2, 0.8]])
    outputs = np.array([[0.8, 0.2], [0.45, 0.55], [0.7, 0.3]])
    assert clear_agreement(outputs, reference, 0.0) == (pytest.approx(1 / 3), 3)
    assert clear_agreement(outputs, reference, 0.2) == (0.5, 2)
    assert clear_agreement(outputs, reference, 0.95) is None
    assert clear_agreement(outputs[:, :1], reference[:, :1], 0.0) is None


def test_tiny_and_huge_vectors_keep_their_cosine():
    assert parity(np.array([[1e-200, 1e-200]]), np.array([[1e200, 1e200]])).cosine == pytest.approx(1)


def test_a_reference_of_zeros_allows_only_zeros():
    found = parity(np.array([[1e-9, 0.0]]), np.array([[0.0, 0.0]]))
    assert found.sqnr_db == -300
    assert not found.within(bound_for("int8"))


def test_values_that_are_not_finite_are_counted_and_never_within():
    found = parity(np.array([[np.nan, 1.0, np.inf]]), np.array([[1.0, 1.0, 1.0]]))
    assert (found.nan, found.inf, found.unmatched) == (1, 1, 2)
    assert found.max_abs == 0
    assert found.argmax_agreement == 0
    assert not found.within(bound_for("int8"))


def test_infinities_of_the_source_are_matched():
    assert parity(np.array([[-np.inf, 1.0]]), np.array([[-np.inf, 1.0]])).unmatched == 0
    assert parity(np.array([[np.inf, 1.0]]), np.array([[-np.inf, 1.0]])).unmatched == 1
    assert parity(np.array([[5.0, 1.0]]), np.array([[np.inf, 1.0]])).unmatched == 1


def test_over_several_outputs_the_worst_counts():
    a, b = np.ones((4, 3)), np.ones((4, 1))
    found = parity([a, b + 0.5], [a, b])
    assert found.max_abs == 0.5
    assert found.mean_abs == pytest.approx(0.5 * 4 / 16)
    assert found.argmax_agreement == 1


def test_fp16_rounding_is_within_fp16_but_not_fp32():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 10))
    found = parity(x.astype(np.float16), x)
    assert found.within(bound_for("fp16"))
    assert not found.within(bound_for("fp32"))


def test_int8_rounding_of_the_output_is_within_int8():
    x = np.random.default_rng(1).normal(size=(100, 10))
    scale = np.abs(x).max() / 127
    found = parity(np.round(x / scale) * scale, x)
    assert isinstance(found, Parity)
    assert found.within(bound_for("int8"))
    assert found.sqnr_db > 30


def test_an_output_turned_around_is_within_nothing():
    x = np.random.default_rng(2).normal(size=(10, 10))
    assert not any(parity(-x, x).within(bound_for(p)) for p in ("fp32", "fp16", "int8"))


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="shape"):
        parity(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="compared with"):
        parity([np.ones(2)], [np.ones(2), np.ones(2)])
    with pytest.raises(ValueError, match="different numbers of examples"):
        parity([np.ones((2, 3)), np.ones((4, 3))], [np.ones((2, 3)), np.ones((4, 3))])
    with pytest.raises(ValueError, match=r"shape \(2, 3\) cannot be compared with one of shape \(2, 4\)"):
        clear_agreement(np.ones((2, 3)), np.ones((2, 4)), 0.1)
    with pytest.raises(ValueError, match="no example"):
        parity(np.ones((0, 3)), np.ones((0, 3)))
    with pytest.raises(UserError, match="precision"):
        bound_for("fp13")
