"""Synthetic interactions: made-up users of made-up items, whose tastes are vectors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.zoo.datasets.base import Dataset
from bench.zoo.datasets.interactions import Interactions, of_interactions

USERS = 1000
ITEMS = 800
DIMENSIONS = 8
MEAN_USED = 40
FEWEST = 10

TASTE = 2.5
"""Standard deviation, over the items, of what a user's taste adds to the logarithm of the odds of using one."""
SKEW = 0.8
"""Exponent of Zipf's law: the item of rank r is used as r to the power of minus this, taste aside."""


def load(title: str, seed: int, files: Mapping[str, Path]) -> Dataset:
    """See `of_interactions`; users, items, what was used and what is held out depend on `seed` alone."""
    rng = np.random.default_rng(seed)
    users = rng.standard_normal((USERS, DIMENSIONS))
    items = rng.standard_normal((ITEMS, DIMENSIONS)) * TASTE / DIMENSIONS**0.5
    popularity = -SKEW * np.log(rng.permutation(ITEMS) + 1)
    counts = np.maximum(FEWEST, rng.poisson(MEAN_USED, USERS))
    # The largest of scores with Gumbel noise are a draw without replacement by the softmax of the scores.
    scores = users @ items.T + popularity + rng.gumbel(size=(USERS, ITEMS))
    order = np.argsort(-scores, axis=1)
    used = [order[user, :count] for user, count in enumerate(counts)]
    held_out = np.cumsum(counts) - counts + rng.integers(counts)
    seen = Interactions(np.repeat(np.arange(USERS), counts), np.concatenate(used), held_out, USERS, ITEMS)
    how = (
        f"synthetic: {DIMENSIONS} latent dimensions, popularity by Zipf's law with exponent {SKEW}, "
        f"{MEAN_USED} items a user in the mean"
    )
    return of_interactions(title, seed, seen, (), how)
