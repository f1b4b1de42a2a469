"""The zoo, trained in a shortened form: every small model goes the whole way, on both runtimes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import bench, bench_process

MODELS = Path(__file__).parents[2] / "models"
SHORT = {
    "credit_risk": 1,
    "keyword_spotting": 1,
    "text_classifier": 1,
    "recommender": 1,
}
"""Epochs; what is not named here is quick as it is."""
ZOO = [
    "keyword_spotting@random",
    "text_classifier@sms-spam",
    "credit_risk",
    "recommender@two-tower",
    "resnet8@imported",
    "anomaly_detection",
    "linear_regression@diabetes",
]
SUITE = f"""
name = "short"
floors = "fail"
[measure]
warmup_min_s = 0.05
warmup_max_s = 0.2
min_s = 0.05
max_s = 0.3
min_samples = 20
[[matrix]]
models = {ZOO}
variants = ["fp32", "int8"]
runtimes = ["onnxruntime-cpu", "litert-xnnpack"]
"""

VARIANTS = ("--variants", "fp32,int8")
Row = dict[str, Any]


@pytest.fixture(scope="module")
def rows(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    """The rows by name of a run in which few epochs suffice for every floor but one."""
    del data_dir
    cwd = tmp_path_factory.mktemp("zoo")
    for folder in sorted(MODELS.iterdir()):
        mine = cwd / "models" / folder.name
        shutil.copytree(folder, mine)
        card = mine / "model.toml"
        text = card.read_text()
        if folder.name in SHORT:
            text = re.sub(r"^epochs = \d+", f"epochs = {SHORT[folder.name]}", text, flags=re.MULTILINE)
            text = re.sub(r"quality_floor = [\d.]+", "quality_floor = 0.15", text)
            text = re.sub(r"over_baseline = [\d.]+", "over_baseline = 0.6", text)
        card.write_text(text)

    def export(model: str) -> subprocess.CompletedProcess[str]:
        alone = {"TF_NUM_INTRAOP_THREADS": "1"}
        return bench_process("export", model, *VARIANTS, "-o", f"b/{model}", cwd=cwd, env=alone)

    # Two at once, each on one core, take little more than half of the time.
    with ThreadPool(2) as pool:
        made = pool.map(export, ZOO, chunksize=1)
    assert [done.returncode for done in made] == [0] * len(ZOO), [done.stderr for done in made]
    (cwd / "short.toml").write_text(SUITE)
    done = bench("run", "short.toml", "--json", cwd=cwd)
    assert done.returncode == 1, done.stderr
    return {
        f"{row['case']['model']} {row['case']['variant']} {row['case']['runtime']}": row
        for row in json.loads(done.stdout)["cases"]
    }


@pytest.mark.slow
def test_every_model_has_its_rows_on_both_runtimes(rows: dict[str, Row]) -> None:
    assert len(rows) == 7 * 2 * 2
    without_figure = {name for name, row in rows.items() if row["metrics"]["p50_latency"]["value"] is None}
    assert not without_figure


@pytest.mark.slow
def test_only_the_model_that_cannot_reach_its_floor_fails_and_keeps_its_figures(rows: dict[str, Row]) -> None:
    failed = {name for name, row in rows.items() if row["status"] != "ok"}
    assert failed == {"recommender@two-tower fp32 onnxruntime", "recommender@two-tower fp32 litert"}
    row = rows["recommender@two-tower fp32 onnxruntime"]
    assert re.search(
        r"hit rate @10 0\.\d+ is below the model's floor of .* \(popularity 0\.\d+ \+ 0\.6\)", row["failure"]["reason"]
    )
    assert row["metrics"]["accuracy"]["value"] > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("model", ["credit_risk@uci", "keyword_spotting@random", "text_classifier@sms-spam"])
def test_quality_has_intervals_robustness_and_calibration(rows: dict[str, Row], model: str) -> None:
    for variant in ("fp32", "int8"):
        metrics = rows[f"{model} {variant} onnxruntime"]["metrics"]
        for name in ("accuracy", "robustness", "robustness_worst", "calibration_error"):
            assert metrics[name]["low"] <= metrics[name]["value"] <= metrics[name]["high"], name
        assert metrics["robustness_worst"]["value"] <= metrics["robustness"]["value"]


@pytest.mark.slow
def test_runtimes_agree_on_the_quality_of_the_same_model(rows: dict[str, Row]) -> None:
    for model in (
        "credit_risk@uci",
        "keyword_spotting@random",
        "text_classifier@sms-spam",
        "linear_regression@diabetes",
    ):
        one, other = (
            rows[f"{model} fp32 {runtime}"]["metrics"]["accuracy"]["value"] for runtime in ("onnxruntime", "litert")
        )
        assert one == pytest.approx(other, abs=0.005)


@pytest.mark.slow
def test_the_imported_resnet_decides_in_int8_as_in_fp32_where_it_is_decided(rows: dict[str, Row]) -> None:
    for runtime in ("onnxruntime", "litert"):
        metrics = rows[f"resnet8@imported int8 {runtime}"]["metrics"]
        assert metrics["clear_agreement"]["value"] >= 0.97
        assert metrics["clear_agreement"]["n"] > 500
        assert metrics["parity_agreement"]["value"] > 0.85


@pytest.mark.slow
def test_the_imported_autoencoder_rebuilds_in_int8_what_it_rebuilds_in_fp32(rows: dict[str, Row]) -> None:
    for runtime in ("onnxruntime", "litert"):
        assert rows[f"anomaly_detection@imported int8 {runtime}"]["metrics"]["parity_cosine"]["value"] >= 0.99
