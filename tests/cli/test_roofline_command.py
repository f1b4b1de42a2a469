"""`bench roofline`: a run against the peaks of this machine or of a profile."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner, Result

from bench.cli.roofline import roofline
from bench.runner.limits import peaks_for
from bench.store.manifest import read_manifest, write_manifest
from tests.analyse.machines import artifact
from tests.kept_runs import failed, keep, observed, row_of

PROFILE = """
name = "board"
title = "A board"
kind = "cpu"
providers = ["onnxruntime-cpu"]
[match]
cpu_model = "long ago"
[cores]
{stated4}
[peak.fp32]
{stated2e11}
[peak.int8]
{stated8e11}
[memory.size]
{stated8e9}
[memory.bandwidth]
{stated2e10}
[call.onnxruntime-cpu]
{stated2e-6}
[node.onnxruntime-cpu]
{stated1e-7}
"""


def stated(text: str) -> str:
    for value in ("4", "2e11", "8e11", "8e9", "2e10", "2e-6", "1e-7"):
        text = text.replace(f"{{stated{value}}}", f'value = {value}\nsource = "by hand"\ndate = 2026-11-01')
    return text


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of two measured cases and a failed one, made on a machine that is not this one."""
    folder = tmp_path_factory.mktemp("roofline")
    seen = [observed("fp32", 80.0), observed("int8", 40.0, seed=1)]
    rows = [
        msgspec.structs.replace(row_of(one), artifact=made)
        for one, made in zip(seen, (artifact(), artifact("int8", quantised_macs=1.0)), strict=True)
    ]
    run = keep(folder / "results", "20260101-000000-s-aa", [*rows, failed("pruned")], seen)
    manifest = read_manifest(run)
    elsewhere = msgspec.structs.replace(manifest.environment, cpu_model="a CPU of long ago", cache_bytes=2**20)
    write_manifest(run, msgspec.structs.replace(manifest, environment=elsewhere))
    (folder / "board.toml").write_text(stated(PROFILE))
    return folder


def here(kept: Path, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(roofline)
    return CliRunner().invoke(app, [*arguments, "--out", str(kept / "results")])


def test_the_table_holds_limit_share_and_bound_and_says_what_they_rest_on(kept: Path) -> None:
    done = here(kept, "latest", "--profile", str(kept / "board.toml"))
    assert done.exit_code == 0, done.output
    for word in ("roofline of board", "limit µs", "held against", "overhead", "fp32", "by hand", "fits the last-level"):
        assert word in done.stdout
    assert "pruned" not in done.stdout, "what was not measured has no place under a roof"


def test_json_is_one_document_with_every_point(kept: Path) -> None:
    done = here(kept, "latest", "--profile", str(kept / "board.toml"), "--json")
    found = json.loads(done.stdout)
    assert found["run_id"] == "20260101-000000-s-aa"
    assert found["peaks"]["name"] == "board"
    first, second = found["points"]
    # A quarter of 2e11: one thread of four cores.
    assert first["limits"]["compute"]["value"] == pytest.approx(2e6 / 5e10)
    assert first["limits"]["compute"]["how"].startswith("estimated:in proportion to the cores")
    assert first["limits"]["overhead"]["value"] == pytest.approx(3e-6)
    assert first["share"]["value"] == pytest.approx(40e-6 / first["measured"]["value"])
    assert first["bound"] == "compute"
    assert second["limits"]["taken"] == {"int8": 1.0}


def test_a_profile_of_another_machine_is_said_to_be_one(kept: Path, tmp_path: Path) -> None:
    other = tmp_path / "board.toml"
    other.write_text(stated(PROFILE).replace("long ago", "tomorrow"))
    told = here(kept, "latest", "--profile", str(other)).stdout
    (line,) = [line for line in told.splitlines() if "board is not the machine of the run" in line]
    assert "a CPU of long ago" in line
    assert "not the machine" not in here(kept, "latest", "--profile", str(kept / "board.toml")).stdout


def test_a_profile_of_fewer_cores_than_there_were_threads_is_warned_of(kept: Path) -> None:
    environment = read_manifest(kept / "results" / "20260101-000000-s-aa").environment
    row = msgspec.structs.replace(row_of(observed("fp32", 80.0)), artifact=artifact())
    many = msgspec.structs.replace(row, case=msgspec.structs.replace(row.case, threads=16))
    (warning,) = peaks_for(environment, [many], str(kept / "board.toml"), print).warnings
    assert warning.startswith("board states the peaks of 4 cores, and the run used 16 threads")


def test_cases_are_chosen_by_name(kept: Path) -> None:
    done = here(kept, "latest", "--profile", str(kept / "board.toml"), "--only", "*/int8/*", "--json")
    assert [point["case"].split("/")[1] for point in json.loads(done.stdout)["points"]] == ["int8"]


def test_the_chart_is_written_where_it_was_asked_for(kept: Path, tmp_path: Path) -> None:
    chart = tmp_path / "roof.svg"
    done = here(kept, "latest", "--profile", str(kept / "board.toml"), "--svg", str(chart), "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["points"], "what is said of the file goes to stderr"
    assert chart.read_bytes().startswith(b"<svg")


def refused(done: Result) -> str:
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def test_bad_input_is_one_message_and_exit_code_2(kept: Path) -> None:
    profile = str(kept / "board.toml")
    assert "not this one: cpu_model was a CPU of long ago" in refused(here(kept, "latest"))
    assert "no such case matches nothing" in refused(here(kept, "latest", "--profile", profile, "--only", "nothing"))
    assert "end the name of the file in .svg" in refused(here(kept, "latest", "--profile", profile, "--svg", "x.pdf"))
    assert "unknown hardware profile" in refused(here(kept, "latest", "--profile", "no-such-board"))
