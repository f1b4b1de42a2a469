"""A user's own file is measured as the zoo's models are."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from bench.cli.common import BAD_INPUT
from tests.conftest import bench

pytestmark = pytest.mark.timeout(600)
ENDS = ("input", "output")
Run = Callable[..., dict[str, Any]]
KERAS_FILES = """
import keras
from keras import layers
layers_of_mine = [layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(3, activation="softmax")]
keras.Sequential([keras.Input((6, 6, 2)), *layers_of_mine]).save("mine.keras")
import os
code = eval(f"lambda x: (open({os.path.abspath('ran')!r}, 'w').close(), x * 2)[1]")
keras.Sequential([keras.Input((2,)), layers.Lambda(code), layers.Dense(1)]).save("code.keras")
os.remove("ran")
keras.models.load_model("code.keras", safe_mode=False)
os.rename("ran", "ran-where-it-was-trusted")
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`bench run --json` with a short suite in an empty folder."""
    suite = tmp_path / "short.toml"
    suite.write_text(
        "name='short'\n[measure]\nwarmup_max_s=0.3\nmin_s=0.1\nmax_s=0.3\n"
        "[[matrix]]\nvariants=['fp32','int8']\nruntimes=['onnxruntime-cpu','litert-xnnpack']"
    )

    def call(*arguments: str, code: int = 0) -> dict[str, Any]:
        done = bench("run", str(suite), "--json", *arguments, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        return dict(json.loads(done.stdout))

    return call


def images(path: Path) -> np.ndarray:
    return np.frombuffer(gzip.decompress(path.read_bytes())[16:], np.uint8).reshape(-1, 1, 28, 28).astype(np.float32)


def test_the_model_zoo_mnist_reproduces_its_stored_outputs(data_dir: Path, tmp_path: Path, run: Run) -> None:
    folder = data_dir / "models/onnx-mnist"
    pairs = [
        [
            numpy_helper.to_array(onnx.load_tensor(folder / f"test_data_set_{at}" / name))
            for name in ("input_0.pb", "output_0.pb")
        ]
        for at in range(3)
    ]
    np.savez(tmp_path / "three.npz", x=np.concatenate([x for x, _ in pairs]), y=np.concatenate([y for _, y in pairs]))
    found = run("--model", str(folder / "model.onnx"), "--data", "three.npz", "--only", "fp32")
    (case,) = found["cases"]
    assert case["metrics"]["accuracy"]["value"] == pytest.approx(1, abs=1e-6), "R² against the stored outputs"
    assert case["metrics"]["accuracy"]["n"] == 3
    assert case["metrics"]["parity_max_abs"]["value"] < 1e-3


def test_the_model_zoo_mnist_has_its_accuracy_on_the_mnist_test_set(data_dir: Path, tmp_path: Path, run: Run) -> None:
    labels = gzip.decompress((data_dir / "mnist/t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    np.savez(
        tmp_path / "mnist.npz",
        x=images(data_dir / "mnist/t10k-images-idx3-ubyte.gz"),
        y=np.frombuffer(labels, np.uint8).astype(np.int64),
        calibration=images(data_dir / "mnist/train-images-idx3-ubyte.gz")[:128],
    )
    found = run("--model", str(data_dir / "models/onnx-mnist/model.onnx"), "--data", "mnist.npz")
    accuracy = {case["case"]["variant"]: case["metrics"]["accuracy"] for case in found["cases"]}
    assert accuracy["fp32"]["value"] == pytest.approx(0.9891)
    assert accuracy["fp32"]["n"] == 10_000
    assert accuracy["fp32"]["low"] < 0.9891 < accuracy["fp32"]["high"]
    assert accuracy["int8"]["value"] > 0.9691
    assert {case["dataset"] for case in found["cases"]} == {"mnist.npz"}
    assert "litert-xnnpack: not run for" in " ".join(found["notes"])


def test_without_data_the_inputs_are_generated_and_accuracy_is_unavailable(data_dir: Path, run: Run) -> None:
    found = run("--model", str(data_dir / "models/onnx-mnist/model.onnx"))
    cases = {case["case"]["variant"]: case for case in found["cases"]}
    assert cases["fp32"]["metrics"]["accuracy"]["how"] == "unavailable:no evaluation data"
    assert cases["fp32"]["metrics"]["p50_latency"]["value"] > 0
    assert cases["fp32"]["dataset"].startswith("generated inputs")
    assert cases["int8"]["status"] == "unavailable"
    assert "calibration" in cases["int8"]["failure"]["reason"]


def test_a_tflite_file_is_measured_as_it_is(data_dir: Path, run: Run) -> None:
    found = run("--model", str(data_dir / "models/mlperf-tiny-resnet/pretrainedResnet_quant.tflite"))
    (ok,) = [case for case in found["cases"] if case["status"] == "ok"]
    assert ok["case"]["variant"] == "source", "a quantised file is not called fp32"
    assert ok["metrics"]["parity_max_abs"]["value"] < 0.01
    assert [case["failure"]["reason"] for case in found["cases"] if case["status"] == "unavailable"]


def test_a_keras_file_runs_on_both_runtimes(run: Run, keras_files: Path) -> None:
    found = run("--model", str(keras_files / "mine.keras"), "--only", "fp32")
    assert {case["case"]["runtime"] for case in found["cases"]} == {"onnxruntime", "litert"}
    for case in found["cases"]:
        assert case["status"] == "ok", case["failure"]
        assert case["metrics"]["parity_max_abs"]["value"] < 1e-4


def test_a_stateful_model_with_three_inputs_runs_on_given_feeds(data_dir: Path, tmp_path: Path, run: Run) -> None:
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "feeds.npz",
        **{  # type: ignore[arg-type]
            "x:input": rng.normal(0, 0.1, (5, 1, 512)).astype(np.float32),
            "x:state": np.zeros((5, 2, 1, 128), np.float32),
            "x:sr": np.full(5, 16_000, np.int64),
        },
    )
    model = data_dir / "models/silero-vad/silero_vad_16k_op15.onnx"
    found = run("--model", str(model), "--data", "feeds.npz", "--only", "fp32")
    (case,) = found["cases"]
    assert case["status"] == "ok", case["failure"]
    assert len(case["artifact"]["inputs"]) == 3
    assert case["metrics"]["parity_max_abs"]["value"] < 1e-3
    assert case["metrics"]["parity_max_abs"]["n"] == 5


def test_a_model_that_does_not_run_on_generated_inputs_says_so(data_dir: Path, tmp_path: Path) -> None:
    model = data_dir / "models/silero-vad/silero_vad_16k_op15.onnx"
    done = bench("run", "--model", str(model), cwd=tmp_path)
    assert done.returncode == BAD_INPUT
    assert "does not run on these inputs" in done.stderr
    assert "--data" in done.stderr


@pytest.fixture(scope="session")
def keras_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small Keras 3 files, made in a process of its own as a user would have made them."""
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("keras")
    done = subprocess.run(
        [sys.executable, "-c", KERAS_FILES],
        cwd=folder,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_a_keras_file_with_code_inside_is_refused(tmp_path: Path, keras_files: Path) -> None:
    """A Lambda layer is code from a file that nobody has vouched for; this one writes a file when it is loaded."""
    done = bench("run", "--model", str(keras_files / "code.keras"), cwd=tmp_path)
    assert done.returncode == BAD_INPUT
    assert "Traceback" not in done.stderr
    assert "code.keras" in done.stderr
    assert (keras_files / "ran-where-it-was-trusted").exists()
    assert not (keras_files / "ran").exists()
