"""Another Python to measure with: the interpreter of a virtual environment that holds another version of a runtime."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import bench
from bench.errors import UserError
from bench.process import Interpreter, child_environment
from bench.runtimes.table import RUNTIMES

OLDEST = (3, 11)
"""Of the package's own, as its `requires-python`."""
_BASE = ("msgspec", "numpy")
_TIMEOUT_S = 120.0
# Old syntax, so that an old interpreter can still say how old it is.
_PROBE = """
import importlib, json, sys
faults = []
for name in sys.argv[1:] if sys.version_info[:2] >= {oldest} else []:
    try:
        importlib.import_module(name)
    except Exception as error:
        faults.append("%s (%s: %s)" % (name, type(error).__name__, error))
print(json.dumps([list(sys.version_info[:3]), faults]))
"""


def open_python(path: str, scratch: Path, where: str) -> Interpreter:
    """The interpreter at `path`, or of the virtual environment at `path`.

    It gets this installation's own `bench` by a link in `scratch` and nothing else of it, so that both sides are
    measured by the same harness. `where` names the option for messages.

    Raises:
        UserError: it cannot be started, is too old, or lacks a package that measuring needs whatever the runtime.
    """
    given = Path(path).expanduser()
    executable = given / "bin" / "python" if given.is_dir() else given
    if not executable.is_file():
        raise UserError(
            "there is no Python interpreter", where=f"{where} {path}", remedy="give VENV/bin/python, or its VENV"
        )
    scratch.mkdir()
    (scratch / "bench").symlink_to(Path(bench.__file__).resolve().parent, target_is_directory=True)
    # Not resolved: by the link in its bin folder a virtual environment knows itself.
    python = Interpreter(str(executable.absolute()), str(scratch))
    _check(python, _BASE, where)
    _check(python, ("bench.worker.measurement",), where)
    return python


def check_targets(python: Interpreter, targets: Iterable[str], where: str) -> None:
    """Raise `UserError` where it cannot import the runtime of one of the `targets`."""
    specs = [(RUNTIMES[runtime], provider) for runtime, _, provider in (target.partition("-") for target in targets)]
    _check(python, {spec.imported(provider) for spec, provider in specs} | {spec.module for spec, _ in specs}, where)


def _check(python: Interpreter, modules: Iterable[str], where: str) -> None:
    probe = _PROBE.format(oldest=OLDEST)
    try:
        done = subprocess.run(
            [python.executable, "-c", probe, *sorted(modules)],
            env=child_environment({}, python),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=True,
        )
        version, faults = json.loads(done.stdout.splitlines()[-1])
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        tail = (getattr(error, "stderr", "") or "").strip().splitlines()[-1:]
        raise UserError(
            f"this Python does not answer: {' '.join(tail) or error}", where=f"{where} {python.executable}"
        ) from error
    if tuple(version[:2]) < OLDEST:
        raise UserError(
            f"this Python is {'.'.join(map(str, version))}, measuring needs {'.'.join(map(str, OLDEST))} or newer",
            where=f"{where} {python.executable}",
            remedy="make the virtual environment with a newer Python",
        )
    if faults:
        raise UserError(
            f"this Python cannot import what measuring needs: {'; '.join(faults)}",
            where=f"{where} {python.executable}",
            remedy="install that into its virtual environment (msgspec, numpy and the runtime are enough)",
        )
