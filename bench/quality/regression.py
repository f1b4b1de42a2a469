"""Mean absolute error, root mean squared error and the coefficient of determination."""

from __future__ import annotations

import numpy as np

from bench.quality.metric import Array, Scored, misfit, not_finite
from bench.record.measurement import Measurement
from bench.stats.checks import Floats


def mae(outputs: Floats, labels: Array) -> Scored | Measurement:
    """Mean of |output - label| over all values, in the labels' unit."""
    pair = _paired("mae", outputs, labels)
    if isinstance(pair, Measurement):
        return pair
    error = np.abs(pair[0] - pair[1]).mean(axis=1)
    return Scored(error.size, lambda w: w @ error / error.size)


def rmse(outputs: Floats, labels: Array) -> Scored | Measurement:
    """Root of the mean of (output - label)² over all values, in the labels' unit."""
    pair = _paired("rmse", outputs, labels)
    if isinstance(pair, Measurement):
        return pair
    square = ((pair[0] - pair[1]) ** 2).mean(axis=1)
    return Scored(square.size, lambda w: np.sqrt(w @ square / square.size))


def r2(outputs: Floats, labels: Array) -> Scored | Measurement:
    """1 - residual over total sum of squares, the mean over columns (N, D).

    Columns whose labels are all the same have no R² and are left out, of a resample too.
    """
    pair = _paired("r2", outputs, labels)
    if isinstance(pair, Measurement):
        return pair
    out, true = pair
    n = true.shape[0]
    moving = np.ptp(true, axis=0) > 0
    if not moving.any():
        return Measurement.unavailable("1", "the labels do not vary", n)
    out, true = out[:, moving], true[:, moving]
    true_centred = true - true.mean(axis=0)  # a large common offset would eat the digits of the variance
    square, residual = true_centred**2, (out - true) ** 2

    def statistic(w: Floats) -> Floats:
        total = w @ square - (w @ true_centred) ** 2 / n
        varies = total > 1e-12 * square.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            each = np.where(varies, 1 - (w @ residual) / total, np.nan)
        some = varies.any(axis=1)
        found = np.full(len(w), np.nan)
        found[some] = np.nanmean(each[some], axis=1)
        return found

    return Scored(n, statistic)


def _paired(metric: str, outputs: Floats, labels: Array) -> tuple[Floats, Floats] | Measurement:
    """Outputs and labels as (N, D) floats, or the missing figure where an output is not finite."""
    n = outputs.shape[0]
    if labels.dtype.kind not in "biuf" or outputs.size != labels.size:
        raise misfit(metric, outputs, labels, "numbers, as many labels as output values")
    if bad := not_finite("1", outputs):
        return bad
    return outputs.reshape(n, -1), labels.astype(np.float64).reshape(n, -1)
