"""`bench explain`, and the line under the table of a run."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from typer.testing import CliRunner

from bench.analyse.faster import pairs
from bench.cli.main import app
from bench.errors import UserError
from bench.record.artifact import Artifact, Bundle
from bench.record.profile import Profile
from bench.record.row import Row
from bench.report.explain import draw
from bench.runner.explain import Explanation, explain_case
from bench.runner.reopen import reopen
from bench.store import journal, profiles, tables
from bench.store.manifest import ModelEntry, read_manifest, write_manifest
from tests.conftest import bench
from tests.kept_runs import failed, keep, observed, row_of

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
def slow_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of int8 that is slower than fp32, with its journal; the folder above its results."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "slow.toml").write_text(SUITE)
    for _ in range(3):  # on a busy machine a profile may be too slow to tell a cause
        shutil.rmtree(folder / "results", ignore_errors=True)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(journal, "drop", lambda folder: None)
            done = CliRunner().invoke(app, ["run", str(folder / "slow.toml"), "--out", str(folder / "results")])
        assert done.exit_code == 0, done.output
        if "no cause found" not in str(shown(folder)["int8"].why_not_faster):
            break
    return folder


@pytest.fixture
def copied(slow_run: Path, tmp_path: Path) -> Path:
    """The folder of the same run in a place of its own, without its profiles."""
    shutil.copytree(slow_run / "results", tmp_path / "results")
    folder = run_folder(tmp_path)
    shutil.rmtree(folder / "profiles")
    return folder


def run_folder(above: Path) -> Path:
    (found,) = [path for path in (above / "results").iterdir() if path.is_dir()]
    return found


def shown(above: Path) -> dict[str, Row]:
    return {row.case.variant: row for row in reopen(run_folder(above)).rows}


def drawn(found: Explanation) -> str:
    """What a user sees of it."""
    console = Console(file=io.StringIO(), width=240)
    draw(console, found)
    return console.file.getvalue()  # type: ignore[attr-defined]


def kept_of_a_bundle(digits_bundle: tuple[Path, Bundle], results: Path, artifact: Artifact | None) -> Path:
    """A run whose bundle is not in the cache, but still where it was measured from."""
    given, bundle = digits_bundle
    name = bundle.model.name
    seen = observed("int8", 40.0, model=name)
    folder = keep(results, "20260101-000000-s-0001", [msgspec.structs.replace(row_of(seen), artifact=artifact)], [seen])
    entry = ModelEntry(given=str(given), name=name, source_sha256="0", content="gone", dataset="digits")
    manifest = read_manifest(folder)
    write_manifest(folder, msgspec.structs.replace(manifest, models=(entry,), request={"suite": str(given)}))
    return folder


def test_a_profile_is_made_from_the_bundle_that_was_measured_as_long_as_it_is_the_same(
    digits_bundle: tuple[Path, Bundle], tmp_path: Path
) -> None:
    (int8,) = [a for a in digits_bundle[1].artifacts if (a.variant, a.format) == ("int8", "onnx")]
    found = explain_case(kept_of_a_bundle(digits_bundle, tmp_path / "same", int8), "int8")
    assert found.profile.operators, found.profile.reason
    for artifact, told in (
        (None, "is gone"),
        (msgspec.structs.replace(int8, path="gone.onnx"), "is gone"),
        (msgspec.structs.replace(int8, sha256="0" * 64), "is not the one that was measured any more"),
    ):
        folder = kept_of_a_bundle(digits_bundle, tmp_path / f"{told} {artifact is None}", artifact)
        with pytest.raises(UserError, match=told):
            explain_case(folder, "int8")


def test_what_was_not_measured_or_runs_no_model_has_no_operators(tmp_path: Path) -> None:
    nothing = row_of(observed("fp32", 1.0, runtime="null", provider="none"))
    run = keep(tmp_path, "20260101-000000-s-0001", [failed("pruned"), nothing])
    for text, told in (("pruned", "there is nothing to explain: it crashed"), ("null", "null runs no operator")):
        with pytest.raises(UserError, match=told):
            explain_case(run, text)


def test_a_row_that_should_be_faster_and_is_not_says_why(slow_run: Path) -> None:
    cases = shown(slow_run)
    assert "times as fast as fp32" in str(cases["int8"].why_not_faster)
    assert "QuantizeLinear" in str(cases["int8"].why_not_faster)
    assert cases["fp32"].why_not_faster is None
    assert "why not faster, int8 onnxruntime-cpu: 0." in bench("show", cwd=slow_run).stdout
    assert "why not faster, int8 onnxruntime-cpu: 0." in (run_folder(slow_run) / "summary.md").read_text()
    assert sorted(p.stem for p in (run_folder(slow_run) / "profiles").iterdir()) == sorted(
        row.case.id for row in cases.values()
    )


def test_the_operators_stand_beside_those_of_fp32(slow_run: Path) -> None:
    done = bench("explain", "latest", "int8", cwd=slow_run)
    assert done.returncode == 0, done.stderr
    for word in ("DequantizeLinear", "Conv", "fp32: share", "why not faster", "p50 as measured", "enable_profiling"):
        assert word in done.stdout
    told = json.loads(bench("explain", "latest", "int8", "--json", cwd=slow_run).stdout)
    assert told["why_not_faster"] == shown(slow_run)["int8"].why_not_faster
    assert told["reference"].endswith("/graph_optimization=none")
    times = [line["ns"] for line in told["types"]]
    assert times == sorted(times, reverse=True)
    assert sum(line["share"] for line in told["types"]) == pytest.approx(1)
    assert sum(line["reference_share"] for line in told["types"]) == pytest.approx(1)


def test_a_case_is_found_by_id_name_and_unique_part(slow_run: Path) -> None:
    case = shown(slow_run)["int8"].case
    for word in (case.id, case.name, "int8", "digits/int8"):
        assert explain_case(run_folder(slow_run), word).row.case == case


def test_fp32_has_operators_and_nothing_beside_them(slow_run: Path) -> None:
    text = drawn(explain_case(run_folder(slow_run), "fp32"))
    assert "Conv" in text
    assert "not faster" not in text
    assert "fp32: share" not in text


def test_a_row_of_another_scenario_is_not_said_to_promise_nothing(slow_run: Path) -> None:
    found = explain_case(run_folder(slow_run), "int8")
    other = msgspec.structs.replace(found.row, case=msgspec.structs.replace(found.row.case, scenario="offline"))
    text = drawn(msgspec.structs.replace(found, row=other, gain=None, why=None))
    assert "does not promise" not in text
    assert "only single-stream rows are compared with fp32 for speed, and this one is offline" in text


def test_an_unknown_or_unclear_case_exits_with_2(slow_run: Path) -> None:
    done = bench("explain", "latest", "int9", cwd=slow_run)
    assert done.returncode == 2
    assert "unknown case" in done.stderr
    with pytest.raises(UserError, match="is part of 2 cases"):
        explain_case(run_folder(slow_run), "onnxruntime-cpu")


def test_a_profile_that_was_not_kept_is_made_from_the_cache_and_without_the_cache_that_is_said(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, empty = os.environ["BENCH_CACHE_DIR"], str(tmp_path / "empty")
    monkeypatch.setenv("BENCH_CACHE_DIR", empty)
    with pytest.raises(UserError, match="no profile was kept"):
        explain_case(copied, "int8")
    assert not (copied / "profiles").exists()
    monkeypatch.setenv("BENCH_CACHE_DIR", full)
    made = explain_case(copied, "int8")
    assert len(list((copied / "profiles").iterdir())) == 2
    # Now that it is kept, the cache is not needed any more.
    monkeypatch.setenv("BENCH_CACHE_DIR", empty)
    again = explain_case(copied, "int8")
    assert (again.profile, again.reference_profile) == (made.profile, made.reference_profile)


def test_a_profile_that_failed_is_made_again_where_that_can_be(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.environ["BENCH_CACHE_DIR"]
    rows = {row.case.variant: row for row in reopen(copied).rows}
    for row in rows.values():
        profiles.keep(copied, row.case.id, Profile(target=row.case.target, reason="no answer within 5 s"))
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "empty"))
    assert explain_case(copied, "int8").profile.reason == "no answer within 5 s", "the artifact is gone"
    monkeypatch.setenv("BENCH_CACHE_DIR", full)
    found = explain_case(copied, "int8")
    assert found.profile.reason is None
    assert profiles.kept(copied, rows["int8"].case.id) == found.profile
    assert found.why is not None


def test_a_folder_that_takes_no_profile_costs_the_explanation_nothing(copied: Path) -> None:
    (copied / "profiles").write_text("a file where the folder should be")
    found = explain_case(copied, "int8")
    assert found.profile.operators
    assert found.why is not None


def test_a_profile_of_another_machine_explains_nothing_and_is_not_kept(copied: Path) -> None:
    manifest = read_manifest(copied)
    then = msgspec.structs.replace(manifest.environment, cpu_model="another")
    write_manifest(copied, msgspec.structs.replace(manifest, environment=then))
    found = explain_case(copied, "int8")
    assert found.profile.operators
    assert not (copied / "profiles").exists()
    assert found.elsewhere == "cpu_model"
    assert found.why == found.row.why_not_faster, "what the run itself said"
    bare = msgspec.structs.replace(found.row, why_not_faster=None)
    tables.write_cases(copied, manifest.run_id, [bare, *(r for r in reopen(copied).rows if r.case != bare.case)])
    again = explain_case(copied, "int8")
    assert again.why is None
    text = drawn(again)
    assert "it explains nothing of the run" in text
    assert "it is faster" not in text


def test_a_request_to_end_leaves_nothing_behind(copied: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "explain", str(copied), "int8"],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # Until ONNX Runtime has opened its trace; the profile of fp32 is still to come then.
    while not list(scratch.rglob("trace*")):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 130
    assert list(scratch.iterdir()) == []


def test_a_run_that_stopped_before_its_profiles_goes_on_with_them(copied: Path) -> None:
    write_manifest(copied, msgspec.structs.replace(read_manifest(copied), status="interrupted"))
    (copied / tables.CASES).unlink()
    done = CliRunner().invoke(app, ["run", "--resume", str(copied)])
    assert done.exit_code == 0, done.output
    assert read_manifest(copied).status == "complete"
    after = {row.case.variant: row for row in reopen(copied).rows}
    assert after["int8"].why_not_faster is not None
    assert {row.case.id for row in after.values()} == {path.stem for path in (copied / "profiles").iterdir()}


def test_a_run_of_an_older_version_is_readable_and_has_no_line(slow_run: Path, tmp_path: Path) -> None:
    import polars as pl

    shutil.copytree(slow_run / "results", tmp_path / "results")
    folder = run_folder(tmp_path)
    pl.read_parquet(folder / tables.CASES).drop("why_not_faster").write_parquet(folder / tables.CASES)
    rows = reopen(folder).rows
    assert all(row.why_not_faster is None for row in rows)
    assert len(pairs(rows)) == 1
    assert str(explain_case(folder, "int8").why).startswith("0.")
