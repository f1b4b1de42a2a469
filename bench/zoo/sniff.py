"""Whether a file is what its name says, found from its bytes alone and without TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from bench.errors import UserError
from bench.zoo import pt2
from bench.zoo.archive import opened
from bench.zoo.inside import inside
from bench.zoo.onnx_sketch import Malformed, sketch

FileKind = Literal["keras", "onnx", "tflite", "torch"]
_HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_HEAD = 52
"""Bytes that hold the end-of-file address, whichever version of the format; no whole file is as short."""
_TORCH = (
    "it is a pickle or TorchScript, whose loading can run any code; in Python, export the model with "
    "torch.export.export(model, inputs) and torch.export.save(program, 'model.pt2'), and give that"
)
_ELSEWHERE = {
    ".pt": _TORCH,
    ".pth": _TORCH,
    ".pb": "give the folder of the SavedModel, not the .pb file",
    ".pkl": "pickled models are not read; export to ONNX (for example with skl2onnx)",
    ".joblib": "pickled models are not read; export to ONNX (for example with skl2onnx)",
}


def check_file(path: Path) -> FileKind:
    """The kind of model in `path`.

    Raises:
        UserError: the suffix is not known, or the content is empty, cut short or of another kind.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        remedy = _ELSEWHERE.get(suffix, f"formats read: {', '.join(SUFFIXES)} and SavedModel folders")
        raise UserError(
            f"{suffix or 'a file without suffix'} is not a model format that is read here",
            where=str(path),
            remedy=remedy,
        )
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise UserError(
            f"cannot read the model: {error.strerror}", where=str(path), remedy="check its permissions"
        ) from error
    if not size:
        raise UserError("the model file is empty", where=str(path), remedy="export or download it again")
    kind, check = SUFFIXES[suffix]
    fault = check(path, head, size)
    if fault is not None:
        other = _looks_like(head)
        is_other = other is not None and other != kind
        raise UserError(
            f"the file is not a whole {suffix} model: {fault}",
            where=str(path),
            remedy=f"its content looks like {other}: rename it" if is_other else "export or download it again",
        )
    return kind


def external_files(path: Path) -> list[Path]:
    """The files beside an ONNX file that hold its large tensors, wherever in the model those are.

    Raises:
        UserError: the file names one outside its own folder, or one that is not there, or is no ONNX file.
    """
    try:
        locations = sketch(path).locations
    except Malformed as error:
        raise UserError(
            f"the file is not a whole .onnx model: {error}", where=str(path), remedy="export or download it again"
        ) from error
    files: list[Path] = []
    for location in sorted(locations):
        target = inside(path.parent, location)
        if target is None:
            raise UserError(
                f"the model keeps tensors in {location!r}, outside its own folder",
                where=str(path),
                remedy="save the model again with its data beside it",
            )
        if not target.is_file():
            raise UserError(
                f"the model's data file {location!r} is missing", where=str(path), remedy="put it beside the .onnx file"
            )
        files.append(target)
    return sorted(set(files))


def _onnx_fault(path: Path, head: bytes, size: int) -> str | None:
    try:
        seen = sketch(path)
    except Malformed as error:
        return f"it does not parse as an ONNX ModelProto ({error})"
    if not seen.nodes:
        return "it holds no graph"
    if not seen.outputs:
        return "its graph has no outputs (cut short?)"
    return None


def _tflite_fault(path: Path, head: bytes, size: int) -> str | None:
    if len(head) < 8 or head[4:8] != b"TFL3":
        return "the identifier TFL3 is not at bytes 4 to 8"
    (root,) = struct.unpack_from("<I", head)
    if root + 4 > size:
        return f"it is cut short: the model table should be at byte {root} of {size}"
    return None


def _keras_fault(path: Path, head: bytes, size: int) -> str | None:
    try:
        with opened(path, "the archive") as archive:
            if "config.json" not in archive.namelist():
                return "the archive has no config.json"
            damaged = archive.testzip()
    except UserError as error:
        return error.what
    return f"the archive's member {damaged} is damaged" if damaged else None


def _h5_fault(path: Path, head: bytes, size: int) -> str | None:
    if not head.startswith(_HDF5):
        return "it does not begin with the HDF5 signature"
    if len(head) < _HDF5_HEAD:
        return f"it is cut short: {size} bytes"
    # Where the superblock keeps the end-of-file address, with 8-byte offsets.
    place = {0: 40, 1: 44, 2: 28, 3: 28}.get(head[8])
    if place is not None:
        (end,) = struct.unpack_from("<Q", head, place)
        if end > size:
            return f"it is cut short: {size} of {end} bytes"
    return None


def _looks_like(head: bytes) -> str | None:
    if head[4:8] == b"TFL3":
        return "tflite"
    if head.startswith(_HDF5):
        return "h5"
    if head.startswith(b"PK\x03\x04"):
        return "a zip archive (.keras or PyTorch)"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "a web page"
    return None


Check = Callable[[Path, bytes, int], str | None]
SUFFIXES: dict[str, tuple[FileKind, Check]] = {
    ".onnx": ("onnx", _onnx_fault),
    ".tflite": ("tflite", _tflite_fault),
    ".keras": ("keras", _keras_fault),
    ".h5": ("keras", _h5_fault),
    ".hdf5": ("keras", _h5_fault),
    ".pt2": ("torch", pt2.fault),
}
