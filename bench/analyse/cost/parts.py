"""Parts of a bill: leaves that are known or say why not, and sums that never count an unknown one as zero."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence

import msgspec

from bench.analyse.cost.quantity import Quantity, Unknown
from bench.record.cost import Part
from bench.record.measurement import Measurement


def leaf(name: str, unit: str, work: Callable[[], tuple[Quantity, str]], how: str | None = None) -> Part:
    """The part that `work` gives as figure and formula; unknown, with its reason, where that raises `Unknown`."""
    try:
        found, formula = work()
    except Unknown as why:
        return missing(name, unit, str(why))
    return Part(name=name, figure=found.figure(unit, how), formula=formula)


def missing(name: str, unit: str, reason: str) -> Part:
    """A part that is not known."""
    return Part(name=name, figure=Measurement.unavailable(unit, reason))


def stated(name: str, value: float | None, unit: str, source: str, key: str) -> Part:
    """A part that `source` states under `key`; unknown where it does not."""
    if value is None:
        return missing(name, unit, f"{source} states no {key}")
    return Part(
        name=name,
        figure=Quantity.exact(value, unit).figure(unit, f"stated:{source}"),
        formula=f"{key} = {value:,g} {unit}",
    )


def total(name: str, unit: str, parts: Sequence[Part]) -> Part:
    """The sum of all parts that are known, in `unit`: a lower bound where one is not. Raises `UnitError`."""
    known = [Quantity.of(part.figure) for part in parts if part.figure.value is not None]
    whole = Part(name=name, figure=Measurement.unavailable(unit, "no part is known"), parts=tuple(parts))
    if not known:
        return whole
    try:
        added = functools.reduce(operator.add, known)
    except Unknown as why:
        return missing(name, unit, str(why))
    gaps = [part.name for part in whole.unknown]
    formula = " + ".join(part.name for part in parts if part.figure.value is not None)
    return msgspec.structs.replace(
        whole,
        figure=added.figure(unit),
        formula=f"at least {formula}; unknown: {', '.join(dict.fromkeys(gaps))}" if gaps else formula,
    )


def scaled(part: Part, factor: Quantity, unit: str, words: str) -> Part:
    """Every figure of the tree times `factor`, in `unit`; `words` tell the factor in the formulas of the leaves."""
    figure = Measurement.unavailable(unit, part.figure.reason or "")
    if part.figure.value is not None:
        try:
            figure = (Quantity.of(part.figure) * factor).figure(unit)
        except Unknown as why:
            return missing(part.name, unit, str(why))
    return Part(
        name=part.name,
        figure=figure,
        formula=part.formula if part.parts or not part.formula else f"({part.formula}) × {words}",
        parts=tuple(scaled(each, factor, unit, words) for each in part.parts),
    )


def unknown_as(part: Part, unit: str, reason: str) -> Part:
    """A leaf in place of a tree whose factor is not known."""
    reasons = dict.fromkeys([reason, *(gap.figure.reason or "" for gap in part.unknown)])
    return missing(part.name, unit, "; ".join(reasons))
