"""UCI default of credit card clients: who in Taiwan, 2005, fails to pay next month."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.errors import UserError
from bench.zoo.clean import Clip, Sieve, beyond, incomplete, rows_of, standing_in
from bench.zoo.corrupt.tabular import TabularCorruptor
from bench.zoo.datasets.base import Array, Dataset, Split, calibration_from
from bench.zoo.datasets.split import stratified
from bench.zoo.files import the_one_in

HELD_OUT = 0.2
CLIP = (0.5, 99.5)
"""Percentiles of the training part that amounts are clipped at."""

# Columns of the table without ID and Y, as the page of the data set explains X1 to X23.
_LIMIT, _SEX, _EDUCATION, _MARRIAGE, _AGE = range(5)
_STATUS = slice(5, 11)
_BILLS = slice(11, 17)
_PAYMENTS = slice(17, 23)
_AMOUNTS = [_LIMIT, *range(11, 23)]
_COLUMNS = 25
_OTHER_EDUCATION, _OTHER_MARRIAGE = 4, 3
_CATEGORIES = {_SEX: (1, 2), _EDUCATION: (1, 2, 3, 4), _MARRIAGE: (1, 2, 3)}


def load(title: str, seed: int, files: Mapping[str, Path]) -> Dataset:
    """Features [n, 28], float32; labels 1 (default) and 0. `HELD_OUT` of each class is kept for evaluation.

    Raises:
        UserError: the file is not the table of the data set.
    """
    from sklearn.preprocessing import StandardScaler

    path = the_one_in("uci-credit-default", files)
    table, rounded = _read(path)
    values, labels, sieve = _cleaned(table)
    sieve.note(
        "amounts written like 1.00E+05: kept",
        int(rounded[sieve.kept].sum()),
        "a spreadsheet rounded them to three digits",
    )
    values, labels = values[sieve.kept], labels[sieve.kept]
    kept, held_out = stratified(labels, HELD_OUT, seed)
    clip = Clip.learnt(values[kept][:, _AMOUNTS], *CLIP)
    sieve.note(
        f"amounts outside the percentiles {CLIP[0]} to {CLIP[1]} of the training part: clipped",
        int(clip.hits(values[:, _AMOUNTS]).sum()),
        "a few clients owe or pay a hundred times what is usual",
    )
    values[:, _AMOUNTS] = clip(values[:, _AMOUNTS])
    numbers, flags = _numbers(values), _flags(values)
    standardised = StandardScaler().fit(numbers[kept]).transform(numbers)
    features = np.concatenate([standardised, flags], axis=1).astype(np.float32)
    # Two clients who differ only in what was clipped are one client now.
    again = standing_in(features[kept], rows_of(features[held_out]))
    sieve.note("training rows that are like a held-out one: dropped", int(again.sum()), "they are held out")
    kept = kept[~again]
    train = Split((features[kept],), labels[kept])
    evaluation = Split((features[held_out],), labels[held_out])
    scale = np.concatenate([np.ones(numbers.shape[1]), np.zeros(flags.shape[1])])
    return Dataset(
        title,
        seed,
        train,
        calibration_from(train.inputs, seed),
        evaluation,
        cleaning=sieve.report,
        corrupt=TabularCorruptor(evaluation.inputs[0], features[kept].mean(axis=0), scale),
        preprocessing=(
            f"amounts clipped at percentiles {CLIP[0]} and {CLIP[1]}, then sign(x) ln(1 + |x|); amounts, age and "
            "payment states standardised, all by the training part; sex, education and marriage one-hot"
        ),
    )


def _read(path: Path) -> tuple[Array, Array]:
    """The table [n, 25] as float64, and for each row whether a number in it is written with an exponent."""
    import polars as pl

    try:
        text = pl.read_csv(path, infer_schema=False)
        numbers = text.with_columns(pl.all().str.strip_chars().cast(pl.Float64, strict=False))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _not_the_table(path, str(error).partition("\n")[0]) from error
    if text.width != _COLUMNS or text.columns[0].strip().upper() != "ID":
        raise _not_the_table(path, f"it has {text.width} columns, the first is {text.columns[0]!r}")
    if text.is_empty():
        raise _not_the_table(path, "it has no rows")
    rounded = text.select(pl.any_horizontal(pl.all().str.contains("[eE]"))).to_series()
    return numbers.to_numpy(), rounded.fill_null(False).to_numpy()


def _not_the_table(path: Path, why: str) -> UserError:
    return UserError(
        f"not the table of credit card clients: {why}",
        where=str(path),
        remedy="give a CSV file with the columns ID, X1 to X23, Y",
    )


def _cleaned(table: Array) -> tuple[Array, Array, Sieve]:
    """Columns [n, 23] with undocumented categories mended, labels, and what stays of them."""
    values, labels = table[:, 1:-1].copy(), table[:, -1]
    sieve = Sieve(len(table))
    sieve.drop(incomplete(table), "rows with a value missing", "there are a few, if any, and nothing to guess from")
    sieve.drop(~np.isin(labels, (0, 1)), "rows with another label than 0 or 1", "the label is unknown")
    sieve.drop(~np.isin(values[:, _SEX], (1, 2)), "rows with another sex than 1 or 2", "not documented")
    sieve.drop(beyond(values[:, _AGE], 18, 110), "rows with an age outside 18 to 110", "impossible")
    sieve.drop(values[:, _LIMIT] <= 0, "rows with a credit limit that is not above 0", "impossible")
    sieve.drop(beyond(values[:, _PAYMENTS], 0, np.inf), "rows with a payment below 0", "impossible")
    # -2 (nothing used) and 0 (revolving credit) are not on the page either, but most rows have them.
    sieve.drop(beyond(values[:, _STATUS], -2, 9), "rows with a payment state outside -2 to 9", "impossible")
    for column, other, name in (
        (_EDUCATION, _OTHER_EDUCATION, "education"),
        (_MARRIAGE, _OTHER_MARRIAGE, "marriage"),
    ):
        strange = ~np.isin(values[:, column], _CATEGORIES[column])
        values[strange, column] = other
        counted = int(strange[sieve.kept].sum())
        sieve.note(f"undocumented {name}: set to {other} (others)", counted, "the page does not say what it means")
    sieve.without_copies(rows_of(values), labels)
    credit = int(beyond(values[sieve.kept][:, _BILLS], 0, np.inf).sum())
    sieve.note("rows with a bill below 0: kept", credit, "the bank owes the client")
    # What is missing has been dropped; it only has to become some number.
    return values, np.nan_to_num(labels).astype(np.int64), sieve


def _numbers(values: Array) -> Array:
    """Amounts on a scale on which a thousand and two thousand differ as a million and two do; age; payment states."""
    amounts = values[:, _AMOUNTS]
    return np.concatenate([np.sign(amounts) * np.log1p(np.abs(amounts)), values[:, [_AGE]], values[:, _STATUS]], axis=1)


def _flags(values: Array) -> Array:
    """A column for each category, 1 where it applies; none for the first of two."""
    columns = [
        values[:, column] == code
        for column, codes in _CATEGORIES.items()
        for code in (codes[1:] if len(codes) == 2 else codes)
    ]
    return np.stack(columns, axis=1).astype(np.float64)
