"""What the variants are for, as a user sees it: a smaller model that is faster, int8 that decides alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.analyse.faster import speed_up
from bench.record.codec import from_json
from bench.record.measurement import Measurement
from tests.conftest import bench

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BRIEF = "[measure]\nwarmup_max_s=0.3\nmin_s=0.2\nmax_s=0.4\n"
HELD = "[variants.held]\nfrom='int8'\nexclude='auto'\nmax_loss=0.03\n"


def _rows(suite: str, folder: Path, *arguments: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The rows of a run by model, variant and runtime."""
    (folder / "s.toml").write_text(f"name='s'\n{suite}")
    done = bench("run", "s.toml", *arguments, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["cases"]
    return {(row["case"]["model"], row["case"]["variant"], row["case"]["runtime"]): row for row in rows}


def _figure(row: dict[str, Any], name: str) -> Measurement:
    return from_json(json.dumps(row["metrics"][name]).encode(), Measurement)


@pytest.mark.parametrize("target", ["onnxruntime-cpu", pytest.param("litert-xnnpack", marks=pytest.mark.trials)])
def test_half_the_channels_are_faster_beyond_the_noise_and_as_accurate_to_a_point(tmp_path, target):
    rows = _rows(
        "[measure]\nwarmup_max_s=0.3\nmin_s=0.15\nmax_s=0.3\ninvocations=4\n"
        "[[matrix]]\nmodels=['mnist_cnn@digits']\nvariants=['fp32','pruned-channels']\n"
        f"runtimes=['{target}']\n",
        tmp_path,
    )
    dense, small = rows.values()
    assert small["artifact"]["macs"] < 0.3 * dense["artifact"]["macs"]
    gain = speed_up(_figure(small, "p50_latency"), _figure(dense, "p50_latency"))
    assert gain is not None
    assert gain.sure, f"{gain.value:.2f} times as fast ({gain.low} to {gain.high})"
    assert _figure(small, "accuracy").value >= _figure(dense, "accuracy").value - 0.01


@pytest.mark.trials
def test_the_resnet_in_int8_decides_alike_and_is_measured_beside_the_reference_file(tmp_path, data_dir):
    reference = data_dir / "models/mlperf-tiny-resnet/pretrainedResnet_quant.tflite"
    rows = _rows(
        f"{BRIEF}{HELD}[[matrix]]\nmodels=['resnet8@imported']\nvariants=['fp32','held']\n"
        "runtimes=['onnxruntime-cpu','litert-xnnpack']\n"
        f"[[matrix]]\nmodels=['{reference}']\nvariants=['fp32']\nruntimes=['litert-xnnpack']\n",
        tmp_path,
    )
    for runtime in ("onnxruntime", "litert"):
        row = rows["resnet8@imported", "held", runtime]
        assert _figure(row, "parity_agreement").value >= 0.97
        assert 0 < row["artifact"]["quantised_macs"] < 1
    assert _figure(rows["pretrainedResnet_quant", "source", "litert"], "p50_latency").value > 0


@pytest.mark.trials
def test_the_autoencoder_in_int8_points_where_the_float_one_does_and_is_measured_beside_the_reference(
    tmp_path, data_dir
):
    reference = data_dir / "models/mlperf-tiny-ad/ad01_int8.tflite"
    rows = _rows(
        f"{BRIEF}[[matrix]]\nmodels=['anomaly_detection@imported']\nvariants=['int8']\n"
        "runtimes=['onnxruntime-cpu','litert-xnnpack']\n"
        f"[[matrix]]\nmodels=['{reference}']\nvariants=['fp32']\nruntimes=['litert-xnnpack']\n",
        tmp_path,
    )
    for runtime in ("onnxruntime", "litert"):
        assert _figure(rows["anomaly_detection@imported", "int8", runtime], "parity_cosine").value >= 0.99
    assert _figure(rows["ad01_int8", "source", "litert"], "p50_latency").value > 0


def test_two_files_of_a_model_are_measured_and_compared_with_each_other(tmp_path, data_dir):
    folder = data_dir / "models/mlperf-tiny-kws"
    rows = _rows(
        f"{BRIEF}[[matrix]]\nmodels=['{folder}/kws_ref_model_float32.tflite','{folder}/kws_ref_model.tflite']\n"
        "variants=['fp32']\nruntimes=['litert-xnnpack']\n",
        tmp_path,
    )
    first, second = rows["kws_ref_model_float32", "source", "litert"], rows["kws_ref_model", "source", "litert"]
    gain = speed_up(_figure(second, "p50_latency"), _figure(first, "p50_latency"))
    assert gain is not None
    assert gain.low is not None
    assert gain.high is not None
    assert gain.low < gain.value < gain.high
    assert first["artifact"]["macs"] == second["artifact"]["macs"] > 0, "two files of one network"
    assert (first["artifact"]["inputs"][0]["dtype"], second["artifact"]["inputs"][0]["dtype"]) == ("float32", "int8")
