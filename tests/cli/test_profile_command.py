"""`bench profile`, `bench list profiles` and `bench run --profile`: what people type and what they are told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import psutil
import pytest
from typer.testing import CliRunner

from bench.cli.common import consoles
from bench.cli.main import app
from bench.cli.profile import profile
from bench.errors import UserError
from bench.hardware.load import load_profile, readable_profiles
from bench.record.artifact import Format
from bench.record.codec import plain
from bench.report.live import Live
from bench.runner.conduct import start
from bench.runner.peaks.chains import Chain, write
from bench.runner.plan import Request, plan_again, plan_run
from bench.store.manifest import Manifest, read_manifest
from bench.suite.schema import Matrix, Measure, Suite

PHYSICAL = psutil.cpu_count(logical=False) or os.cpu_count()
MINE = """
name = "mine"
title = "Mine"
kind = "cpu"
providers = ["onnxruntime-cpu"]
cores = { value = 1, source = "me", date = 2024-01-01 }
[match]
without = ["no such instruction set"]
[peak]
fp32 = { value = 1.5e11, source = "me", date = 2024-01-01, note = "a guess" }
[memory]
size = { value = 8589934592, source = "me", date = 2024-01-01 }
bandwidth = { value = 2e10, source = "me", date = 2024-01-01 }
[power]
idle = { value = 5, source = "me", date = 2024-01-01 }
tdp = { value = 20, source = "me", date = 2024-01-01 }
[price]
example = false
per_hour = { value = 0.25, source = "me", date = 2024-01-01 }
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in with a profile of this machine, and one of another."""
    folder = tmp_path / "hardware_profiles"
    folder.mkdir()
    # All the cores of this machine, so that its power is the profile's.
    text = MINE.replace("cores = { value = 1", f"cores = {{ value = {PHYSICAL}")
    (folder / "mine.toml").write_text(text)
    other = MINE.replace('name = "mine"', 'name = "other"').replace("[match]", '[match]\ncpu_model = "an abacus"')
    (folder / "other.toml").write_text(other)
    (folder / "broken.toml").write_text(MINE.replace("kind", "kinds"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def suite(**changes: object) -> Suite:
    matrix = Matrix(variants=["fp32"], runtimes=["onnxruntime-cpu"], if_available=["litert-xnnpack"])
    short = Measure(warmup_min_s=0.01, warmup_max_s=0.02, min_s=0.02, max_s=0.05, min_samples=20, idle_s=0.05)
    return Suite(name="short", matrix=[matrix], measure=short).model_copy(update=changes)


def asked(profile: str, kept: Format = "onnx") -> Request:
    """To measure a tiny product under a profile."""
    return Request(models=(str(write(Chain(kind="fp32", format=kept, width=8), Path.cwd()).path),), profile=profile)


def told(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(profile, arguments)
    assert done.exit_code == code, done.output
    return done.output


def test_the_list_says_which_profile_is_of_this_machine_and_why(mine):
    done = CliRunner().invoke(app, ["list", "profiles", "--json"])
    assert done.exit_code == 0, done.output
    lines = {line["profile"]: line for line in json.loads(done.stdout)}
    assert lines["mine"]["here"].startswith("yes")
    assert lines["mine"]["title"] == "Mine"
    assert lines["other"]["here"] == "no"
    assert "not one like /an abacus/" in lines["other"]["why"]
    assert "unknown key 'kinds'" in lines["broken"]["why"]
    assert sum(line["here"] == "yes: the nearest" for line in lines.values()) == 1


def test_show_tells_every_figure_with_its_source_and_date(mine):
    shown = told("show", "mine")
    for expected in ("150 Gop/s", "8.00 GiB", "20.0 GB/s", "0.25 USD/h", "20.0 W", "a guess", "2024-01-01"):
        assert expected in shown
    assert "example" not in shown
    document = json.loads(told("show", "mine", "--json"))
    assert document["peak"]["fp32"] == {"value": 1.5e11, "source": "me", "date": "2024-01-01", "note": "a guess"}


def test_check_says_whether_a_file_is_whole(mine):
    assert "a whole profile, mine" in told("check", "hardware_profiles/mine.toml")
    assert "unknown key 'kinds'" in told("check", "hardware_profiles/broken.toml", code=2)
    assert "cannot read" in told("check", "nothing.toml", code=2)
    assert "unknown hardware profile" in told("show", "nothing", code=2)


def test_this_machine_becomes_a_file_that_is_not_overwritten_unasked(mine):
    told("detect", "--no-measure", "--name", "here", "-o", "here.toml")
    made = load_profile("here.toml")
    assert made.name == "here"
    assert "onnxruntime-cpu" in made.providers
    assert not {"null-none", "slowed-cpu"} & set(made.providers)
    assert made.cores.value >= 1
    before = Path("here.toml").read_text()
    assert "is there already" in told("detect", "--no-measure", "-o", "here.toml", code=2)
    assert Path("here.toml").read_text() == before
    told("detect", "--no-measure", "--name", "again", "-o", "here.toml", "--force")
    assert load_profile("here.toml").name == "again"
    assert told("detect", "--no-measure", "--name", "again") == Path("here.toml").read_text()


def test_without_measuring_a_machine_that_no_profile_fits_has_no_peaks_to_take_over(mine):
    for name, known in readable_profiles()[0].items():
        if known.kind == "cpu":
            text = MINE.replace('name = "mine"', f'name = "{name}"')
            (mine / "hardware_profiles" / f"{name}.toml").write_text(
                text.replace("[match]", '[match]\ncpu_model = "an abacus"')
            )
    said = told("detect", "--no-measure", "-o", "here.toml", code=2)
    assert "no profile fits this machine" in said
    assert "--no-measure" in said
    assert not Path("here.toml").exists()


def test_a_run_under_a_profile_has_only_its_runtimes_and_keeps_it(mine):
    seen_by_the_sensor = suite().measure.model_copy(update={"min_s": 0.6, "max_s": 0.7})
    planned = plan_run(asked("mine"), suite(measure=seen_by_the_sensor))
    assert {case.target for case in planned.cases} == {"onnxruntime-cpu"}
    assert planned.plan.tdp_w == 20
    assert planned.plan.idle_w == 5
    assert "profile mine: without litert-xnnpack" in planned.notes
    assert any("estimated from 20 W" in note for note in planned.notes)
    with Live(consoles()[1]) as live:
        result = start(planned, mine / "results", live)
    kept = read_manifest(Path(result.folder))
    assert kept.profile is not None
    assert kept.profile["peak"]["fp32"]["date"] == "2024-01-01"
    assert kept.request["profile"] == "mine"
    (row,) = result.rows
    assert row.metrics["energy"].how.startswith(("estimated:tdp", "measured:"))
    again = plan_again(kept)
    assert again.profile == load_profile("mine")
    assert again.plan == planned.plan
    old = plain(kept)
    del old["profile"]
    assert msgspec.convert(old, Manifest).profile is None, "runs from before there were profiles are read"


def test_a_suites_own_power_comes_before_the_profiles(mine):
    own = suite(measure=suite().measure.model_copy(update={"tdp_w": 9.0, "idle_w": 1.0}))
    planned = plan_run(asked("mine"), own)
    assert (planned.plan.tdp_w, planned.plan.idle_w) == (9.0, 1.0)
    gpu = MINE.replace('kind = "cpu"', 'kind = "gpu"')
    (mine / "gpu.toml").write_text(gpu)
    assert plan_run(asked("gpu.toml"), suite()).plan.tdp_w is None


def test_a_machine_that_is_a_part_of_the_device_has_that_part_of_its_power(mine):
    (mine / "large.toml").write_text(MINE.replace("cores = { value = 1", "cores = { value = 1_000_000"))
    planned = plan_run(asked("large.toml"), suite())
    assert planned.plan.tdp_w is not None
    assert 0 < planned.plan.tdp_w < 1
    assert any(f"of 1e+06 cores, in proportion to the {PHYSICAL} here" in note for note in planned.notes)


def test_a_machine_that_is_larger_than_the_device_has_more_of_its_power(mine):
    (mine / "part.toml").write_text(MINE.replace("cores = { value = 1", "cores = { value = 0.5"))
    planned = plan_run(asked("part.toml"), suite())
    assert planned.plan.tdp_w == pytest.approx(20 * PHYSICAL / 0.5)
    assert planned.plan.idle_w == pytest.approx(5 * PHYSICAL / 0.5)


def test_a_profile_in_a_damaged_manifest_is_one_message(mine):
    planned = plan_run(asked("mine"), suite())
    with Live(consoles()[1]) as live:
        kept = read_manifest(Path(start(planned, mine / "results", live).folder))
    assert kept.profile is not None
    damaged = msgspec.structs.replace(kept, profile={**kept.profile, "kind": "abacus"})
    with pytest.raises(UserError, match="the profile in the run's manifest: kind"):
        plan_again(damaged)


def test_what_cannot_be_written_is_refused_before_it_is_measured(mine):
    assert "is no name for a profile" in told("detect", "--name", "my box", code=2)
    assert "it is a folder" in told("detect", "-o", ".", "--force", code=2)


def test_a_profile_that_a_run_names_is_a_name_unless_it_is_a_path(mine):
    (mine / "mine").write_text("not a profile")
    done = CliRunner().invoke(app, ["run", "--profile", "mine", "--dry-run"])
    assert "cannot read" not in done.output
    assert "not valid TOML" not in done.output
    done = CliRunner().invoke(app, ["run", "--profile", "", "--dry-run"])
    assert done.exit_code == 2
    assert "unknown hardware profile ''" in done.output
    done = CliRunner().invoke(app, ["run", "--profile", "my.box", "--dry-run"])
    assert "unknown hardware profile 'my.box'" in done.output


def test_a_runtime_that_was_only_wanted_where_available_is_enough(mine):
    (mine / "litert.toml").write_text(MINE.replace("onnxruntime-cpu", "litert-xnnpack"))
    planned = plan_run(asked("litert.toml", "tflite"), suite())
    assert {case.target for case in planned.cases} == {"litert-xnnpack"}
    (mine / "none.toml").write_text(MINE.replace("onnxruntime-cpu", "openvino-npu"))
    with pytest.raises(UserError, match="has none of the runtimes of suite 'short'"):
        plan_run(asked("none.toml"), suite())


def test_the_profile_of_another_machine_is_refused_with_the_reason(mine):
    done = CliRunner().invoke(app, ["run", "--profile", "other", "--dry-run"])
    assert done.exit_code == 2
    assert "the profile 'other' is not of this machine: the CPU is" in done.output
    done = CliRunner().invoke(app, ["run", "--resume", "latest", "--profile", "mine"])
    assert done.exit_code == 2
    assert "--profile" in done.output
