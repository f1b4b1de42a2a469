"""Find a suite by name or path."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from bench.errors import unknown
from bench.suite.schema import Suite
from bench.suite.validate import load_toml


def builtin_suites() -> dict[str, Path]:
    """The suites that ship with the package, by name."""
    folder = Path(str(resources.files("bench.suite") / "builtin"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_suite(name_or_path: str) -> Suite:
    """The suite called `name_or_path`, or in that file. Raises `UserError`."""
    builtin = builtin_suites()
    if name_or_path in builtin:
        return load_toml(builtin[name_or_path], Suite, kind="suite")
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.exists():
        return load_toml(path, Suite, kind="suite")
    raise unknown("suite", name_or_path, builtin, where="the argument SUITE (or give a path to a .toml file)")
