"""docs/add-a-model.md, followed to the letter."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import bench

PAGE = (Path(__file__).parents[2] / "docs" / "add-a-model.md").read_text()


@pytest.fixture(scope="module")
def followed(tmp_path_factory, brief_quick):
    """The folder in which every file of the page was written and every command run, measuring for a moment each."""
    cwd = tmp_path_factory.mktemp("user")
    for name, content in re.findall(r"```\w+ file=(\S+)\n(.*?)```", PAGE, re.DOTALL):
        path = cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (commands,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    answers = {}
    for line in commands.splitlines():
        command = shlex.split(line.removeprefix("$ "))
        assert command[0] == "bench"
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("bench.suite.load.builtin_suites", lambda: {"quick": brief_quick})
            done = bench(*command[1:], cwd=cwd)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        answers[" ".join(command[1:3])] = done.stdout
    return cwd, answers


@pytest.mark.slow
def test_the_page_writes_its_three_files_and_every_command_ends_well(followed):
    cwd, answers = followed
    assert {path.name for path in (cwd / "models" / "tumours").iterdir()} >= {"model.toml", "model.py", "data.py"}
    assert "tumours" in answers["list models"]
    assert (cwd / "tumours.zip").is_file()


@pytest.mark.slow
def test_the_new_model_has_rows_with_quality_robustness_and_its_costs(followed):
    cwd, answers = followed
    shown = json.loads(bench("show", "latest", "--json", cwd=cwd).stdout)
    rows = {row["case"]["variant"]: row for row in shown["cases"]}
    assert {"fp32", "int8", "pruned"} <= set(rows)
    for variant in ("fp32", "int8"):
        assert rows[variant]["metrics"]["accuracy"]["value"] > 0.97
        assert 0 < rows[variant]["metrics"]["robustness"]["value"] <= 1.05
    assert "robust" in answers["show latest"]
    assert "trained on" in answers["show latest"]


@pytest.mark.slow
def test_a_new_floor_does_not_train_anew(followed):
    cwd, _ = followed
    card = cwd / "models" / "tumours" / "model.toml"
    card.write_text(card.read_text().replace("quality_floor = 0.97", "quality_floor = 0.98"))
    done = bench("export", "tumours", "--variants", "fp32", "-o", "again", cwd=cwd)
    assert done.returncode == 0, done.stderr
    assert "training epoch" not in done.stderr
