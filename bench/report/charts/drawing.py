"""What a chart is before it is drawn: one specification for the page, for PNG and for SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bench.runner.gather import Gathered

Columns = Mapping[str, Sequence[Any]]
"""A data set: lists of equal length by field. The field `case` counts into `Gathered.cases`."""

Scope = Literal["all", "chosen", "one"]


@dataclass(frozen=True)
class Drawing:
    """One chart, ready to be drawn.

    `spec` is a whole Vega-Lite specification but for its data, which it takes by name (`{"data": {"name": …}}`) from
    `data`. `about` says in one or two sentences what is seen, for those who cannot see it. `scope` says what a reader
    may pick: `all` cases are drawn; only those `chosen` (a few, or lines would cover each other); or `one`. Where it
    is not `all`, every data set has the field `case`, and whoever draws leaves out the others.

    `spec["usermeta"]`, which Vega-Lite leaves alone, is for the page: its `narrow` says what is otherwise on the screen
    of a phone, values by JSON Pointer (RFC 6901) into the specification, where null takes away.
    """

    kind: str
    title: str
    about: str
    spec: Mapping[str, Any]
    data: Mapping[str, Columns]
    scope: Scope = "all"


@dataclass(frozen=True)
class Undrawn:
    """A chart that there is nothing to draw of, and why."""

    kind: str
    title: str
    reason: str


@dataclass(frozen=True)
class Kind:
    """A kind of chart: `draw` makes its drawings, several where each model has its own."""

    name: str
    title: str
    draw: Callable[[Gathered], Sequence[Drawing | Undrawn]]
