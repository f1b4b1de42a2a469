"""The chart of two figures of every choice, with their intervals and the line of the front.

It is one template for all pairs of metrics (`template`), in which a text such as `"$x.title"` stands for a value of the
metric across, `"$y.title"` for one of the metric up, and `"$front"` and `"$place"` for the pair. `fill` puts them in.
All else that a pair needs is in the data set `choices`: of each metric `m` the columns `m`, `m_low` and `m_high` in the
unit of the axis and `m_told` as text; of each pair, in the order of the metrics, `front__a__b` with where each choice
stands; and of each order of a pair `place__x__y` with the side on which its label has room.

So that a page can let its reader pick the axes, the specification of `KIND` carries in `usermeta` (which Vega-Lite
leaves alone): `template`; `axes`, the values by metric, in an order fit for a menu (`axes[m].name` is its text); and
`x` and `y`, what it is drawn with. Another pair is drawn from the same data by

    fill(template, x, y):  values = {"$front": axes[x] before axes[y] ? `front__${x}__${y}` : `front__${y}__${x}`,
                                     "$place": `place__${x}__${y}`}
                           for each key, value of axes[x]: values["$x." + key] = value     (and so for y)
                           a copy of the template in which every text that is a key of values is that value

For 50 choices that is some 150 kB before compression, and grows with them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bench.analyse.choices import choices_of
from bench.analyse.intervals import UNKNOWN, interval
from bench.analyse.kinds import better
from bench.analyse.pareto import missing, standings, way
from bench.errors import UserError, unknown
from bench.record.choice import Choice
from bench.record.cost import Part
from bench.record.front import Front
from bench.record.measurement import Measurement
from bench.record.metric import METRICS, Direction
from bench.report.changes import said_once
from bench.report.charts.draw import check_svg, image
from bench.report.charts.drawing import Drawing, Kind, Undrawn
from bench.report.charts.stacked import stacked
from bench.report.charts.theme import ABOVE, GOOD, MUTED, OPEN, SMALL
from bench.report.charts.told import how, percent
from bench.report.choices import Names, figure, title
from bench.report.pareto import WORDS
from bench.report.units import scale_for
from bench.runner.gather import Gathered
from bench.store.atomic import write_bytes

COST = "cost"
"""Money for a million inferences, from the ledger of the run."""
OFFERED = (
    "accuracy",
    "robustness",
    "robustness_worst",
    "calibration_error",
    "parity_agreement",
    "p50_latency",
    "p90_latency",
    "p99_latency",
    "throughput",
    "capacity",
    "load_time",
    "first_inference",
    "cold_start",
    "rss_added",
    "peak_rss",
    "energy",
    COST,
    "size",
    "macs",
)
"""What a reader may put on the axes of a page, in the order of the menu; any other metric can be asked for by name."""

_NAME, _TITLE, _DATA = "pareto", "Pareto front", "choices"
_WIDTH, _HEIGHT, _POINT = 600, 380, 75
_COLOURS = {"on": GOOD, "undecided": OPEN, "off": MUTED}
_SHAPES = {"on": "circle", "undecided": "diamond", "off": "cross"}
_LABEL, _LETTER, _LINE = 190, 6.0, 13.0
"""Pixels: the widest label, the width of a letter, and the height of a line."""
_LABELLED = 40
"""With more choices only those are labelled that may be on the front."""
_SIDES = {
    "ru": (1, -9),
    "rd": (1, 10),
    "lu": (-1, -9),
    "ld": (-1, 10),
    "ruu": (1, -22),
    "rdd": (1, 23),
    "luu": (-1, -22),
}
"""Where a label stands beside its point: to the right or left, and how far up (negative) or down."""
_TIMES = ("s", "J")
"""Units whose scale is logarithmic: what lies on it spans factors."""
_FACTOR = 10.0
"""From what quotient of its ends on any other scale without a zero is logarithmic too."""


@dataclass(frozen=True)
class _Drawn:
    """Choices of one model. `standing` holds where each stands by pair of metrics, `cases` a place in the report."""

    title: str
    choices: tuple[Choice, ...]
    standing: Mapping[tuple[str, str], Sequence[str]]
    ways: Mapping[str, Direction]
    units: Mapping[str, tuple[float, str]]
    cases: Sequence[int | None] = ()
    judged_by: str | None = None


def drawings(gathered: Gathered, x: str = "p50_latency", y: str = "accuracy") -> Sequence[Drawing | Undrawn]:
    """One drawing a run and model, of these two metrics: names of `METRICS`, or `cost`.

    Raises:
        UserError: there is no such metric, no value of it is better than another, or both are the same.
    """
    _check(x, y)
    return _all(gathered, (x, y), (x, y))


def axis_choices(gathered: Gathered) -> list[str]:
    """The metrics of `OFFERED` that some choice has a figure of."""
    return _known(OFFERED, [choice for choices, _ in _by_model(gathered) for choice in choices])


def of_front(found: Front, x: str, y: str) -> Drawing | Undrawn:
    """Two of the figures of a front, whose points stand where the front over all its metrics says."""
    there = [each for each in found.placed if each.standing != "not placed"]
    choices = tuple(
        Choice(
            name=each.choice,
            model=found.model,
            variant=each.variant,
            base=each.variant,
            target="",
            threads=0,
            batch=0,
            figures=each.figures,
            projected=each.projected,
        )
        for each in there
    )
    standing = {_pair(x, y): [each.standing for each in there]}
    return _drawing(
        _Drawn(
            title=f"{_TITLE} · {Names(c.name for c in choices).about(found.model)}",
            choices=choices,
            standing=standing,
            ways=found.better,
            units=_units((x, y), choices),
            judged_by=found.judged_by,
        ),
        (x, y),
        (x, y),
    )


def write(path: Path, found: Sequence[Front], across: str, up: str) -> None:
    """The chart as an SVG file, whole. Raises `UserError`: an ending, a missing library, nothing to draw, the disk."""
    check_svg(path)
    made = [each for front in found if isinstance(each := of_front(front, across, up), Drawing)]
    if not made:
        raise UserError("no choice has both figures to draw", where="--svg", remedy="see why without --svg")
    write_bytes(path, image(stacked(made, _TITLE), ".svg"))


def axes(metrics: Sequence[str]) -> tuple[str, str]:
    """Two of the front's metrics to draw: a cost across, quality up where there is one.

    Raises:
        UserError: there is one only.
    """
    up = "accuracy" if "accuracy" in metrics else metrics[-1]
    across = next((metric for metric in metrics if metric != up), None)
    if across is None:
        raise UserError("a chart takes two figures", where=f"--svg with --metric {up}", remedy="give another --metric")
    return across, up


def template() -> dict[str, Any]:
    """The specification of any pair, with places to fill: see the module's own text."""
    words = [WORDS[standing] for standing in ("on", "undecided", "off")]
    x, y = ({"field": f"${axis}.field", "type": "quantitative", **_look(axis)} for axis in "xy")
    tone = {"field": "$front", "type": "nominal", "title": "front", "legend": ABOVE}
    colour = {**tone, "scale": {"domain": words, "range": list(_COLOURS.values())}}
    shape = {**tone, "scale": {"domain": words, "range": list(_SHAPES.values())}}
    rules = [
        _rule("x", {"y": y, "color": colour}),
        _rule("y", {"x": x, "color": colour}),
    ]
    told = [("name", "choice"), ("$x.told", "$x.name"), ("$y.told", "$y.name"), ("$front", "front")]
    points = {
        "mark": {"type": "point", "filled": True, "size": _POINT, "opacity": 1},
        "encoding": {
            "x": x,
            "y": y,
            "color": colour,
            "shape": shape,
            "tooltip": [{"field": name, "type": "nominal", "title": shown} for name, shown in told],
        },
    }
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "data": {"name": _DATA},
        "transform": [{"filter": {"field": "$front", "oneOf": words}}],
        "layer": [_stairs(x, y, words), *rules, points, *(_labels(side, x, y) for side in _SIDES)],
    }


def fill(node: Any, values: Mapping[str, Any]) -> Any:
    """A copy of the template in which every text that is a key of `values` is that value."""
    if isinstance(node, dict):
        return {key: fill(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [fill(each, values) for each in node]
    return values.get(node, node) if isinstance(node, str) else node


def draw(gathered: Gathered) -> Sequence[Drawing | Undrawn]:
    """One drawing a run and model, of quality over median latency where both are known, with all that is offered."""
    known = axis_choices(gathered)
    if len(known) < 2:
        return [Undrawn(_NAME, _TITLE, "no two figures are known of any choice")]
    return _all(gathered, known, None)


def _all(gathered: Gathered, metrics: Sequence[str], pair: tuple[str, str] | None) -> list[Drawing | Undrawn]:
    groups = _by_model(gathered)
    units = _units(metrics, [choice for choices, _ in groups for choice in choices])
    made: list[Drawing | Undrawn] = []
    for choices, cases in groups:
        judged_by = next((choice.judged_by for choice in choices if choice.judged_by is not None), None)
        ways = {metric: way(metric, judged_by) for metric in metrics}
        there = _known(metrics, choices) if pair is None else list(metrics)
        seen = [gathered.cases[at] for at in cases if at is not None][:1]
        run = f" · {gathered.runs[seen[0].run].manifest.run_id}" if len(gathered.runs) > 1 and seen else ""
        headed = f"{_TITLE} · {Names(c.name for c in choices).about(choices[0].model)}{run}"
        if len(there) < 2:
            made.append(Undrawn(_NAME, headed, "no two figures are known of any choice"))
            continue
        standing = {_pair(a, b): standings(choices, (a, b), ways) for a, b in combinations(there, 2)}
        drawn = _Drawn(headed, tuple(choices), standing, ways, units, cases, judged_by)
        made.append(_drawing(drawn, there, pair or _default(there)))
    return made or [Undrawn(_NAME, _TITLE, "the run has no rows")]


def _drawing(drawn: _Drawn, metrics: Sequence[str], pair: tuple[str, str]) -> Drawing | Undrawn:
    """The drawing of `pair`, whose data serve every pair of `metrics`."""
    x, y = pair
    stand = drawn.standing[_pair(x, y)]
    left = {
        each.name: missing(each, pair) or "not placed"
        for each, s in zip(drawn.choices, stand, strict=True)
        if s not in _COLOURS
    }
    if len(left) == len(drawn.choices):
        reasons = "; ".join(dict.fromkeys(left.values()))
        return Undrawn(
            _NAME,
            drawn.title,
            f"no choice has both {_named(x, drawn.judged_by)} and {_named(y, drawn.judged_by)}: {reasons}",
        )
    looks = {metric: _axis(drawn, metric) for metric in metrics}
    data = _columns(drawn, metrics)
    for a, b in permutations(metrics, 2):
        data[_place(a, b)] = _sides(data, looks[a], looks[b], data[_front(metrics, a, b)])
    made = template()
    spec = fill(made, _values(looks, metrics, x, y))
    about = _about(drawn, pair, stand, left)
    return Drawing(
        _NAME,
        drawn.title,
        about,
        {**spec, "usermeta": {"template": made, "axes": looks, "x": x, "y": y}},
        {_DATA: data},
    )


def _values(looks: Mapping[str, Mapping[str, Any]], metrics: Sequence[str], x: str, y: str) -> dict[str, Any]:
    """What `fill` puts in for a pair."""
    values = {f"${axis}.{key}": value for axis, metric in (("x", x), ("y", y)) for key, value in looks[metric].items()}
    return {**values, "$front": _front(metrics, x, y), "$place": _place(x, y)}


def _columns(drawn: _Drawn, metrics: Sequence[str]) -> dict[str, list[Any]]:
    names = Names(choice.name for choice in drawn.choices)
    data: dict[str, list[Any]] = {
        "name": [choice.name + (" (projected)" if choice.projected else "") for choice in drawn.choices],
        "label": [names(choice.name) + (" (projected)" if choice.projected else "") for choice in drawn.choices],
    }
    if drawn.cases:
        data["case"] = list(drawn.cases)
    for metric in metrics:
        found = [choice.figures.get(metric) for choice in drawn.choices]
        factor = drawn.units[metric][0]
        data[metric] = [_scaled(None if each is None else each.value, factor) for each in found]
        data[f"{metric}_low"] = [_scaled(None if each is None else each.low, factor) for each in found]
        data[f"{metric}_high"] = [_scaled(None if each is None else each.high, factor) for each in found]
        data[f"{metric}_told"] = [_behind(metric, each) for each in found]
    for a, b in combinations(metrics, 2):
        stand = drawn.standing[_pair(a, b)]
        data[_front(metrics, a, b)] = [WORDS[each] if each in _COLOURS else None for each in stand]  # type: ignore[index]
    return data


def _behind(metric: str, found: Measurement | None) -> str:
    """A figure with its interval and what it rests on."""
    told = figure(metric, found, words=True)
    if found is None or found.value is None:
        return told
    sure = [percent(found.confidence)] if found.confidence is not None and found.low is not None else []
    return f"{told} ({'; '.join([*sure, f'n {found.n:,}', how(found)])})"


def _axis(drawn: _Drawn, metric: str) -> dict[str, Any]:
    """What `template` takes of one metric."""
    factor, unit = drawn.units[metric]
    there = [each.figures[metric] for each in drawn.choices if each.failure is None and metric in each.figures]
    known = [each for each in there if each.value is not None]
    up = drawn.ways[metric] == "higher"
    name = _named(metric, drawn.judged_by)
    # On the axis that stands upright the title is turned, and its arrow with it.
    title_ = (
        f"{name}{', ' + unit if unit else ''}{_guessed(known)} · {'higher is better →' if up else '← lower is better'}"
    )
    ends = [end / factor for each in known for end in (each.low, each.value, each.high) if end is not None]
    scale = _scale(metric, ends)
    return {
        "name": name,
        "title": title_,
        "field": metric,
        "low": f"{metric}_low",
        "high": f"{metric}_high",
        "told": f"{metric}_told",
        "scale": scale,
        "axis": {"format": ",.3~r", "tickCount": 7} if scale.get("type") == "log" else {"tickCount": 7},
        "best": "max" if up else "min",
        "order": "descending" if up else "ascending",
        "step": "step-before" if up else "step-after",
    }


def _guessed(known: Sequence[Measurement]) -> str:
    """Whether values of the axis are estimates or projections: all of them, or how many."""
    told = ""
    for word in ("estimated", "projected"):
        count = sum(each.how.startswith(f"{word}:") for each in known)
        if count:
            told += f" ({word})" if count == len(known) else f" ({count} of {len(known)} {word})"
    return told


def _scale(metric: str, ends: Sequence[float]) -> dict[str, Any]:
    """Logarithmic for times and energies, and for what spans factors; it holds every interval and is never empty."""
    # An axis of infinities alone still has ends.
    finite = [end for end in ends if math.isfinite(end)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    share = metric in METRICS and METRICS[metric].unit in ("1", "dB")
    spans = metric in METRICS and METRICS[metric].unit in _TIMES
    if low > 0 and not share and (spans or high / low >= _FACTOR):
        room = max((high / low) ** 0.06, 1.05)
        return {"type": "log", "domain": [low / room, high * room], "nice": False}
    room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return {"domain": [low - room, high + room], "zero": False, "nice": False}


def _sides(
    data: Mapping[str, Sequence[Any]], x: Mapping[str, Any], y: Mapping[str, Any], stand: Sequence[str | None]
) -> list[str | None]:
    """The side of its point on which each label has room, as a key of `_SIDES`; None for a label that has none."""
    words = list(WORDS.values())
    placed = [at for at, word in enumerate(stand) if word is not None]
    across = _pixels([data[x["field"]][at] for at in placed], x["scale"], _WIDTH)
    up = _HEIGHT - _pixels([data[y["field"]][at] for at in placed], y["scale"], _HEIGHT)
    half = math.sqrt(_POINT) / 2
    taken = np.column_stack([across - half, up - half, across + half, up + half])
    found: list[str | None] = [None] * len(stand)
    order = sorted(range(len(placed)), key=lambda i: (words.index(stand[placed[i]] or ""), across[i]))
    for i in order:
        if len(placed) > _LABELLED and stand[placed[i]] == WORDS["off"]:
            continue
        width = min(_LABEL, _LETTER * len(data["label"][placed[i]]))
        for side, (right, down) in _SIDES.items():
            start = across[i] + 5 if right > 0 else across[i] - 5 - width
            middle = up[i] + down
            box = (start, middle - _LINE / 2, start + width, middle + _LINE / 2)
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= _WIDTH and box[3] <= _HEIGHT
            if inside and not _meets(taken, box):
                taken = np.vstack([taken, box])
                found[placed[i]] = side
                break
    return found


def _meets(taken: npt.NDArray[np.float64], box: tuple[float, float, float, float]) -> bool:
    left, top, right, bottom = taken.T
    return bool(((left < box[2]) & (right > box[0]) & (top < box[3]) & (bottom > box[1])).any())


def _pixels(values: Sequence[float], scale: Mapping[str, Any], length: int) -> npt.NDArray[np.float64]:
    """Distances from the start of an axis of `length` pixels."""
    at, ends = np.asarray(values, dtype=np.float64), np.asarray(scale["domain"], dtype=np.float64)
    if scale.get("type") == "log":
        at, ends = np.log(at), np.log(ends)
    found: npt.NDArray[np.float64] = length * (at - ends[0]) / (ends[1] - ends[0])
    return found


def _look(axis: str) -> dict[str, Any]:
    return {"title": f"${axis}.title", "scale": f"${axis}.scale", "axis": f"${axis}.axis"}


def _rule(along: str, encoding: dict[str, Any]) -> dict[str, Any]:
    """The interval along one axis; none where it is not known."""
    low, high = f"${along}.low", f"${along}.high"
    return {
        "transform": [{"filter": {"field": low, "valid": True}}, {"filter": {"field": high, "valid": True}}],
        "mark": {"type": "rule", "opacity": 0.5, "strokeWidth": 1.5},
        "encoding": {
            along: {"field": low, "type": "quantitative", **_look(along)},
            f"{along}2": {"field": high},
            **encoding,
        },
    }


def _stairs(x: dict[str, Any], y: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """The best value up among all that are as good across, of what is not surely off."""
    best = {"op": "$y.best", "field": "$y.field", "as": "best"}
    return {
        "transform": [
            {"filter": {"field": "$front", "oneOf": list(words[:2])}},
            {"window": [best], "sort": [{"field": "$x.field", "order": "$x.order"}], "frame": [None, 0]},
        ],
        "mark": {
            "type": "line",
            "interpolate": "$x.step",
            "color": GOOD,
            "opacity": 0.55,
            "strokeDash": [5, 4],
            "strokeWidth": 1.5,
        },
        "encoding": {"x": x, "y": {**y, "field": "best"}},
    }


def _labels(side: str, x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    right, down = _SIDES[side]
    return {
        "transform": [{"filter": {"field": "$place", "equal": side}}],
        "mark": {
            "type": "text",
            "align": "left" if right > 0 else "right",
            "baseline": "middle",
            "dx": 5 * right,
            "dy": down,
            "fontSize": SMALL,
            "limit": _LABEL,
        },
        "encoding": {"x": x, "y": y, "text": {"field": "label", "type": "nominal"}},
    }


def _about(drawn: _Drawn, pair: tuple[str, str], stand: Sequence[str], left: Mapping[str, str]) -> str:
    """In words: what is drawn, who is on the front, and what is not there and why."""
    names = Names(choice.name for choice in drawn.choices)
    x, y = (_named(metric, drawn.judged_by) for metric in pair)
    told = f"Each point is a choice, {x} across and {y} up; bars are intervals, the dashed line joins the best of both."
    said = {"on": "Surely on the front", "undecided": "Undecided", "off": "Surely off the front"}
    there = [(said[s], names(c.name)) for c, s in zip(drawn.choices, stand, strict=True) if s in said]
    told += "".join(
        f" {word}: {who}." for word, who in sorted(said_once(there), key=lambda e: list(said.values()).index(e[0]))
    )
    for metric, called in zip(pair, (x, y), strict=True):
        figures = [c.figures[metric] for c, s in zip(drawn.choices, stand, strict=True) if s in _COLOURS]
        count = sum(interval(metric, each) == UNKNOWN for each in figures)
        if count:
            told += f" {count} of {len(figures)} have no interval of {called}, which may lie anywhere."
    absent = said_once((reason, names(name)) for name, reason in left.items())
    return told + "".join(f" Not drawn: {who} ({reason})." for reason, who in absent)


def _by_model(gathered: Gathered) -> list[tuple[list[Choice], list[int | None]]]:
    """Choices of each model of each run, with what they cost, and the first of their cases."""
    places = {(seen.run, seen.row.case.name): at for at, seen in reversed(list(enumerate(gathered.cases)))}
    groups = []
    for run, opened in enumerate(gathered.runs):
        if not opened.rows:
            continue
        costs = _costs(gathered, run)
        found = [
            msgspec.structs.replace(choice, figures={**choice.figures, COST: costs(choice)})
            for choice in choices_of(opened.manifest, opened.rows)
        ]
        for model in dict.fromkeys(choice.model for choice in found):
            own = [choice for choice in found if choice.model == model]
            groups.append((own, [places.get((run, choice.cases[0])) for choice in own]))
    return groups


def _costs(gathered: Gathered, run: int) -> Any:
    """What a million inferences of a choice cost."""
    ledger = gathered.ledgers[run] if run < len(gathered.ledgers) else None
    bills = {} if ledger is None else {account.choice.name: account.million.money for account in ledger.accounts}
    why = gathered.missing.get(COST, "there is no bill for it")

    def cost(choice: Choice) -> Measurement:
        return _whole(bills[choice.name]) if choice.name in bills else Measurement.unavailable("", why)

    return cost


def _whole(part: Part) -> Measurement:
    """A cost that lacks a part is a lower bound, which has no place among totals."""
    if part.figure.value is None or part.complete:
        return part.figure
    absent = "; ".join(f"{each.name}: {each.figure.reason}" for each in part.unknown)
    return Measurement.unavailable(part.figure.unit, f"a part is not known ({absent})")


def _known(metrics: Iterable[str], choices: Sequence[Choice]) -> list[str]:
    """The metrics that some choice which did not fail has a figure of."""
    return [
        m
        for m in metrics
        if any(c.failure is None and m in c.figures and c.figures[m].value is not None for c in choices)
    ]


def _default(metrics: Sequence[str]) -> tuple[str, str]:
    """Quality over median latency where both are known, else the first two."""
    y = metrics[0]
    return ("p50_latency" if "p50_latency" in metrics[1:] else metrics[1]), y


def _units(metrics: Iterable[str], choices: Sequence[Choice]) -> dict[str, tuple[float, str]]:
    """One unit a metric, for all models."""
    found = {}
    for metric in metrics:
        there = [c.figures[metric] for c in choices if metric in c.figures and c.figures[metric].value is not None]
        unit = there[0].unit if there else METRICS[metric].unit if metric in METRICS else ""
        found[metric] = scale_for(unit, [each.value for each in there if each.value is not None])
    return found


def _check(x: str, y: str) -> None:
    for name in (x, y):
        if name not in METRICS and name != COST:
            raise unknown("metric", name, [*METRICS, COST], where="the axes of the chart")
        if better(name) == "neither":
            raise UserError(
                f"no value of {name} is better than another", where="the axes of the chart", remedy="name another one"
            )
    if x == y:
        raise UserError(
            "a chart takes two figures", where=f"{x} on both axes", remedy="name another one for one of them"
        )


def _named(metric: str, judged_by: str | None) -> str:
    if metric == COST:
        return "cost of a million inferences"
    return title(metric, judged_by) + (" latency" if metric.endswith("_latency") else "")


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None or not math.isfinite(value) else value / factor


def _pair(x: str, y: str) -> tuple[str, str]:
    return (x, y) if x <= y else (y, x)


def _front(metrics: Sequence[str], x: str, y: str) -> str:
    a, b = sorted((x, y), key=list(metrics).index)
    return f"front__{a}__{b}"


def _place(x: str, y: str) -> str:
    return f"place__{x}__{y}"


KIND = Kind(_NAME, _TITLE, draw)
