"""Where a series of noisy values moved to another level and stayed there: change points.

A series is scanned by the difference of mean normal scores (van der Waerden's scores of the ranks) of the two sides of
every split of every interval of a seeded family (Kovács, Bühlmann, Li & Munk, Biometrika 110, 2023): a step up that is
followed by a step down is as plain in a short interval as a single step is in the whole. Ranks keep an outlier from
counting for more than one value. The largest of all these differences is held against its distribution over random
orders of the same values, so that the p-value is that of the whole search; where it is small, the series is cut there
and each side searched in the same way, as in the E-divisive procedure (Matteson & James, JASA 109, 2014).

Each place is then moved to the best fit between its neighbours, and changes are dropped where one straight line fits
the values around them better than levels do: a drift is not a row of steps. But for the changes, values are taken as
independent of each other. A level lasts at least `SHORTEST` values.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bench.stats.checks import Floats, Ints, check_share, finite_1d

SHORTEST = 3
"""The fewest values that make a level: fewer are outliers."""

LEAST = 8
"""In fewer values even a perfect step has no p-value below 0.05."""

_NORMAL_MAD = 1.4826  # standard deviation over median absolute deviation, for normal noise
_SAME = 1e-9  # sums of the same scores in another order differ by rounding
_MOST_ORDERS = 10_000
_CELLS = 10_000_000  # contrasts of all random orders of a series together: some tenths of a second
_AT_ONCE = 250
_ENOUGH = 250  # orders beyond what was seen: the p-value is known to 6 %


class ChangePoint(msgspec.Struct, frozen=True, kw_only=True):
    """A step in a series: `at` is the index of the first value after it.

    `before` and `after` are the medians of the levels on its two sides, `ratio` is after / before, None where `before`
    is 0. `p_value` is the chance of a step as clear anywhere in the stretch that was searched, were there none.
    """

    at: int
    before: float
    after: float
    ratio: float | None
    p_value: float


def change_points(values: npt.ArrayLike, *, alpha: float = 0.05, seed: int = 0) -> tuple[ChangePoint, ...]:
    """The steps of `values` (n,), in order: a series without any has one found with probability `alpha` at most.

    A p-value comes from up to 10,000 random orders of the values; from fewer where these are hundreds.

    Raises:
        ValueError: a value is not finite, or `alpha` is not between 0 and 1.
    """
    x = finite_1d(values)
    check_share("alpha", alpha)
    # Noise of times and energies is relative; what has a zero or a sign has no logarithm.
    y: Floats = np.log(x) if x.size and x.min() > 0 else x
    found = _search(y, 0, y.size, alpha, seed)
    if not found:
        return ()
    places = _without_drift(y, _refined(y, sorted(found)))
    edges = [0, *places, y.size]
    medians = [float(np.median(x[a:b])) for a, b in pairwise(edges)]
    # A place moves by a few values, never past a neighbour: the nearest one found has its p-value.
    return tuple(
        ChangePoint(
            at=at,
            before=before,
            after=after,
            ratio=after / before if before else None,
            p_value=found[min(found, key=lambda was: abs(was - at))],
        )
        for at, (before, after) in zip(places, pairwise(medians), strict=True)
    )


def _search(y: Floats, start: int, stop: int, alpha: float, seed: int) -> dict[int, float]:
    """Places in `y[start:stop]` with their p-values: the clearest, then those on its two sides."""
    part = y[start:stop]
    if part.size < 2 * SHORTEST or np.ptp(part) == 0:
        return {}
    scores = _scores(part)
    contrasts = _contrasts(scores[:, None])[:, 0]
    best = int(np.argmax(contrasts))
    p_value = _p_value(scores, float(contrasts[best]), seed)
    if p_value > alpha:
        return {}
    at = start + int(_splits(part.size)[1][best])
    # What was allowed of false alarms is shared out by length, so that it stays the same for the whole.
    sides = (_search(y, a, b, alpha * (b - a) / part.size, seed) for a, b in ((start, at), (at, stop)))
    return {at: p_value} | {place: p for side in sides for place, p in side.items()}


def _p_value(scores: Floats, contrast: float, seed: int) -> float:
    """The chance of a largest contrast of at least this, by random orders: until there are enough beyond it, or all."""
    ordered = tuple(np.sort(scores).tolist())
    batches = max(1, min(_MOST_ORDERS, _CELLS // _splits(scores.size)[0].size) // _AT_ONCE)
    beyond = done = 0
    for batch in range(batches):
        null = _null(ordered, seed, batch)
        done += null.size
        beyond += null.size - int(np.searchsorted(null, contrast - _SAME))
        if beyond >= _ENOUGH:
            break
    return (1 + beyond) / (1 + done)


def _scores(y: Floats) -> Floats:
    """Normal scores of the ranks of `y` (n,), ties sharing their mean rank; the same set for every `y` without ties."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    found: Floats = ndtri(rankdata(y) / (y.size + 1))
    return found


@functools.lru_cache(maxsize=64)
def _splits(n: int) -> tuple[Ints, Ints, Ints, Floats, Floats]:
    """Start, split, stop, weight and handicap (k,) of every contrast in a series of `n`.

    The weight makes their spreads alike. The handicap does so with their largest values: there are more short intervals
    than long ones (Dümbgen & Spokoiny, Annals of Statistics 29, 2001).
    """
    triples = []
    length = float(n)
    while length >= 2 * SHORTEST:
        whole = math.ceil(length)
        # Intervals of one length overlap by half.
        count = 2 * math.ceil(n / length) - 1
        for start in dict.fromkeys(np.linspace(0, n - whole, count).astype(int).tolist()):
            splits = range(start + SHORTEST, start + whole - SHORTEST + 1)
            triples += [(start, split, start + whole) for split in splits]
        length /= math.sqrt(2)
    start, split, stop = np.array(triples, dtype=np.int64).T
    left, right = split - start, stop - split
    handicap = np.sqrt(2 * np.log(math.e * n / (left + right)))
    return start, split, stop, np.sqrt(left * right / (left + right)), handicap


def _contrasts(scores: Floats) -> Floats:
    """Of each column of `scores` (n, m) the standardised differences of means (k, m) over all `_splits`."""
    start, split, stop, weight, handicap = _splits(scores.shape[0])
    sums = np.zeros((scores.shape[0] + 1, scores.shape[1]))
    np.cumsum(scores, axis=0, out=sums[1:])
    left, right = split - start, stop - split
    # right / right - left / left, each row with its own factors: in place, since these arrays are large.
    found: Floats = sums[split] * -(1 / left + 1 / right)[:, None]
    found += sums[start] * (1 / left)[:, None]
    found += sums[stop] * (1 / right)[:, None]
    np.abs(found, out=found)
    found *= weight[:, None]
    found -= handicap[:, None]
    return found


@functools.lru_cache(maxsize=1024)
def _null(scores: tuple[float, ...], seed: int, batch: int) -> Floats:
    """The largest contrast (m,) in each of `_AT_ONCE` random orders of `scores`, sorted."""
    rng = np.random.default_rng([seed, batch])
    orders = np.tile(np.array(scores)[:, None], (1, _AT_ONCE))
    return np.sort(_contrasts(rng.permuted(orders, axis=0)).max(axis=0))


def _refined(y: Floats, places: list[int]) -> list[int]:
    """Each place where two levels fit best between its neighbours, going on until none moves."""
    places = list(places)
    for _ in range(len(places) + 1):
        before = list(places)
        for i in range(len(places)):
            edges = [0, *places, y.size]
            places[i] = edges[i] + _best_split(y[edges[i] : edges[i + 2]], places[i] - edges[i])
        if places == before:
            break
    return places


def _best_split(y: Floats, at: int) -> int:
    """The split of `y` (n,) with the least sum of squares about the means of its sides; `at` is a first guess."""
    z = _drawn_in(y, [0, at, y.size])
    size = np.arange(SHORTEST, z.size - SHORTEST + 1)
    left = np.cumsum(z)[size - 1]
    # The sum of squares within the sides is least where that between them is greatest.
    between = left**2 / size + (z.sum() - left) ** 2 / (z.size - size)
    return SHORTEST + int(np.argmax(between))


def _without_drift(y: Floats, places: list[int]) -> list[int]:
    """The places but for those in stretches that a straight line fits better than levels do."""
    while places:
        edges = [0, *places, y.size]
        stretches = [(i, j + 3) for i in range(len(places)) for j in range(i, len(places))]
        favour = {(i, j): _for_a_line(y, edges[i:j]) for i, j in stretches if _one_way(y, edges[i:j])}
        (i, j), most = max(favour.items(), key=lambda item: item[1])
        if most <= 0:
            break
        places = _refined(y, places[:i] + places[j - 2 :])
    return places


def _one_way(y: Floats, edges: list[int]) -> bool:
    """Whether the levels of `y` between `edges` only rise, or only fall; so they do where there are two."""
    steps = np.diff([np.median(y[a:b]) for a, b in pairwise(edges)])
    return steps.size == 1 or bool(np.all(steps > 0) or np.all(steps < 0))


def _for_a_line(y: Floats, edges: list[int]) -> float:
    """By how much the BIC of a line through `y` between the outer `edges` is the better one than that of its levels.

    A level counts as two parameters, itself and its place, but for the first two: that there is a step at all was
    tested.
    """
    z = _drawn_in(y, edges)
    levels = _levels(z, [edge - edges[0] for edge in edges], np.mean)
    t = np.arange(z.size) - (z.size - 1) / 2
    line = z.mean() + t * (t @ z) / (t @ t)
    least = np.finfo(np.float64).tiny
    of_levels, of_line = (float(((z - fitted) ** 2).sum()) + least for fitted in (levels, line))
    return float(z.size * (math.log(of_levels) - math.log(of_line)) + 2 * (len(edges) - 3) * math.log(z.size))


def _drawn_in(y: Floats, edges: list[int]) -> Floats:
    """`y` between the outer `edges`, none of it more than 3 robust standard deviations beyond the outermost levels."""
    level = _levels(y, edges, np.median)
    part = y[edges[0] : edges[-1]]
    reach = 3 * _NORMAL_MAD * float(np.median(np.abs(part - level)))
    drawn: Floats = np.clip(part, level.min() - reach, level.max() + reach)
    return drawn


def _levels(y: Floats, edges: list[int], middle: Callable[[Floats], Any]) -> Floats:
    """At each value of `y` between the outer `edges` the `middle` of its stretch."""
    return np.concatenate([np.full(b - a, middle(y[a:b])) for a, b in pairwise(edges)])
