"""The kinds of charts there are, in the order of a report. A kind's module is imported only when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping

from bench.errors import unknown
from bench.report.charts.drawing import Kind

NAMES = (
    "pareto",
    "percentiles",
    "ecdf",
    "violin",
    "timeline",
    "roofline",
    "robustness",
    "operators",
    "comparison",
)
"""Each is the name of its module in this package, which holds a `KIND`."""


class _Kinds(Mapping[str, Kind]):
    def __getitem__(self, name: str) -> Kind:
        if name not in NAMES:
            raise KeyError(name)
        kind: Kind = importlib.import_module(f"bench.report.charts.{name}").KIND
        return kind

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


KINDS: Mapping[str, Kind] = _Kinds()


def kind_of(name: str) -> Kind:
    """The kind of this name. Raises `UserError` with the nearest name where there is none."""
    if name not in NAMES:
        raise unknown("kind of chart", name, NAMES, where="KIND")
    return KINDS[name]
