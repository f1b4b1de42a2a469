"""The look that all charts share, in light and in dark, as a Vega-Lite configuration.

The colours were searched for: each stands out from both backgrounds by 3:1 (WCAG 2.2, 1.4.11), so that a chart's
specification need not know which one it is drawn on, and any two differ for the colour-blind too (simulated after
Machado, Oliveira & Fernandes 2009). Shapes tell apart what colours tell apart, all the same.
"""

from __future__ import annotations

from typing import Any

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', sans-serif"

PALETTE = ("#2f7fd1", "#d9600a", "#788c5a", "#be46aa", "#5a50dc", "#965064", "#c87896", "#be320a")
"""One colour for each of several equals: variants, precisions, sensors."""

SHAPES = ("circle", "diamond", "triangle-up", "square", "cross", "triangle-down", "triangle-right", "triangle-left")

GOOD, BAD, OPEN, MUTED = "#2f7fd1", "#be320a", "#b38a3a", "#7c828a"
"""What a verdict says: better, worse, not decided, and what there is nothing to say of."""

LABEL_LIMIT = 260
"""Pixels of a label, beyond which it ends in an ellipsis."""

ABOVE = {"orient": "top", "titleOrient": "left", "titlePadding": 10, "columns": 4, "columnPadding": 14}
"""A legend above its chart, which leaves a narrow page the width."""

TEXT, SMALL = 12, 11
"""Sizes of letters, in pixels."""

BACKGROUND = {False: "#ffffff", True: "#15181e"}
"""Behind the chart, by whether it is dark."""

_INK = {False: "#1d232b", True: "#e8eaed"}
_FAINT = {False: "#57606a", True: "#a5adb8"}
_GRID = {False: "#e6e9ed", True: "#2b313a"}
_LINE = {False: "#c4cad2", True: "#48505c"}


def config(dark: bool) -> dict[str, Any]:
    """A Vega-Lite `config` object, plain JSON: for vl-convert and for a page alike."""
    ink, faint, line = _INK[dark], _FAINT[dark], _LINE[dark]
    return {
        "background": BACKGROUND[dark],
        "font": FONT,
        "padding": 12,
        "view": {"stroke": line, "continuousWidth": 520, "continuousHeight": 320},
        "range": {"category": list(PALETTE), "symbol": list(SHAPES)},
        "title": {
            "color": ink,
            "subtitleColor": faint,
            "fontSize": 14,
            "fontWeight": 600,
            "subtitleFontSize": TEXT,
            "anchor": "start",
            "offset": 12,
            "subtitlePadding": 4,
            "limit": 720,
        },
        "axis": {
            "labelColor": faint,
            "titleColor": ink,
            "domainColor": line,
            "tickColor": line,
            "gridColor": _GRID[dark],
            "labelFontSize": SMALL,
            "titleFontSize": TEXT,
            "titleFontWeight": 500,
            "titlePadding": 8,
            "labelLimit": LABEL_LIMIT,
            "labelOverlap": True,
        },
        "header": {
            "labelColor": ink,
            "titleColor": ink,
            "labelFontSize": TEXT,
            "labelFontWeight": 600,
            "titleFontSize": TEXT,
            "labelLimit": LABEL_LIMIT,
        },
        "legend": {
            "labelColor": faint,
            "titleColor": ink,
            "labelFontSize": SMALL,
            "titleFontSize": TEXT,
            "titleFontWeight": 500,
            "labelLimit": LABEL_LIMIT,
            "symbolStrokeWidth": 1.5,
            "symbolSize": 70,
            "symbolOpacity": 1,
        },
        "text": {"color": ink, "fontSize": SMALL, "limit": LABEL_LIMIT},
        "rule": {"color": faint},
        "line": {"strokeWidth": 2},
        "point": {"filled": True, "size": 60, "opacity": 1},
        "tick": {"color": faint},
    }
