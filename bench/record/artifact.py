"""An exported file, and the bundle of files that travels to a target."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import msgspec

from bench.record.case import Option
from bench.record.measurement import Measurement

Format = Literal["onnx", "tflite"]
BUNDLE_SCHEMA = 2
STATE_KEY, STARTS_KEY = "state", "starts"
"""Keys beside "0", "1", … in the evaluation inputs of a model with memory: its states as rows (position of the input,
position of the output of the step before), and the examples that begin a sequence."""


class TensorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An input or output of a model.

    `dtype` is a NumPy name. `shape` has None for a dynamic axis; axis 0 is the batch where it is
    dynamic or 1. `scale` and `zero_point` are set for an affine-quantised tensor:
    real = scale * (stored - zero_point).
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    scale: float | None = None
    zero_point: int | None = None


class Recipe(msgspec.Struct, frozen=True):
    """How a variant is made: one of the built-in variants, and all of its options."""

    base: str
    options: dict[str, Option] = {}


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """One exported file and its facts. `path` is relative to the bundle's folder.

    `inputs` and `outputs` stand in the order of the source model, whatever the file's own order.
    `sparsity` is the share of exact zeros among the weights of the matrix-product and convolution
    operators; `parameters` and `macs` are counts for one example. `bytes_zstd` is the size after compression
    with Zstandard. `quantised_nodes` and `quantised_macs` are the shares (0..1) of the matrix-product and
    convolution operators, and of their MACs, whose weights are stored as integers. A fact that could not be read
    is None.
    `notes` say in plain words what the transformation did or could not do.
    """

    model: str
    variant: str
    format: Format
    path: str
    sha256: str
    bytes: int
    bytes_zstd: int | None = None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: int | None = None
    parameters: int | None = None
    macs: int | None = None
    sparsity: float | None = None
    quantised_nodes: float | None = None
    quantised_macs: float | None = None
    operators: dict[str, int] = {}
    notes: tuple[str, ...] = ()
    recipe: Recipe = Recipe("")

    @property
    def base(self) -> str:
        """The built-in variant behind this one; rows of runs from before there were recipes name no other."""
        return self.recipe.base or self.variant


def one_row_an_example(inputs: Sequence[TensorSpec]) -> bool:
    """Whether axis 0 of every input is the batch (free or 1), so that an example is one row of it.

    Where it is not, an example is a whole feed and its arrays have one axis more than the input.
    """
    return all(spec.shape and spec.shape[0] in (None, 1) for spec in inputs)


class Unavailable(msgspec.Struct, frozen=True, kw_only=True):
    """A variant that cannot be made for this model, and why."""

    variant: str
    format: Format
    reason: str
    recipe: Recipe


class Cleaned(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the cleaning of a data set did: to how many examples, and why."""

    what: str
    count: int
    why: str


class Corrupted(msgspec.Struct, frozen=True, kw_only=True):
    """Evaluation inputs made worse on purpose.

    `inputs` is a file like that of `DataInfo.inputs`. Axis 0 holds the cells one after the other, and within
    a cell the examples at the positions `examples` of the evaluation data. A cell is a corruption by name and
    its severity, 1 (slight) to 5 (severe).
    """

    inputs: str
    cells: tuple[tuple[str, int], ...]
    examples: tuple[int, ...]
    seed: int


class Edges(msgspec.Struct, frozen=True, kw_only=True):
    """Inputs at the edges of what the model was made for.

    `inputs` and `reference` are files like those of `DataInfo`; `kinds` names what each example is, such as zeros.
    """

    inputs: str
    reference: str
    kinds: tuple[str, ...]


class DataInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The evaluation data of a bundle.

    `name` stands in every table. `inputs` (npz, one array a model input, keys "0", "1", …, axis 0 the
    examples), `labels` (npy) and `reference` (npz: the outputs of the source model for those inputs,
    keys "0", "1", …) are files relative to the bundle; None where there is none. `generated` says that
    the inputs are random, so that no quality can be measured with them. `corrupted` is None where no
    corruption is defined for this kind of data, `edges` where the source gave no outputs on any edge inputs.
    `preprocessing` says how raw data became inputs.
    """

    name: str
    examples: int
    inputs: str
    labels: str | None = None
    reference: str | None = None
    generated: bool = False
    corrupted: Corrupted | None = None
    cleaning: tuple[Cleaned, ...] = ()
    preprocessing: str = ""
    edges: Edges | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file that is named here."""
        named = [self.inputs, self.labels, self.reference, self.corrupted.inputs if self.corrupted else None]
        named += [self.edges.inputs, self.edges.reference] if self.edges else []
        return tuple(path for path in named if path is not None)


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """One pass over the training data, `seconds` long.

    `held_out` is the task metric on the evaluation data, which chose nothing and whose time is not counted.
    """

    number: int
    loss: float
    seconds: float
    held_out: float | None = None


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """What it cost to train the model, and how it went.

    `costs` are keyed `training_time` (s), `training_energy` (J) and `training_peak_rss` (B). `machine` says
    on what.
    """

    examples: int
    epochs: tuple[Epoch, ...]
    costs: dict[str, Measurement]
    machine: str
    notes: tuple[str, ...] = ()


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the bundle's model is. `metric` is a name of `bench.quality.METRICS`, or None.

    `quality_floor` is what the metric of the model as trained must reach, `floor_about` where that number
    comes from; `agreement_floor` the share of examples, of those that the source decides by `agreement_margin`
    (its largest output less the next), that a quantised variant must decide as the source
    does. `training` is None for a model that was not trained here. `state` pairs an input with the output of the
    step before that it is fed from.
    """

    name: str
    source: str
    source_sha256: str
    task: str | None = None
    metric: str | None = None
    quality_floor: float | None = None
    floor_about: str | None = None
    agreement_floor: float | None = None
    agreement_margin: float = 0.0
    licence: str | None = None
    source_quality: float | None = None
    training: Training | None = None
    state: tuple[tuple[str, str], ...] = ()


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `bundle.json`: artifacts and evaluation data that run without the export stack.

    `files` gives the SHA-256 of every other file of the bundle by relative path; `tools` the versions
    that made them.
    """

    model: ModelInfo
    data: DataInfo
    artifacts: tuple[Artifact, ...]
    unavailable: tuple[Unavailable, ...] = ()
    files: dict[str, str] = {}
    tools: dict[str, str] = {}
    seed: int = 0
    schema: int = BUNDLE_SCHEMA

    @property
    def data_sha256(self) -> str:
        """Of what quality is judged by: inputs, labels and the source's outputs."""
        named = (self.data.inputs, self.data.labels, self.data.reference)
        content = "".join(self.files.get(name, "") for name in named if name is not None)
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def answers(self) -> tuple[Artifact | Unavailable, ...]:
        """What became of every variant that was asked for."""
        return (*self.artifacts, *self.unavailable)
