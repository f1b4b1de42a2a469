"""Does a variant compute what its source computes? Numeric agreement of outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from bench.errors import unknown
from bench.stats.checks import Floats

Array = npt.NDArray[np.generic]
_DB_LIMIT = 300.0  # float64 itself reaches about 300 dB


class ParityBound(msgspec.Struct, frozen=True, kw_only=True):
    """How far outputs may lie from the reference.

    `max_relative` bounds the largest absolute difference as a share of the reference's largest
    magnitude, `min_cosine` the cosine of every example. Neither depends on the scale of the outputs.
    """

    precision: str
    max_relative: float
    min_cosine: float


BOUNDS: dict[str, ParityBound] = {
    b.precision: b
    for b in (
        ParityBound(precision="fp32", max_relative=1e-4, min_cosine=0.99999),
        ParityBound(precision="fp16", max_relative=2e-2, min_cosine=0.999),
        ParityBound(precision="int8", max_relative=0.5, min_cosine=0.9),
    )
}


def bound_for(precision: str) -> ParityBound:
    """The bound for arithmetic in `precision`: `fp32`, `fp16` or `int8`.

    One tolerance for every type raises false alarms on fp16 and int8 and sleeps on fp32, so each has
    its own, from the rounding of the type:

    - fp32: unit roundoff 2^-24 = 6e-8. Another order of summation over k products moves a sum by about
      sqrt(k) roundoffs and by k in the worst case; for k near 1e3 and tens of layers that is 1e-5 of
      the range, doubled digits left for exp and divide: 1e-4.
    - fp16: unit roundoff 2^-11 = 4.9e-4. Sums are kept in fp32 or in few fp16 steps, so that tens of
      layers add up like a random walk, to some sqrt(50) x 4.9e-4 = 3.5e-3; 2e-2 leaves a factor for
      outputs that are sensitive (softmax near a tie). Overflow past 65,504 shows up as infinities,
      which no bound allows.
    - int8: a step is 1/255 of a tensor's range, its rounding noise uniform with 1/(255 sqrt(12)) = 0.11 %
      of it. Since most values are far smaller than the range, each layer adds some per cent of the
      typical value, and outputs near a decision can move by a large share of the range though the
      decision rarely changes: the cosine of 0.9 catches a broken graph, the largest difference only
      one that is nowhere near. Whether int8 is good enough is for the task metric to say.

    A pruned model is another function on purpose and has no bound.

    Raises:
        UserError: there is no bound for this name.
    """
    try:
        return BOUNDS[precision]
    except KeyError:
        raise unknown("precision", precision, BOUNDS) from None


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """Agreement of outputs with a reference; over several outputs, the worst of each figure.

    `max_abs` and `mean_abs` are differences in the outputs' unit; `max_relative` is the largest
    difference of an output over the largest magnitude in its reference. `cosine` is the smallest
    per-example cosine similarity (two zero vectors agree: 1; one zero vector: 0), None where every output has a
    single unit, whose direction is only its sign. `sqnr_db` is the ratio
    of signal to difference, 10 log10(sum r² / sum (o - r)²), kept within ±300 dB, 300 meaning equal.
    `argmax_agreement` is the share of examples with the same largest unit, None where every output has
    a single unit. Figures are over values that are finite on both sides; `nan` and `inf` count output
    values that are not, `unmatched` the places where one side is not finite and the other not likewise.
    """

    examples: int
    max_abs: float
    mean_abs: float
    max_relative: float
    cosine: float | None
    sqnr_db: float
    argmax_agreement: float | None
    nan: int
    inf: int
    unmatched: int

    def within(self, bound: ParityBound) -> bool:
        """Whether outputs are finite wherever the reference is and lie within `bound`."""
        near = self.cosine is None or self.cosine >= bound.min_cosine
        return self.unmatched == 0 and self.max_relative <= bound.max_relative and near


def parity(
    outputs: Array | Sequence[npt.ArrayLike],
    reference: Array | Sequence[npt.ArrayLike],
) -> Parity:
    """Compare `outputs` with `reference`: arrays (N, ...), or lists (tuples) of them, one a model output.
    A list is always taken for several outputs.

    Raises:
        ValueError: counts or shapes differ, or there is no example.
    """
    ours, theirs = _as_list(outputs), _as_list(reference)
    if len(ours) != len(theirs) or not ours:
        raise ValueError(f"{len(ours)} outputs cannot be compared with {len(theirs)}")
    parts = [_one(o, r) for o, r in zip(ours, theirs, strict=True)]
    if len({p.examples for p in parts}) != 1:
        raise ValueError("the outputs have different numbers of examples")
    sizes = [o.size for o in ours]
    agreements = [p.argmax_agreement for p in parts if p.argmax_agreement is not None]
    return Parity(
        examples=parts[0].examples,
        max_abs=max(p.max_abs for p in parts),
        mean_abs=sum(p.mean_abs * s for p, s in zip(parts, sizes, strict=True)) / sum(sizes),
        max_relative=max(p.max_relative for p in parts),
        cosine=min((p.cosine for p in parts if p.cosine is not None), default=None),
        sqnr_db=min(p.sqnr_db for p in parts),
        argmax_agreement=min(agreements, default=None),
        nan=sum(p.nan for p in parts),
        inf=sum(p.inf for p in parts),
        unmatched=sum(p.unmatched for p in parts),
    )


def clear_agreement(outputs: npt.ArrayLike, reference: npt.ArrayLike, margin: float) -> tuple[float, int] | None:
    """The share of equal decisions where the reference decides by at least `margin`, and how many examples these are.

    The margin is the largest unit less the next, in the outputs' unit: where it is below the noise of a
    precision, a decision is a toss-up. None where no example is decided so, or outputs have one unit.

    Raises:
        ValueError: the shapes differ.
    """
    o, r = np.asarray(outputs, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if o.shape != r.shape:
        raise ValueError(f"an output of shape {o.shape} cannot be compared with one of shape {r.shape}")
    if r.ndim < 2 or r.shape[-1] < 2:
        return None
    o, r = o.reshape(-1, o.shape[-1]), r.reshape(-1, r.shape[-1])
    top = np.sort(r, axis=-1)
    clear = top[:, -1] - top[:, -2] >= margin
    share = _argmax_agreement(o[clear], r[clear]) if clear.any() else None
    return None if share is None else (share, int(clear.sum()))


def _as_list(arrays: Array | Sequence[npt.ArrayLike]) -> list[Floats]:
    if isinstance(arrays, (list, tuple)):
        return [np.asarray(a, dtype=np.float64) for a in arrays]
    return [np.asarray(arrays, dtype=np.float64)]


def _one(o: Floats, r: Floats) -> Parity:
    if o.shape != r.shape:
        raise ValueError(f"an output of shape {o.shape} cannot be compared with one of shape {r.shape}")
    if o.size == 0 or o.ndim == 0:
        raise ValueError("there is no example to compare")
    n = o.shape[0]
    sound = np.isfinite(o) & np.isfinite(r)
    a, b = np.where(sound, o, 0.0).reshape(n, -1), np.where(sound, r, 0.0).reshape(n, -1)
    difference = np.abs(a - b)
    largest, scale = float(difference.max()), float(np.abs(b).max())
    kinds_differ = ~sound & ~((np.isnan(o) & np.isnan(r)) | (o == r))
    return Parity(
        examples=n,
        max_abs=largest,
        mean_abs=float(difference.sum() / max(1, sound.sum())),
        max_relative=largest / scale if scale else (0.0 if largest == 0 else math.inf),
        cosine=float(_cosines(a, b).min()) if a.shape[1] > 1 else None,
        sqnr_db=_decibels(b, difference),
        argmax_agreement=_argmax_agreement(o, r),
        nan=int(np.isnan(o).sum()),
        inf=int(np.isinf(o).sum()),
        unmatched=int(kinds_differ.sum()),
    )


def _cosines(a: Floats, b: Floats) -> Floats:
    """Cosine of each row; scaled first, so that squares neither overflow nor vanish."""
    tops_a, tops_b = np.abs(a).max(axis=1, keepdims=True), np.abs(b).max(axis=1, keepdims=True)
    zero_a, zero_b = tops_a[:, 0] == 0, tops_b[:, 0] == 0
    u, v = a / np.where(tops_a == 0, 1, tops_a), b / np.where(tops_b == 0, 1, tops_b)
    norms = np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1)
    cosines = (u * v).sum(axis=1) / np.where(norms == 0, 1, norms)
    return np.where(zero_a & zero_b, 1.0, np.where(zero_a | zero_b, 0.0, np.clip(cosines, -1, 1)))


def _decibels(signal: Floats, noise: Floats) -> float:
    """20 log10 of the ratio of norms; each norm is scaled first, so that squares neither overflow nor vanish."""
    tops = float(np.abs(signal).max()), float(noise.max())
    if tops[1] == 0:
        return _DB_LIMIT
    if tops[0] == 0:
        return -_DB_LIMIT
    norms = np.linalg.norm(signal / tops[0]), np.linalg.norm(noise / tops[1])
    ratio = math.log10(tops[0]) - math.log10(tops[1]) + math.log10(norms[0] / norms[1])
    return max(-_DB_LIMIT, min(_DB_LIMIT, 20 * ratio))


def _argmax_agreement(o: Floats, r: Floats) -> float | None:
    """The share of equal decisions; a row that is not finite agrees with nothing."""
    if o.ndim < 2 or o.shape[-1] < 2:
        return None
    sound = np.isfinite(o).all(axis=-1) & np.isfinite(r).all(axis=-1)
    return float(((np.argmax(o, axis=-1) == np.argmax(r, axis=-1)) & sound).mean())
