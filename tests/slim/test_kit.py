"""The road of a target that can run nothing but Python: one file there, a run folder back, the same rows."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.optional import NO_INTERVAL
from bench.report.files import write_summaries
from bench.runner import kit_main
from bench.runner.adopt import Adopted, adopt
from bench.runner.kit import NEEDS, make_kit
from bench.runner.rows import row_of
from bench.store import journal, transit
from bench.store.manifest import read_manifest
from tests.conftest import bench
from tests.slim.pretend import without

pytest.importorskip("polars", reason="the host's side of it needs the full install")

BUNDLE = Path(__file__).parent / "data" / "line.zip"
"""A line as a bundle: `bench export linear_regression@line --variants fp32,int8`."""
NOT_THERE = ("polars", "scipy", "onnx", "tensorflow", "keras", "sklearn", "altair", "jinja2")
SLIM = Path(__file__).parents[2] / "packaging" / "runtime" / "pyproject.toml"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where a kit was run by a Python that has only what the slim install has."""
    folder = tmp_path_factory.mktemp("target")
    kit = make_kit(BUNDLE, folder / "kit.pyz")
    assert kit.artifacts == 4
    done = subprocess.run(
        [sys.executable, "kit.pyz", "--no-install", "--only", "*/fp32/onnxruntime-cpu/*"],
        cwd=folder,
        env=without(NOT_THERE, folder / "site"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert NO_INTERVAL in done.stdout
    assert "to bring home" in done.stdout
    return folder / "counterpoise"


@pytest.fixture(scope="module")
def home(target: Path, tmp_path_factory: pytest.TempPathFactory) -> Adopted:
    (packed,) = target.glob("*.zip")
    return adopt(packed, tmp_path_factory.mktemp("home"), write_summaries)


def test_the_target_keeps_what_was_seen_and_no_table(target: Path) -> None:
    (run,) = (target / "results").iterdir()
    assert transit.check(run, run).run_id == run.name
    assert not list(run.glob("*.parquet"))
    (row,) = transit.read_rows(run)
    figure = row.metrics["p50_latency"]
    assert figure.value is not None
    assert figure.low is None
    assert figure.how.endswith(NO_INTERVAL)
    assert row.metrics["accuracy"].value == pytest.approx(0.999, abs=0.001)
    assert {"summary.md", "summary.csv"} <= {path.name for path in run.iterdir()}


def test_the_row_at_home_is_that_of_the_same_observations(target: Path, home: Adopted) -> None:
    (run,) = (target / "results").iterdir()
    manifest = read_manifest(run)
    (there,) = transit.read_rows(run)
    seen = {(o.case.id, o.invocation): o for o in journal.read(run)}
    made = row_of(there.case, seen, manifest=manifest, entry=manifest.models[0], artifact=there.artifact)
    (row,) = home.run.rows
    assert row.metrics == made.metrics
    assert row.metrics["p50_latency"].low is not None
    assert row.metrics["p50_latency"].value == there.metrics["p50_latency"].value
    assert row.artifact == there.artifact
    assert home.run.manifest.environment == manifest.environment


def test_the_commands_tell_what_they_made(target: Path, tmp_path: Path) -> None:
    made = bench("remote", str(BUNDLE), "-o", "kit.pyz", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "linear_regression@line, 4 artifacts" in made.stdout
    (packed,) = target.glob("*.zip")
    taken = bench("import", str(packed), "--json", cwd=tmp_path)
    assert taken.returncode == 0, taken.stderr
    told = json.loads(taken.stdout)
    assert (told["new"], told["cases"], told["run"]) == (True, 1, packed.stem)
    again = bench("import", str(packed), cwd=tmp_path)
    assert "nothing was written" in again.stdout
    shown = bench("show", "--json", cwd=tmp_path)
    assert json.loads(shown.stdout)["run_id"] == packed.stem


def test_the_same_bundle_makes_the_same_kit(tmp_path: Path) -> None:
    make_kit(BUNDLE, tmp_path / "a.pyz")
    first = (tmp_path / "a.pyz").read_bytes()
    make_kit(BUNDLE, tmp_path / "a.pyz")
    assert (tmp_path / "a.pyz").read_bytes() == first
    with zipfile.ZipFile(tmp_path / "a.pyz") as kit:
        names = kit.namelist()
        assert kit.read(kit_main.BUNDLE) == BUNDLE.read_bytes()
    assert "app/bench/worker/child.py" in names
    assert "app/bench/_data/hardware_profiles/generic-cpu.toml" in names
    assert not [name for name in names if "__pycache__" in name]


def test_a_kit_takes_no_place_of_anything_else(tmp_path: Path) -> None:
    (tmp_path / "mine.pyz").write_text("mine")
    with pytest.raises(UserError, match="not a kit"):
        make_kit(BUNDLE, tmp_path / "mine.pyz")
    with pytest.raises(UserError, match="one file for Python"):
        make_kit(BUNDLE, tmp_path / "kit.zip")
    (tmp_path / "b.zip").write_text("no bundle")
    with pytest.raises(UserError):
        make_kit(tmp_path / "b.zip", tmp_path / "kit.pyz")
    assert not (tmp_path / "kit.pyz").exists()


def test_a_kit_installs_what_the_slim_install_has() -> None:
    assert list(NEEDS) == tomllib.loads(SLIM.read_text(encoding="utf-8"))["project"]["dependencies"]
