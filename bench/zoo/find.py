"""A name or a path becomes a model source."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from bench.errors import UserError, unknown
from bench.record.artifact import Format
from bench.zoo.card import CARD_FILE, CODE_FILE, load_card
from bench.zoo.sniff import SUFFIXES, check_file, external_files

Kind = Literal["zoo", "keras", "savedmodel", "onnx", "tflite"]
_REACHES: dict[Kind, tuple[Format, ...]] = {
    "zoo": ("onnx", "tflite"),
    "keras": ("onnx", "tflite"),
    "savedmodel": ("onnx", "tflite"),
    "onnx": ("onnx",),
    "tflite": ("tflite",),
}


class ModelSource(msgspec.Struct, frozen=True, kw_only=True):
    """A model that can be exported. `path` is absolute; `sha256` covers all of its files."""

    kind: Kind
    name: str
    path: str
    sha256: str

    @property
    def formats(self) -> tuple[Format, ...]:
        """The formats this source can become."""
        return _REACHES[self.kind]

    @property
    def about(self) -> str:
        """Where the model comes from, in words."""
        return f"zoo model {self.name}" if self.kind == "zoo" else self.path


def model_folders(given: Sequence[Path] = ()) -> list[Path]:
    """Where zoo models are looked for, first wins: `given`, `./models`, the wheel's own, the checkout's own."""
    package = Path(str(resources.files("bench")))
    return [*given, Path("models"), package / "_data" / "models", package.parent / "models"]


def zoo_models(given: Sequence[Path] = ()) -> dict[str, Path]:
    """The folder of each zoo model, by name."""
    found: dict[str, Path] = {}
    for folder in model_folders(given):
        if folder.is_dir():
            for card in sorted(folder.glob(f"*/{CARD_FILE}")):
                found.setdefault(card.parent.name, card.parent)
    return found


def find(name_or_path: str, models: Sequence[Path] = ()) -> ModelSource:
    """The model called `name_or_path` in the zoo, or at that path.

    Raises:
        UserError: there is none, or it is not a whole model of a format that is read here.
    """
    zoo = zoo_models(models)
    if name_or_path in zoo:
        return _zoo_source(zoo[name_or_path])
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return _folder_source(path)
    if path.exists():
        return _file_source(path)
    if path.suffix.lower() in SUFFIXES or os.sep in name_or_path:
        raise UserError("there is no such model file", where=name_or_path, remedy="check the path")
    raise unknown(
        "model", name_or_path, zoo, where="a zoo name or a path to .onnx, .tflite, .keras, .h5 or a SavedModel folder"
    )


def case_name(stem: str) -> str:
    """`stem` without what would break a case name: slashes, spaces and the like become `_`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("_.") or "model"


def _zoo_source(folder: Path) -> ModelSource:
    card = load_card(folder)
    digest = _digest(folder, [folder / CARD_FILE, *sorted(folder.rglob("*.py"))])
    return ModelSource(kind="zoo", name=card.name, path=str(folder.resolve()), sha256=digest)


def _folder_source(path: Path) -> ModelSource:
    if (path / CARD_FILE).is_file():
        return _zoo_source(path.resolve())
    if (path / "saved_model.pb").is_file():
        digest = _digest(path, sorted(p for p in path.rglob("*") if p.is_file()))
        name = case_name(path.resolve().name)
        return ModelSource(kind="savedmodel", name=name, path=str(path.resolve()), sha256=digest)
    raise UserError(
        "the folder is not a model",
        where=str(path),
        remedy=f"a SavedModel holds saved_model.pb; a zoo model holds {CARD_FILE} and {CODE_FILE}",
    )


def _file_source(path: Path) -> ModelSource:
    kind = check_file(path)
    files = [path, *external_files(path)] if kind == "onnx" else [path]
    digest = _digest(path.parent, files)
    return ModelSource(kind=kind, name=case_name(path.stem), path=str(path.resolve()), sha256=digest)


def _digest(root: Path, files: Iterable[Path]) -> str:
    files = list(files)
    if len(files) == 1:
        # One file: the plain SHA-256, which `sha256sum` confirms.
        return file_sha256(files[0])
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.relative_to(root).as_posix()}\0{file_sha256(file)}\n".encode())
    return total.hexdigest()


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file. Raises `UserError` where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            f"cannot read the file: {error.strerror}", where=str(path), remedy="check its permissions"
        ) from error
