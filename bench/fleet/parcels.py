"""Bundles on their way: each once to a machine, in pieces, under the hash of its content."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from bench.export.bundle import save
from bench.export.prepare import BUNDLE_FILE
from bench.export.recipes import key_of
from bench.record.artifact import Artifact, Format, Unavailable
from bench.runner.plan import Subject

PIECE_BYTES = 4 << 20
"""Small enough for a scheduler, which each piece goes through."""


class Parcel(msgspec.Struct, frozen=True):
    """A zipped bundle. `key` is the SHA-256 of its index, which holds that of every file; `size` in B."""

    key: str
    path: Path
    size: int

    def piece(self, at: int) -> bytes:
        """So much as is sent at once."""
        with self.path.open("rb") as file:
            file.seek(at)
            return file.read(PIECE_BYTES)


def pack_parcels(subjects: Mapping[str, Subject], scratch: Path) -> dict[str, Parcel]:
    """A parcel for each model that has something to measure, by the name of the model."""
    made = {}
    for number, (name, subject) in enumerate(subjects.items()):
        bundle = subject.bundle
        if bundle is None or not bundle.artifacts:
            continue
        wanted = {key_of(answer) for answer in bundle.answers}
        path = save(Path(subject.folder), _among(wanted), scratch / f"{number}.zip")
        with zipfile.ZipFile(path) as zipped:
            key = hashlib.sha256(zipped.read(BUNDLE_FILE)).hexdigest()
        made[name] = Parcel(key, path, path.stat().st_size)
    return made


def _among(wanted: set[tuple[str, Format, str]]) -> Callable[[Artifact | Unavailable], bool]:
    return lambda answer: key_of(answer) in wanted
