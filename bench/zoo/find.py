"""A name or a path becomes a model source."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from bench.errors import UserError, unknown
from bench.record.artifact import Format
from bench.record.case import Option
from bench.zoo.card import CARD_FILE, CODE_FILE, ModelCard, load_card, load_cards
from bench.zoo.hashing import file_sha256
from bench.zoo.ingredients import is_here, own_files
from bench.zoo.sniff import SUFFIXES, check_file, external_files

Kind = Literal["zoo", "keras", "savedmodel", "onnx", "tflite", "torch"]
_REACHES: dict[Kind, tuple[Format, ...]] = {
    "zoo": ("onnx", "tflite"),
    "keras": ("onnx", "tflite"),
    "savedmodel": ("onnx", "tflite"),
    "onnx": ("onnx",),
    "tflite": ("tflite",),
    "torch": ("onnx",),
}


class ModelSource(msgspec.Struct, frozen=True, kw_only=True):
    """A model that can be exported. `path` is absolute; `sha256` covers all of its files.

    A zoo model with several settings has one of them here, and its name says which: `mnist_cnn@digits`. `hyper` are
    values of hyper-parameters that differ from its card's; they stand in the name too: `mnist_cnn@digits,width=16`.
    """

    kind: Kind
    name: str
    path: str
    sha256: str
    setting: str | None = None
    hyper: dict[str, Option] = {}

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

    `NAME@SETTING` chooses a setting of a zoo model; the plain name means the first one whose data are here,
    or the first of all where none is. `NAME@SETTING,width=16` has another value of a hyper-parameter that its card
    declares in `[tune]`; for a model without settings it is `NAME@width=16`.

    Raises:
        UserError: there is none, or it is not a whole model of a format that is read here.
    """
    zoo = zoo_models(models)
    name, _, chosen = name_or_path.partition("@")
    if name in zoo:
        parts = [part for part in chosen.split(",") if part]
        setting = parts.pop(0) if parts and "=" not in parts[0] else None
        return _zoo_source(zoo[name], setting, _hyper(parts, name_or_path))
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return _folder_source(path)
    if path.exists():
        return _file_source(path)
    if path.suffix.lower() in SUFFIXES or os.sep in name_or_path:
        raise UserError("there is no such model file", where=name_or_path, remedy="check the path")
    raise unknown(
        "model", name_or_path, zoo, where=f"a zoo name or a path to {', '.join(SUFFIXES)} or a SavedModel folder"
    )


def source_card(source: ModelSource) -> ModelCard:
    """The card of a zoo model, in its setting and with its hyper-parameters. Raises `UserError`."""
    card = load_card(Path(source.path), source.setting)
    return card.with_hyper(source.hyper, source.name) if source.hyper else card


def with_hyper(name: str, hyper: Mapping[str, Option]) -> str:
    """The word for a zoo model, as `find` reads it, with other values of its hyper-parameters."""
    chosen = ",".join(f"{key}={value}" for key, value in sorted(hyper.items()))
    return name if not chosen else f"{name}{',' if '@' in name else '@'}{chosen}"


def _hyper(parts: Iterable[str], where: str) -> dict[str, Option]:
    """The values in `width=16,dropout=0.1`. Raises `UserError`."""
    found: dict[str, Option] = {}
    for part in parts:
        key, equals, text = part.partition("=")
        if not (key and equals and text):
            raise UserError(f"cannot read {part!r}", where=where, remedy="write NAME@SETTING,key=value")
        try:
            found[key] = msgspec.json.decode(text, type=bool | int | float)
        except msgspec.MsgspecError:
            found[key] = text
    return found


def case_name(stem: str) -> str:
    """`stem` without what would break a case name: slashes, spaces and the like become `_`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("_.") or "model"


def _zoo_source(folder: Path, setting: str | None, hyper: Mapping[str, Option] = {}) -> ModelSource:
    cards = load_cards(folder)
    card = next((c for c in cards if is_here(c)), cards[0]) if setting is None else load_card(folder, setting)
    if hyper:
        card.with_hyper(hyper, card.label)  # what is wrong with one is told at once
    # The card's own value asks for nothing: the same model, by the same name.
    hyper = {key: value for key, value in hyper.items() if value != card.hyper(key)}
    own = own_files(folder, card)
    digest = _digest(folder, dict.fromkeys([folder / CARD_FILE, *sorted(folder.rglob("*.py")), *own]))
    return ModelSource(
        kind="zoo",
        name=with_hyper(card.label, hyper),
        path=str(folder.resolve()),
        sha256=digest,
        setting=card.setting,
        hyper=hyper,
    )


def _folder_source(path: Path) -> ModelSource:
    if (path / CARD_FILE).is_file():
        return _zoo_source(path.resolve(), None)
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
