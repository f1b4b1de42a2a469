"""From cleaned texts to a data set: what the data sets of texts have in common."""

from __future__ import annotations

from collections.abc import Sequence

from bench.record.artifact import Cleaned
from bench.zoo.augment.text import TextVary
from bench.zoo.clean import Sieve, rows_of, standing_in
from bench.zoo.corrupt.text import TextCorruptor
from bench.zoo.datasets.base import Array, Dataset, Split, calibration_from
from bench.zoo.datasets.words import VOCABULARY, WordIds

Labelled = tuple[list[str], Array]


def of_texts(
    title: str, seed: int, train: Labelled, held_out: Labelled, length: int, cleaning: Sequence[Cleaned]
) -> Dataset:
    """Word numbers [n, length], int32, of texts that are cleaned and split; the vocabulary is that of `train`.

    Training texts that have become the same numbers as a held-out one (the same but for rare words) are dropped.
    """
    texts, labels = train
    encode = WordIds(texts, length)
    ids, held = encode(texts), encode(held_out[0])
    sieve = Sieve(len(texts))
    sieve.drop(
        standing_in(ids, rows_of(held)), "training texts like a held-out one but for unknown words", "they are held out"
    )
    kept = sieve.kept
    training, evaluation = Split((ids[kept],), labels[kept]), Split((held,), held_out[1])
    return Dataset(
        title,
        seed,
        training,
        calibration_from(training.inputs, seed),
        evaluation,
        cleaning=(*cleaning, *sieve.report),
        vary=TextVary([texts[at] for at in kept], encode),
        corrupt=TextCorruptor(held_out[0], encode),
        preprocessing=(
            f"small letters without punctuation, every digit 0; the first {length} words as numbers by frequency in "
            f"the training part, {VOCABULARY:,} at most, 1 for a word seen once or never, 0 for padding"
        ),
    )
