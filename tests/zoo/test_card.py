"""A model card that is wrong says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import UserError
from bench.zoo.card import load_card
from bench.zoo.find import zoo_models


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mine = tmp_path / "mnist_cnn"
    mine.mkdir()
    for name in ("model.toml", "model.py"):
        (mine / name).write_text((zoo_models()["mnist_cnn"] / name).read_text())
    return mine


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('metric = "accuracy"', 'metrik = "accuracy"', "metric"),
        ("epochs = 20", "epochs = 0", "training.epochs"),
        ("epochs = 20", 'epochs = "many"', "training.epochs"),
        ('task = "classification"', 'task = "guessing"', "task"),
        ('licence = "Apache-2.0"', "", "licence"),
        ('dataset = "digits-28x28"', 'dataset = "digits-28"', "digits-28x28"),
        ('name = "mnist_cnn"', 'name = "other"', "same name"),
        ("target = 0.7", "target = 1.5", "pruning.target"),
        ("[training]", "[training", "TOML"),
    ],
)
def test_the_file_the_key_and_the_remedy_are_named(folder, old, new, said):
    path = folder / "model.toml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UserError) as raised:
        load_card(folder)
    assert str(path) in str(raised.value.where)
    assert said in str(raised.value)
    assert raised.value.remedy


def test_a_model_without_code(folder):
    (folder / "model.py").unlink()
    with pytest.raises(UserError, match=r"no model\.py"):
        load_card(folder)
