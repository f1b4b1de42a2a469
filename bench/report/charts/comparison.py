"""The forest plot of a comparison: every figure after / before with its interval, around a line at 1."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.analyse.kinds import better_of
from bench.record.comparison import Change
from bench.report.changes import (
    STANDINGS,
    Standing,
    evidence,
    plain,
    ranked_changes,
    said_once,
    shift,
    shortened,
    sides,
    standing,
    title,
)
from bench.report.charts.drawing import Drawing, Kind, Undrawn
from bench.report.charts.theme import ABOVE, BAD, GOOD, LABEL_LIMIT, MUTED, OPEN, SMALL, TEXT
from bench.report.charts.told import columns, middled
from bench.runner.gather import Gathered

_NAME, _TITLE, _DATA = "comparison", "Comparison", "changes"
_MOST = 60
"""Rows that are drawn: what matters first; the table has the others."""
_WIDTH, _STEP, _TEXT = 420, 19, 8
_FEW = 60
"""Letters of a case that is named in a sentence."""
_SLIM = 120
"""Pixels of a label on a narrow screen."""
_COLOURS: dict[Standing, str] = {"worse": BAD, "better": GOOD, "unclear": OPEN, "same": MUTED}
_SHAPES: dict[Standing, str] = {"worse": "triangle-up", "better": "circle", "unclear": "diamond", "same": "square"}
_LEAST = 1.02
"""The axis goes at least this factor to both sides of 1: noise is not to look like a landslide."""
_FURTHEST = 4.0
"""How far (a factor) beyond the outermost ratio an interval is drawn; a longer one is cut at the axis' end."""


def draw(gathered: Gathered) -> Sequence[Drawing | Undrawn]:
    """One drawing of what has a ratio, a panel a metric; and what was not compared, with its reasons."""
    found = gathered.comparison
    if found is None:
        return [Undrawn(_NAME, _TITLE, gathered.missing.get(_NAME, "there is nothing to compare with"))]
    head = f"{plain(found.after)} against {plain(found.before)}"
    there = [change for change in ranked_changes(found.changes) if _ratio(change) is not None]
    made: list[Drawing | Undrawn] = []
    if there:
        made.append(_drawing(there, head, _cases(gathered)))
    made += [Undrawn(_NAME, f"Not compared: {head}", reason) for reason in _refused(found.changes)]
    return made or [Undrawn(_NAME, head, "no figure is known on both sides")]


def _cases(gathered: Gathered) -> dict[str, int]:
    """Places of the cases of the last run, which is the one that is held against the baseline."""
    last = len(gathered.runs) - 1
    return {seen.row.case.name: at for at, seen in enumerate(gathered.cases) if seen.run == last}


def _ratio(change: Change) -> float | None:
    """The ratio where it has a place on a logarithmic axis."""
    return change.ratio if change.ratio is not None and 0 < change.ratio < math.inf else None


def _refused(changes: Sequence[Change]) -> list[str]:
    """A sentence a reason for which figures were not compared or have no place, with the first cases it holds for."""
    told = []
    left = [change for change in changes if change.refused or (change.ratio is not None and _ratio(change) is None)]
    _, names = shortened([change.case for change in left])
    for change, name in zip(left, names, strict=True):
        where = f"{middled(name, _FEW)} {title(change.metric)}"
        if change.refused:
            told.append((change.absent or "the rows may not be compared", where))
        else:
            told.append((f"a ratio of {change.ratio:g} has no place on the axis", where))
    return [f"{plain(reason)} ({those})" for reason, those in said_once(told)]


def _drawing(there: Sequence[Change], head: str, cases: dict[str, int]) -> Drawing:
    shown = there[:_MOST]
    pattern, names = shortened([change.case for change in there])
    short = dict(zip((change.case for change in there), names, strict=True))
    ends = _ends(shown)
    data = columns([_record(change, at, short, cases, ends) for at, change in enumerate(shown)])
    counts = Counter(standing(change) for change in there)
    told = ", ".join(f"{counts[word]:,} {word}" for word in STANDINGS if counts[word])
    labels = list(dict.fromkeys(plain(label) for change in shown for label in change.labels))
    more = f"the {_MOST} that matter most of {len(there):,}; the others are in the table" if len(there) > _MOST else ""
    under = [line for line in (pattern, more, *labels) if line]
    rows: dict[str, list[int]] = {}
    for metric, row in zip(data["metric"], data["row"], strict=True):
        rows.setdefault(metric, []).append(row)
    spec = _spec(rows, ends)
    if under:
        spec["title"] = {"subtitle": under}
    about = (
        f"Each row is a case and a figure of it: after / before, with its interval, on a logarithmic axis around 1. "
        f"{told}. " + " ".join(f"{line}." for line in under[1 if pattern else 0 :])
    ).strip()
    return Drawing(_NAME, head, about, spec, {_DATA: data})


def _ends(shown: Sequence[Change]) -> tuple[float, float]:
    """The axis: every ratio, 1, and every interval unless it is far wider than what happened."""
    ratios = [ratio for change in shown if (ratio := _ratio(change)) is not None]
    least, most = min(*ratios, 1 / _LEAST, 1.0), max(*ratios, _LEAST)
    lows = [change.low for change in shown if change.low is not None and change.low > 0]
    highs = [change.high for change in shown if change.high is not None and change.high < math.inf]
    low = max(min([*lows, least]), least / _FURTHEST)
    high = min(max([*highs, most]), most * _FURTHEST)
    room = (high / low) ** 0.04
    return low / room, high * room


def _record(
    change: Change, at: int, short: dict[str, str], cases: dict[str, int], ends: tuple[float, float]
) -> dict[str, Any]:
    before, after = sides(change)
    low = high = None
    if change.low is not None and change.high is not None and change.basis != "exact":
        low, high = max(change.low, ends[0]), min(change.high, ends[1])
    return {
        "case": cases.get(change.case),
        "row": at,
        "label": short[change.case],
        "name": plain(change.case),
        "metric": _headed(change),
        "ratio": change.ratio,
        "low": low,
        "high": high,
        "verdict": standing(change),
        "shift": shift(change),
        "before": before,
        "after": after,
        "evidence": evidence(change),
        "labels": plain("; ".join(change.labels)) or "–",
    }


def _headed(change: Change) -> str:
    """The figure and the side on which it is better: that of smaller ratios is on the left."""
    way = {"lower": " · ← lower is better", "higher": " · higher is better →", "neither": ""}
    return title(change.metric) + way[better_of(change)]


def _spec(rows: Mapping[str, Sequence[int]], ends: tuple[float, float]) -> dict[str, Any]:
    """Panels below each other, one a metric with its `rows`: facets do not know how many rows each of them has."""
    last = len(rows) - 1
    panels = [_panel(metric, own, ends, axis=at == last) for at, (metric, own) in enumerate(rows.items())]
    # On a narrow screen what a change came to is told by the table below only.
    otherwise = {"title/frame": "bounds", "layer/3/mark/limit": _SLIM, "layer/4": None}
    narrow = {f"/vconcat/{at}/{place}": value for at in range(len(panels)) for place, value in otherwise.items()}
    return {"data": {"name": _DATA}, "vconcat": panels, "spacing": 14, "usermeta": {"narrow": narrow}}


def _panel(metric: str, rows: Sequence[int], ends: tuple[float, float], *, axis: bool) -> dict[str, Any]:
    words = [word for word in STANDINGS if word in _COLOURS]
    told = {"field": "verdict", "type": "nominal", "title": "verdict", "legend": ABOVE}
    colour = {**told, "scale": {"domain": words, "range": [_COLOURS[word] for word in words]}}
    shape = {**told, "scale": {"domain": words, "range": [_SHAPES[word] for word in words]}}
    look = {"format": ",.4~r", "tickCount": 7, "labelExpr": "datum.label ? datum.label + '×' : ''"}
    x = {
        "type": "quantitative",
        "title": "after / before" if axis else None,
        "axis": look if axis else {**look, "labels": False, "ticks": False},
        "scale": {"type": "log", "domain": list(ends), "nice": False},
    }
    y = {
        "field": "row",
        "type": "ordinal",
        "title": None,
        "scale": {"domain": list(rows)},
        "axis": {"labels": False, "domain": False, "ticks": False, "grid": True},
    }
    shown = {"name": "case", "metric": "figure", "shift": "change", "labels": "note"}
    tooltip = [
        {"field": name, "type": "nominal", "title": shown.get(name, name)}
        for name in ("name", "metric", "before", "after", "shift", "verdict", "evidence", "labels")
    ]
    text = {"type": "text", "baseline": "middle", "fontSize": SMALL}
    layers = [
        {
            "transform": [{"aggregate": [{"op": "count", "as": "rows"}], "groupby": []}],
            "mark": {"type": "rule", "strokeWidth": 1.25},
            "encoding": {"x": {**x, "datum": 1}},
        },
        {
            "transform": [{"filter": {"field": "low", "valid": True}}],
            "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.6},
            "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y, "color": colour},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
            "encoding": {"x": {**x, "field": "ratio"}, "y": y, "color": colour, "shape": shape, "tooltip": tooltip},
        },
        {
            "mark": {**text, "align": "right", "limit": LABEL_LIMIT},
            "encoding": {"x": {"value": -_TEXT}, "y": y, "text": {"field": "label", "type": "nominal"}},
        },
        {
            "mark": {**text, "align": "left", "dx": _TEXT},
            "encoding": {"x": {"value": "width"}, "y": y, "text": {"field": "shift", "type": "nominal"}},
        },
    ]
    return {
        "transform": [{"filter": {"field": "metric", "equal": metric}}],
        "title": {"text": metric, "frame": "group", "fontSize": TEXT, "offset": 6},
        "width": _WIDTH,
        "height": {"step": _STEP},
        "layer": layers,
    }


KIND = Kind(_NAME, _TITLE, draw)
