"""What the search is for: settings that beat the default ones, on a model of the zoo and on a user's own file.

`tox -e trials`; some ten minutes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.report.tune import confirmed
from bench.runner.tune.prepare import Asked
from bench.runner.tune.result import Tuned
from bench.runner.tune.search import tune
from bench.runtimes.table import unavailable
from tests.conftest import bench
from tests.trials.sides import Quiet

pytestmark = [pytest.mark.trials, pytest.mark.timeout(3600)]

CROPS = """
name = "crops"
[[matrix]]
models = ["resnet.onnx"]
variants = ["fp32"]
runtimes = ["onnxruntime-cpu"]
[tune]
constraints = { parity_agreement = ">= 0.97" }
trials = 24
[tune.space]
variant = ["fp32", "fp16", "int8", "int8-dynamic"]
runtime = ["onnxruntime-cpu", "openvino-cpu"]
threads = [1, 2]
graph_optimization = ["basic", "extended", "all"]
spinning = [true, false]
"""


class Told(Quiet):
    """Prints what is tried."""

    def stage(self, text: str, share: float | None = None, *, passing: bool = False) -> None: ...
    def begin(self, total: int, done: int) -> None: ...
    def case(self, case: object, invocation: int) -> None: ...
    def done(self, row: object) -> None: ...
    def searching(self, trials: int, done: int) -> None: ...
    def trial(self, name: str) -> None: ...

    def tried(self, name: str, told: str) -> None:
        print(f"{name}: {told}", flush=True)


def gain(found: Tuned) -> float:
    """The least improvement that the interval of the confirmation leaves, as a share."""
    assert found.confirmation is not None
    assert found.chosen is not None
    print(f"{found.chosen.setup.name}: {confirmed(found.confirmation)}", flush=True)
    assert found.confirmation.verdict == "improved"
    assert found.confirmation.report is not None
    assert found.confirmation.report.rounds >= 6
    shares = found.confirmation.gain
    assert shares is not None
    return -shares[2]


def test_it_beats_the_default_settings_on_the_digits_network_without_losing_accuracy(tmp_path: Path) -> None:
    found = tune(Asked(model="mnist_cnn@digits", min_accuracy=0.96, trials=30, out=str(tmp_path)), Told())
    assert gain(found) > 0.1
    assert found.chosen is not None
    accuracy = found.chosen.figures["accuracy"].value
    assert accuracy is not None
    assert accuracy >= 0.96


def test_it_beats_the_default_settings_on_an_onnx_file_of_ones_own(data_dir: Path, tmp_path: Path) -> None:
    if reason := unavailable("openvino-cpu"):
        pytest.skip(reason)
    # The network of MLPerf Tiny that others trained, as an ONNX file, and photographs for it.
    assert data_dir
    done = bench("export", "resnet8@imported", "--variants", "fp32", "-o", "bundle", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (model,) = (tmp_path / "bundle").rglob("*.onnx")
    model.rename(tmp_path / "resnet.onnx")
    with np.load(tmp_path / "bundle/data/inputs.npz") as inputs:
        photographs = inputs["0"]
    np.savez(tmp_path / "photographs.npz", x=photographs[128:], calibration=photographs[:128])
    (tmp_path / "crops.toml").write_text(CROPS)
    suite, data = str(tmp_path / "crops.toml"), str(tmp_path / "photographs.npz")
    found = tune(Asked(suite=suite, data=data, out=str(tmp_path)), Told())
    assert gain(found) > 0.05
    assert found.chosen is not None
    agreement = found.chosen.figures["parity_agreement"].value
    assert agreement is not None
    assert agreement >= 0.97
