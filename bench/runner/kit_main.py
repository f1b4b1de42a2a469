"""What a kit does where it is run: `python3 kit.pyz`. It becomes the kit's `__main__.py`; standard library alone.

It unpacks itself, sees that what measuring needs is installed (in an environment of its own, unless it is there), runs
the bundle and leaves each run as a .zip for `bench import`. Plain enough that an old Python
reads it and says which it needs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

APP, BUNDLE, INDEX = "app/", "bundle.zip", "kit.json"


def main() -> None:
    """Unpack, install, run, pack, in that order; the exit code is that of `bench run`."""
    kit = Path(sys.argv[0]).resolve()
    with zipfile.ZipFile(kit) as packed:
        index = json.loads(packed.read(INDEX))
        oldest = tuple(index["python"])
        if sys.version_info[:2] < oldest:
            found = "{}.{}".format(*sys.version_info[:2])
            sys.exit("this kit needs Python {}.{} or newer, and this is {}".format(*oldest, found))
        options, rest = _arguments(index)
        place = Path(options.into).resolve()
        unpacked = _unpacked(packed, kit, place)
    python = sys.executable
    if not options.no_install and _lacks(index["needs"]):
        python = _environment(place / "venv", index["needs"], options.system_site_packages)
    results = place / "results"
    done = _run(python, unpacked, results, rest)
    for folder in sorted(results.glob("*/manifest.json")):
        _pack(folder.parent, place)
    sys.exit(done)


def _arguments(index: dict[str, Any]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="python3 kit.pyz",
        description="Measure the bundle {} here. Further options go to `bench run`: --only, --seed, --profile, "
        "--resume.".format(index["about"]),
    )
    parser.add_argument("--into", default="counterpoise", metavar="DIR", help="work there; counterpoise unless given")
    parser.add_argument("--no-install", action="store_true", help="use what is installed, install nothing")
    parser.add_argument(
        "--system-site-packages", action="store_true", help="let the environment see the system's packages"
    )
    return parser.parse_known_args()


def _unpacked(packed: zipfile.ZipFile, kit: Path, place: Path) -> Path:
    """The folder with the package and the bundle, named by the kit's content: another kit has another one."""
    folder = place / f"kit-{hashlib.sha256(kit.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        part = folder.with_name(f".{folder.name}.{os.getpid()}")
        packed.extractall(part)
        part.rename(folder)
    return folder


def _lacks(needs: list[str]) -> list[str]:
    """What of `name>=version` the running Python does not have."""
    return [need for need in needs if not _there(*need.split(">="))]


def _there(name: str, oldest: str) -> bool:
    import importlib.metadata

    try:
        return _numbers(importlib.metadata.version(name)) >= _numbers(oldest)
    except importlib.metadata.PackageNotFoundError:
        return False


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.split(r"[^0-9.]", version)[0].split(".") if part]


def _environment(folder: Path, needs: list[str], system: bool) -> str:
    """The Python of an environment in which everything is installed; made once, and again where the needs changed."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    mark = folder / "ready"
    wanted = "\n".join(needs)
    if mark.is_file() and mark.read_text(encoding="utf-8") == wanted:
        return str(python)
    print(f"installing what measuring needs into {folder}", file=sys.stderr)
    make = [sys.executable, "-m", "venv", *(["--system-site-packages"] if system else []), str(folder)]
    if subprocess.run(make, check=False).returncode:
        sys.exit("no environment could be made: install Python's venv (on Debian: apt install python3-venv)")
    install = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", *needs]
    if subprocess.run(install, check=False).returncode:
        sys.exit(
            "pip could not install it. Without a network: copy the wheels here, set PIP_NO_INDEX=1 and "
            "PIP_FIND_LINKS to their folder, and run this again; or install it yourself and give --no-install"
        )
    mark.write_text(wanted, encoding="utf-8")
    return str(python)


def _run(python: str, unpacked: Path, results: Path, rest: list[str]) -> int:
    """The exit code of `bench run`. Ctrl-C is its to handle: it keeps what is finished."""
    path = os.pathsep.join(filter(None, [str(unpacked / APP), os.environ.get("PYTHONPATH")]))
    resumes = any(word.partition("=")[0] == "--resume" for word in rest)
    bundle = [] if resumes else [str(unpacked / BUNDLE)]
    child = subprocess.Popen(
        [python, "-m", "bench", "run", *bundle, "--out", str(results), *rest],
        env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
    )
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


def _pack(run: Path, place: Path) -> None:
    """`<run>.zip` in `place`, unless it is there and not older than the run."""
    target = place / f"{run.name}.zip"
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    if target.exists() and target.stat().st_mtime >= max(path.stat().st_mtime for path in files):
        return
    part = target.with_name(f".{target.name}")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in files:
            packed.write(path, path.relative_to(run.parent).as_posix())
    part.replace(target)
    print(f"to bring home: {target}")


if __name__ == "__main__":
    main()
