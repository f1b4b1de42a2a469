"""What a user gives with --data is checked against the model before anything runs."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UserError
from bench.record.artifact import TensorSpec, one_row_an_example
from bench.zoo.userdata import data_sha256, read

ONE = (TensorSpec(name="image", dtype="float32", shape=(None, 4, 4, 1)),)
TWO = (TensorSpec(name="a", dtype="float32", shape=(None, 3)), TensorSpec(name="b", dtype="int64", shape=(None,)))
INT8 = (TensorSpec(name="q", dtype="int8", shape=(1, 4), scale=0.5, zero_point=3),)
STATE = (
    TensorSpec(name="x", dtype="float32", shape=(None, 8)),
    TensorSpec(name="h", dtype="float32", shape=(2, None, 4)),
)


def floats(*shape: int) -> np.ndarray:
    return np.linspace(0, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)


@pytest.fixture
def saved(tmp_path: Path):
    def save(**arrays) -> Path:
        path = tmp_path / "d.npz"
        np.savez(path, **arrays)
        return path

    return save


def test_inputs_labels_and_calibration(saved):
    data = read(saved(x=floats(5, 4, 4, 1), y=np.arange(5), calibration=floats(2, 4, 4, 1)), ONE)
    assert data.name == "d.npz"
    assert (len(data.inputs[0]), len(data.labels), len(data.calibration[0])) == (5, 5, 2)
    assert data.train is None


def test_a_folder_of_arrays_says_the_same(tmp_path):
    for name, array in (("x", floats(5, 4, 4, 1)), ("y", np.arange(5))):
        np.save(tmp_path / f"{name}.npy", array)
    data = read(tmp_path, ONE)
    assert np.array_equal(data.inputs[0], floats(5, 4, 4, 1))
    assert data.calibration is None


def test_evaluation_data_never_becomes_calibration(saved):
    assert read(saved(x=floats(5, 4, 4, 1)), ONE).calibration is None


def test_training_data_can_calibrate(saved):
    data = read(saved(x=floats(5, 4, 4, 1), train_x=floats(9, 4, 4, 1), train_y=np.arange(9)), ONE)
    assert len(data.calibration[0]) == len(data.train) == 9


def test_many_inputs_go_by_name_in_the_models_order(saved):
    data = read(saved(**{"x:b": np.arange(4), "x:a": floats(4, 3)}), TWO)
    assert [array.shape for array in data.inputs] == [(4, 3), (4,)]


def test_a_stateful_model_takes_whole_feeds(saved):
    assert not one_row_an_example(STATE)
    data = read(saved(**{"x:x": floats(4, 1, 8), "x:h": floats(4, 2, 1, 4)}), STATE)
    assert data.inputs[1].shape == (4, 2, 1, 4)


def test_a_quantised_input_takes_real_or_stored_values(saved):
    assert read(saved(x=floats(3, 4)), INT8).inputs[0].dtype == np.float32
    assert read(saved(x=np.ones((3, 4), np.int8)), INT8).inputs[0].dtype == np.int8


def test_doubles_become_the_models_floats(saved):
    assert read(saved(x=floats(5, 4, 4, 1).astype(np.float64)), ONE).inputs[0].dtype == np.float32


WRONG = {
    "no x": ({"y": np.arange(3)}, "no evaluation inputs"),
    "shape": ({"x": floats(5, 4, 4)}, r"\[5, 4, 4\].*\[examples, 4, 4, 1\]"),
    "a picture of another size": ({"x": floats(5, 8, 8, 1)}, r"\[5, 8, 8, 1\]"),
    "type": ({"x": np.zeros((5, 4, 4, 1), np.uint8)}, "uint8.*float32"),
    "labels too few": ({"x": floats(5, 4, 4, 1), "y": np.arange(4)}, "5 examples and 4 labels"),
    "a single label": ({"x": floats(5, 4, 4, 1), "y": np.array(3)}, "5 examples and a single number as label"),
    "labels not finite": ({"x": floats(2, 4, 4, 1), "y": np.array([1, np.nan])}, "labels are not all finite"),
    "none": ({"x": floats(0, 4, 4, 1)}, "no examples"),
    "calibration shape": ({"x": floats(5, 4, 4, 1), "calibration": floats(5, 4)}, r"\[5, 4\]"),
    "not finite": ({"x": np.full((5, 4, 4, 1), np.nan, np.float32)}, "not finite"),
    "unknown key": ({"x": floats(5, 4, 4, 1), "labels": np.arange(5)}, "unknown array 'labels'"),
    "objects": ({"x": np.array([{}, {}], dtype=object)}, "Python objects"),
    "text": ({"x": np.array(["a"])}, "type <U1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(saved, case):
    arrays, said = WRONG[case]
    path = saved(**arrays)
    with pytest.raises(UserError, match=said) as raised:
        read(path, ONE)
    assert str(path) in str(raised.value.where)
    assert raised.value.remedy


def test_a_missing_input_is_named(saved):
    with pytest.raises(UserError, match="x:b is missing"):
        read(saved(**{"x:a": floats(4, 3)}), TWO)


def test_inputs_of_different_length(saved):
    with pytest.raises(UserError, match="a: 4, b: 3"):
        read(saved(**{"x:a": floats(4, 3), "x:b": np.arange(3)}), TWO)


def test_integers_that_do_not_fit(saved):
    small = (TensorSpec(name="t", dtype="int32", shape=(None,)),)
    with pytest.raises(UserError, match="do not fit int32"):
        read(saved(x=np.array([2**40])), small)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"words"])
def test_a_damaged_file(tmp_path, content):
    path = tmp_path / "d.npz"
    path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        read(path, ONE)
    assert raised.value.where == str(path)


def _no_deflate(path):
    """A compressed archive with a block of a kind that does not exist."""
    np.savez_compressed(path, x=np.zeros((64, 64), np.float32))
    content = bytearray(path.read_bytes())
    content[30 + int.from_bytes(content[26:28], "little") + int.from_bytes(content[28:30], "little")] |= 0b110
    path.write_bytes(content)


def _endless(path):
    """An array that says to hold more than any memory."""
    header = io.BytesIO()
    shape = {"descr": "<f4", "fortran_order": False, "shape": (10**15, 64)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header.getvalue())


@pytest.mark.parametrize("spoil", [_no_deflate, _endless])
def test_an_archive_that_is_damaged_within(tmp_path, spoil):
    spoil(tmp_path / "d.npz")
    with pytest.raises(UserError, match="data"):
        read(tmp_path / "d.npz", ONE)


def test_no_such_data(tmp_path):
    for place in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(UserError):
            read(place, ONE)
    (tmp_path / "d.csv").write_text("1,2")
    with pytest.raises(UserError, match="neither"):
        read(tmp_path / "d.csv", ONE)


def test_the_hash_follows_the_content(saved):
    before = data_sha256(saved(x=floats(1, 4, 4, 1)))
    assert data_sha256(saved(x=floats(2, 4, 4, 1))) != before


def test_described_inputs_may_be_left_out_and_the_rest_needs_no_name(saved):
    fills = {"h": lambda examples: np.zeros((examples, 2, 1, 4), np.float32)}
    data = read(saved(x=floats(5, 3, 8), calibration=floats(2, 3, 8)), STATE, left_out=fills)
    assert [array.shape for array in data.inputs] == [(5, 3, 8), (5, 2, 1, 4)]
    assert len(data.calibration[1]) == 2
    assert data.filled == ("h",)


def test_an_array_that_is_given_wins_over_its_description(saved):
    given = {"x:x": floats(5, 3, 8), "x:h": floats(5, 2, 1, 4)}
    data = read(saved(**given), STATE, left_out={"h": lambda examples: np.zeros((examples, 2, 1, 4), np.float32)})
    assert np.array_equal(data.inputs[1], given["x:h"])
    assert data.filled == ()


def test_sequences_begin_where_reset_says_and_at_the_first_example(saved):
    path = saved(x=floats(4, 4, 4, 1), reset=np.array([False, False, True, False]))
    assert read(path, ONE, stateful=True).starts == (0, 2)
    with pytest.raises(UserError, match="unknown array 'reset'"):
        read(path, ONE)
    with pytest.raises(UserError, match=r"bool \[4\]"):
        read(saved(x=floats(4, 4, 4, 1), reset=np.zeros(3, bool)), ONE, stateful=True)
