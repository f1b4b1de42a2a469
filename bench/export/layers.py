"""Where in a network a variant goes astray: its intermediate tensors beside those of the float32 file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import numpy as np

from bench.export.origin import Array, Feed
from bench.quality.parity import Parity, parity, total
from bench.record.artifact import Artifact, Format
from bench.record.observation import Confinement

EQUAL_DB = 300.0
"""The ratio of tensors that are equal."""
_NO_DROP = 0.0


class Step(msgspec.Struct, frozen=True):
    """One tensor of a network in execution order: the operator that makes it, of which other tensors.

    Constants are not among `inputs`. An input of the network has the operator `input` and no inputs.
    """

    tensor: str
    operator: str
    inputs: tuple[str, ...] = ()


INPUT = "input"


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """How far a variant's tensor is from the float32 file's, over all examples.

    `place` counts the steps of the float32 file. `sqnr_db` is the ratio of signal to difference (-300..300),
    `inputs_sqnr_db` the smallest of the tensors that it is made of; where they are equal, the best that rounding
    leaves: the highest ratio in the variant, or that of one product in its precision. `drop_db` is the step between
    the two: the error that enters here, or is amplified. `max_abs` is the largest difference, `cosine` the smallest
    of an example, None for single units.
    """

    place: int
    tensor: str
    operator: str
    sqnr_db: float
    max_abs: float
    cosine: float | None
    inputs_sqnr_db: float
    drop_db: float


class LayerTable(msgspec.Struct, frozen=True, kw_only=True):
    """The layers of one variant in execution order, over `examples` evaluation inputs.

    `expected_db` is the ratio that one product in the variant's precision leaves. `unmatched` counts the tensors of
    the float32 file that the variant does not have, as where operators were fused. `reason` says why there are no
    layers.
    """

    variant: str
    format: Format
    examples: int = 0
    expected_db: float | None = None
    layers: tuple[Layer, ...] = ()
    unmatched: int = 0
    reason: str | None = None

    @property
    def entry(self) -> Layer | None:
        """The layer where the most error enters; None where the variant is equal throughout, or has no layers."""
        worst = max(self.layers, key=lambda layer: layer.drop_db, default=None)
        return worst if worst is not None and worst.drop_db > _NO_DROP else None


class LayerJob(msgspec.Struct, frozen=True, kw_only=True):
    """What the process compares: the files of `reference` and `artifact`, on `examples` of the npz `inputs`.

    `expected_db` is the ratio of signal to noise that one product in the variant's precision leaves. `confinement`
    holds for the process.
    """

    reference: Artifact
    reference_path: str
    artifact: Artifact
    artifact_path: str
    inputs: str
    examples: int
    expected_db: float
    confinement: Confinement = Confinement()


class Recorder(Protocol):
    """A network whose every tensor can be read, in real values, under the names of the float32 file."""

    steps: Sequence[Step]

    def record(self, feed: Feed) -> Mapping[str, Array]:
        """One inference, and the float tensors that came of it."""


@dataclass
class _Tally:
    """A tensor over the examples so far: the energies of the reference and of the difference, and the worst figures."""

    signal: float = 0.0
    noise: float = 0.0
    found: list[Parity] = field(default_factory=list)

    def add(self, ours: Array, theirs: Array) -> None:
        o, r = (np.ravel(a).astype(np.float64)[None] for a in (ours, theirs))
        one = parity(o, r)
        self.found = [total([*self.found, one])]
        sound = np.isfinite(o) & np.isfinite(r)
        # Broken values are noise without end.
        self.noise += float(np.sum((o - r)[sound] ** 2)) if not one.lost else math.inf
        self.signal += float(np.sum(r[sound] ** 2))

    def sqnr_db(self) -> float:
        """10 log10(signal / noise), within ±300 dB."""
        if self.noise == 0:
            return EQUAL_DB
        if self.signal == 0 or math.isinf(self.noise):
            return -EQUAL_DB
        return max(-EQUAL_DB, min(EQUAL_DB, 10 * math.log10(self.signal / self.noise)))


def compare(reference: Recorder, variant: Recorder, feeds: Iterable[Feed], job: LayerJob) -> LayerTable:
    """Run both on `feeds` and compare tensor by tensor, one example in memory at a time.

    A tensor that the variant has in another size counts as unmatched.
    """
    names = _counterparts(reference.steps, variant.steps)
    tallies = {name: _Tally() for name in names}
    unfit: set[str] = set()
    for feed in feeds:
        theirs, ours = reference.record(feed), variant.record(feed)
        for name, tally in tallies.items():
            one, other = ours.get(names[name]), theirs.get(name)
            if one is not None and other is not None and other.size and one.size == other.size:
                tally.add(one, other)
            else:
                unfit.add(name)
    fit = {name: tally for name, tally in tallies.items() if name not in unfit}
    return LayerTable(
        variant=job.artifact.variant,
        format=job.artifact.format,
        examples=job.examples,
        expected_db=job.expected_db,
        layers=_layers(reference.steps, fit, job.expected_db),
        unmatched=sum(step.operator != INPUT and step.tensor not in fit for step in reference.steps),
    )


def _counterparts(reference: Sequence[Step], variant: Sequence[Step]) -> dict[str, str]:
    """The variant's tensor for each of the reference's: of the same name, or of the same but for a number at its end.

    Converters number names to tell them apart, and count what a variant has more. Such a pair has to be the only one
    of its operator.
    """
    there = {step.tensor for step in variant}
    found = {step.tensor: step.tensor for step in reference if step.tensor in there}
    trunks = [
        _unique((step.operator, step.tensor.rstrip("0123456789"), step.tensor) for step in steps)
        for steps in (reference, variant)
    ]
    for trunk, name in trunks[0].items():
        if name not in found and trunk in trunks[1]:
            found[name] = trunks[1][trunk]
    return found


def _unique(named: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str], str]:
    """Names by operator and trunk, where only one has them."""
    by_trunk: dict[tuple[str, str], list[str]] = {}
    for operator, trunk, name in named:
        by_trunk.setdefault((operator, trunk), []).append(name)
    return {trunk: names[0] for trunk, names in by_trunk.items() if len(names) == 1}


def _layers(steps: Sequence[Step], tallies: Mapping[str, _Tally], expected_db: float) -> tuple[Layer, ...]:
    ratios = {name: tally.sqnr_db() for name, tally in tallies.items()}
    # What rounding leaves at its best: without it, the first rounding of all would be the largest drop.
    best = max([expected_db, *(ratio for ratio in ratios.values() if ratio < EQUAL_DB)])
    known: dict[str, float] = {}
    layers = []
    for place, step in enumerate(steps):
        # What has no counterpart passes on what came before it.
        before = min((known.get(name, best) for name in step.inputs), default=best)
        tally = tallies.get(step.tensor)
        known[step.tensor] = before if tally is None else min(ratios[step.tensor], best)
        if tally is not None:
            found = tally.found[0]
            layers.append(
                Layer(
                    place=place,
                    tensor=step.tensor,
                    operator=step.operator,
                    sqnr_db=ratios[step.tensor],
                    max_abs=found.max_abs,
                    cosine=found.cosine,
                    inputs_sqnr_db=before,
                    drop_db=max(_NO_DROP, before - ratios[step.tensor]),
                )
            )
    return tuple(layers)
