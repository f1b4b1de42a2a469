"""A bundle and all that measures it in one file, for a target that can run nothing but Python."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import msgspec

from bench import __version__
from bench.errors import UserError
from bench.export.bundle import open_bundle, save
from bench.files import whole
from bench.hardware.load import FOLDER as PROFILES
from bench.runner import kit_main

NEEDS = (
    "ai-edge-litert>=2.3.0",
    "filelock>=4.2",
    "msgspec>=0.22.0",
    "numpy>=2.4",
    "nvidia-ml-py>=13.615",
    "onnx>=1.23.2",
    "onnxruntime>=1.32.0",
    "platformdirs>=4.14",
    "psutil>=7.2",
    "pydantic>=2.14",
    "rich>=15.0",
    "tabulate>=0.10",
    "typer>=0.29",
)
"""The dependencies of the slim install, `packaging/runtime/pyproject.toml`."""
PYTHON = (3, 11)
SUFFIX = ".pyz"
_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every member, so that the same kit is the same file."""
_SHEBANG = b"#!/usr/bin/env python3\n"


class Kit(msgspec.Struct, frozen=True, kw_only=True):
    """A kit that was written: where, how large (B), and of what."""

    path: str
    bytes: int
    model: str
    artifacts: int


def make_kit(bundle: Path, out: Path) -> Kit:
    """Write the bundle, this package and what starts it to the file `out`, which `python3` then runs.

    Raises:
        UserError: `bundle` is not a whole bundle, or `out` is taken by something else or does not end in .pyz.
    """
    if out.suffix.lower() != SUFFIX:
        raise UserError("a kit is one file for Python", where=str(out), remedy=f"end its name in {SUFFIX}")
    if out.exists() and not _is_kit(out):
        raise UserError(
            "that place is taken by something that is not a kit", where=str(out), remedy="choose a new name"
        )
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder, opened = open_bundle(bundle, Path(scratch))
        packed = bundle if bundle.is_file() else save(folder, lambda _: True, Path(scratch) / "packed.zip")
        index = {"about": opened.model.name, "version": __version__, "needs": NEEDS, "python": PYTHON}
        with whole(out) as part:
            with part.open("wb") as file:
                file.write(_SHEBANG)
            with zipfile.ZipFile(part, "a", zipfile.ZIP_DEFLATED) as kit:
                _add(kit, "__main__.py", Path(kit_main.__file__).read_bytes())
                _add(kit, kit_main.INDEX, json.dumps(index, indent=1).encode())
                _add(kit, kit_main.BUNDLE, packed.read_bytes(), zipfile.ZIP_STORED)
                for name, path in sorted(_package()):
                    _add(kit, kit_main.APP + name, path.read_bytes())
            part.chmod(0o755)
    return Kit(path=str(out), bytes=out.stat().st_size, model=opened.model.name, artifacts=len(opened.artifacts))


def _package() -> Iterator[tuple[str, Path]]:
    """The files of this package and the hardware profiles, by the name that they have in the kit.

    Models of the zoo stay here: to train them takes what a target does not have.
    """
    package = Path(str(resources.files("bench")))
    for path in package.rglob("*"):
        name = path.relative_to(package)
        if path.is_file() and not {"__pycache__", "_data"} & set(name.parts):
            yield f"bench/{name.as_posix()}", path
    for folder in (package / "_data" / PROFILES, package.parent / PROFILES):
        if folder.is_dir():
            for path in folder.glob("*.toml"):
                yield f"bench/_data/{PROFILES}/{path.name}", path
            return


def _add(kit: zipfile.ZipFile, name: str, content: bytes, compression: int = zipfile.ZIP_DEFLATED) -> None:
    member = zipfile.ZipInfo(name, _DATE)
    member.external_attr = 0o644 << 16
    kit.writestr(member, content, compression)


def _is_kit(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as found:
            return kit_main.INDEX in found.namelist()
    except (OSError, zipfile.BadZipFile):
        return False
