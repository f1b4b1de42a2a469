"""The networks of the zoo, untrained: their shapes, their sizes as their cards tell them, and their exports."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.zoo.card import ModelCard, load_cards
from bench.zoo.find import zoo_models

pytestmark = pytest.mark.slow

FOLDERS = zoo_models([Path(__file__).resolve().parents[2] / "models"])
CARDS = [card for folder in FOLDERS.values() for card in load_cards(folder)]
FIRST = [load_cards(folder)[0] for folder in FOLDERS.values()]
NCF = next(card for card in CARDS if card.options.get("architecture") == "ncf")
EXPORTED = [*FIRST, NCF]
"""One setting a model, and the second architecture of the recommender."""

SHAPES: dict[str, tuple[list[tuple[int, ...]], tuple[int, ...]]] = {
    "anomaly_detection@imported": ([(640,)], (640,)),
    "credit_risk@uci": ([(28,)], (1,)),
    "keyword_spotting@random": ([(49, 20, 1)], (10,)),
    "keyword_spotting@by-speaker": ([(49, 20, 1)], (10,)),
    "recommender@two-tower": ([(1,), (100,)], (100,)),
    "recommender@ncf": ([(1,), (100,)], (100,)),
    "recommender@two-tower-movielens": ([(1,), (100,)], (100,)),
    "recommender@ncf-movielens": ([(1,), (100,)], (100,)),
    "resnet8@imported": ([(32, 32, 3)], (10,)),
    "resnet8@mnist": ([(32, 32, 3)], (10,)),
    "text_classifier@sms-spam": ([(48,)], (2,)),
    "text_classifier@newsgroups": ([(128,)], (20,)),
}
"""Of inputs and output, without the batch."""


@cache
def built(label: str) -> Any:
    import keras

    from bench.training.code import ModelCode

    card = next(card for card in CARDS if card.label == label)
    keras.utils.set_random_seed(0)
    return ModelCode(FOLDERS[card.name]).build(card)


@pytest.fixture
def origin() -> Callable[[Any], Any]:
    """A model as the export opens it; nothing here is fine-tuned."""
    from bench.export.keras_origin import KerasOrigin, Tuning
    from bench.zoo.card import Pruning

    def opened(model: Any) -> Any:
        tuning = Tuning(Pruning(), lambda: model, lambda: None, None, None, Path(), 0, lambda *_, **__: None)
        return KerasOrigin(model, None, tuning)

    return opened


def examples(card: ModelCard, model: Any, count: int = 4) -> list[np.ndarray[Any, Any]]:
    """Random inputs; numbers of words, users and items from the whole range that the tables of the model hold."""
    rng = np.random.default_rng(0)
    sizes = {"ids": "vocabulary", "user": "users", "candidates": "items"}
    arrays = []
    for given in model.inputs:
        shape = (count, *given.shape[1:])
        if "int" in given.dtype:
            numbers = rng.integers(0, card.options[sizes[given.name]], shape)
            # Texts end at different places, and padding follows.
            ends = rng.integers(1, shape[1] + 1, (count, 1)) if given.name == "ids" else shape[1]
            arrays.append(np.where(np.arange(shape[1]) < ends, numbers, 0).astype(np.int32))
        else:
            scale = 255.0 if card.name == "resnet8" else 1.0
            arrays.append((scale * rng.random(shape)).astype(np.float32))
    return arrays


def test_the_shapes_of_every_setting_of_these_models_are_stated_here() -> None:
    names = {label.partition("@")[0] for label in SHAPES}
    assert {card.label for card in CARDS if card.name in names} == set(SHAPES)


@pytest.mark.parametrize("label", SHAPES)
def test_a_setting_builds_a_model_of_the_shapes_it_states(label: str) -> None:
    model = built(label)
    inputs, output = SHAPES[label]
    assert [tuple(tensor.shape) for tensor in model.inputs] == [(None, *shape) for shape in inputs]
    assert [tuple(tensor.shape) for tensor in model.outputs] == [(None, *output)]


@pytest.mark.parametrize("name", [name for name in FOLDERS if name != "linear_regression"])
def test_the_readme_states_the_true_numbers_of_parameters(name: str) -> None:
    text = (FOLDERS[name] / "README.md").read_text()
    stated = {int(number.replace(",", "")) for number in re.findall(r"([\d,]+)\s+parameters", text)}
    first = next(card for card in FIRST if card.name == name)
    counts = {built(card.label).count_params() for card in CARDS if card.name == name}
    assert built(first.label).count_params() in stated
    assert stated <= counts


@pytest.mark.parametrize("card", EXPORTED, ids=lambda card: card.label)
def test_both_formats_compute_what_keras_computes(
    card: ModelCard, origin: Callable[[Any], Any], tmp_path: Path
) -> None:
    import onnxruntime as ort
    from ai_edge_litert.interpreter import Interpreter

    from bench.quality import bound_for, parity

    model = built(card.label)
    inputs = examples(card, model)
    expected = np.asarray(model(inputs if len(inputs) > 1 else inputs[0], training=False))
    opened = origin(model)
    opened.float_onnx(tmp_path / "m.onnx")
    opened.tflite(tmp_path / "m.tflite", "fp32")
    names = [spec.name for spec in opened.inputs]

    session = ort.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    assert [spec.name for spec in session.get_inputs()] == names
    (by_onnx,) = session.run(None, dict(zip(names, inputs, strict=True)))
    assert parity(by_onnx, expected).within(bound_for("fp32"))

    interpreter = Interpreter(model_path=str(tmp_path / "m.tflite"))
    runner = interpreter.get_signature_runner()
    (by_tflite,) = runner(**dict(zip(names, inputs, strict=True))).values()
    assert parity(by_tflite, expected).within(bound_for("fp32"))


def test_padding_plays_no_part_in_what_a_text_is_taken_for() -> None:
    """Half of the text is padding; a model with the words alone at hand has to answer the same."""
    from bench.training.code import ModelCode

    card = next(card for card in CARDS if card.label == "text_classifier@sms-spam")
    long = built(card.label)
    words = card.options["length"] // 2
    options = {**card.options, "length": words}
    short = ModelCode(FOLDERS[card.name]).build(card.model_copy(update={"options": options}))
    weights = long.get_weights()
    places = next(i for i, value in enumerate(weights) if value.shape[0] == card.options["length"] + 1)
    weights[places] = weights[places][: words + 1]
    short.set_weights(weights)
    ids = np.random.default_rng(0).integers(2, card.options["vocabulary"], (8, words)).astype(np.int32)
    padded = np.pad(ids, ((0, 0), (0, card.options["length"] - words)))
    assert np.asarray(long(padded)) == pytest.approx(np.asarray(short(ids)), abs=1e-4)


@pytest.mark.parametrize("label", ["recommender@two-tower", "recommender@ncf"])
def test_the_score_of_a_candidate_depends_on_the_user_and_on_no_other_candidate(label: str) -> None:
    card = next(card for card in CARDS if card.label == label)
    model = built(label)
    user, candidates = examples(card, model, count=8)
    scores = np.asarray(model([user, candidates]))
    turned = np.asarray(model([user, candidates[:, ::-1]]))
    assert turned[:, ::-1] == pytest.approx(scores, abs=1e-5)
    other = np.asarray(model([(user + 1) % card.options["users"], candidates]))
    assert np.abs(other - scores).max() > 1e-4


def test_resnet8_is_built_as_the_published_file_is(data_dir: Path) -> None:
    _same_as_file("resnet8@mnist", data_dir / "models/mlperf-tiny-resnet/pretrainedResnet.h5")


def test_the_autoencoder_is_built_as_the_published_file_is(data_dir: Path) -> None:
    _same_as_file("anomaly_detection@imported", data_dir / "models/mlperf-tiny-ad/ad01.h5")


def _same_as_file(label: str, path: Path) -> None:
    """With the file's weights, layer by layer, ours gives the file's outputs."""
    import keras

    theirs, ours = keras.models.load_model(str(path), compile=False), built(label)
    assert theirs.count_params() == ours.count_params()
    copy = keras.models.clone_model(ours)
    copy.set_weights(theirs.get_weights())
    given = examples(next(card for card in CARDS if card.label == label), ours)[0]
    assert np.asarray(copy(given)) == pytest.approx(np.asarray(theirs([given])), abs=1e-4)
