"""Structured pruning, the part that knows no file format: which channels can go, and which go.

A walk through a network labels every channel where it comes into being. Operators that mix nothing hand the
labels on, a Flatten repeats them, a concatenation joins them, and an addition ties two of them: what is tied stays
or goes together. Where a removal could change what an operator means, its channels are fixed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bench.export.errors import CannotMake
from bench.export.pruned import Norm

Array = npt.NDArray[Any]
Labels = npt.NDArray[np.int64]
Shape = tuple[int | None, ...]
_ROUNDING = 1e-9  # 0.1 * 30 is not to keep 4


@dataclass(frozen=True)
class Axis:
    """The channels of a tensor: `labels[i]` is the channel at position i of axis `index`, counted from 0.

    A tensor without one is None: nothing can be removed from it.
    """

    labels: Labels
    index: int

    def at(self, index: int) -> Axis:
        """The same channels on another axis."""
        return Axis(self.labels, index)


Part = tuple[Axis | None, Shape | None]
"""A tensor: its channels and its shape; None for a shape of unknown rank."""


@dataclass(frozen=True)
class Choice:
    """What stays. `groups` counts the groups of layers that lost channels, `before` and `after` their channels.

    `blamed` are the operators around which channels stay that could have gone.
    """

    kept: npt.NDArray[np.bool_]
    groups: int
    before: int
    after: int
    blamed: tuple[str, ...]

    def positions(self, labels: Labels) -> Labels:
        """The positions along an axis that stay, ascending."""
        return np.flatnonzero(self.kept[labels])

    def count(self, labels: Labels) -> int:
        """How many positions of an axis stay."""
        return int(np.count_nonzero(self.kept[labels]))


class Channels:
    """All channels of one network, numbered as they are met."""

    def __init__(self) -> None:
        self._count = 0
        self._ties: list[tuple[Labels, Labels]] = []
        self._fixed: list[tuple[Labels, str | None]] = []
        self._makers: list[tuple[Labels, Array]] = []
        self._factors: list[tuple[Labels, Array]] = []

    def made(self, importance: Array) -> Labels:
        """New channels of an operator with filters; `importance` [channels] is compared within it."""
        labels = self._new(len(importance))
        self._makers.append((labels, importance.astype(np.float64)))
        return labels

    def fixed(self, count: int) -> Labels:
        """New channels that stay."""
        labels = self._new(count)
        self._fixed.append((labels, None))
        return labels

    def fix(self, axis: Axis | None, reason: str | None = None) -> None:
        """These channels stay. `reason` names the operator that asks for it, where people should know."""
        if axis is not None:
            self._fixed.append((axis.labels, reason))

    def tie(self, left: Labels, right: Labels) -> None:
        """Channels at the same position stay or go together; there are as many on both sides."""
        self._ties.append((left, right))

    def scale(self, labels: Labels, factors: Array) -> None:
        """Channels are multiplied by `factors` later on, as by batch normalisation: so is their importance."""
        self._factors.append((labels, np.abs(factors).astype(np.float64)))

    def elementwise(self, parts: Sequence[Part], reason: str) -> Axis | None:
        """The channels of an operator that joins tensors element by element, with broadcasting."""
        tracked = [(axis, shape) for axis, shape in parts if axis is not None]
        if not tracked:
            return None
        if any(shape is None for _, shape in parts):
            self._fix_all(parts, reason)
            return None
        rank = max(len(shape) for _, shape in parts if shape is not None)
        # Counted from the end, where broadcasting lines axes up; one that is longer than a broadcast 1 leads.
        first, its_shape = max(tracked, key=lambda part: len(part[0].labels))
        back = first.index - len(its_shape or ())
        for axis, shape in parts:
            if axis is first:
                continue
            length = shape[back] if shape is not None and len(shape) >= -back else 1
            same_axis = axis is not None and axis.index - len(shape or ()) == back
            if axis is not None and same_axis and len(axis.labels) == len(first.labels):
                self.tie(axis.labels, first.labels)
            elif length != 1 or (axis is not None and not same_axis):
                self._fix_all(parts, reason)
                return None
        return first.at(rank + back)

    def concatenated(self, parts: Sequence[Part], index: int, reason: str) -> Axis | None:
        """The channels of tensors joined along axis `index`."""
        tracked = [axis for axis, _ in parts if axis is not None]
        if not tracked:
            return None
        if {axis.index for axis in tracked} != {index}:
            # Side by side in space: the channels themselves are those of every part.
            whole = len(tracked) == len(parts) and len({(axis.index, len(axis.labels)) for axis in tracked}) == 1
            if not whole:
                self._fix_all(parts, reason)
                return None
            for other in tracked[1:]:
                self.tie(tracked[0].labels, other.labels)
            return tracked[0]
        labels: list[Labels] = []
        for axis, shape in parts:
            length = None if shape is None else shape[index]
            if axis is not None:
                labels.append(axis.labels)
            elif length is not None:
                labels.append(self.fixed(length))
            else:
                self._fix_all(parts, reason)
                return None
        return Axis(np.concatenate(labels), index)

    def choose(self, keep: float) -> Choice:
        """Leave the share `keep` (0..1) of each group of tied layers, at least one channel of every layer.

        A layer's importances are divided by their mean, so that layers of different sizes count alike where they
        are tied; tied channels have the sum (Li et al. 2017, Pruning Filters for Efficient ConvNets, for norms of
        filters; Fang et al. 2023, DepGraph, for groups).

        Raises:
            CannotMake: nothing can be removed, or nothing would be.
        """
        bundle, makers, weight = self._bundles()
        stays = np.zeros(len(weight), dtype=bool)
        for labels, _ in self._fixed:
            stays[bundle[labels]] = True
        blamed = self._blamed(bundle, makers)
        groups, before, after = 0, 0, 0
        for group in _groups(makers, len(weight)):
            members = np.unique(np.concatenate([makers[i] for i in group]))
            free = members[~stays[members]]
            if not len(free):
                continue
            wanted = max(1, math.ceil(keep * len(free) - _ROUNDING))
            best = free[np.argsort(-weight[free], kind="stable")]
            chosen = {int(_first(best, makers[i])) for i in group if not stays[makers[i]].any()}
            for each in best:
                if len(chosen) >= wanted:
                    break
                chosen.add(int(each))
            stays[list(chosen)] = True
            if len(chosen) < len(free):
                groups += 1
                before += len(members)
                after += len(members) - len(free) + len(chosen)
        if not groups:
            raise CannotMake(f"no channel can be removed{': ' + _whole_around(blamed) if blamed else ''}")
        return Choice(stays[bundle], groups, before, after, blamed)

    def _new(self, count: int) -> Labels:
        labels = np.arange(self._count, self._count + count, dtype=np.int64)
        self._count += count
        return labels

    def _fix_all(self, parts: Sequence[Part], reason: str) -> None:
        for axis, _ in parts:
            self.fix(axis, reason)

    def _blamed(self, bundle: Labels, makers: list[Labels]) -> tuple[str, ...]:
        """The reasons given, less those for channels that nobody makes or that stay anyway."""
        pending = np.zeros(self._count, dtype=bool)
        for found in makers:
            pending[found] = True
        for labels, reason in self._fixed:
            if reason is None:
                pending[bundle[labels]] = False
        return tuple(dict.fromkeys(why for labels, why in self._fixed if why and pending[bundle[labels]].any()))

    def _bundles(self) -> tuple[Labels, list[Labels], Array]:
        """The bundle of tied channels that each belongs to; the bundles of each maker; each bundle's importance."""
        none = np.empty(0, dtype=np.int64)
        left = np.concatenate([none, *(pair[0] for pair in self._ties)])
        right = np.concatenate([none, *(pair[1] for pair in self._ties)])
        count, found = _connected(left, right, self._count)
        bundle = found.astype(np.int64)
        own = np.zeros(self._count)
        for labels, importance in self._makers:
            own[labels] = importance
        for labels, factors in self._factors:
            uses = np.bincount(labels, minlength=self._count)
            sums = np.bincount(labels, weights=factors, minlength=self._count)
            own[uses > 0] *= (sums / np.maximum(uses, 1))[uses > 0]
        weight = np.zeros(count)
        for labels, _ in self._makers:
            mean = own[labels].mean() or 1.0
            np.add.at(weight, bundle[labels], own[labels] / mean)
        return bundle, [bundle[labels] for labels, _ in self._makers], weight


def reshaped(axis: Axis, before: Shape, after: Shape) -> Axis | None:
    """Where the channels are after a reshape in row-major order, or None where one cannot be removed any more.

    A channel becomes a block of positions where neighbours of lower axes join it, and is repeated where those of
    higher axes do. Only the lengths from the channel axis on have to be known.
    """
    inner = _size(before[axis.index + 1 :])
    channels = len(axis.labels)
    if inner is None:
        return None
    for index in reversed(range(len(after))):
        length, below = after[index], _size(after[index + 1 :])
        if below is None or below == 0 or inner % below:
            return None
        block = inner // below
        if length is not None and length >= channels * block and length % (channels * block) == 0:
            return Axis(np.tile(np.repeat(axis.labels, block), length // (channels * block)), index)
    return None


def filter_norms(kernel: Array, axis: int, norm: Norm = "l2") -> Array:
    """The norm (`l1` or `l2`) of the weights of each filter; `axis` counts the filters. Shape [filters]."""
    filters = np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1).astype(np.float64)
    norms: Array = np.linalg.norm(filters, ord={"l1": 1, "l2": 2}[norm], axis=1)
    return norms


def sliced(weights: Array, axes: dict[int, Labels], choice: Choice) -> Array:
    """The weights without the removed positions of each of `axes`."""
    for axis, labels in axes.items():
        weights = np.take(weights, choice.positions(labels), axis=axis)
    return weights


def said(choice: Choice, keep: float, norm: Norm) -> list[str]:
    """Notes on what was removed and what was not."""
    notes = [
        f"{choice.before - choice.after} of {choice.before} channels removed in {choice.groups} "
        f"{'group' if choice.groups == 1 else 'groups'} of layers, keeping {keep:.0%} "
        f"by the {norm.upper()} norm of their filters"
    ]
    return [*notes, _whole_around(choice.blamed)] if choice.blamed else notes


def _whole_around(operators: Sequence[str]) -> str:
    return f"all channels stay around {', '.join(operators)}"


def _size(lengths: Shape) -> int | None:
    return None if None in lengths else math.prod(length for length in lengths if length is not None)


def _first(ranked: Labels, wanted: Labels) -> np.int64:
    found: np.int64 = ranked[np.isin(ranked, wanted)][0]
    return found


def _groups(makers: list[Labels], bundles: int) -> list[list[int]]:
    """The makers that share bundles, by their numbers."""
    if not makers:
        return []
    rows = np.concatenate([np.full(len(found), i) for i, found in enumerate(makers)])
    _, group = _connected(rows, np.concatenate(makers) + len(makers), len(makers) + bundles)
    of_makers = group[: len(makers)]
    return [list(np.flatnonzero(of_makers == each)) for each in dict.fromkeys(of_makers.tolist())]


def _connected(left: Labels, right: Labels, count: int) -> tuple[int, npt.NDArray[np.int32]]:
    links = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(count, count))
    found: tuple[int, npt.NDArray[np.int32]] = connected_components(links, directed=False)
    return found
