"""Does a variant compute what its source computes? Numeric agreement of outputs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from bench.errors import unknown
from bench.record.artifact import Artifact
from bench.stats.checks import Floats

Array = npt.NDArray[np.generic]
_DB_LIMIT = 300.0  # float64 itself reaches about 300 dB


class ParityBound(msgspec.Struct, frozen=True, kw_only=True):
    """How far outputs may lie from the reference.

    `max_relative` bounds the largest absolute difference as a share of the reference's largest
    magnitude, `min_cosine` the cosine of every example, `min_sqnr_db` the ratio of signal to difference of
    all examples together. None depends on the scale of the outputs.
    """

    precision: str
    max_relative: float
    min_cosine: float
    min_sqnr_db: float


_TERMS = 1024
_SAFETY = 8.0
_LEAST_SQNR_DB = 3.0


def _rounding(bits: int, terms: int = 1) -> float:
    """Power of the relative error that a product of matrices adds in floats of `bits` significant binary digits.

    The unit roundoff is 2^-bits. `terms` roundings in a row, as in a sum kept in that type, add up like a random
    walk, to sqrt(terms) roundoffs (Higham & Mary, A New Approach to Probabilistic Rounding Error Analysis, 2019).
    """
    return terms * 4.0**-bits


def _steps(bits: int, peak: float) -> float:
    """Power of the relative error of values stored in `bits` bits, whose largest is `peak` times their RMS.

    With the range at ±peak the ratio is 6.02 bits + 4.77 - 20 log10(peak) dB (Bennett 1948; Oppenheim & Schafer,
    Discrete-Time Signal Processing, on quantisation).
    """
    return (peak**2 / 3) * 4.0**-bits


# A kernel's channel is about normal: its largest weight lies at some 4 of its RMS, in a block of 32 weights at 2.5.
# Activations have long tails, and a calibrated range has to hold the longest.
_WEIGHTS = _steps(8, peak=4)
_ACTIVATIONS = _steps(8, peak=8)

NOISE: dict[str, float] = {
    "fp32": _rounding(24, _TERMS),
    "fp16": _rounding(11),
    "bf16": _rounding(8),
    "int8": _WEIGHTS + _ACTIVATIONS,
    "int8-dynamic": _WEIGHTS + _ACTIVATIONS,
    "int16x8": _WEIGHTS + _steps(16, peak=8),
    "int4": _steps(4, peak=2.5),
}
"""By precision: the power of the error that one convolution or matrix product adds, relative to its output's."""

FLOATS = frozenset(("fp32", "fp16", "bf16"))
"""Precisions whose error does not depend on the range that was seen in calibration."""

_QUANTISED = "int8"
_PRODUCT = re.compile(r"conv|matmul|gemm|fully_connected|lstm|gru|rnn|svdf|attention", re.IGNORECASE)


def precision_of(artifact: Artifact) -> str | None:
    """The precision of a file's arithmetic, a key of `NOISE`; None where numeric agreement is not to be expected.

    By the built-in variant behind it, so that a variant of the user's own has the bound of what it is made from.
    Of a file that is kept as given its facts decide: integer weights, else unknown. A pruned or retrained model is
    another function on purpose.
    """
    if artifact.base in NOISE:
        return artifact.base
    return _QUANTISED if artifact.base == "source" and artifact.quantised_nodes else None


def depth_of(artifact: Artifact) -> int:
    """How many convolutions, matrix products and recurrent layers a file has, at least 1: each adds its error."""
    return max(1, sum(count for name, count in artifact.operators.items() if _PRODUCT.search(name)))


def bound_for(precision: str, depth: int = 10) -> ParityBound:
    """The bound for arithmetic in `precision`, a key of `NOISE`, in a network of `depth` products of matrices.

    One tolerance for every type raises false alarms on int8 and sleeps on fp32. Here the error that each product
    adds follows from the data type; errors are independent, so that their powers add up over the depth:
    e² = 8² x depth x noise. The factor 8 (18 dB) is for outputs that are more sensitive than they are on average;
    the files of three models (a small CNN, a ResNet, an autoencoder) in two formats were 7 to 50 dB inside.

    - fp32: roundoff 2^-24, sums of some 1,024 terms in the same type: e = 4.8e-5 at a depth of 10.
    - fp16: roundoff 2^-11, bf16: 2^-8. Their sums are kept in float32, so that weights and results alone are
      rounded: 1.2e-2 and 9.9e-2. Overflow past 65,504 shows up as infinities, which no bound allows.
    - int8, static or dynamic: 256 steps for weights (a channel's range) and activations (a tensor's).
    - int16x8: the steps of int8 weights remain. int4: 16 steps a block of weights, float activations.

    The ratio of signal to difference is at least -20 log10(e) dB, and never below 3 dB, where the difference has
    half of the signal's power and nothing is left to call agreement. The largest difference is at most 2 e of the
    largest magnitude (there are many outputs, and their RMS is some half of that or less), never more than all of
    it. An example's outputs may be a quarter of the largest, which makes its cosine 1 / sqrt(1 + (4 e)²) in the
    float types; integers may tip a near tie of a softmax to another class, which is orthogonal: 0.

    Whether the agreement is good enough is for the task metric to say: a bound tells a broken file from a sound one.

    Raises:
        UserError: there is no bound for this name.
    """
    try:
        noise = NOISE[precision]
    except KeyError:
        raise unknown("precision", precision, NOISE) from None
    error = min(_SAFETY * math.sqrt(max(1, depth) * noise), 10 ** (-_LEAST_SQNR_DB / 20))
    return ParityBound(
        precision=precision,
        max_relative=min(1.0, 2 * error),
        min_cosine=1 / math.hypot(1.0, 4 * error) if precision in FLOATS else 0.0,
        min_sqnr_db=-20 * math.log10(error),
    )


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """Agreement of outputs with a reference; over several outputs, the worst of each figure.

    `max_abs` and `mean_abs` (over all values) are differences in the outputs' unit; `max_relative` is the largest
    difference of an output over the largest magnitude in its reference. `cosine` is the smallest
    per-example cosine similarity (two zero vectors agree: 1; one zero vector: 0), None where every output has a
    single unit, whose direction is only its sign. `sqnr_db` is the ratio
    of signal to difference, 10 log10(sum r² / sum (o - r)²), kept within ±300 dB, 300 meaning equal.
    `argmax_agreement` is the share of examples with the same largest unit, None where every output has
    a single unit. These figures are over the `values` that are finite on both sides; `nan` and `inf` count output
    values that are not, `unmatched` the places where one side is not finite and the other not likewise, `lost`
    those of them where the reference is finite.
    """

    examples: int
    values: int
    max_abs: float
    mean_abs: float
    max_relative: float
    cosine: float | None
    sqnr_db: float
    argmax_agreement: float | None
    nan: int
    inf: int
    unmatched: int
    lost: int

    def within(self, bound: ParityBound) -> bool:
        """Whether outputs are finite wherever the reference is and lie within `bound`."""
        if self.unmatched or self.max_relative > bound.max_relative:
            return False
        turned = self.cosine is not None and self.cosine < bound.min_cosine
        return not turned and self.sqnr_db >= bound.min_sqnr_db


def parity(
    outputs: Array | Sequence[npt.ArrayLike],
    reference: Array | Sequence[npt.ArrayLike],
) -> Parity:
    """Compare `outputs` with `reference`: arrays (N, ...), or lists (tuples) of them, one a model output.
    A list is always taken for several outputs.

    Raises:
        ValueError: counts or shapes differ, or there is no example.
    """
    return total(parities(outputs, reference))


def parities(
    outputs: Array | Sequence[npt.ArrayLike],
    reference: Array | Sequence[npt.ArrayLike],
    scales: Sequence[float] = (),
) -> list[Parity]:
    """As `parity`, one record an output.

    `scales` (one an output) are magnitudes that the largest difference is to be held against where those of the
    reference are smaller.

    Raises:
        ValueError: as `parity`.
    """
    ours, theirs = _as_list(outputs), _as_list(reference)
    if len(ours) != len(theirs) or not ours:
        raise ValueError(f"{len(ours)} outputs cannot be compared with {len(theirs)}")
    parts = [_one(o, r, s) for o, r, s in zip(ours, theirs, scales or [0.0] * len(ours), strict=True)]
    if len({p.examples for p in parts}) != 1:
        raise ValueError("the outputs have different numbers of examples")
    return parts


def total(parts: Sequence[Parity]) -> Parity:
    """The worst of each figure over several outputs, or groups of examples, at least one; counts are summed.

    `examples` is that of the first, `mean_abs` the mean over all values.
    """
    values = sum(p.values for p in parts)
    agreements = [p.argmax_agreement for p in parts if p.argmax_agreement is not None]
    return Parity(
        examples=parts[0].examples,
        values=values,
        max_abs=max(p.max_abs for p in parts),
        mean_abs=sum(p.mean_abs * p.values for p in parts) / max(1, values),
        max_relative=max(p.max_relative for p in parts),
        cosine=min((p.cosine for p in parts if p.cosine is not None), default=None),
        sqnr_db=min(p.sqnr_db for p in parts),
        argmax_agreement=min(agreements, default=None),
        nan=sum(p.nan for p in parts),
        inf=sum(p.inf for p in parts),
        unmatched=sum(p.unmatched for p in parts),
        lost=sum(p.lost for p in parts),
    )


def magnitudes(arrays: Array | Sequence[npt.ArrayLike]) -> list[float]:
    """The largest finite magnitude of each array; 0 where there is none."""
    return [float(np.max(np.abs(a), initial=0.0, where=np.isfinite(a))) for a in _as_list(arrays)]


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


def _one(o: Floats, r: Floats, least: float) -> Parity:
    if o.shape != r.shape:
        raise ValueError(f"an output of shape {o.shape} cannot be compared with one of shape {r.shape}")
    if o.size == 0 or o.ndim == 0:
        raise ValueError("there is no example to compare")
    n = o.shape[0]
    sound = np.isfinite(o) & np.isfinite(r)
    a, b = np.where(sound, o, 0.0).reshape(n, -1), np.where(sound, r, 0.0).reshape(n, -1)
    difference = np.abs(a - b)
    largest, scale = float(difference.max()), max(least, float(np.abs(b).max()))
    kinds_differ = ~sound & ~((np.isnan(o) & np.isnan(r)) | (o == r))
    return Parity(
        examples=n,
        values=int(sound.sum()),
        max_abs=largest,
        mean_abs=float(difference.sum() / max(1, sound.sum())),
        max_relative=largest / scale if scale else (0.0 if largest == 0 else math.inf),
        cosine=float(_cosines(a, b).min()) if a.shape[1] > 1 else None,
        sqnr_db=_decibels(b, difference),
        argmax_agreement=_argmax_agreement(o, r),
        nan=int(np.isnan(o).sum()),
        inf=int(np.isinf(o).sum()),
        unmatched=int(kinds_differ.sum()),
        lost=int((np.isfinite(r) & ~np.isfinite(o)).sum()),
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
