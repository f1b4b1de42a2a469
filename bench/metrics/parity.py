"""Numeric agreement of a variant with its source, on real and on edge inputs."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from bench.metrics.robustness import Array, Outputs, read_arrays
from bench.quality.parity import (
    FLOATS,
    Parity,
    ParityBound,
    bound_for,
    clear_agreement,
    depth_of,
    magnitudes,
    parities,
    precision_of,
    total,
)
from bench.record.artifact import Artifact, Bundle
from bench.record.measurement import Measurement

FIGURES = (
    "parity_max_abs",
    "parity_mean_abs",
    "parity_cosine",
    "parity_sqnr",
    "parity_agreement",
    "clear_agreement",
)
EDGE = "edge_max_abs"
NO_EDGES = Outputs(reason="there are no edge inputs")
_NO_CHOICE = "the outputs choose nothing among several units"
_DECISION = 0.5
_NO_DECISION = ("regression", "reconstruction")
"""Tasks whose outputs are values each, so that the largest of them decides nothing."""

Figures = dict[str, Measurement]


class Compared(msgspec.Struct, frozen=True):
    """Figures by metric name and warnings; behind them, what was found by output and by kind of edge input."""

    figures: Figures
    warnings: tuple[str, ...] = ()
    outputs: dict[str, Parity] = {}
    edges: dict[str, Parity] = {}


def compare(
    outputs: Sequence[Array], edges: Outputs, folder: Path, bundle: Bundle, artifact: Artifact | None
) -> Compared:
    """Hold `outputs` (axis 0 the bundle's examples), and those on edge inputs, against the source model's.

    Names of outputs and the depth of the model are those of `artifact`. Warnings tell where they differ by more than
    its precision explains.
    """
    if bundle.data.reference is None:
        return Compared(absent("no outputs of the source model"))
    decides = bundle.model.task not in _NO_DECISION
    try:
        reference = read_arrays(folder / bundle.data.reference)
        named = dict(zip(_names(artifact, len(reference)), parities(outputs, reference), strict=True))
        clear = clear_agreement(outputs[0], reference[0], bundle.model.agreement_margin) if decides else None
    except ValueError as error:
        return Compared(absent(f"outputs cannot be compared: {error}"))
    at_edges, why_not = _at_edges(edges, folder, bundle, magnitudes(reference))
    bound = _bound(artifact)
    return Compared(
        _real(total(list(named.values())), _agreement(outputs, reference, named, bundle) if decides else None, clear)
        | {EDGE: _edge(at_edges, why_not)},
        (*_beyond(named, bound), *_beyond_at_edges(at_edges, bound)),
        named,
        at_edges,
    )


def absent(reason: str) -> Figures:
    """All figures where there are none."""
    return _absent((*FIGURES, EDGE), reason)


def _bound(artifact: Artifact | None) -> ParityBound | None:
    """What the precision of a file and its depth allow; None where nothing is known, or another model is meant."""
    precision = precision_of(artifact) if artifact is not None else None
    return bound_for(precision, depth_of(artifact)) if artifact is not None and precision is not None else None


def _names(artifact: Artifact | None, count: int) -> list[str]:
    names = [spec.name for spec in artifact.outputs] if artifact is not None else []
    return names if len(set(names)) == count else [f"output {at}" for at in range(count)]


def _agreement(
    outputs: Sequence[Array], reference: Sequence[Array], named: dict[str, Parity], bundle: Bundle
) -> float | None:
    """The share of examples that are decided alike, over all outputs but those that are the model's own memory.

    A single unit within 0 and 1, as a sigmoid gives it, decides at one half. None where nothing is decided.
    """
    memory = {output for _, output in bundle.model.state}
    shares = []
    for (name, found), ours, theirs in zip(named.items(), outputs, reference, strict=True):
        if name in memory:
            continue
        if found.argmax_agreement is not None:
            shares.append(found.argmax_agreement)
        elif theirs.size == len(theirs) and theirs.dtype.kind == "f" and theirs.min() >= 0 and theirs.max() <= 1:
            left, right = np.greater_equal(ours, _DECISION), np.greater_equal(theirs, _DECISION)
            shares.append(float(np.mean(left == right)))
    return min(shares, default=None)


def _real(found: Parity, agreement: float | None, clear: tuple[float, int] | None) -> Figures:
    if found.unmatched:
        return _absent(FIGURES, f"{found.nan} NaN and {found.inf} infinite output values", found.examples)
    share, decided = clear or (None, 0)
    values = (found.max_abs, found.mean_abs, found.cosine, found.sqnr_db, agreement, share)
    counts = (*[found.examples] * 5, decided)
    return {
        name: Measurement.unavailable(_unit(name), _NO_CHOICE)
        if value is None
        else Measurement(value=value, unit=_unit(name), n=count, how="measured:parity-with-source")
        for name, value, count in zip(FIGURES, values, counts, strict=True)
    }


def _at_edges(edges: Outputs, folder: Path, bundle: Bundle, scales: Sequence[float]) -> tuple[dict[str, Parity], str]:
    """All outputs compared by kind of edge input; none, with the reason, where they cannot be."""
    known = bundle.data.edges
    if known is None or edges.path is None:
        return {}, str(NO_EDGES.reason if known is None else edges.reason)
    kinds = np.array(known.kinds)
    try:
        ours, theirs = read_arrays(edges.path), read_arrays(folder / known.reference)
        return {
            kind: total(parities([o[kinds == kind] for o in ours], [t[kinds == kind] for t in theirs], scales))
            for kind in dict.fromkeys(known.kinds)
        }, ""
    except (ValueError, IndexError, OSError, KeyError, zipfile.BadZipFile) as error:
        return {}, f"outputs on edge inputs cannot be compared: {error}"


def _edge(at_edges: dict[str, Parity], why_not: str) -> Measurement:
    """The largest difference over all kinds, which `how` names."""
    if not at_edges:
        return Measurement.unavailable("1", why_not)
    examples = sum(found.examples for found in at_edges.values())
    broken = [kind for kind, found in at_edges.items() if found.unmatched]
    if broken:
        reason = f"values that are not finite on the edge inputs {', '.join(broken)}"
        return Measurement.unavailable("1", reason, examples)
    kind = max(at_edges, key=lambda name: at_edges[name].max_abs)
    return Measurement(value=at_edges[kind].max_abs, unit="1", n=examples, how=f"measured:edge-inputs:{kind}")


def _beyond(named: dict[str, Parity], bound: ParityBound | None) -> tuple[str, ...]:
    """A warning for each output that the variant's precision does not explain."""
    if bound is None:
        return ()
    allowed = f"{bound.max_relative:.2g}, at least {bound.min_sqnr_db:.0f} dB and a cosine of {bound.min_cosine:.4g}"
    return tuple(
        f"{'outputs differ' if len(named) == 1 else f'the output {name!r} differs'} from the source model's by up to "
        f"{found.max_relative:.2g} of the largest magnitude ({_told(found)}), which is more than {bound.precision} "
        f"explains ({allowed})"
        for name, found in named.items()
        if not found.within(bound)
    )


def _told(found: Parity) -> str:
    cosine = "" if found.cosine is None else f", smallest cosine {found.cosine:.4f}"
    broken = f", {found.nan} NaN and {found.inf} infinite values" if found.unmatched else ""
    return f"SQNR {found.sqnr_db:.1f} dB{cosine}{broken}"


def _beyond_at_edges(at_edges: dict[str, Parity], bound: ParityBound | None) -> tuple[str, ...]:
    """A warning for each kind of edge input on which a variant breaks.

    A float type is held to its bound, relative to the largest output on real or on edge inputs. Integers saturate
    outside the range that calibration saw, as they have to: of them, values that are not finite count alone.
    """
    held = bound is not None and bound.precision in FLOATS
    told = []
    for kind, found in at_edges.items():
        if found.lost:
            told.append(
                f"{found.lost} output values are NaN or infinite on the edge inputs {kind}, where the source model's "
                "are finite"
            )
        elif bound is not None and held and found.max_relative > bound.max_relative:
            told.append(
                f"outputs on the edge inputs {kind} differ from the source model's by up to {found.max_relative:.2g} "
                f"of the largest magnitude, which is more than {bound.precision} explains ({bound.max_relative:.2g})"
            )
    return tuple(told)


def _unit(name: str) -> str:
    return "dB" if name == "parity_sqnr" else "1"


def _absent(names: Sequence[str], reason: str, n: int = 0) -> Figures:
    return {name: Measurement.unavailable(_unit(name), reason, n) for name in names}
