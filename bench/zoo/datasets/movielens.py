"""MovieLens 100k: which of 1,682 films 943 people rated, and when."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.errors import UserError
from bench.zoo.clean import Sieve, rows_of
from bench.zoo.datasets.base import Array, Dataset
from bench.zoo.datasets.interactions import NEGATIVES, Interactions, of_interactions
from bench.zoo.files import the_one_in

USERS = 943
ITEMS = 1682

_MEMBER = "ml-100k/u.data"
_LARGEST = 1 << 24
_FEWEST = 5


def load(title: str, seed: int, files: Mapping[str, Path]) -> Dataset:
    """See `of_interactions`; the film that a user rated last is held out, whatever `seed` is.

    Raises:
        UserError: the file is not `u.data` or the archive that holds it.
    """
    path = the_one_in("movielens-100k", files)
    table = _table(path)
    users, items, ratings, times = table[:, 0] - 1, table[:, 1] - 1, table[:, 2], table[:, 3]
    sieve = Sieve(len(table))
    sieve.drop((ratings < 1) | (ratings > 5), "ratings outside 1 to 5", "impossible")
    strange = (users < 0) | (users >= USERS) | (items < 0) | (items >= ITEMS)
    sieve.drop(strange, "people or films with an unknown number", "not of this data set")
    sieve.without_copies(rows_of(table[:, :2]))
    counts = np.bincount(users[sieve.kept], minlength=USERS)
    wrong = (counts < _FEWEST) | (counts > ITEMS - NEGATIVES)
    sieve.drop(
        wrong[np.where(strange, 0, users)],
        f"ratings of people with fewer than {_FEWEST}, or with nearly all",
        "too few to rank",
    )
    kept = sieve.kept
    if not len(kept):
        raise _not_the_ratings(path, "no rating is left")
    # By user, then by time; where times are the same, by film, so that the order of the file plays no part.
    kept = kept[np.lexsort((items[kept], times[kept], users[kept]))]
    last = np.append(np.flatnonzero(np.diff(users[kept])), len(kept) - 1)
    seen = Interactions(users[kept], items[kept], last, USERS, ITEMS)
    return of_interactions(title, seed, seen, sieve.report, "a film that was rated counts as used, whatever the rating")


def _table(path: Path) -> Array:
    """User, item, rating and time, counted from 1: [n, 4], int64."""
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive, archive.open(_MEMBER) as member:
                raw = member.read(_LARGEST)
        else:
            with path.open("rb") as file:
                raw = file.read(_LARGEST)
        if not raw.strip():
            raise _not_the_ratings(path, "it is empty")
        table = np.loadtxt(io.BytesIO(raw), dtype=np.int64, delimiter="\t", ndmin=2)
    except (OSError, zipfile.BadZipFile, KeyError, NotImplementedError, ValueError) as error:
        raise _not_the_ratings(path, str(error)) from error
    if table.shape[1] != 4:
        raise _not_the_ratings(path, f"it has {table.shape[1]} columns instead of 4")
    return table


def _not_the_ratings(path: Path, why: str) -> UserError:
    return UserError(
        f"not the ratings of MovieLens 100k: {why}",
        where=str(path),
        remedy="give u.data, or the archive by `bench fetch movielens-100k --accept-terms`",
    )
