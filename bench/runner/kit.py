"""A bundle and all that measures it in one file, for a target that can run nothing but Python."""

from __future__ import annotations

import json
import shutil
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
from bench.store.atomic import storage_error

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
LARGEST_BYTES = (2 << 30) - (64 << 20)
"""Of a bundle in a kit: Python starts no archive of more than 2 GiB."""
_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every member, so that the same kit is the same file."""
_UNIX = 3
_SHEBANG = b"#!/usr/bin/env python3\n"
_START = """import sys
if sys.version_info < {python}:
    sys.stderr.write("error: this kit needs Python {shown} or newer, and this is %d.%d\\n" % sys.version_info[:2])
    sys.exit(2)
from kit_main import main
main()
"""
"""The `__main__.py` of a kit: an old Python has to read it, 2.7 too."""


class Kit(msgspec.Struct, frozen=True, kw_only=True):
    """A kit that was written: where, how large (B), and of what."""

    path: str
    bytes: int
    model: str
    artifacts: int


def make_kit(bundle: Path, out: Path) -> Kit:
    """Write the bundle, this package and what starts it to the file `out`, which `python3` then runs.

    Raises:
        UserError: `bundle` is not a whole bundle or too large, or `out` is taken by something else, does not end in
            .pyz, or cannot be written.
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
        if packed.stat().st_size > LARGEST_BYTES:
            raise UserError(
                f"a kit holds a bundle of {LARGEST_BYTES / 1e9:.1f} GB at most, and this one has "
                f"{packed.stat().st_size / 1e9:.1f} GB",
                where=str(bundle),
                remedy="export fewer variants into it, or use the slim install there, which takes the bundle itself",
            )
        try:
            with whole(out) as part:
                _write(part, opened.model.name, packed)
        except OSError as error:
            raise storage_error(error, out) from error
    return Kit(path=str(out), bytes=out.stat().st_size, model=opened.model.name, artifacts=len(opened.artifacts))


def _write(part: Path, about: str, packed: Path) -> None:
    index = {"about": about, "version": __version__, "needs": NEEDS}
    start = _START.format(python=PYTHON, shown=".".join(map(str, PYTHON)))
    with part.open("wb") as file:
        file.write(_SHEBANG)
    with zipfile.ZipFile(part, "a", zipfile.ZIP_DEFLATED) as kit:
        _add(kit, "__main__.py", start.encode())
        _add(kit, "kit_main.py", Path(kit_main.__file__).read_bytes())
        _add(kit, kit_main.INDEX, json.dumps(index, indent=1).encode())
        for name, path in sorted(_package()):
            _add(kit, kit_main.APP + name, path.read_bytes())
        member = _member(kit_main.BUNDLE)
        member.file_size = packed.stat().st_size
        with packed.open("rb") as source, kit.open(member, "w") as sink:
            shutil.copyfileobj(source, sink)
    part.chmod(0o755)


def _package() -> Iterator[tuple[str, Path]]:
    """The files of this package and the hardware profiles, by the name that they have in the kit.

    Models of the zoo stay here: to train them takes what a target does not have.
    """
    package = Path(str(resources.files("bench")))
    for path in package.rglob("*"):
        name = path.relative_to(package)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not hidden and not {"__pycache__", "_data"} & set(name.parts):
            yield f"bench/{name.as_posix()}", path
    # The wheel's own, or those of a checkout.
    places = (package / "_data" / PROFILES, package.parent / PROFILES)
    profiles = next(place for place in places if place.is_dir())
    for path in profiles.glob("*.toml"):
        yield f"bench/_data/{PROFILES}/{path.name}", path


def _add(kit: zipfile.ZipFile, name: str, content: bytes) -> None:
    kit.writestr(_member(name), content, zipfile.ZIP_DEFLATED)


def _member(name: str) -> zipfile.ZipInfo:
    """An entry that is the same on every machine."""
    member = zipfile.ZipInfo(name, _DATE)
    member.external_attr = 0o644 << 16
    # Else it would say which system wrote it.
    member.create_system = _UNIX
    return member


def _is_kit(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as found:
            return kit_main.INDEX in found.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False
