"""Bounds of numeric agreement follow from the data type and the depth; SQNR is what its formula says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.export.variants import VARIANTS
from bench.quality.parity import (
    FLOATS,
    NOISE,
    bound_for,
    depth_of,
    magnitudes,
    parities,
    parity,
    precision_of,
    total,
)
from bench.record.artifact import Artifact, Recipe

Array = np.ndarray
PLAIN = Artifact(model="m", variant="v", format="onnx", path="p", sha256="", bytes=1, inputs=(), outputs=())


def artifact(base: str, **facts: object) -> Artifact:
    return Artifact(**{**{f: getattr(PLAIN, f) for f in PLAIN.__struct_fields__}, "recipe": Recipe(base), **facts})


def normal(seed: int, shape: tuple[int, ...] = (64, 16)) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


@given(st.integers(0, 2**16), st.floats(-8, 1))
def test_the_ratio_of_scaled_noise_is_the_scale_in_decibels(seed: int, power: float) -> None:
    signal, share = normal(seed), 10.0**power
    assert parity(signal * (1 + share), signal).sqnr_db == pytest.approx(-20 * power, abs=0.05)


@given(st.integers(0, 2**16), st.floats(1e-6, 1))
def test_ten_times_the_noise_costs_twenty_decibels(seed: int, share: float) -> None:
    signal, noise = normal(seed), normal(seed + 1) * share
    once, often = parity(signal + noise, signal).sqnr_db, parity(signal + 10 * noise, signal).sqnr_db
    assert once - often == pytest.approx(20, abs=1e-3)


@given(st.integers(0, 2**16), st.floats(1e-3, 1e3), st.permutations(range(64)))
def test_scale_sign_and_order_of_examples_change_no_ratio(seed: int, scale: float, order: list[int]) -> None:
    signal, noise = normal(seed), normal(seed + 1) * 0.01
    plain = parity(signal + noise, signal)
    turned = parity(-scale * (signal + noise)[order], -scale * signal[order])
    for name in ("sqnr_db", "cosine", "max_relative"):
        assert getattr(turned, name) == pytest.approx(getattr(plain, name), rel=1e-9)


@given(st.integers(2, 12), st.floats(2, 12))
def test_steps_of_a_quantiser_leave_the_ratio_of_the_formula(bits: int, peak: float) -> None:
    signal = normal(3, (64, 1024))
    step = 2 * peak / 2**bits
    assume(peak > 4.8)  # beyond which values are cut off, which is another error
    assume(step < 1)  # coarser than the signal itself, where the noise is not uniform any more
    found = parity(np.round(signal / step) * step, signal).sqnr_db
    assert found == pytest.approx(6.02 * bits + 4.77 - 20 * np.log10(peak), abs=0.3)


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", np.float32), ("fp16", np.float16)])
@pytest.mark.parametrize("depth", [1, 4, 16])
def test_a_chain_of_products_is_within_the_bound_of_its_own_type_and_not_of_a_finer_one(
    precision: str, dtype: type, depth: int
) -> None:
    rng = np.random.default_rng(depth)
    exact = rough = rng.normal(size=(32, 256))
    for _ in range(depth):
        weights = rng.normal(0, 256**-0.5, (256, 256))
        exact, rough = exact @ weights, (rough.astype(dtype).astype(np.float32) @ weights.astype(dtype)).astype(dtype)
    found = parity(rough, exact)
    assert found.within(bound_for(precision, depth))
    finer = {"fp32": None, "fp16": "fp32"}[precision]
    assert finer is None or not found.within(bound_for(finer, depth))


@pytest.mark.parametrize("depth", [1, 4, 16])
def test_a_chain_of_int8_products_is_within_its_bound_and_not_within_fp16s(depth: int) -> None:
    rng = np.random.default_rng(depth)

    def stepped(values: Array) -> Array:
        step = np.abs(values).max() / 127
        return np.round(values / step) * step

    exact = rough = rng.normal(size=(32, 256))
    for _ in range(depth):
        weights = rng.normal(0, 256**-0.5, (256, 256))
        exact, rough = np.maximum(exact @ weights * 1.4, 0), np.maximum(stepped(rough) @ stepped(weights) * 1.4, 0)
    found = parity(rough, exact)
    assert found.within(bound_for("int8", depth))
    assert not found.within(bound_for("fp16", depth))


@pytest.mark.parametrize("precision", NOISE)
def test_one_layer_of_another_network_is_within_no_bound(precision: str) -> None:
    signal = normal(5)
    assert not parity(normal(6), signal).within(bound_for(precision, 1000))
    assert not parity(-signal, signal).within(bound_for(precision, 1000))
    assert not parity(np.zeros_like(signal), signal).within(bound_for(precision, 1000))


@pytest.mark.parametrize("precision", NOISE)
def test_a_deeper_network_may_be_further_off_and_never_beyond_use(precision: str) -> None:
    bounds = [bound_for(precision, depth) for depth in (1, 10, 100, 10_000)]
    for near, far in itertools.pairwise(bounds):
        assert near.max_relative <= far.max_relative <= 1
        assert near.min_cosine >= far.min_cosine
        assert near.min_sqnr_db >= far.min_sqnr_db >= 3


def test_coarser_types_have_wider_bounds() -> None:
    for order in (("fp32", "fp16", "bf16"), ("fp32", "int16x8", "int8", "int4")):
        allowed = [bound_for(precision, 4).min_sqnr_db for precision in order]
        assert allowed == sorted(allowed, reverse=True)
        assert len(set(allowed)) == len(allowed)


def test_a_variant_of_the_users_own_has_the_bound_of_what_it_is_made_from() -> None:
    assert precision_of(artifact("int8", variant="int8-mine")) == "int8"
    assert precision_of(artifact("fp16")) in FLOATS
    assert precision_of(artifact("", variant="int8-dynamic")) == "int8-dynamic"  # rows from before recipes


def test_another_model_has_no_bound_and_a_given_file_that_of_what_it_holds() -> None:
    assert precision_of(artifact("pruned")) is None
    assert precision_of(artifact("pruned-int8")) is None
    assert precision_of(artifact("source", quantised_nodes=0.9)) == "int8"
    assert precision_of(artifact("source")) is None


def test_every_variant_that_is_not_another_model_has_a_precision() -> None:
    without = {name for name in VARIANTS if precision_of(artifact(name)) is None}
    assert all(name.startswith("pruned") or "qat" in name for name in without)


def test_depth_counts_products_and_recurrent_layers() -> None:
    operators = {"Conv": 3, "Relu": 9, "QLinearConv": 1, "MatMulNBits": 2, "FULLY_CONNECTED": 1, "LSTM": 1, "Add": 4}
    assert depth_of(artifact("fp32", operators=operators)) == 8
    assert depth_of(artifact("fp32")) == 1


def test_several_outputs_are_told_apart_and_in_total_as_the_worst() -> None:
    near, far = normal(7), normal(8)
    parts = parities([near, far + 0.5], [near, far])
    assert parts[0].max_abs == 0
    assert parts[1].max_abs == pytest.approx(0.5)
    assert total(parts) == parity([near, far + 0.5], [near, far])
    assert total(parts).mean_abs == pytest.approx(0.25)
    assert total(parts).values == near.size + far.size


def test_a_difference_is_held_against_the_larger_scale() -> None:
    zero, small = np.zeros((1, 4)), np.full((1, 4), 1e-3)
    assert parities(small, zero)[0].max_relative == np.inf
    assert parities(small, zero, [2.0])[0].max_relative == pytest.approx(5e-4)
    assert magnitudes([np.array([1.0, -np.inf, np.nan, -3.0]), np.array([np.nan])]) == [3.0, 0.0]


def test_a_value_is_lost_where_only_the_variant_is_not_finite() -> None:
    found = parity(np.array([[np.nan, np.inf, 1.0, np.nan]]), np.array([[1.0, 1.0, np.inf, np.nan]]))
    assert (found.lost, found.unmatched, found.values) == (2, 3, 0)
