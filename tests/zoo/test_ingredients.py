"""Data that lie in a model's own folder: made by its code or in an `.npz`, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UserError
from bench.record.artifact import TensorSpec
from bench.zoo.card import ModelCard, load_card
from bench.zoo.datasets.base import Dataset
from bench.zoo.files import DataMissing, content
from bench.zoo.hashing import file_sha256
from bench.zoo.ingredients import contents, gather, is_here, load_data, own_files
from bench.zoo.weights import WEIGHTS, weights_path

CARD = """
name = "mine"
title = "A model for tests"
task = "classification"
licence = "Apache-2.0"
input = "x"
dataset = "{dataset}"
{more}
"""
TRAINED = "[training]\nepochs = 1\nbatch = 8\nlearning_rate = 0.1"
CODE = """
import numpy as np
from bench.errors import UserError
from bench.zoo.datasets.base import Dataset, Split
x, y = np.ones((4, 2), np.float32), np.arange(4)
def load(title, seed, files):
    {body}
"""
INPUTS = (TensorSpec(name="x", dtype="float32", shape=(None, 2)),)
Made = Callable[..., tuple[Path, ModelCard]]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A model's folder with `data.py`, or with arrays in `data.npz`."""

    def make(body: str | None = None, *, more: str = TRAINED, dataset: str | None = None, **arrays: np.ndarray):
        folder = tmp_path / "mine"
        folder.mkdir()
        (folder / "model.py").write_text("def build(card): ...")
        if body is not None:
            (folder / "data.py").write_text(CODE.format(body=body))
        if arrays:
            np.savez(folder / "data.npz", **arrays)
        dataset = dataset or ("data.npz" if body is None else "data.py")
        (folder / "model.toml").write_text(CARD.format(dataset=dataset, more=more))
        return folder, load_card(folder, None)

    return make


def loaded(folder: Path, card: ModelCard) -> Dataset:
    return load_data(folder, card, 3, {}, lambda: INPUTS)


def silent(text: str, share: float | None = None, *, passing: bool = False) -> None:
    raise AssertionError(f"nothing is fetched: {text}")


def test_the_code_is_given_a_title_and_the_seed(made: Made) -> None:
    data = loaded(*made("return Dataset(title, seed, Split((x,), y), (x[:2],), Split((x,), None))"))
    assert (data.name, data.seed) == ("data of mine", 3)
    assert len(data.train) == len(data.evaluation) == 4


def test_data_without_a_training_part_serve_a_ready_model(made: Made) -> None:
    assert loaded(*made("return Dataset(title, seed, None, (x,), Split((x,), y))")).train is None


def data_of(training: str, evaluation: str = "Split((x,), y)") -> str:
    return f"return Dataset(title, seed, {training}, (x,), {evaluation})"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 1 / 0", "the model's data failed with ZeroDivisionError: division by zero"),
        ("raise UserError('there is no camera')", "there is no camera"),
        ("return [x, y]", r"load\(\) gave list"),
        (data_of("Split((x,), y[:3])"), "the training data have arrays of 3 and 4 examples"),
        (data_of("Split((x, x[:2]), y)"), "the training data have arrays of 2 and 4 examples"),
        (data_of("None", "Split((x[:0],), y[:0])"), "the evaluation data have arrays of 0 examples"),
        (data_of("None", "Split((x,), np.array(list('abcd')))"), "labels of type <U1, which are no numbers"),
        (data_of("Split((x.astype(object),), y)"), "inputs of type object, which are no numbers"),
        (data_of("Split((x / 0,), y)"), "the training data have inputs that are not finite"),
        (data_of("None", "Split((x,), y * np.nan)"), "the evaluation data have labels that are not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_is_wrong_with_a_models_own_data_is_named(made: Made, body: str, said: str) -> None:
    folder, card = made(body)
    with pytest.raises(UserError, match=said) as raised:
        loaded(folder, card)
    assert raised.value.where in (str(folder / "data.py"), None)


def test_arrays_in_the_folder_are_data_too(made: Made) -> None:
    x = np.arange(10, dtype=np.float32).reshape(5, 2)
    data = loaded(*made(x=x, y=np.arange(5), train_x=x[:3], train_y=np.arange(3)))
    assert (data.name, data.seed) == ("data.npz", 3)
    assert np.array_equal(data.evaluation.inputs[0], x)
    assert len(data.train) == len(data.calibration[0]) == 3


def test_arrays_for_evaluation_alone_do_not_calibrate(made: Made) -> None:
    folder, card = made(x=np.ones((5, 2), np.float32), y=np.arange(5))
    with pytest.raises(UserError, match="neither calibration nor training inputs") as raised:
        loaded(folder, card)
    assert raised.value.where == str(folder / "data.npz")


def test_a_named_data_set_is_that_of_the_table(made: Made) -> None:
    folder, card = made(dataset="line-y-2x")
    assert loaded(folder, card).name == "line y = 2x"
    assert own_files(folder, card) == []
    assert contents(folder, card)["line-y-2x"] == {}
    assert set(contents(folder, card)["packages"]) == {"python"}


def test_what_decides_own_data_is_whatever_their_code_can_read(made: Made) -> None:
    folder, card = made("return None")
    for name in ("README.md", ".hidden", "__pycache__/data.pyc", "raw/README.md", "raw/table.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    names = {"data.py", "model.py", "raw/README.md", "raw/table.csv"}
    assert {file.relative_to(folder).as_posix() for file in own_files(folder, card)} == names
    assert contents(folder, card) == {name: file_sha256(folder / name) for name in names}


def test_of_arrays_the_file_decides(made: Made) -> None:
    folder, card = made(x=np.ones((5, 2), np.float32))
    assert own_files(folder, card) == [folder / "data.npz"]
    assert contents(folder, card) == {"data.npz": file_sha256(folder / "data.npz")}
    assert is_here(card)
    assert gather(card, silent) == {}


def test_ready_weights_are_files_like_those_of_a_data_set(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "given"))
    name = next(iter(WEIGHTS))
    folder, card = made("return None", more=f'weights = "{name}"')
    assert not is_here(card)
    own = tmp_path / "given" / weights_path(name)
    own.parent.mkdir(parents=True)
    own.write_bytes(b"weights")
    assert is_here(card)
    assert gather(card, silent) == {weights_path(name): own}
    assert contents(folder, card)[name] == content(WEIGHTS[name])


def test_a_data_set_that_can_only_be_given_is_asked_for(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("BENCH_DATA_DIR", raising=False)
    _, card = made(dataset="movielens-100k")
    with pytest.raises(DataMissing, match="terms of use have not been accepted"):
        gather(card, silent)
