"""Messages that no page lists and no other test makes."""

from __future__ import annotations

import json
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import UserError
from bench.export.bundle import open_bundle
from bench.record.artifact import TensorSpec
from bench.store.foreign import read_foreign
from bench.suite.load import load_suite
from bench.suite.validate import LARGEST_BYTES
from bench.zoo.card import load_card, load_cards
from bench.zoo.userdata import read
from tests.conftest import bench
from tests.hostile.spoiled import as_toml
from tests.hostile.test_hostile_records import KEPT
from tests.kept_runs import keep_small

pytestmark = pytest.mark.timeout(120)

SPEC = TensorSpec(name="x", shape=(None, 4), dtype="float32")
X = np.zeros((5, 4), "f4")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("gate", "latest", "latest", "--max-regression", "p50_latency<=5parsec"), "has no unit of p50_latency"),
        (("fetch",), "name data sets, or give --all"),
        (("cache", "rm"), "name keys or models, or give --all"),
        (("cache", "rm", ""), "a name is blank"),
        (("export", "mnist_cnn", "--define", "a=int8", "--define", "a=int8", "-o", "b"), "'a' is defined twice"),
        (("export", "linear_regression", "--define", "a=int8,calibration=7", "-o", "b"), "expected text, not 7"),
        (("query", "SELECT 1" + " + 1" * 501), "the query has over 500 operators"),
        (("run", "--model", "mnist_cnn@digits", "--model", "mnist_cnn@digits,width=1"), "width"),
    ],
)
def test_a_command_says_so(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    keep_small(tmp_path / "results", "20260101-000000-a")
    done = bench(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": X, "y": np.zeros(5, "c8")}, "the data holds an array of type complex64"),
        ({"x": X, "y": np.full(5, np.nan)}, "the labels are not all finite"),
        ({"x": X, "y": np.zeros(3)}, "5 examples and 3 labels"),
        ({"x": np.full((5, 4), 1e308)}, "the array holds values that are not finite"),
        ({"x": np.zeros((0, 4), "f4")}, "the array holds no examples"),
    ],
)
def test_data_say_so(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(UserError, match=said):
        read(tmp_path / "d.npz", [SPEC])


def test_a_folder_of_data_without_arrays_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the data folder holds no \.npy file"):
        read(tmp_path, [SPEC])


def test_a_suite_too_large_or_too_deep_says_so(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes(b"#" * (LARGEST_BYTES + 1))
    with pytest.raises(UserError, match="the suite has over 8 MiB"):
        load_suite(str(path))
    path.write_bytes(b"a" + b".a" * 70 + b" = 1")
    with pytest.raises(UserError, match="the suite has a key of over 64 parts"):
        load_suite(str(path))


def test_a_byte_order_mark_is_overlooked(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (KEPT / "suite.toml").read_bytes())
    assert load_suite(str(path)).name == "upgrade"


def without_training(card: dict[str, Any]) -> None:
    for table in (card, *card.get("setting", [])):
        table.pop("training", None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda card: card.update(name="another"), "the model calls itself 'another'"),
        (without_training, "the key 'training' is missing"),
        (lambda card: card.update(tune={"early_stopping": [1]}), "early_stopping is a table"),
        (lambda card: card.update(metric="nothing"), "unknown metric 'nothing'"),
    ],
)
def test_a_card_says_so(change: Callable[[dict[str, Any]], None], said: str, tmp_path: Path) -> None:
    folder = tmp_path / "linear_regression"
    folder.mkdir()
    (folder / "model.py").touch()
    card = tomllib.loads((KEPT / "models" / "linear_regression" / "model.toml").read_text())
    change(card)
    (folder / "model.toml").write_bytes(as_toml(card))
    with pytest.raises(UserError, match=said):
        load_cards(folder)


def test_a_setting_of_a_model_that_has_none_or_others_says_so() -> None:
    with pytest.raises(UserError, match="unknown setting 'nothing'"):
        load_card(KEPT / "models" / "linear_regression", "nothing")


def test_a_bundle_of_another_schema_says_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(KEPT / "bundle.zip") as packed:
        packed.extractall(tmp_path)
    index = json.loads((tmp_path / "bundle.json").read_bytes())
    (tmp_path / "bundle.json").write_text(json.dumps(index | {"schema": 1}))
    with pytest.raises(UserError, match="the bundle has schema 1, this version reads"):
        open_bundle(tmp_path, tmp_path / "scratch")


@pytest.mark.parametrize(
    ("benchmarks", "said"),
    [
        ([], "the file holds no benchmark"),
        ([{"name": "a", "stats": {"median": 1, "mean": 1, "rounds": 1}}] * 2, "two benchmarks are named 'a'"),
    ],
)
def test_a_file_of_another_tool_says_so(benchmarks: list[Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text(json.dumps({"machine_info": {}, "benchmarks": benchmarks}))
    with pytest.raises(UserError, match=said):
        read_foreign(tmp_path / "f.json")


def test_a_run_is_saved_in_a_baseline_once(tmp_path: Path) -> None:
    keep_small(tmp_path / "results", "20260101-000000-a")
    assert bench("baseline", "save", "main", "latest", cwd=tmp_path).returncode == 0
    done = bench("baseline", "save", "main", "latest", cwd=tmp_path)
    assert done.returncode == 2
    assert "is saved in baseline 'main' already" in done.stderr
