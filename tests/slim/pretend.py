"""Processes that lack something: an environment for each, in which Python starts otherwise than here."""

from __future__ import annotations

import os
from pathlib import Path

WINDOWS = Path(__file__).with_name("windows.py")


def without(modules: tuple[str, ...], folder: Path) -> dict[str, str]:
    """Variables for a process, and its children, that can import none of these."""
    # What is None there is neither found nor imported.
    return _starting_with(f"import sys\nsys.modules.update(dict.fromkeys({modules!r}))\n", folder)


def on_windows(folder: Path) -> dict[str, str]:
    """Variables for a process, and its children, in which this project believes to be on Windows."""
    return _starting_with(WINDOWS.read_text(encoding="utf-8"), folder)


def _starting_with(code: str, folder: Path) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(code, encoding="utf-8")
    return {**os.environ, "PYTHONPATH": str(folder)}
