"""What a user says of the inputs of a model is held against the model, and decides the generated values."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.export.inputs import Descriptions, InputDescription, resolve
from bench.record.artifact import TensorSpec

IMAGE = TensorSpec(name="image", dtype="float32", shape=(None, 3, None, None))
TOKENS = TensorSpec(name="ids", dtype="int64", shape=(None, None))
MASK = TensorSpec(name="mask", dtype="bool", shape=(None, None))
QUANTISED = TensorSpec(name="q", dtype="int8", shape=(1, 4), scale=0.5, zero_point=3)
STEP = TensorSpec(name="x", dtype="float32", shape=(1, 8))
STATE = TensorSpec(name="h", dtype="float32", shape=(2, None, 4))
NEXT = TensorSpec(name="hn", dtype="float32", shape=(None, None, None))
NAMES = {"ids": ["batch", "sequence"], "mask": ["batch", "sequence"], "image": ["batch", None, "height", "width"]}


def said(axes: dict[str, int] | None = None, **inputs: dict[str, object]) -> Descriptions:
    return Descriptions(
        axes=axes or {},
        inputs={name: msgspec.convert(each, InputDescription) for name, each in inputs.items()},
        where="f.toml",
    )


def test_without_a_word_inputs_are_normal_and_free_axes_one():
    image, ids, mask = resolve(Descriptions(), [IMAGE, TOKENS, MASK], []).generated(200, 0)
    assert (image.shape, image.dtype) == ((200, 3, 1, 1), np.float32)
    assert abs(image.mean()) < 0.2 < image.std()
    assert (ids.dtype, ids.min(), ids.max()) == (np.int64, 0, 9)
    assert set(mask.ravel()) == {True, False}


def test_a_named_axis_has_its_value_in_every_input():
    feeding = resolve(said({"sequence": 7}), [TOKENS, MASK], [], NAMES)
    assert [array.shape for array in feeding.generated(5, 0)] == [(5, 7), (5, 7)]
    assert [spec.shape for spec in feeding.specs] == [(None, 7), (None, 7)], "the batch stays free"


def test_an_axis_without_a_name_has_a_number():
    (image,) = resolve(said({"image.2": 8, "width": 6}), [IMAGE], [], NAMES).generated(2, 0)
    assert image.shape == (2, 3, 8, 6)


def test_a_shape_is_that_of_one_example_and_holds_for_axes_of_the_same_name():
    ids, mask = resolve(said(ids={"shape": [1, 9]}), [TOKENS, MASK], [], NAMES).generated(4, 0)
    assert ids.shape == mask.shape == (4, 9)


@pytest.mark.parametrize(
    ("describe", "words"),
    [
        (said(axes={"sequnce": 3}), ["unknown dynamic axis 'sequnce'", "'sequence'", "f.toml: axes.sequnce"]),
        (said(axes={"batch": 3}), ["counts the examples", "matrix"]),
        (said(ids={"shape": [1, 3]}, mask={"shape": [1, 4]}), ["both 3 and 4"]),
        (said(ids={"shape": [2, 3]}), ["[2, 3]", "[1, any]"]),
        (said(ids={"shape": [1, 2, 3]}), ["[1, 2, 3]"]),
        (said(idz={}), ["unknown input 'idz'", "'ids'", "f.toml: inputs.idz"]),
        (said(ids={"dtype": "int32"}), ["int32", "int64"]),
        (said(ids={"generator": "uniform"}), ["real numbers", "integers"]),
        (said(ids={"range": [0, 2.5]}), ["2.5 is not a whole number"]),
        (said(mask={"value": 2}), ["does not fit bool"]),
        (said(ids={"value": float("nan")}), ["not finite"]),
        (said(image={"value": 1e300}), ["1e+300 does not fit float32"]),
        (said(image={"range": [0, 1e300]}), ["1e+300 does not fit float32", "f.toml: inputs.image.range"]),
        (said(image={"generator": "integers", "range": [-1e30, 1e30]}), ["-1e+30 does not fit int64", "range"]),
        (said(image={"generator": "integers", "range": [0, 2.0**63]}), ["does not fit int64"]),
    ],
)
def test_what_does_not_fit_the_model_is_refused_with_its_place(describe, words):
    with pytest.raises(UserError) as raised:
        resolve(describe, [TOKENS, MASK, IMAGE], [], NAMES)
    for word in words:
        assert word in str(raised.value)
    assert raised.value.remedy


def test_a_state_starts_at_zeros_and_its_output_is_looked_up():
    feeding = resolve(said(h={"state": "hn"}), [STEP, STATE], [NEXT])
    assert feeding.state == (("h", "hn"),)
    assert not feeding.generated(3, 0)[1].any()
    with pytest.raises(UserError, match="unknown output 'h_n'"):
        resolve(said(h={"state": "h_n"}), [STEP, STATE], [NEXT])
    with pytest.raises(UserError, match="does not fit"):
        resolve(said(x={"state": "hn"}), [STEP, STATE], [NEXT])


@pytest.mark.parametrize(
    ("spec", "describe", "least", "most", "about"),
    [
        (STEP, {"generator": "uniform"}, 0, 1, "uniform 0..1, seed 5"),
        (STEP, {"range": [-2, 3]}, -2, 3, "uniform -2..3, seed 5"),
        (STEP, {"value": 0.5}, 0.5, 0.5, "constant 0.5"),
        (STEP, {"generator": "ones"}, 1, 1, "ones"),
        (TOKENS, {"range": [100, 103]}, 100, 103, "integers 100..103, seed 5"),
        (QUANTISED, {"range": [0, 2]}, 0, 2, "uniform 0..2, seed 5"),
        (STEP, {}, -6, 6, "standard normal, seed 5"),
    ],
)
def test_values_are_as_they_are_named(spec, describe, least, most, about):
    feeding = resolve(said(**{spec.name: describe}), [spec], [])
    (values,) = feeding.generated(2000, 5)
    assert least <= values.min() <= values.max() <= most
    assert feeding.about([spec.name], 5) == about
    assert values.dtype == (np.float32 if spec.scale else np.dtype(spec.dtype)), "quantised inputs take real values"


def test_integers_reach_both_ends_of_their_range():
    values = resolve(said(ids={"range": [1, 3]}), [TOKENS], []).generated(200, 0)[0]
    assert set(values.ravel()) == {1, 2, 3}


@given(st.sampled_from([STEP, TOKENS, MASK, QUANTISED]), st.integers(0, 1), st.integers(0, 1), st.integers(0, 9))
def test_the_same_seed_gives_the_same_values_within_the_range(spec, one, other, seed):
    low, high = sorted((one, other))
    feeding = resolve(said(**{spec.name: {"range": [low, high]}}), [spec], [])
    first, again = feeding.generated(7, seed)[0], feeding.generated(7, seed)[0]
    assert np.array_equal(first, again)
    assert low <= first.min() <= first.max() <= high


def test_only_what_differs_from_the_default_is_said():
    feeding = resolve(said(ids={"range": [0, 99]}), [TOKENS, MASK], [])
    assert feeding.about(["ids", "mask"], 0) == "ids integers 0..99, seed 0"


def test_a_key_with_the_name_of_a_model_concerns_only_that_model():
    both = said(
        {"a:sequence": 3, "sequence": 4}, **{"a:ids": {"value": 1}, "b:ids": {"value": 2}, "mask": {"value": 0}}
    )
    of_a, of_b = both.of("a", ["a", "b"]), both.of("b", ["a", "b"])
    assert (of_a.axes, of_b.axes) == ({"sequence": 3}, {"sequence": 4}), "its own wins over the plain one"
    assert of_a.inputs["ids"].value == 1
    assert of_b.inputs["ids"].value == 2
    assert set(of_a.inputs) == set(of_b.inputs) == {"ids", "mask"}


def test_a_name_with_a_colon_of_its_own_stays_whole():
    assert set(said(**{"input:0": {"value": 1}}).of("a", ["a", "b"]).inputs) == {"input:0"}
