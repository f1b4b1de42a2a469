"""The usual training: it learns, it resumes where it was killed, it stops early, and it varies nothing but inputs."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UserError
from bench.record.artifact import Epoch
from bench.training.code import ModelCode
from bench.training.follow import peak_rss
from bench.training.report import Board
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


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def build(card):\n    return 1 / 0\n", "failed with ZeroDivisionError"),
        ("def build(card)\n", "failed with SyntaxError"),
        ("def bild(card): ...\n", r"has no build\(card\)"),
    ],
)
def test_code_that_fails_names_its_file(folder, code, said):
    mine = folder(code=code)
    with pytest.raises(UserError, match=said) as raised:
        ModelCode(mine).build(load_card(mine, None))
    assert raised.value.where == str(mine / "model.py")


def test_what_the_code_says_to_its_user_stays_as_it_is(folder):
    told = "raise UserError('give width', where='options')"
    mine = folder(code=f"from bench.errors import UserError\ndef build(card):\n    {told}\n")
    with pytest.raises(UserError, match="give width") as raised:
        ModelCode(mine).build(load_card(mine, None))
    assert raised.value.where == "options"


def test_a_loss_of_the_models_own_is_asked_for(folder):
    mine = folder(code=CODE + "\ndef loss(card):\n    return 'mse'\n")
    assert ModelCode(mine).loss(load_card(mine, None)) == "mse"
    mine = folder(code=CODE)
    assert ModelCode(mine).loss(load_card(mine, None)) is None
    assert ModelCode(mine).train is None


def test_data_that_do_not_fit_the_model_are_refused_with_both_shapes(folder, tmp_path):
    data = blobs()
    train = Split((data.train.inputs[0][:, :5],), data.train.labels)
    with pytest.raises(UserError, match=r"\(8,\).*digits-28x28 have \[\(5,\)\]"):
        fitted(folder(), Dataset("narrow", 0, train, data.calibration, data.evaluation), tmp_path / "kept")


def with_train(data, train):
    return dataclasses.replace(data, train=train)


def test_without_training_data_or_labels_there_is_nothing_to_learn(folder, tmp_path):
    data = blobs()
    with pytest.raises(UserError, match="nothing to train on"):
        fitted(folder(), with_train(data, None), tmp_path / "kept")
    unlabelled = Split(data.train.inputs, None)
    with pytest.raises(UserError, match="no labels for classification") as raised:
        fitted(folder(), with_train(data, unlabelled), tmp_path / "kept")
    assert "loss(card)" in raised.value.remedy


def test_a_training_that_diverges_says_so_and_keeps_nothing(folder, tmp_path):
    mine = folder()
    (mine / "model.toml").write_text((mine / "model.toml").read_text().replace("= 0.01", "= 1e30"))
    with pytest.raises(UserError, match="diverged: the loss of epoch 1 is nan") as raised:
        fitted(mine, blobs(), tmp_path / "kept")
    assert raised.value.remedy == "lower learning_rate"
    assert list((tmp_path / "kept").iterdir()) == []


def test_what_the_framework_says_against_the_data_is_passed_on_in_a_line(folder, tmp_path):
    data = blobs()
    wide = Split(data.train.inputs, np.zeros((400, 7, 2), np.float32))
    with pytest.raises(UserError, match="the training failed: ") as raised:
        fitted(folder(), with_train(data, wide), tmp_path / "kept")
    assert "\n" not in raised.value.what
    assert raised.value.where == "small"


def test_without_labels_held_out_no_metric_is_told(folder, tmp_path):
    data = blobs()
    data = dataclasses.replace(data, evaluation=Split(data.evaluation.inputs, None))
    _, progress, told = fitted(folder(epochs=1), data, tmp_path / "kept")
    assert progress.epochs[0].held_out is None
    assert "held out" not in told.lines[0]


AUTOENCODER = """
import keras
def build(card):
    return keras.Sequential([keras.Input((8,), name="x"), keras.layers.Dense(8)])
"""


def test_a_reconstruction_learns_its_own_inputs(folder, tmp_path):
    mine = folder(epochs=8, code=AUTOENCODER)
    card = mine / "model.toml"
    card.write_text(
        card.read_text().replace('"classification"', '"reconstruction"').replace('metric = "accuracy"\n', "")
    )
    data = blobs()
    model, progress, _ = fitted(mine, with_train(data, Split(data.train.inputs, None)), tmp_path / "kept")
    x = data.train.inputs[0]
    assert progress.epochs[-1].loss < progress.epochs[0].loss / 2
    assert np.mean((model.predict(x, verbose=0) - x) ** 2) < np.mean(x**2) / 2


class Followed:
    """Keeps what a follower is told."""

    def __init__(self):
        self.seen = []

    def began(self):
        self.seen.append("began")

    def epoch(self, seen):
        self.seen.append(seen.number)

    def ended(self, how):
        self.seen.append(how)


def trained(mine, data, kept):
    from bench.training.trained import trained_model

    told, follower = Told(), Followed()
    kept.mkdir(exist_ok=True)
    model = trained_model(ModelCode(mine), load_card(mine, None), data, kept, told, follower)
    return model, told, follower.seen


def test_a_model_is_trained_once_and_then_is_there_unless_it_is_damaged(folder, tmp_path):
    mine, data, kept = folder(), blobs(), tmp_path / "kept"
    first, told, seen = trained(mine, data, kept)
    assert told.lines[0] == "training on blobs, 400 examples"
    assert seen[:-1] == ["began", 1, 2, 3, 4]
    assert (seen[-1].examples, len(seen[-1].epochs), seen[-1].resumed) == (400, 4, 0)
    assert seen[-1].seconds == sum(epoch.seconds for epoch in seen[-1].epochs)
    assert not list(kept.glob("*.weights.h5")), "a finished training needs no checkpoint"
    again, told, seen = trained(mine, data, kept)
    assert (told.lines, seen) == ([], [])
    (kept / "model.keras").write_bytes(b"cut")
    anew, _, seen = trained(mine, data, kept)
    assert seen
    for a, b, c in zip(first.get_weights(), again.get_weights(), anew.get_weights(), strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)
    assert [layer.name for layer in first.layers] == [layer.name for layer in again.layers]


def test_a_models_own_training_has_no_epochs_to_tell_of(folder, tmp_path):
    own = """
def train(model, data, card, report):
    report("mine")
    model.set_weights([0 * array + 1 for array in model.get_weights()])
"""
    model, told, seen = trained(folder(code=CODE + own), blobs(), tmp_path / "kept")
    assert told.lines == ["training on blobs, 400 examples", "mine"]
    assert seen[0] == "began"
    assert (seen[1].epochs, seen[1].resumed) == ((), 0)
    assert seen[1].seconds >= 0
    assert all(np.all(array == 1) for array in model.get_weights() if array.dtype == np.float32)


def test_a_board_has_the_loss_of_every_epoch_and_the_metric_where_there_is_one(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = Board(tmp_path)
    board.epoch(Epoch(number=1, loss=0.5, held_out=None, seconds=2.0))
    board.epoch(Epoch(number=2, loss=0.25, held_out=0.75, seconds=2.0))
    board.close()
    written = EventAccumulator(str(tmp_path)).Reload()
    values = {
        tag: [(at.step, at.tensor_proto.float_val[0]) for at in written.Tensors(tag)]
        for tag in written.Tags()["tensors"]
    }
    assert values["training/loss"] == [(1, 0.5), (2, 0.25)]
    assert values["held out/metric"] == [(2, 0.75)]


def test_without_tensorboard_the_way_to_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UserError, match="TensorBoard is not installed") as raised:
        Board(tmp_path / "board")
    assert "counterpoise[tensorboard]" in raised.value.remedy
    assert not (tmp_path / "board").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own account of it is Linux's")
def test_the_peak_of_memory_is_the_kernels():
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    assert peak_rss() >= 0.9 * int(line.split()[1]) * 1024
    assert peak_rss() < 1 << 40
