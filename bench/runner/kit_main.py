"""What a kit does where it is run: `python3 kit.pyz`. It lies in the kit; standard library alone.

It unpacks itself, sees that what measuring needs is installed (in an environment of its own, unless it is there), runs
the bundle and leaves each run that has ended as a .zip for `bench import`.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

APP, BUNDLE, INDEX = "app/", "bundle.zip", "kit.json"
BAD_INPUT, INTERRUPTED = 2, 130
_SEVERAL_BUILDS = ("onnxruntime",)
"""Packages that vendors publish builds of under other names: whichever gives the module will do."""
_CHUNK = 1 << 20
_ENDED = ("transit.json", "cases.parquet")
"""A run that has one of them came to an end, be it an early one."""


def main() -> None:
    """Unpack, install, run, pack, in that order; the exit code is that of `bench run`, or 2 where it is not reached."""
    try:
        sys.exit(_carry_out(Path(sys.argv[0]).resolve()))
    except KeyboardInterrupt:
        print("interrupted: run it again", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full" if full else f"the system refused: {error.strerror or error}"
        _refuse(what, str(error.filename or Path.cwd()), "make room there, or choose --into DIR")


def _carry_out(kit: Path) -> int:
    with _undamaged(kit), zipfile.ZipFile(kit) as packed:
        index = json.loads(packed.read(INDEX))
        options, rest = _arguments(index)
        place = Path(options.into).resolve()
        unpacked = _unpacked(packed, kit, place)
    python = sys.executable
    if not options.no_install and _lacking(index["needs"]):
        python = _environment(place / "venv", index["needs"], options.system_site_packages)
    results = place / "results"
    done = _run(python, unpacked, results, rest)
    for manifest in sorted(results.glob("*/manifest.json")):
        run, status = manifest.parent, _status(manifest)
        if status != "complete":
            print(f"not ended: {run.name}; --resume {run.name} goes on with it", file=sys.stderr)
        if status == "running" or not any((run / name).is_file() for name in _ENDED):
            continue
        try:
            _pack(run, place)
        except OSError as error:
            print(f"not packed: {run}: {error.strerror or error}; copy the folder as it is", file=sys.stderr)
            done = done or BAD_INPUT
    return done


def _refuse(what: str, where: str, remedy: str) -> NoReturn:
    print(f"error: {what}\n  where: {where}\n  to do: {remedy}", file=sys.stderr)
    sys.exit(BAD_INPUT)


@contextlib.contextmanager
def _undamaged(kit: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError, ValueError) as error:
        _refuse(f"the kit is damaged: {error}", str(kit), "copy it again")


def _arguments(index: dict[str, Any]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="python3 kit.pyz",
        description="Measure the bundle {} here. Further options go to `bench run`: --only, --seed, --profile, "
        "--resume.".format(index["about"]),
        allow_abbrev=False,
    )
    parser.add_argument("--into", default="counterpoise", metavar="DIR", help="work there; counterpoise unless given")
    parser.add_argument("--no-install", action="store_true", help="use what is installed, install nothing")
    parser.add_argument(
        "--system-site-packages", action="store_true", help="let the environment see the system's packages"
    )
    options, rest = parser.parse_known_args()
    if any(word.partition("=")[0] == "--out" for word in rest):
        parser.error("runs lie in DIR/results of --into DIR: give that in the place of --out")
    return options, rest


def _unpacked(packed: zipfile.ZipFile, kit: Path, place: Path) -> Path:
    """The folder with the package and the bundle, named by the kit's content: another kit has another one."""
    with kit.open("rb") as file:
        folder = place / f"kit-{hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"
    # A full disk, a kill or a cut of the power may have left it half unpacked.
    if _crcs(folder) != {member.filename: member.CRC for member in packed.infolist()}:
        packed.extractall(folder)
    return folder


def _crcs(folder: Path) -> dict[str, int]:
    """The CRC-32 of every file below the folder by its name there, as a .zip lists them; of none that is hidden."""
    found = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if not path.is_file() or any(part.startswith(".") or part == "__pycache__" for part in parts):
            continue
        crc = 0
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                crc = zlib.crc32(chunk, crc)
        found["/".join(parts)] = crc
    return found


def _lacking(needs: list[str]) -> list[str]:
    """What of `name>=version` the running Python does not have."""
    return [need for need in needs if not _there(*need.split(">="))]


def _there(name: str, oldest: str) -> bool:
    names = [name]
    if name in _SEVERAL_BUILDS:
        names += importlib.metadata.packages_distributions().get(name, [])
    for each in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            if _numbers(importlib.metadata.version(each)) >= _numbers(oldest):
                return True
    return False


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.split(r"[^0-9.]", version)[0].split(".") if part]


def _environment(folder: Path, needs: list[str], system: bool) -> str:
    """The Python of an environment in which everything is installed; made anew where it was made otherwise."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    mark = folder / "ready"
    made = "\n".join([sys.executable, sys.version, f"system packages: {system}", *needs])
    if python.exists() and mark.is_file() and mark.read_text(encoding="utf-8") == made:
        return str(python)
    print(f"installing what measuring needs into {folder}", file=sys.stderr)
    make = [sys.executable, "-m", "venv", "--clear", *(["--system-site-packages"] if system else []), str(folder)]
    if subprocess.run(make, check=False).returncode:
        _refuse("no environment could be made", str(folder), "install Python's venv (on Debian: python3-venv)")
    # What the environment sees already stays as it is. It sees what this Python does, unless this is one itself.
    wanted = _lacking(needs) if system and sys.prefix == sys.base_prefix else needs
    install = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", *wanted]
    if subprocess.run(install, check=False).returncode:
        _refuse(
            "pip could not install it",
            str(folder),
            "without a network, copy the wheels here, set PIP_NO_INDEX=1 and PIP_FIND_LINKS to their folder, and run "
            "this again; or install it yourself and give --no-install",
        )
    mark.write_text(made, encoding="utf-8")
    return str(python)


def _run(python: str, unpacked: Path, results: Path, rest: list[str]) -> int:
    """The exit code of `bench run`. A signal to end is its to handle: it keeps what is finished."""
    path = os.pathsep.join(filter(None, [str(unpacked / APP), os.environ.get("PYTHONPATH")]))
    resumes = any(word.partition("=")[0] == "--resume" for word in rest)
    bundle = [] if resumes else [str(unpacked / BUNDLE)]
    child = subprocess.Popen(
        [python, "-m", "bench", "run", *bundle, "--out", str(results), *rest],
        env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
    )
    # The terminal sends Ctrl-C to the child too; these go to whom they are addressed to alone.
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: child.terminate())
    while True:
        try:
            code = child.wait()
        except KeyboardInterrupt:
            continue
        return code if code >= 0 else 128 - code


def _status(manifest: Path) -> str:
    try:
        return str(json.loads(manifest.read_bytes())["status"])
    except (ValueError, KeyError, TypeError):
        return "running"


def _pack(run: Path, place: Path) -> None:
    """`<run>.zip` in `place`, unless it is there and holds the same."""
    target = place / f"{run.name}.zip"
    names = {f"{run.name}/{name}": crc for name, crc in _crcs(run).items()}
    if _listed(target) == names:
        return
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        # A board without a battery may believe to be in 1970, before which a .zip knows no time.
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
            for name in names:
                packed.write(run.parent / name, name)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    print(f"to bring home: {target}", file=sys.stderr)


def _listed(packed: Path) -> dict[str, int] | None:
    """The CRC-32 of every member; None where it is not there or not whole."""
    try:
        with zipfile.ZipFile(packed) as found:
            return {member.filename: member.CRC for member in found.infolist()}
    except (OSError, zipfile.BadZipFile):
        return None
