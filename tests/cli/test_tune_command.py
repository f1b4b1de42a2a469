"""`bench tune` as it is typed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from bench.cli.tune import tune
from bench.runner.trial import Trial
from bench.suite.load import load_suite
from tests.conftest import bench
from tests.runner.test_tune import SHORT, SLOWED

COMMAND = typer.Typer()
COMMAND.command()(tune)


def typed(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.chdir(folder)
    return CliRunner().invoke(COMMAND, list(arguments))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Trial(tmp_path)
    (tmp_path / "small.toml").write_text(SHORT + SLOWED)
    return tmp_path


@pytest.mark.alone
def test_the_frontier_the_confirmed_gain_and_a_suite_that_runs_are_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = typed(folder, monkeypatch, "small.toml", "--rounds", "12", "--json")
    assert done.exit_code == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["exit_code"], told["confirmation"]["verdict"]) == (0, "improved")
    assert told["confirmation"]["change"]["low"] <= told["confirmation"]["change"]["ratio"] < 0.7
    (folder / "tuned.toml").write_text(told["snippet"])
    load_suite(str(folder / "tuned.toml"))
    cases = bench("run", "tuned.toml", "--dry-run", cwd=folder)
    assert cases.stdout.split() == ["trial/fp32/slowed-cpu/t1/b1/single-stream/slowdown=0.0"]
    assert (folder / "results/tune/small-trial.db").is_file()
    assert json.loads(bench("list", "runs", "--json", cwd=folder).stdout) == []
    # What is on record needs no measuring; only the confirmation is made anew.
    again = typed(folder, monkeypatch, "small.toml", "--rounds", "12", "--resume")
    assert again.exit_code == 0, again.stderr
    for words in ("the best settings of 2 trials", "improved: p50", "paired rounds", "[[matrix]]", "small-trial.db"):
        assert words in again.stdout
    assert "[1/" not in again.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("small.toml", "--sampler", "tpee"), "did you mean 'tpe'"),
        (("small.toml", "--budget", "5 parsecs"), "--budget"),
        (("small.toml", "--objective", "p50_latncy"), "did you mean 'p50_latency'"),
        (("small.toml", "--profile", "abacus"), "abacus"),
        (("small.toml", "--resume"), "no study to go on with"),
        (("smal.toml",), "smal.toml"),
        (("--model", "mnist_cnn@digits", "--data", "x.npz"), "its own data"),
        (("--model", "mnist_cnn@digits,width=7"), "7 is not within 8 to 64"),
        (("small.toml", "--trials", "0"), "--trials"),
    ],
)
def test_mistakes_are_refused_before_anything_is_measured(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    done = typed(folder, monkeypatch, *arguments)
    assert done.exit_code == 2, done.stdout
    assert said in done.stderr
    assert not (folder / "results").exists()


def test_without_optuna_it_says_how_to_install_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "optuna" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    done = typed(folder, monkeypatch, "small.toml")
    assert done.exit_code == 2
    assert "pip install 'counterpoise[tune]'" in done.stderr


def test_optuna_is_imported_only_by_the_search() -> None:
    code = "import sys, bench.cli.tune; print({'optuna', 'scipy', 'polars', 'pydantic'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
