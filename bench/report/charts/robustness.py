"""The chart of robustness: how a metric falls as inputs get worse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.report.robustness import Curves

_WIDTH, _HEIGHT, _BESIDE = 190, 140, 3


def chart(models: Sequence[Curves]) -> Any:
    """An Altair chart: a block a model, a facet a corruption, severity across (0: clean), a line a variant."""
    import altair as alt

    return alt.vconcat(*(_block(model) for model in models)).resolve_scale(color="independent", shape="independent")


def _block(model: Curves) -> Any:
    import altair as alt

    values = _values(model)
    # One and the same scale joins both legends into one.
    scale = alt.Scale(domain=[line.label for line in model.lines])
    return (
        alt.Chart(alt.Data(values=values))
        .mark_line(point=True, opacity=0.85)
        .encode(
            x=alt.X("severity:O", title="severity (0: clean)", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("value:Q", title=model.metric, scale=alt.Scale(zero=False)),
            color=alt.Color("line:N", title="variant", scale=scale),
            shape=alt.Shape("line:N", title="variant", scale=scale),
        )
        .properties(width=_WIDTH, height=_HEIGHT)
        .facet(
            facet=alt.Facet("corruption:N", title=None, sort=list(dict.fromkeys(v["corruption"] for v in values))),
            columns=_BESIDE,
            title=f"{model.title}: {model.metric} under corruption",
        )
    )


def _values(model: Curves) -> list[dict[str, Any]]:
    """A record a point; the clean value begins every curve."""
    return [
        {"line": line.label, "corruption": name.replace("_", " "), "severity": severity, "value": value}
        for line in model.lines
        for name, cells in line.found.curves.items()
        for severity, value in [(0, line.found.clean), *((cell.severity, cell.value) for cell in cells)]
    ]
