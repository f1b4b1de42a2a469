"""`bench baseline` and `bench show --as`: what people type and what they are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bench.cli.main import app
from tests.conftest import bench
from tests.kept_runs import keep, keep_small

FIRST, SECOND = "20260101-000000-s-aa", "20260102-000000-s-bb"


@pytest.fixture
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two runs in its `results`, where the user stands."""
    monkeypatch.chdir(tmp_path)
    keep_small(tmp_path / "results", FIRST)
    keep_small(tmp_path / "results", SECOND)
    return tmp_path


def typed(*arguments: str) -> Result:
    """The command in this process: a start costs a second, and one test below pays it."""
    return CliRunner().invoke(app, arguments)


def told(*arguments: str) -> str:
    done = typed(*arguments)
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("cwd")
def test_a_baseline_from_its_first_snapshot_to_its_pruning() -> None:
    assert "in force for main: " + FIRST in told("baseline", "save", "main", FIRST)
    second = told("baseline", "save", "main")
    assert f"saved: results/baselines/main/{SECOND}.json" in second
    assert f"bench baseline promote main {SECOND}" in second, "it says how"
    listed = json.loads(told("baseline", "list", "--json"))
    assert [(entry["snapshot"], entry["current"], entry["cases"]) for entry in listed] == [
        (FIRST, True, 3),
        (SECOND, False, 3),
    ]
    assert f"before: {FIRST}" in told("baseline", "promote", "main", SECOND)
    assert f"removed: {FIRST}" in told("baseline", "prune", "main", "--keep", "1")
    table = told("baseline", "list", "main")
    assert SECOND in table
    assert FIRST not in table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("save", "main", "nothing"), "unknown run"),
        (("save", "../main"), "not a name"),
        (("list", "main"), "no baselines"),
        (("promote", "main", "nothing"), "unknown snapshot or run"),
        (("prune", "main", "--keep", "1"), "no baselines"),
        (("prune", "main", "--keep", "-1"), "keep"),
    ],
)
def test_a_mistake_is_exit_code_2_and_leaves_nothing_behind(cwd: Path, arguments: tuple[str, ...], words: str) -> None:
    done = typed("baseline", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (cwd / "results" / "baselines").exists()


@pytest.mark.usefixtures("cwd")
def test_saving_twice_is_refused_with_the_way_on() -> None:
    told("baseline", "save", "main", FIRST)
    again = typed("baseline", "save", "main", FIRST)
    assert again.exit_code == 2
    assert f"bench baseline promote main {FIRST}" in again.stderr


def test_a_run_that_goes_on_is_no_baseline(tmp_path: Path) -> None:
    keep(tmp_path / "results", FIRST, [], status="interrupted")
    done = typed("baseline", "save", "main", "--out", str(tmp_path / "results"))
    assert done.exit_code == 2
    assert "bench run --resume" in done.stderr


@pytest.mark.usefixtures("cwd")
@pytest.mark.parametrize("name", ["pytest-benchmark", "github-action-benchmark", "bencher"])
def test_a_run_is_shown_as_another_tool_reads_it(name: str) -> None:
    assert "m/fp32/onnxruntime-cpu/t1/b1/single-stream" in json.dumps(json.loads(told("show", FIRST, "--as", name)))


def test_standard_output_holds_the_document_and_nothing_else(cwd: Path) -> None:
    done = bench("show", FIRST, "--as", "bencher", cwd=cwd)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


@pytest.mark.usefixtures("cwd")
def test_an_unknown_format_is_refused_with_those_there_are() -> None:
    done = typed("show", FIRST, "--as", "xml")
    assert done.exit_code == 2
    assert "bencher" in done.stderr


@pytest.mark.usefixtures("cwd")
def test_a_baseline_is_gated_by_the_rules_that_are_given_since_nothing_of_it_can_be_measured_again() -> None:
    told("baseline", "save", "main", FIRST)
    done = typed("gate", FIRST, "baseline:main", "--rule", "*/fp32/*: size=0%", "--json")
    assert done.exit_code == 0, done.stderr
    assert {verdict["outcome"] for verdict in json.loads(done.stdout)["verdicts"]} == {"pass"}
    done = typed("gate", FIRST, "baseline:main")
    assert done.exit_code == 2
    assert "there is no rule to hold the candidate to" in done.stderr
