"""Inputs at the edges of the evaluation data, and the source's answers to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from bench.export.edges import REAL, edge_cases, edge_inputs
from bench.export.origin import Array, Feed
from bench.record.artifact import DataInfo, TensorSpec
from bench.record.codec import from_json, json_bytes
from tests.export.conftest import Exported

KINDS = ("zeros", "highest", "lowest", "constant", "denormal", "flipped")
shapes = array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=5)
# Where all that was seen are denormal numbers, the denormal edge may be further out.
reals = shapes.flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False))
)
whole = shapes.flatmap(lambda shape: arrays(np.int64, shape, elements=st.integers(-100, 1000)))


def images(count: int = 20) -> Array:
    return np.random.default_rng(0).normal(0.3, 0.2, (count, 4, 4, 1)).astype(np.float32)


@given(whole, st.sampled_from([np.int64, np.int32, np.float32]))
def test_whole_numbers_stay_within_what_was_seen_of_them(data: Array, dtype: type) -> None:
    data = data.astype(dtype)
    by = 0 if data.ndim == 2 else None
    for (array,) in edge_inputs([data]).values():
        assert array.dtype == data.dtype
        assert (array == np.rint(array)).all()
        assert (array >= data.min(axis=by)).all()
        assert (array <= data.max(axis=by)).all()


@given(reals)
def test_no_edge_is_further_out_than_the_largest_magnitude_that_was_seen(data: Array) -> None:
    for (array,) in edge_inputs([data]).values():
        assert array.shape[1:] == data.shape[1:]
        assert array.dtype == data.dtype
        assert np.isfinite(array).all()
        assert np.abs(array).max() <= np.abs(data).max()


@given(reals)
def test_no_kind_is_there_twice(data: Array) -> None:
    made = [array for (array,) in edge_inputs([data]).values()]
    assert not any(a.shape == b.shape and np.array_equal(a, b) for at, a in enumerate(made) for b in made[at + 1 :])


def test_every_kind_of_real_numbers_is_what_it_says() -> None:
    data = images()
    made = {kind: array for kind, (array,) in edge_inputs([data]).items()}
    assert tuple(made) == KINDS
    largest = np.abs(data).max()
    assert (made["zeros"] == 0).all()
    assert (made["highest"] == largest).all()
    assert (made["lowest"] == -largest).all()
    np.testing.assert_allclose(made["constant"], data.mean(), rtol=1e-5)
    np.testing.assert_array_equal(made["flipped"], -data[:REAL])
    smallest = np.finfo(np.float32).smallest_normal
    assert (np.abs(made["denormal"]) < smallest).all()
    assert np.count_nonzero(made["denormal"]) == made["denormal"].size


def test_a_column_of_codes_among_measures_keeps_to_its_codes() -> None:
    rng = np.random.default_rng(1)
    data = np.stack([rng.normal(0, 1000, 50), rng.integers(3, 7, 50)], axis=1).astype(np.float32)
    for (array,) in edge_inputs([data]).values():
        assert set(array[:, 1]) <= {3, 4, 5, 6}
    assert (edge_inputs([data])["lowest"][0][:, 0] < data[:, 0].min() + 1e-3).all()


def test_inputs_that_are_all_indices_have_neither_denormal_nor_flipped_edges() -> None:
    made = edge_inputs([np.arange(-9, 21).reshape(10, 3)])
    assert set(made) == {"zeros", "highest", "lowest", "constant"}


def test_a_rate_beside_a_signal_stays_the_one_that_was_seen() -> None:
    signal, rate = np.random.default_rng(2).normal(size=(9, 64)).astype(np.float32), np.full((9, 1), 16_000)
    made = edge_inputs([signal, rate])
    assert tuple(made) == KINDS
    assert {int(value) for _, rates in made.values() for value in rates.ravel()} == {16_000}


def square(feed: Feed) -> list[Array]:
    return [feed[0].sum(axis=(1, 2, 3), keepdims=False)[:, None] ** 2]


SPEC = TensorSpec(name="x", dtype="float32", shape=(None, 4, 4, 1))


def test_the_sources_answers_stand_beside_the_inputs() -> None:
    found = edge_cases(square, [images()], [SPEC])
    assert tuple(dict.fromkeys(found.kinds)) == KINDS
    assert len(found.kinds) == len(found.inputs[0]) == len(found.outputs[0])
    np.testing.assert_allclose(found.outputs[0], square(found.inputs)[0], rtol=1e-6)
    assert found.left_out == ()


def test_a_kind_that_the_source_fails_on_is_left_out_and_told() -> None:
    def picky(feed: Feed) -> list[Array]:
        if (feed[0] < 0).all():
            raise RuntimeError("no negative\nnumbers")
        return square(feed)

    found = edge_cases(picky, [images()], [SPEC])
    assert set(KINDS) - set(found.kinds) == {"lowest"}
    assert found.left_out == ("lowest: no negative numbers",)


def test_a_source_that_fails_on_all_leaves_no_edges() -> None:
    def broken(feed: Feed) -> list[Array]:
        raise ValueError("never")

    assert edge_cases(broken, [images()], [SPEC]).kinds == ()


def test_a_bundle_holds_its_edges_and_their_checksums(mnist: Exported) -> None:
    edges = mnist.bundle.data.edges
    assert edges is not None
    assert {"zeros", "highest", "lowest", "constant", "denormal", "flipped"} >= set(edges.kinds)
    assert {edges.inputs, edges.reference} <= set(mnist.bundle.files) & set(mnist.bundle.data.paths)
    with np.load(mnist.folder / edges.inputs) as inputs, np.load(mnist.folder / edges.reference) as reference:
        assert len(inputs["0"]) == len(reference["0"]) == len(edges.kinds)
        assert np.abs(inputs["0"]).max() == pytest.approx(np.abs(mnist.inputs).max())
        np.testing.assert_allclose(reference["0"].sum(axis=1), 1, atol=1e-5)


def test_data_without_edges_as_older_bundles_have_are_read() -> None:
    assert from_json(json_bytes({"name": "n", "examples": 1, "inputs": "i"}), DataInfo).edges is None
