"""Whether the right candidate is among the first: hit rate."""

from __future__ import annotations

import numpy as np

from bench.quality.metric import Array, Scored, class_numbers, mean_over_examples, misfit
from bench.stats.checks import Floats

_FIRST = 10


def hit_rate_at_10(outputs: Floats, labels: Array) -> Scored:
    """The share of examples whose right candidate is among the ten that score highest.

    `outputs` (N, C) are scores of C candidates, `labels` (N,) the position of the right one. Where candidates
    score the same, an example counts with the chance of a hit when ties are broken at random: with h candidates
    above the right one and t others equal to it, min(1, max(0, (10 - h) / (t + 1))). So a constant scorer
    has 10 / C, and neither the order of candidates nor rounding to int8 gains anything. An example with an
    output that is not finite is no hit.

    Raises:
        UserError: shapes or labels do not suit, or there are not more than ten candidates.
    """
    wanted = f"outputs (N, C) of more than {_FIRST} candidates with labels (N,) of positions 0 to C - 1"
    if outputs.ndim != 2 or outputs.shape[1] <= _FIRST:
        raise misfit("hit_rate_at_10", outputs, labels, wanted)
    right = class_numbers("hit_rate_at_10", outputs, labels)
    if right.shape != outputs.shape[:1] or right.min() < 0 or right.max() >= outputs.shape[1]:
        raise misfit("hit_rate_at_10", outputs, labels, wanted)
    own = np.take_along_axis(outputs, right[:, None], axis=1)
    above = (outputs > own).sum(axis=1)
    equal = (outputs == own).sum(axis=1)  # itself included
    sound = np.isfinite(outputs).all(axis=1)
    hits = np.clip((_FIRST - above) / np.maximum(equal, 1), 0, 1)
    return mean_over_examples(np.where(sound, hits, 0.0))
