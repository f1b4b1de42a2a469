"""Training as a user meets it: progress, costs, TensorBoard, and a killed one that goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import bench

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture
def shortened(tmp_path):
    """A folder of models with a digits network of few epochs, and an empty cache."""
    mine = tmp_path / "models" / "mnist_cnn"
    shutil.copytree(MODELS / "mnist_cnn", mine)
    card = mine / "model.toml"
    card.write_text(
        card.read_text().replace("epochs = 20", "epochs = 3").replace("quality_floor = 0.96", "quality_floor = 0.5")
    )
    return mine.parent


def export(shortened, tmp_path, *more, **options):
    return bench(
        "export",
        "mnist_cnn@digits",
        "--variants",
        "fp32",
        "--formats",
        "onnx",
        "--models",
        str(shortened),
        "-o",
        str(tmp_path / "bundle"),
        *more,
        cwd=tmp_path,
        env={"BENCH_CACHE_DIR": str(tmp_path / "cache")},
        **options,
    )


@pytest.mark.slow
def test_time_memory_and_epochs_are_costs_of_the_model_and_energy_says_why_not(shortened, tmp_path):
    done = export(shortened, tmp_path, "--tensorboard", "board", "--json")
    assert done.returncode == 0, done.stderr
    training = json.loads(done.stdout)["model"]["training"]
    assert training["examples"] > 1000
    assert [epoch["number"] for epoch in training["epochs"]] == [1, 2, 3]
    assert training["epochs"][-1]["held_out"] > training["epochs"][0]["held_out"] - 0.05
    costs = training["costs"]
    assert costs["training_time"]["value"] == pytest.approx(sum(e["seconds"] for e in training["epochs"]))
    assert costs["training_peak_rss"]["value"] > 100e6
    energy = costs["training_energy"]
    assert energy["value"] is None or energy["value"] > 0
    assert energy["how"].startswith(("measured:", "unavailable:"))
    for number in (1, 2, 3):
        assert f"training epoch {number}/3, loss" in done.stderr
    assert "held out" in done.stderr
    assert list((tmp_path / "board").glob("events.*"))

    again = export(shortened, tmp_path, "--tensorboard", "again", "--json")
    assert "training epoch" not in again.stderr
    assert json.loads(again.stdout)["model"]["training"] == training
    assert list((tmp_path / "again").glob("events.*")), "a training of long ago is logged from its record"


@pytest.mark.slow
def test_a_training_killed_in_the_middle_resumes(shortened, tmp_path):
    card = shortened / "mnist_cnn" / "model.toml"
    card.write_text(card.read_text().replace("epochs = 3", "epochs = 6"))
    arguments = ["export", "mnist_cnn@digits", "--variants", "fp32", "--formats", "onnx", "--models", str(shortened)]
    first = subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments, "-o", str(tmp_path / "bundle")],
        cwd=tmp_path,
        env={**os.environ, "BENCH_CACHE_DIR": str(tmp_path / "cache")},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert first.stderr is not None
    for line in first.stderr:
        if "epoch 2/6" in line:
            break
    first.send_signal(signal.SIGKILL)
    first.wait()
    time.sleep(1)  # the child ends when its parent is gone
    done = export(shortened, tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    training = json.loads(done.stdout)["model"]["training"]
    assert len(training["epochs"]) == 6
    assert "resumed after epoch" in "".join(training["notes"])
    assert training["costs"]["training_energy"]["value"] is None
    assert "epoch 1/6" not in done.stderr
