"""`bench explain`, and the line under the table of a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.analyse.faster import pairs
from bench.runner.reopen import reopen
from bench.store import tables
from bench.store.manifest import read_manifest
from tests.conftest import bench

pytestmark = pytest.mark.timeout(300)

# Pairs of quantise and dequantise that nothing fuses: int8 is then slower than fp32 on every CPU.
SUITE = """
name = "slow"
[measure]
warmup_min_s = 0.05
warmup_max_s = 0.2
min_s = 0.15
max_s = 0.3
[[matrix]]
models = ["mnist_cnn@digits"]
variants = ["fp32", "int8"]
runtimes = ["onnxruntime-cpu"]
[matrix.options]
graph_optimization = "none"
"""


@pytest.fixture(scope="module")
def slow_run(tmp_path_factory: pytest.TempPathFactory, digits_bundle: tuple[Path, Any]) -> Path:
    """A run of int8 that is slower than fp32; the folder above its results."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "slow.toml").write_text(SUITE)
    del digits_bundle  # it has filled the cache of exports
    done = bench("run", "slow.toml", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def run_folder(above: Path) -> Path:
    (found,) = [path for path in (above / "results").iterdir() if path.is_dir()]
    return found


def shown(above: Path) -> dict[str, Any]:
    cases = json.loads(bench("show", "--json", cwd=above).stdout)["cases"]
    return {case["case"]["variant"]: case for case in cases}


def test_a_row_that_should_be_faster_and_is_not_says_why(slow_run: Path) -> None:
    cases = shown(slow_run)
    assert "times as fast as fp32" in cases["int8"]["why_not_faster"]
    assert "QuantizeLinear" in cases["int8"]["why_not_faster"]
    assert cases["fp32"]["why_not_faster"] is None
    assert "why not faster, int8 onnxruntime-cpu: 0." in bench("show", cwd=slow_run).stdout
    assert "why not faster, int8 onnxruntime-cpu: 0." in (run_folder(slow_run) / "summary.md").read_text()
    assert sorted(p.stem for p in (run_folder(slow_run) / "profiles").iterdir()) == sorted(
        case["id"] for case in cases.values()
    )


def test_the_operators_stand_beside_those_of_fp32(slow_run: Path) -> None:
    done = bench("explain", "latest", "int8", cwd=slow_run)
    assert done.returncode == 0, done.stderr
    for word in ("DequantizeLinear", "Conv", "fp32: share", "why not faster", "p50 without it", "enable_profiling"):
        assert word in done.stdout
    told = json.loads(bench("explain", "latest", "int8", "--json", cwd=slow_run).stdout)
    assert told["why_not_faster"] == shown(slow_run)["int8"]["why_not_faster"]
    assert told["reference"].endswith("/graph_optimization=none")
    times = [line["ns"] for line in told["types"]]
    assert times == sorted(times, reverse=True)
    assert sum(line["share"] for line in told["types"]) == pytest.approx(1)
    assert sum(line["reference_share"] for line in told["types"]) == pytest.approx(1)


def test_a_case_is_found_by_id_name_and_unique_part(slow_run: Path) -> None:
    int8 = shown(slow_run)["int8"]
    names = {
        json.loads(bench("explain", "latest", word, "--json", cwd=slow_run).stdout)["name"]
        for word in (int8["id"], int8["name"], "int8", "digits/int8")
    }
    assert names == {int8["name"]}


def test_fp32_has_operators_and_nothing_beside_them(slow_run: Path) -> None:
    done = bench("explain", "latest", "fp32", cwd=slow_run)
    assert done.returncode == 0, done.stderr
    assert "Conv" in done.stdout
    assert "not faster" not in done.stdout
    assert "fp32: share" not in done.stdout


@pytest.mark.parametrize(("case", "told"), [("int9", "unknown case"), ("onnxruntime-cpu", "is part of 2 cases")])
def test_an_unknown_or_unclear_case_exits_with_2(slow_run: Path, case: str, told: str) -> None:
    done = bench("explain", "latest", case, cwd=slow_run)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_profile_that_was_not_kept_is_made_from_the_cache_and_without_the_cache_that_is_said(
    slow_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(slow_run / "results", tmp_path / "results")
    profiles = run_folder(tmp_path) / "profiles"
    shutil.rmtree(profiles)
    gone = bench("explain", "latest", "int8", cwd=tmp_path, env={"BENCH_CACHE_DIR": str(tmp_path / "empty")})
    assert gone.returncode == 2
    assert "no profile was kept" in gone.stderr
    assert not profiles.exists()
    made = bench("explain", "latest", "int8", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert len(list(profiles.iterdir())) == 2
    # Now that it is kept, the cache is not needed any more.
    again = bench("explain", "latest", "int8", cwd=tmp_path, env={"BENCH_CACHE_DIR": str(tmp_path / "empty")})
    assert again.returncode == 0


def test_a_run_that_stopped_before_its_profiles_goes_on_with_them(slow_run: Path, tmp_path: Path) -> None:
    import msgspec

    from bench.store.manifest import write_manifest

    (tmp_path / "slow.toml").write_text(SUITE)
    shutil.copytree(slow_run / "results", tmp_path / "results")
    folder = run_folder(tmp_path)
    before = shown(tmp_path)
    shutil.rmtree(folder / "profiles")
    # A run that is stopped has its journal still; this one's is gone, so both cases are measured again.
    (folder / "journal").mkdir(exist_ok=True)
    write_manifest(folder, msgspec.structs.replace(read_manifest(folder), status="interrupted"))
    done = bench("run", "--resume", folder.name, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_manifest(folder).status == "complete"
    after = shown(tmp_path)
    assert after["int8"]["why_not_faster"] is not None
    assert {case["id"] for case in before.values()} == {path.stem for path in (folder / "profiles").iterdir()}


def test_a_run_of_an_older_version_is_readable_and_has_no_line(slow_run: Path, tmp_path: Path) -> None:
    import polars as pl

    shutil.copytree(slow_run / "results", tmp_path / "results")
    folder = run_folder(tmp_path)
    pl.read_parquet(folder / tables.CASES).drop("why_not_faster").write_parquet(folder / tables.CASES)
    rows = reopen(folder).rows
    assert all(row.why_not_faster is None for row in rows)
    assert len(pairs(rows)) == 1
    assert "why not faster: 0." in bench("explain", "latest", "int8", cwd=tmp_path).stdout
