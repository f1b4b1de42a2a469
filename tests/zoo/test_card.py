"""A model card that is wrong says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import UserError
from bench.zoo.card import load_card, load_cards
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
        ("epochs = 20", "epochs = 0", "setting digits: training.epochs"),
        ("epochs = 20", 'epochs = "many"', "training.epochs"),
        ('task = "classification"', 'task = "guessing"', "task"),
        ('licence = "Apache-2.0"', "", "licence"),
        ('dataset = "digits-28x28"', 'dataset = "digits-28"', "digits-28x28"),
        ('name = "mnist_cnn"', 'name = "other"', "same name"),
        ("target = 0.7", "target = 1.5", "pruning.target"),
        ("[[setting]]", "[[setting", "TOML"),
        ("shift = 0.07", "word_dropout = 0.1", "setting digits: augmentation"),
        ("shift = 0.07", "shift = 7", "augmentation.shift"),
        ('name = "digits"', 'name = "mnist"', "same name"),
        ('metric = "accuracy"', 'metric = "acuracy"', "accuracy"),
        ('metric = "accuracy"', "", "no metric"),
        ("[[setting]]", 'dataset = "mnist"\n[[setting]]', "belongs into each"),
        ('dataset = "digits-28x28"', 'dataset = "mine.npz"', "there is no mine.npz in the model's folder"),
        ('dataset = "digits-28x28"', 'dataset = "digits-28x28"\nweights = "mlperf"', "unknown file of weights"),
    ],
)
def test_the_file_the_key_and_the_remedy_are_named(folder, old, new, said):
    path = folder / "model.toml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UserError) as raised:
        load_cards(folder)
    assert str(path) in str(raised.value.where)
    assert said in str(raised.value)
    assert raised.value.remedy


def test_a_model_without_code(folder):
    (folder / "model.py").unlink()
    with pytest.raises(UserError, match=r"no model\.py"):
        load_cards(folder)


def test_a_setting_replaces_single_keys_of_the_card(folder):
    path = folder / "model.toml"
    path.write_text(
        path.read_text()
        .replace(
            "[[setting]]",
            "[options]\nwidth = 3\ndepth = 2\n[training]\nepochs = 7\nbatch = 8\nlearning_rate = 0.1\n[[setting]]",
            1,
        )
        .replace('name = "digits"', 'name = "digits"\noptions = { width = 5 }')
        .replace("epochs = 20, ", "")
    )
    card = load_card(folder, "digits")
    assert card.label == "mnist_cnn@digits"
    assert card.options == {"width": 5, "depth": 2}
    assert (card.training.epochs, card.training.batch) == (7, 32)
    assert load_card(folder, "mnist").options == {"width": 3, "depth": 2}


@pytest.fixture
def plain(folder):
    """The card without a list of settings."""
    path = folder / "model.toml"
    text = path.read_text()
    training = 'dataset = "digits-28x28"\n[training]\nepochs = 1\nbatch = 8\nlearning_rate = 0.1\n'
    path.write_text(text[: text.index("[[setting]]")] + training)
    return path


def test_a_card_without_settings_has_its_plain_name(plain):
    (card,) = load_cards(plain.parent)
    assert (card.label, card.setting, card.dataset) == ("mnist_cnn", None, "digits-28x28")
    with pytest.raises(UserError, match="mnist_cnn has no settings") as raised:
        load_card(plain.parent, "digits")
    assert raised.value.remedy == "ask for mnist_cnn"


def test_a_card_without_settings_names_a_data_set(plain):
    plain.write_text(plain.read_text().replace('dataset = "digits-28x28"\n', ""))
    with pytest.raises(UserError, match="the key 'dataset' is missing"):
        load_cards(plain.parent)
