"""Whether a `.pt2` file is a program that torch.export saved, told without PyTorch."""

from __future__ import annotations

from pathlib import Path

from bench.errors import UserError
from bench.zoo.archive import opened

_FORMAT, _PROGRAM = "archive_format", "models/model.json"
_REFUSED = {
    "data/constants/custom_obj_": "a pickled object of a class of its own",
    "data/constants/opaque_obj_": "a pickled object of a class of its own",
    "data/aotinductor/": "compiled machine code",
}
"""Members that loading would run code from."""
_SCRIPT = ("constants.pkl", "data.pkl")


def fault(path: Path, head: bytes, size: int) -> str | None:
    """What is wrong with the file at `path`, as the end of a sentence; None where nothing is."""
    try:
        with opened(path, "the archive") as archive:
            # All members lie in one folder, whatever its name.
            names = {entry.partition("/")[2]: entry for entry in archive.namelist()}
            if _FORMAT not in names:
                return _instead(set(archive.namelist()) | set(names))
            found = archive.read(names[_FORMAT])[:64].decode("utf-8", "replace").strip()
            damaged = archive.testzip()
    except UserError as error:
        return error.what
    if found != "pt2":
        return f"it is an archive of the format {found!r}"
    if _PROGRAM not in names:
        return f"the archive has no {_PROGRAM}"
    for name in names:
        for prefix, what in _REFUSED.items():
            if name.startswith(prefix):
                return f"it holds {what} ({name}), which is not loaded here"
    return f"the archive's member {damaged} is damaged" if damaged else None


def _instead(names: set[str]) -> str:
    if "serialized_exported_program.json" in names:
        return "an old PyTorch saved it; load it with that one and save it with PyTorch 2.8 or later"
    if any(name in names for name in _SCRIPT):
        return "it is TorchScript or a pickle; export the model with torch.export.export and torch.export.save"
    return f"the archive has no {_FORMAT}"
