"""What is special to Linux sits behind a check: the project starts, and says what is unavailable, on another system."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.optional import installed
from tests.slim.pretend import on_windows

ROOT = Path(bench.__file__).resolve().parents[1]
IMPORT_ALL = """
import importlib, pkgutil, sys
import bench
trainers = {"tensorflow", "keras", "torch"}
sys.modules.update(dict.fromkeys(trainers))  # they take ten seconds, and are not of this project
for module in pkgutil.walk_packages(bench.__path__, "bench."):
    if not module.name.startswith(("bench._data", "bench.__main__")):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if error.name not in trainers:
                raise
from bench.sensors import process
assert not process.LINUX
"""
COMMANDS = """
import sys
from typer.testing import CliRunner
from bench.cli.main import app
for words in (["--help"], ["list", "runtimes"], ["list", "sensors", "--json"]):
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (words, done.output, done.exception)
print(done.stdout)
"""


@pytest.fixture
def windows(tmp_path: Path) -> dict[str, str]:
    env = on_windows(tmp_path / "site")
    return {**env, "PYTHONPATH": os.pathsep.join((env["PYTHONPATH"], str(ROOT)))}


def python(code: str, env: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not installed("polars"), reason="the slim install cannot import all of it")
def test_every_module_can_be_imported(windows: dict[str, str]) -> None:
    python(IMPORT_ALL, windows)


def test_commands_answer_and_sensors_of_linux_say_that_they_are_unavailable(windows: dict[str, str]) -> None:
    sensors = {line["sensor"]: line for line in json.loads(python(COMMANDS, windows))}
    for name in ("rapl", "cgroup", "thermal", "jetson"):
        assert sensors[name]["here"].startswith("no: ")
        assert "Linux" in sensors[name]["here"]
    assert sensors["process"]["here"].startswith("yes")
    assert sensors["process"]["source"] == "psutil"
