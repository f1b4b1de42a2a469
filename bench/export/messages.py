"""What the parent and the export process say to each other; one record a frame."""

from __future__ import annotations

import msgspec

from bench.record.artifact import Artifact, DataInfo, Format, ModelInfo, Unavailable
from bench.zoo.find import ModelSource


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The work: the variants wanted, and the folder of the bundle. `describe` asks for `Described` too."""

    source: ModelSource
    variants: list[tuple[str, Format]]
    folder: str
    data: str | None
    seed: int
    describe: bool


class Progress(msgspec.Struct, frozen=True, tag=True):
    """A line for people."""

    text: str


class Described(msgspec.Struct, frozen=True, tag=True):
    """The model and its evaluation data, whose files are written. `files` gives SHA-256 by relative path."""

    model: ModelInfo
    data: DataInfo
    files: dict[str, str]


class Started(msgspec.Struct, frozen=True, tag=True):
    """A variant is begun: it is to blame for a crash from here on."""

    variant: str
    format: Format


class Made(msgspec.Struct, frozen=True, tag=True):
    """A finished artifact, its file in place."""

    artifact: Artifact


class Missing(msgspec.Struct, frozen=True, tag=True):
    """A variant that cannot be made."""

    unavailable: Unavailable


class Refused(msgspec.Struct, frozen=True, tag=True):
    """A `UserError` raised in the child."""

    what: str
    where: str | None
    remedy: str | None


class Broken(msgspec.Struct, frozen=True, tag=True):
    """An exception outside any variant."""

    reason: str


class Finished(msgspec.Struct, frozen=True, tag=True):
    """All is done."""


Message = Progress | Described | Started | Made | Missing | Refused | Broken | Finished
