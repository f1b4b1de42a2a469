"""What a child process finds of the packages that its parent finds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.process import child_environment

ROOT = Path(bench.__file__).resolve().parents[1]


@pytest.mark.parametrize("installed", [True, False])
def test_packages_on_the_path_stay_before_installed_ones(installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("site.getsitepackages", lambda: [str(ROOT if installed else ROOT / "elsewhere")])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/opt/own", "", "/opt/other"]))
    found = child_environment({"MORE": "1"})
    assert found["PYTHONPATH"].split(os.pathsep) == [*([] if installed else [str(ROOT)]), "/opt/own", "/opt/other"]
    assert found["MORE"] == "1"


@pytest.mark.parametrize("modules", ["bench.worker.child", "bench.worker.child, bench.confine"])
def test_what_comes_before_a_runtime_imports_next_to_nothing(modules: str) -> None:
    """The first are in the time that a process takes to start, the others could take from that of the runtime."""
    code = f"import sys; there = {{*sys.modules}}; import {modules}; print(*({{*sys.modules}} - there))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"ctypes", "difflib", "msgspec", "numpy", "pathlib", "psutil", "selectors", "socket", "subprocess"}
    heavy |= {"threading", "urllib.parse", "uuid"}
    assert not heavy & {*done.stdout.split()}
