"""`bench history`: over the complete runs of a folder and saved baselines, whatever else lies there."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from bench.cli.main import app
from bench.store.manifest import NAME, write_manifest
from bench.store.tables import CASES, write_cases
from tests.conftest import bench
from tests.report.test_tables import manifest_for, row

STEP, RUNS = 8, 16


def here(*arguments: str, cwd: Path) -> Result:
    """The command in this process: one test below types it as a user does."""
    before = Path.cwd()
    os.chdir(cwd)
    try:
        return CliRunner().invoke(app, arguments)
    finally:
        os.chdir(before)


def make_run(results: Path, at: int, latency: float, *, onnxruntime: str = "1.31.0", status: str = "complete") -> Path:
    folder = results / f"202601{at + 1:02d}-000000-s-aa"
    folder.mkdir(parents=True)
    rows = [row("fp32", latency=latency), row("int8", latency=latency / 2)]
    manifest = manifest_for(*rows, status=status)
    packages = manifest.environment.packages | {"onnxruntime": onnxruntime}
    write_manifest(
        folder,
        msgspec.structs.replace(
            manifest,
            run_id=folder.name,
            created=f"2026-01-{at + 1:02d}T00:00:00+00:00",
            environment=msgspec.structs.replace(manifest.environment, packages=packages),
        ),
    )
    write_cases(folder, folder.name, rows)
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with runs whose latency rises by 30 % with a new runtime."""
    folder = tmp_path_factory.mktemp("history")
    noise = np.random.default_rng(0).normal(0, 0.01, RUNS)
    for at in range(RUNS):
        newer = at >= STEP
        level = 80e-6 * (1.3 if newer else 1.0) * float(np.exp(noise[at]))
        make_run(folder / "results", at, level, onnxruntime="1.32.0" if newer else "1.31.0")
    return folder


@pytest.fixture
def mine(kept: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    shutil.copytree(kept / "results", tmp_path / "results")
    return tmp_path


def test_the_table_names_run_ratio_and_likely_cause(kept: Path) -> None:
    done = bench("history", "p50_latency", cwd=kept)
    assert done.returncode == 0, done.stderr
    for word in ("m/fp32/onnxruntime-cpu", "20260109-000000-s-aa", "worse", "onnxruntime 1.31.0 -> 1.32.0"):
        assert word in done.stdout


def test_json_is_one_document_with_every_point(kept: Path) -> None:
    done = here("history", "p50_latency", "--only", "*int8*", "--json", cwd=kept)
    found = json.loads(done.stdout)
    assert len(found["runs"]) == RUNS
    (case,) = found["cases"]
    assert len(case["points"]) == RUNS
    (turn,) = case["turns"]
    assert found["runs"][turn["at"]] == turn["run"] == "20260109-000000-s-aa"
    assert turn["ratio"] == pytest.approx(1.3, rel=0.03)


def test_the_newest_runs_alone_may_be_asked_for_and_few_have_no_change_points(kept: Path) -> None:
    done = here("history", "p50_latency", "--last", "3", "--json", cwd=kept)
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["runs"] == [f"202601{day}-000000-s-aa" for day in (14, 15, 16)]
    assert "too few" in here("history", "p50_latency", "--last", "3", cwd=kept).stdout


def test_the_plot_is_written_where_it_was_asked_for(kept: Path, tmp_path: Path) -> None:
    done = here("history", "p50_latency", "--plot", str(tmp_path / "h.svg"), "--json", cwd=kept)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["metric"] == "p50_latency", "what is said of the file goes to stderr"
    assert (tmp_path / "h.svg").read_bytes().startswith(b"<svg")


Damage = Callable[[Path], object]
DAMAGES: dict[str, Damage] = {
    "a table that is not one": lambda run: (run / CASES).write_bytes(b"not a table"),
    "no table": lambda run: (run / CASES).unlink(),
    "a manifest that is not one": lambda run: (run / NAME).write_bytes(b"{"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_run_that_cannot_be_read_is_named_and_left_out(mine: Path, damage: Damage) -> None:
    broken = mine / "results" / "20260104-000000-s-aa"
    damage(broken)
    done = here("history", "p50_latency", "--json", cwd=mine)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert broken.name not in found["runs"]
    assert len(found["runs"]) == RUNS - 1
    (note,) = found["notes"]
    assert note.startswith("left out, ")
    assert note.endswith(f": {broken.name}")
    assert f": {broken.name}" in here("history", "p50_latency", cwd=mine).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text here")
def test_a_run_whose_name_is_no_text_is_left_out(mine: Path) -> None:
    run = mine / "results" / "20260104-000000-s-aa"
    run.rename(run.with_name(os.fsdecode(b"20260104-000000-s-\xff")))
    done = here("history", "p50_latency", "--json", cwd=mine)
    assert done.exit_code == 0, done.stderr
    (note,) = json.loads(done.stdout)["notes"]
    assert note.endswith("its path has bytes that are not text (UTF-8); rename it: 20260104-000000-s-?")


def test_a_run_that_is_not_complete_is_left_out(mine: Path) -> None:
    make_run(mine / "results", 20, 1.0, status="interrupted")
    found = json.loads(here("history", "p50_latency", "--json", cwd=mine).stdout)
    assert len(found["runs"]) == RUNS
    assert "not complete (interrupted)" in found["notes"][0]


def test_a_saved_baseline_stands_in_for_a_run_that_is_gone_and_is_not_counted_twice(mine: Path) -> None:
    old = "20260102-000000-s-aa"
    assert here("baseline", "save", "main", old, cwd=mine).exit_code == 0
    before = json.loads(here("history", "p50_latency", "--json", cwd=mine).stdout)
    shutil.rmtree(mine / "results" / old)
    after = json.loads(here("history", "p50_latency", "--json", cwd=mine).stdout)
    assert before == after
    assert len(after["runs"]) == RUNS


def refused(done: Result) -> str:
    assert done.exit_code == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


def test_bad_input_is_one_message_and_exit_code_2(kept: Path, tmp_path: Path) -> None:
    assert "did you mean 'p50_latency'" in refused(here("history", "p50_latenc", cwd=kept))
    assert "no case matches nothing" in refused(here("history", "size", "--only", "nothing", cwd=kept))
    assert "cannot be written as .pdf" in refused(here("history", "size", "--plot", "h.pdf", cwd=kept))
    assert "there are no complete runs" in refused(here("history", "size", cwd=tmp_path))
    assert list(kept.iterdir()) == [kept / "results"]
