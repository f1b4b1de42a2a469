"""Inputs at the edges of what a model was made for, and what its source answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.export.origin import Array, Feed, predict
from bench.record.artifact import TensorSpec

REAL = 4
"""How many examples of the evaluation data are turned around, and how many are made of denormal numbers."""


@dataclass(frozen=True)
class EdgeCases:
    """`inputs` (one array an input, axis 0 the examples), the source's `outputs` alike, and each example's kind.

    `left_out` says of which kinds the source gave no outputs, and why.
    """

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    kinds: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def edge_cases(run: Callable[[Feed], list[Array]], inputs: Sequence[Array], specs: Sequence[TensorSpec]) -> EdgeCases:
    """The edge inputs of a model with the evaluation data `inputs`, run by its source; without examples where none ran.

    Where a source fails on a kind, that kind is left out: no variant can be held to it.
    """
    ran: list[tuple[str, tuple[Array, ...], list[Array]]] = []
    left_out = []
    for kind, arrays in edge_inputs(inputs).items():
        try:
            ran.append((kind, arrays, predict(run, arrays, specs)))
        except Exception as error:  # each format's runtime has errors of its own
            left_out.append(f"{kind}: {' '.join(str(error).split())[:160]}")
    kinds = tuple(kind for kind, arrays, _ in ran for _ in range(len(arrays[0])))
    try:
        given = tuple(np.concatenate(one) for one in zip(*(arrays for _, arrays, _ in ran), strict=True))
        made = tuple(np.concatenate(one) for one in zip(*(outputs for *_, outputs in ran), strict=True))
    except ValueError:
        # Outputs whose shape depends on the values do not fit in one file.
        return EdgeCases((), (), (), (*left_out, "all: the shapes of the outputs differ"))
    return EdgeCases(given, made, kinds, tuple(left_out))


def edge_inputs(inputs: Sequence[Array]) -> dict[str, tuple[Array, ...]]:
    """Edge inputs by kind, made of the range of the evaluation data `inputs` (one array an input, axis 0 examples).

    zeros; `highest` and `lowest`, plus and minus the largest magnitude seen; `constant`, the mean everywhere;
    `denormal`, numbers below the smallest normal one; `flipped`, real examples with the other sign. Where all that
    was seen are whole numbers they may be indices: there the values stay between the smallest and the largest seen,
    and denormal and flipped inputs are the real ones. In flat data, (examples, features), every feature has its own
    range, else an input has one. A kind that equals an earlier one, or the real examples, is left out.
    """
    ranges = [_Range.of(array) for array in inputs]
    rng = np.random.default_rng(0)
    made = {
        "zeros": tuple(r.filled(r.zero) for r in ranges),
        "highest": tuple(r.filled(r.highest) for r in ranges),
        "lowest": tuple(r.filled(r.lowest) for r in ranges),
        "constant": tuple(r.filled(r.middle) for r in ranges),
        "denormal": tuple(r.instead(_denormal(r.real, rng)) for r in ranges),
        "flipped": tuple(r.instead(_flipped(r.real)) for r in ranges),
    }
    seen = [tuple(r.real for r in ranges)]
    kept: dict[str, tuple[Array, ...]] = {}
    for kind, arrays in made.items():
        if not any(_equal(arrays, earlier) for earlier in seen):
            kept[kind] = arrays
            seen.append(arrays)
    return kept


@dataclass(frozen=True)
class _Range:
    """What was seen of an input, as arrays that fit one example; `real` are its first examples."""

    real: Array
    whole: Array
    zero: Array
    highest: Array
    lowest: Array
    middle: Array

    @classmethod
    def of(cls, array: Array) -> _Range:
        # Flat data have features of different kinds; places of a signal or an image are of one kind.
        by = 0 if array.ndim <= 2 else None
        values = np.where(np.isfinite(array), array, np.zeros((), array.dtype)) if array.dtype.kind == "f" else array
        low, high = values.min(axis=by), values.max(axis=by)
        whole = np.asarray((values == np.rint(values)).all(axis=by)) if array.dtype.kind == "f" else np.array(True)
        if array.dtype.kind == "b":
            return cls(array[:REAL], whole, low, high, low, _of_the_middle(values, by))
        largest = high if whole.all() else np.maximum(np.abs(low), np.abs(high))
        smallest = low if whole.all() else -largest
        middle = _of_the_middle(values, by)
        if not whole.all():
            middle = np.where(whole, middle, values.mean(axis=by, dtype=np.float64))
        return cls(
            real=array[:REAL],
            whole=whole,
            zero=np.where(whole, np.clip(np.zeros((), array.dtype), low, high), 0),
            highest=np.where(whole, high, largest),
            lowest=np.where(whole, low, smallest),
            middle=middle,
        )

    def filled(self, values: Array) -> Array:
        """One example of these values."""
        return np.broadcast_to(values, (1, *self.real.shape[1:])).astype(self.real.dtype)

    def instead(self, values: Array) -> Array:
        """The real examples, with `values` where the data are not whole numbers."""
        return np.where(self.whole, self.real, values).astype(self.real.dtype)


def _of_the_middle(values: Array, by: int | None) -> Array:
    """The middle one of the values that were seen: unlike a mean, one that may be an index."""
    ordered = np.sort(values, axis=by)
    return np.asarray(ordered[len(ordered) // 2])


def _flipped(real: Array) -> Array:
    return -real if real.dtype.kind == "f" else real


def _denormal(real: Array, rng: np.random.Generator) -> Array:
    if real.dtype.kind != "f":
        return real
    shares = rng.uniform(-1.0, 1.0, real.shape)
    return (shares * float(np.finfo(real.dtype).smallest_normal)).astype(real.dtype)


def _equal(some: tuple[Array, ...], others: tuple[Array, ...]) -> bool:
    """Whether all examples of both are the same, however many there are."""
    return all(
        bool((one[:1] == two).all() and (one == two[:1]).all()) for one, two in zip(some, others, strict=True)
    ) or all(np.array_equal(one, two) for one, two in zip(some, others, strict=True))
