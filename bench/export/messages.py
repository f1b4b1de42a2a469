"""What the parent and the export process say to each other; one record a frame."""

from __future__ import annotations

import msgspec

from bench.export.inputs import Descriptions
from bench.export.recipes import Wanted
from bench.record.artifact import Artifact, DataInfo, Epoch, ModelInfo, Unavailable
from bench.record.observation import Confinement
from bench.zoo.find import ModelSource


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The work: the variants wanted, and the folder of the bundle. `describe` asks for `Described` too.

    `inputs` say how a user's model is fed. For a zoo model `trained` is the folder of its weights, and
    `ingredients` says where the files of its data set and its ready weights lie, by their names in the tables.
    `confinement` holds for the export process.
    """

    source: ModelSource
    variants: list[Wanted]
    folder: str
    data: str | None
    seed: int
    describe: bool
    inputs: Descriptions = Descriptions()
    trained: str | None = None
    ingredients: dict[str, str] = {}
    confinement: Confinement = Confinement()


class Progress(msgspec.Struct, frozen=True, tag=True):
    """A line for people. `share` (0..1) is how much is done; a `passing` one is for a live view only."""

    text: str
    share: float | None = None
    passing: bool = False


class TrainingBegan(msgspec.Struct, frozen=True, tag=True):
    """The first step of a training comes next."""


class EpochEnded(msgspec.Struct, frozen=True, tag=True):
    """An epoch of a training is over and kept."""

    epoch: Epoch


class TrainingEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The weights are kept. `peak_rss` (B) is the kernel's high-water mark of the process, where it tells one.

    `resumed` counts the epochs of an earlier, killed training among `epochs`.
    """

    examples: int
    epochs: tuple[Epoch, ...]
    seconds: float
    resumed: int
    peak_rss: int | None


class Described(msgspec.Struct, frozen=True, tag=True):
    """The model and its evaluation data, whose files are written. `files` gives SHA-256 by relative path."""

    model: ModelInfo
    data: DataInfo
    files: dict[str, str]


class Started(msgspec.Struct, frozen=True, tag=True):
    """A variant is begun: it is to blame for a crash from here on."""

    wanted: Wanted


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


Message = (
    Progress
    | TrainingBegan
    | EpochEnded
    | TrainingEnded
    | Described
    | Started
    | Made
    | Missing
    | Refused
    | Broken
    | Finished
)
