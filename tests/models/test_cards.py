"""Every model of the zoo says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.quality import METRICS
from bench.zoo.card import load_card

MODELS = Path(__file__).resolve().parents[2] / "models"
FOLDERS = sorted(path.parent for path in MODELS.glob("*/model.toml"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_model_has_a_valid_card_code_and_a_description(folder):
    card = load_card(folder)
    assert card.metric in METRICS
    assert (folder / "model.py").is_file()
    assert (folder / "README.md").read_text().startswith(f"# {card.name}")


def test_the_zoo_has_its_models():
    assert {"linear_regression", "mnist_cnn"} <= {folder.name for folder in FOLDERS}
