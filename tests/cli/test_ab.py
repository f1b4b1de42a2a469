"""`bench ab` as it is typed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from bench.runner.trial import Trial
from tests.conftest import bench


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A git project whose second revision sleeps longer, and whose third fails."""
    folder = tmp_path / "project"
    folder.mkdir()
    who = {f"GIT_{role}_{what}": "test@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    for revision, line in (("first", "sleep 0.05"), ("second", "sleep 0.4"), ("third", "echo out of order; exit 4")):
        (folder / "work.sh").write_text(f"{line}\n")
        subprocess.run(["git", "add", "."], cwd=folder, check=True)
        subprocess.run(
            ["git", "-c", f"core.hooksPath={os.devnull}", "commit", "-q", "-m", revision],
            cwd=folder, env={**os.environ, **who}, check=True,
        )  # fmt: skip
        subprocess.run(["git", "tag", revision], cwd=folder, check=True)
    return folder


def compare(project: Path, a: str, b: str, *options: str) -> subprocess.CompletedProcess[str]:
    return bench("ab", "--command", "sh work.sh", "--rev-a", a, "--rev-b", b, *options, cwd=project)


def test_a_revision_that_takes_longer_is_slower_and_the_other_way_round_faster(project: Path) -> None:
    done = compare(project, "first", "second", "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    (verdict,) = told["verdicts"]
    assert (verdict["told"], verdict["metric"], told["stopped_by"]) == ("slower", "wall_time", "decision")
    assert 1.2 < verdict["change"]["low"] <= verdict["change"]["ratio"] <= verdict["change"]["high"]
    assert {series["metric"] for series in told["series"]} == {"wall_time", "cpu_time", "peak_rss"}
    assert "round 1 of at most 50" in done.stderr
    back = compare(project, "second", "first")
    assert back.returncode == 0, back.stderr
    assert "faster" in back.stdout
    for figure in ("wall time", "cpu time", "peak RSS", "95% interval", "rounds"):
        assert figure in back.stdout


def test_too_little_evidence_is_inconclusive_and_says_what_would_do(project: Path) -> None:
    # Every second call is slow, whichever side makes it: now the one, now the other loses.
    slow = project.parent / "slow"
    command = f"if rm {slow} 2>/dev/null; then sleep 0.1; else touch {slow}; sleep 0.05; fi"
    done = bench(
        "ab", "--command", command, "--rev-a", "first", "--rev-b", "first", "--rounds", "3", "--threshold", "0.0001%",
        cwd=project,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "inconclusive" in done.stdout
    assert "or more could be shown" in done.stdout
    assert "rounds would show a change by" in done.stdout or "no practical number of rounds" in done.stdout


def test_a_revision_that_fails_is_told_with_what_it_printed(project: Path) -> None:
    done = compare(project, "first", "third")
    assert done.returncode == 1
    assert "third" in done.stdout
    assert "exit code 4" in done.stdout
    assert "out of order" in done.stdout


def test_a_larger_model_is_found_slower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, layers in (("small", 4), ("large", 32)):
        monkeypatch.setattr("bench.runner.trial._LAYERS", layers)
        (tmp_path / name).mkdir()
        Trial(tmp_path / name)
    done = bench("ab", "small/trial.onnx", "large/trial.onnx", "--rounds", "4", "--json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["verdicts"][0]["case"] == "onnxruntime-cpu/t1/b1/single-stream"
    assert told["verdicts"][0]["told"] == "slower"
    assert any("onnxruntime" in note for note in told["notes"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large", "small"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to compare"),
        (("a.onnx", "b.onnx"), "no such model file"),
        (("a.onnx", "b.onnx", "--threshold", "<= 2ms"), "--threshold"),
        (("a.onnx", "b.onnx", "--command", "true"), "by --command alone"),
        (("--command", "true", "--rev-a", "x"), "--rev-b"),
        (("--command", "true", "--rev-a", "x", "--rev-b", "y"), "git"),
        (("a.onnx", "b.onnx", "--rounds", "1"), "--rounds"),
    ],
)
def test_mistakes_are_refused_before_anything_is_measured(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = bench("ab", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_preparation_may_last_longer_than_the_budget(project: Path) -> None:
    done = compare(project, "first", "second", "--prepare", "sleep 1; touch ready", "--budget", "0.5", "--rounds", "2")
    assert "could not be prepared" not in done.stderr
    assert done.returncode in (0, 1, 3), done.stderr
