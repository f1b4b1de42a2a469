"""How far the confidence of a classifier lies from its share of right decisions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.quality.classification import decisions
from bench.quality.metric import Scored, checked
from bench.record.measurement import Measurement
from bench.stats.checks import Floats

BINS = 15
_INT8_HALF_STEP = 1 / 510
"""An output of int8 in 0..1 lies within half a step of 1/255 of what was computed."""
_MOST_OFF = 0.1


def calibration_error(outputs: npt.ArrayLike, labels: npt.ArrayLike) -> Scored | Measurement:
    """The expected calibration error with 15 bins of confidence of equal width (Guo et al. 2017, equation 3).

    The sum over bins of |share of right decisions - mean confidence|, weighted by the bin's share of the
    examples. `outputs` (N, C) are probabilities of C classes; (N,) or (N, 1) the probability of class 1.
    `labels` as for `accuracy`. Confidence is the probability of the class decided for. With few examples in a
    bin, chance alone makes an error: the figure and its interval lie too high then (Nixon et al. 2019).

    Returns the missing figure where outputs are not probabilities: not in 0..1, or rows whose sum is farther
    from 1 than rounding every one of them to int8 explains (0.1 at most).

    Raises:
        UserError: as a metric does.
    """
    out, told = checked("calibration_error", outputs, labels)
    out = out[:, None] if out.ndim == 1 else out
    if out.ndim != 2:
        return Measurement.unavailable("1", f"outputs of shape {out.shape} are not one decision an example", len(out))
    reason = _not_probabilities(out)
    if reason:
        return Measurement.unavailable("1", reason, len(out))
    # A tie of two goes to class 0 both ways: as the first, and as an output that is not over one half.
    both = np.concatenate([1 - out, out], axis=1) if out.shape[1] == 1 else out
    decided, true = decisions("calibration_error", both, told)
    confidence = both.max(axis=1)
    n = len(both)
    # Bin m holds confidences in ((m - 1) / 15, m / 15].
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.zeros((n, BINS))
    gaps[np.arange(n), bins] = (decided == true) - confidence
    return Scored(n, lambda w: np.abs(w @ gaps).sum(axis=1) / n)


def _not_probabilities(out: Floats) -> str | None:
    """What says that the outputs, (N, C), are no probabilities; None where nothing does."""
    if not np.isfinite(out).all():
        return f"{int(out.size - np.isfinite(out).sum())} of {out.size} output values are not finite"
    low, high = float(out.min()), float(out.max())
    if low < -_INT8_HALF_STEP or high > 1 + _INT8_HALF_STEP:
        return f"the outputs are no probabilities: they reach from {low:.3g} to {high:.3g}"
    if out.shape[1] == 1:
        return None
    off = np.abs(out.sum(axis=1) - 1)
    if float(off.max()) > min(_MOST_OFF, 1e-3 + out.shape[1] * _INT8_HALF_STEP):
        at = int(off.argmax())
        return f"the outputs are no probabilities: those of example {at} add up to {float(out[at].sum()):.3g}"
    return None
