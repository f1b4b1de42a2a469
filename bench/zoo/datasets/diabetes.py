"""Diabetes: how far the disease of 442 patients went in a year, by ten measurements."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.zoo.clean import Sieve, incomplete, outlying, rows_of
from bench.zoo.corrupt.tabular import TabularCorruptor
from bench.zoo.datasets.base import Dataset, Split, calibration_from

HELD_OUT = 100


def load(title: str, seed: int, files: Mapping[str, Path]) -> Dataset:
    """Features [n, 10] and target [n, 1], float32, both standardised; `HELD_OUT` patients are kept for evaluation."""
    from sklearn.datasets import load_diabetes
    from sklearn.preprocessing import StandardScaler

    # Not scaled there: scikit-learn scales by all patients, those held out included.
    patients = load_diabetes(scaled=False)
    values, target = patients.data, patients.target[:, None]
    sieve = Sieve(len(values))
    sieve.drop(incomplete(values) | incomplete(target), "rows with a value missing", "there is nothing to guess from")
    sieve.without_copies(rows_of(values))
    far = np.any([outlying(column) for column in values[sieve.kept].T], axis=0)
    sieve.note(
        "rows with a value over 3 interquartile ranges from the quartiles: kept",
        int(np.sum(far)),
        "rare, but possible in a patient",
    )
    order = np.random.default_rng(seed).permutation(sieve.kept)
    held_out, kept = order[:HELD_OUT], order[HELD_OUT:]
    features, scaled = (
        StandardScaler().fit(columns[kept]).transform(columns).astype(np.float32) for columns in (values, target)
    )
    train = Split((features[kept],), scaled[kept])
    evaluation = Split((features[held_out],), scaled[held_out])
    width = features.shape[1]
    return Dataset(
        title,
        seed,
        train,
        calibration_from(train.inputs, seed),
        evaluation,
        cleaning=sieve.report,
        corrupt=TabularCorruptor(evaluation.inputs[0], np.zeros(width), np.ones(width)),
        preprocessing=(
            f"features and target standardised by the training part; the target was {target[kept].mean():.1f} ± "
            f"{target[kept].std():.1f}"
        ),
    )
