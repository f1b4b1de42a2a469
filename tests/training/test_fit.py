"""The usual training: it learns, it resumes where it was killed, it stops early, and it varies nothing but inputs."""

from __future__ import annotations

import numpy as np
import pytest

from bench.training.code import ModelCode
from bench.zoo.card import load_card
from bench.zoo.datasets.base import Dataset, Split

CARD = """
name = "{name}"
title = "A small network for tests"
task = "classification"
metric = "accuracy"
licence = "Apache-2.0"
input = "x"
dataset = "digits-28x28"
[training]
epochs = {epochs}
batch = 32
learning_rate = 0.01
dropout = 0.2
{more}
"""
CODE = """
import keras
def build(card):
    return keras.Sequential([
        keras.Input((8,), name="x"), keras.layers.Dense(16, activation="relu"),
        keras.layers.Dropout(card.training.dropout), keras.layers.Dense(3, activation="softmax"),
    ])
"""


@pytest.fixture
def folder(tmp_path):
    def make(epochs=4, more="", code=CODE):
        mine = tmp_path / "small"
        mine.mkdir(exist_ok=True)
        (mine / "model.toml").write_text(CARD.format(name="small", epochs=epochs, more=more))
        (mine / "model.py").write_text(code)
        return mine

    return make


def blobs(seed=0, examples=600, vary=None):
    """Three clouds of points in eight dimensions."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, examples)
    x = (np.eye(8)[labels] * 3 + rng.standard_normal((examples, 8))).astype(np.float32)
    return Dataset(
        "blobs", seed, Split((x[200:],), labels[200:]), (x[200:264],), Split((x[:200],), labels[:200]), vary=vary
    )


class Told:
    def __init__(self):
        self.lines, self.shares = [], []

    def __call__(self, text, share=None, *, passing=False):
        if not passing:
            self.lines.append(text)
        self.shares.append(share)


def fitted(folder, data, kept, **options):
    import keras

    from bench.training.fit import fit

    keras.utils.set_random_seed(data.seed)
    card = load_card(folder, None)
    model = ModelCode(folder).build(card)
    told = Told()
    kept.mkdir(exist_ok=True)
    progress = fit(model, data, card, kept, told, **options)
    return model, progress, told


def test_the_held_out_metric_rises_and_every_epoch_is_told(folder, tmp_path):
    _, progress, told = fitted(folder(), blobs(), tmp_path / "kept")
    assert [epoch.number for epoch in progress.epochs] == [1, 2, 3, 4]
    assert progress.epochs[-1].held_out > 0.9
    assert progress.epochs[-1].loss < progress.epochs[0].loss
    assert [line.split(",")[0] for line in told.lines] == [f"training epoch {n}/4" for n in (1, 2, 3, 4)]
    assert "accuracy" in told.lines[0]
    assert "s left" in told.lines[0]
    assert told.shares[-1] == 1


class Killed(Exception):
    pass


def test_a_training_that_is_stopped_goes_on_and_ends_with_the_same_weights(folder, tmp_path):
    whole, _, _ = fitted(folder(), blobs(), tmp_path / "whole")

    def stop(epoch):
        if epoch.number == 2:
            raise Killed

    with pytest.raises(Killed):
        fitted(folder(), blobs(), tmp_path / "kept", after_epoch=stop)
    resumed, progress, told = fitted(folder(), blobs(), tmp_path / "kept")
    assert progress.resumed == 2
    assert len(progress.epochs) == 4
    assert len(told.lines) == 2
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_a_damaged_checkpoint_means_starting_anew(folder, tmp_path):
    def stop(epoch):
        raise Killed

    with pytest.raises(Killed):
        fitted(folder(), blobs(), tmp_path / "kept", after_epoch=stop)
    next((tmp_path / "kept").glob("*.h5")).write_bytes(b"nothing")
    _, progress, _ = fitted(folder(), blobs(), tmp_path / "kept")
    assert progress.resumed == 0
    assert progress.epochs[-1].held_out > 0.9


def test_every_epoch_sees_inputs_of_its_own_and_evaluation_data_are_never_varied(folder, tmp_path):
    draws = []

    def vary(options, rng):
        draws.append(rng.standard_normal())
        return data.train.inputs

    data = blobs(vary=vary)
    before = data.evaluation.inputs[0].copy()
    fitted(folder(), data, tmp_path / "kept")
    assert len(set(draws)) == 4
    assert np.array_equal(before, data.evaluation.inputs[0])


def test_early_stopping_watches_training_data_held_back_and_keeps_the_best_epoch(folder, tmp_path):
    mine = folder(epochs=40, more="early_stopping = { patience = 2, share = 0.25 }")
    path = mine / "model.toml"
    path.write_text(path.read_text().replace("learning_rate = 0.01", "learning_rate = 0.3"))
    data = blobs(examples=300)
    model, progress, _ = fitted(mine, data, tmp_path / "kept")
    assert len(progress.epochs) < 40
    assert progress.best == len(progress.epochs) - 2
    assert progress.best_loss is not None
    # The weights are those of the best epoch: they give the loss that was seen then.
    order = np.random.default_rng([0, 0]).permutation(100)
    resting = np.sort(order[:25])
    x, y = data.train.inputs[0][resting], data.train.labels[resting]
    probabilities = model.predict(x, verbose=0)[np.arange(25), y]
    assert -np.log(probabilities).mean() == pytest.approx(progress.best_loss, rel=1e-4)


def test_weight_decay_makes_weights_smaller(folder, tmp_path):
    free, _, _ = fitted(folder(epochs=8), blobs(), tmp_path / "free")
    bound, _, _ = fitted(folder(epochs=8, more="weight_decay = 2.0"), blobs(), tmp_path / "bound")
    assert np.abs(bound.get_weights()[0]).mean() < np.abs(free.get_weights()[0]).mean()


def test_code_that_fails_names_its_file(folder):
    from bench.errors import UserError

    mine = folder(code="def build(card):\n    return 1 / 0\n")
    with pytest.raises(UserError, match="ZeroDivisionError") as raised:
        ModelCode(mine).build(load_card(mine, None))
    assert raised.value.where == str(mine / "model.py")


def test_data_that_do_not_fit_the_model_are_refused_with_both_shapes(folder, tmp_path):
    from bench.errors import UserError

    data = blobs()
    train = Split((data.train.inputs[0][:, :5],), data.train.labels)
    with pytest.raises(UserError, match=r"\(8,\).*digits-28x28 have \[\(5,\)\]"):
        fitted(folder(), Dataset("narrow", 0, train, data.calibration, data.evaluation), tmp_path / "kept")
