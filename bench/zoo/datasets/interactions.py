"""From who used what to a data set of rankings: what the data sets of interactions have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.quality import METRICS
from bench.record.artifact import Cleaned
from bench.zoo.augment.options import Augmentation
from bench.zoo.datasets.base import Array, Baseline, Dataset, Inputs, Ints, Split, calibration_from

NEGATIVES = 99
METRIC = "hit_rate_at_10"

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Interactions:
    """Pairs of a user and an item, [n] each, every pair once, and the position of each user's held-out pair [users]."""

    users: Ints
    items: Ints
    held_out: Ints
    user_count: int
    item_count: int


@dataclass(frozen=True)
class NegativeSampling:
    """Training candidates as one epoch sees them: each positive where it was, among other items anew.

    `positives` [n] are the items and `places` [n] where they stand among the candidates; `used` [users, items]
    says what a user has used in the training part. What was held out from training may be drawn, as nobody who
    trains could know of it: if it never were, a model would learn it by its absence.
    """

    users: Ints
    positives: Ints
    places: Ints
    used: Bools

    def __call__(self, options: Augmentation, rng: np.random.Generator) -> Inputs:
        """Users [n, 1] and candidates [n, 1 + NEGATIVES], int32; `options` has nothing for this kind of data."""
        count = len(self.users)
        candidates = rng.integers(self.used.shape[1], size=(count, 1 + NEGATIVES), dtype=np.int32)
        rows = np.broadcast_to(self.users[:, None], candidates.shape)
        while (again := np.nonzero(self.used[rows, candidates]))[0].size:
            candidates[again] = rng.integers(self.used.shape[1], size=again[0].size, dtype=np.int32)
        candidates[np.arange(count), self.places] = self.positives
        return self.users[:, None].astype(np.int32), candidates


def of_interactions(title: str, seed: int, seen: Interactions, cleaning: Sequence[Cleaned], how: str) -> Dataset:
    """Rankings: a user [n, 1] and 100 candidates [n, 100], int32; labels are the place of the one that was used.

    Evaluation has each user's held-out pair among 99 different items that the user never used (He et al. 2017).
    """
    rng = np.random.default_rng([seed, 1])
    kept = np.setdiff1d(np.arange(len(seen.users)), seen.held_out)
    used = np.zeros((seen.user_count, seen.item_count), dtype=bool)
    used[seen.users[kept], seen.items[kept]] = True
    places = rng.integers(1 + NEGATIVES, size=len(kept))
    vary = NegativeSampling(seen.users[kept], seen.items[kept], places, used)
    train = Split(vary(Augmentation(), rng), places.astype(np.int64))
    evaluation = _evaluation(seen, used, rng)
    return Dataset(
        title,
        seed,
        train,
        calibration_from(train.inputs, seed),
        evaluation,
        cleaning=tuple(cleaning),
        vary=vary,
        baseline=_popularity(used, evaluation),
        preprocessing=(
            f"{how}; of each user one item is held out, to be ranked among {NEGATIVES} that the user never used; in "
            f"training each item used is one of {1 + NEGATIVES} candidates, the others drawn anew in every epoch"
        ),
    )


def _evaluation(seen: Interactions, used: Bools, rng: np.random.Generator) -> Split:
    users, positives = seen.users[seen.held_out], seen.items[seen.held_out]
    free = ~used[users]
    free[np.arange(len(users)), positives] = False
    candidates = np.stack([rng.choice(np.flatnonzero(row), 1 + NEGATIVES, replace=False) for row in free])
    places = rng.integers(1 + NEGATIVES, size=len(users))
    candidates[np.arange(len(users)), places] = positives
    return Split((users[:, None].astype(np.int32), candidates.astype(np.int32)), places.astype(np.int64))


def _popularity(used: Bools, evaluation: Split) -> Baseline:
    """Every user gets what most users have used in the training part."""
    assert evaluation.labels is not None
    counts: Array = used.sum(axis=0)
    hits = METRICS[METRIC](counts[evaluation.inputs[1]], evaluation.labels).value
    assert hits is not None
    return Baseline("popularity", hits)
