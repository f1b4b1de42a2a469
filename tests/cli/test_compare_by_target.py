"""`bench compare RUN RUN … --by target` as a user sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bench.api
from tests.analyse.target_runs import BOARD, keep, with_artifact
from tests.conftest import bench as command

MATRIX = ("--by", "target", "--only", "*/single-stream")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs of three machines; that of `other` exported its own artifacts."""
    folder = tmp_path_factory.mktemp("targets")
    keep(folder / "results", "a")
    keep(folder / "results", "board", 3.0, environment=BOARD)
    keep(folder / "results", "other", environment=BOARD, change=lambda row: with_artifact(row, "f" * 64))
    (folder / "results/fleet").mkdir()
    (folder / "results/fleet/fleet.json").write_text(json.dumps({"runs": ["a", "board"]}))
    return folder


def test_variants_stand_by_targets_with_ratios_and_what_the_targets_are(work):
    done = command("compare", "a", "board", *MATRIX, "--metric", "p50_latency", "--metric", "cost", cwd=work)
    assert done.returncode == 0, done.stderr
    told = done.stdout
    assert "A server-cpu-vnni" in told
    assert "B generic-cpu (Cortex-A76)" in told
    assert "B / A" in told
    assert "×3.00 [2.91," in told
    assert "*: surely the best of its row" in told
    assert "≈ estimate" in told
    assert "an example to be replaced by your own" in told
    assert "B: the machine differs from the reference in cpu_model" in told
    assert "fewer than 3 processes" in told


def test_everything_is_in_the_document(work):
    done = command("compare", "a", "board", *MATRIX, "--metric", "accuracy", "--json", cwd=work)
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert [target["run"] for target in found["targets"]] == ["a", "board"]
    cell = found["matrices"][0]["lines"][0]["cells"][1]
    assert cell["figure"]["how"] == "measured:evaluation"
    assert cell["change"]["ratio"] == 1
    assert cell["artifact"]


def test_what_may_not_be_compared_ends_with_3_and_says_what_to_do(work):
    done = command("compare", "a", "other", *MATRIX, cwd=work)
    assert done.returncode == 3
    assert "refused" in done.stdout
    assert "artifact differs (tflite ffffffff against tflite" in done.stdout
    assert "run one bundle on every machine" in done.stdout
    allowed = command("compare", "a", "other", *MATRIX, "--allow-mismatch", "artifact", cwd=work)
    assert allowed.returncode == 0
    assert "allowed: artifact differs" in allowed.stdout


def test_a_fleet_stands_for_its_runs(work):
    fleet = command("compare", "fleet", *MATRIX, "--json", cwd=work)
    runs = command("compare", "a", "board", *MATRIX, "--json", cwd=work)
    assert fleet.returncode == 0, fleet.stderr
    assert fleet.stdout == runs.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("a", "board", "--by", "target", "--metric", "beauty"), "unknown metric"),
        (("a", "board", "--by", "target", "--reference", "moon"), "unknown target"),
        (("a", "board", "--by", "target", "--allow-mismatch", "moon"), "unknown key"),
        (("a", "board", "--by", "target", "--normalise-by", "*"), "--normalise-by"),
        (("a", "board", "--by", "moon"), "moon"),
        (("a", "nowhere", "--by", "target"), "unknown run"),
        (("a", "board", "other"), "--by target"),
        (("a", "board", "--each"), "--by target"),
        (("a", "board", "--reference", "a"), "--by target"),
    ],
)
def test_bad_input_ends_with_2(work, arguments, told):
    done = command("compare", *arguments, cwd=work)
    assert done.returncode == 2
    assert told in done.stderr


def test_the_same_from_python_as_a_frame(work):
    found = bench.api.compare_targets("a", "other", metric="p50_latency", only="*/single-stream", out=work / "results")
    frame = found.to_polars()
    assert frame.height == 6
    assert frame["refused"].sum() == 3
    assert frame.filter(frame["target"] == found.record.reference)["ratio"].to_list() == [1.0] * 3
    assert "2 targets" in repr(found)
    assert "×" not in found._repr_html_() or "refused" in found._repr_html_()


def test_a_figure_that_a_target_has_not_is_a_null_with_its_reason_in_the_frame(work):
    found = bench.api.compare_targets("a", "board", metric="energy", only="*/single-stream", out=work / "results")
    frame = found.to_polars()
    assert frame["value"].null_count() == frame["ratio"].null_count() == frame.height
    assert all("RAPL" in why for why in frame["absent"])
