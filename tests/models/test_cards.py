"""Every model of the zoo says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.quality import METRICS
from bench.zoo.card import load_card, load_cards

MODELS = Path(__file__).resolve().parents[2] / "models"
FOLDERS = sorted(path.parent for path in MODELS.glob("*/model.toml"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_model_has_a_valid_card_code_and_a_description(folder):
    cards = load_cards(folder)
    page = (folder / "README.md").read_text()
    assert page.startswith(f"# {folder.name}")
    for card in cards:
        assert card.metric is None or card.metric in METRICS
        assert f"`{card.setting}`" in page or card.setting is None, "every setting is described"


def test_the_zoo_has_a_model_for_every_domain():
    domains = {
        "linear_regression",
        "mnist_cnn",
        "resnet8",
        "keyword_spotting",
        "text_classifier",
        "recommender",
        "credit_risk",
        "anomaly_detection",
    }
    assert domains == {folder.name for folder in FOLDERS}


def test_the_floors_are_those_that_were_asked_for():
    floors = {card.label: card.quality_floor for folder in FOLDERS for card in load_cards(folder)}
    assert floors["mnist_cnn@mnist"] >= 0.9935
    assert floors["linear_regression@diabetes"] >= 0.40
    assert floors["keyword_spotting@random"] >= 0.95
    assert floors["resnet8@mnist"] >= 0.985
    assert next(floor for name, floor in floors.items() if name.startswith("credit_risk")) >= 0.76
    assert floors["text_classifier@sms-spam"] >= 0.93
    imported = load_card(MODELS / "resnet8", "imported")
    assert imported.agreement_floor >= 0.97
    ranked = load_card(MODELS / "recommender", "two-tower")
    assert ranked.over_baseline > 0
