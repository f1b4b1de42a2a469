"""What a bundle says of its model: how it is judged, how well the source does, and the mark it is held to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from bench.errors import UserError
from bench.export.describe import describe
from bench.export.messages import Described
from bench.export.onnx_origin import OnnxOrigin
from bench.export.origin import Array
from bench.export.workshop import Workshop
from bench.zoo.card import ModelCard
from bench.zoo.datasets.base import SEVERITIES, Baseline

X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)


class Noise:
    """The evaluation data with noise, or all of it so large that half precision cannot hold it."""

    names = ("noise", "glare")

    def __call__(self, name: str, severity: int, chosen: Array, rng: np.random.Generator) -> tuple[Array, ...]:
        made = X[chosen] + severity * rng.standard_normal((len(chosen), 4)) if name == "noise" else X[chosen] * 1e6
        return made.astype(np.float32), np.arange(len(chosen))


@pytest.fixture
def described(workshop: Callable[..., Workshop]) -> Callable[..., Described]:
    """Describes a product with a matrix of 4 x `columns`, with what is given of a workshop."""

    def run(columns: int = 3, **given: Any) -> Described:
        nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
        return describe(workshop(nodes, {"w": np.eye(4, columns, dtype=np.float32)}, inputs=(X,), **given))

    return run


def card(**given: Any) -> ModelCard:
    usual = {"name": "m", "title": "M", "task": "classification", "metric": "accuracy", "dataset": "digits"}
    return ModelCard.model_validate(usual | {"input": "four numbers", "licence": "Apache-2.0"} | given)


@pytest.mark.parametrize(
    ("columns", "labels", "task", "metric", "quality"),
    [
        (3, X[:, :3].argmax(axis=1), "classification", "accuracy", 1.0),
        (3, X[:, :3], "regression", "r2", 1.0),
        (1, X[:, 0], "regression", "r2", 1.0),
        (3, X[:, 0], None, None, None),
        (1, np.arange(30), None, None, None),
        (3, None, None, None, None),
    ],
    ids=["classes", "numbers", "one number", "too few numbers", "classes of one output", "no labels"],
)
def test_a_users_model_is_judged_by_what_its_labels_and_outputs_allow(
    described: Callable[..., Described],
    columns: int,
    labels: Array | None,
    task: str | None,
    metric: str | None,
    quality: float | None,
) -> None:
    made = described(columns, labels=labels)
    assert (made.model.task, made.model.metric) == (task, metric)
    assert made.model.source_quality == (None if quality is None else pytest.approx(quality))
    assert (made.model.quality_floor, made.data.corrupted) == (None, None)
    assert (made.data.labels is not None) == (labels is not None)


LABELS = X[:, :3].argmax(axis=1)


@pytest.mark.parametrize(
    ("given", "floor", "about"),
    [
        ({}, None, None),
        ({"quality_floor": 0.9}, 0.9, "quality_floor of m"),
        ({"over_baseline": 0.2}, 0.7, "majority 0.5000 + 0.2"),
        ({"quality_floor": 0.6, "over_baseline": 0.2}, 0.7, "majority 0.5000 + 0.2"),
        ({"quality_floor": 0.9, "over_baseline": 0.2}, 0.9, "quality_floor of m"),
        ({"metric": "mae", "quality_floor": 0.9, "over_baseline": 0.2}, 0.3, "majority 0.5000 - 0.2"),
    ],
)
def test_a_zoo_model_is_held_to_the_strictest_of_its_cards_floors(
    described: Callable[..., Described], given: dict[str, Any], floor: float | None, about: str | None
) -> None:
    labels = X[:, :3] if given.get("metric") == "mae" else LABELS
    made = described(card=card(**given), labels=labels, baseline=Baseline("majority", 0.5))
    assert made.model.quality_floor == (None if floor is None else pytest.approx(floor))
    assert made.model.floor_about == about


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"quality_floor": 0.9}, "quality_floor cannot be held: the data have no labels"),
        ({"over_baseline": 0.2}, "over_baseline cannot be held: the data have no baseline"),
    ],
)
def test_a_floor_that_the_data_cannot_show_is_refused(
    described: Callable[..., Described], given: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said) as raised:
        described(card=card(**given))
    assert f"leave {next(iter(given))} out" in str(raised.value.remedy)


def test_corrupted_inputs_are_kept_in_half_precision_where_it_holds_them(
    described: Callable[..., Described], tmp_path: Path
) -> None:
    found = described(card=card(), labels=LABELS, corrupt=Noise()).data.corrupted
    assert found is not None
    assert found.cells == tuple((name, severity) for name in Noise.names for severity in SEVERITIES)
    assert found.examples == tuple(range(30))
    with np.load(tmp_path / found.inputs) as kept:
        assert kept["0"].dtype == np.float32, "a million does not fit"
        assert kept["1"].dtype == np.arange(1).dtype, "whole numbers stay as they are"
        np.testing.assert_array_equal(kept["0"].reshape(2, 5, 30, 4)[1, 0], X * np.float32(1e6))


class Picky(OnnxOrigin):
    """A model that finds nothing in zeros, and stops."""

    def run(self, feed: tuple[Array, ...]) -> list[Array]:
        if not np.any(feed[0]):
            raise ValueError("nothing in it")
        return super().run(feed)


def test_an_edge_that_the_source_does_not_bear_is_said(described: Callable[..., Described]) -> None:
    told: list[str] = []
    edges = described(origin=Picky, told=told).data.edges
    assert edges is not None
    assert "zeros" not in edges.kinds
    assert "no edge inputs of the kind zeros: nothing in it" in told
