"""Several drawings as one, below each other: for a file that holds one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.report.charts.drawing import Drawing


def stacked(drawings: Sequence[Drawing], title: str) -> Drawing:
    """One drawing of all of them, each under its own title; a single one as it is."""
    if len(drawings) == 1:
        return drawings[0]
    panels = []
    for at, each in enumerate(drawings):
        names = {name: f"{name}_{at}" for name in each.data}
        spec = {key: value for key, value in _renamed(each.spec, names).items() if key != "usermeta"}
        panels.append({**spec, "title": {**spec.get("title", {}), "text": each.title}})
    return Drawing(
        kind=drawings[0].kind,
        title=title,
        about=" ".join(each.about for each in drawings),
        # Each has its own colours: a variant of one model is none of another.
        spec={"vconcat": panels, "spacing": 36, "resolve": {"scale": {"color": "independent", "shape": "independent"}}},
        data={f"{name}_{at}": columns for at, each in enumerate(drawings) for name, columns in each.data.items()},
        scope=drawings[0].scope,
    )


def _renamed(node: Any, names: dict[str, str]) -> Any:
    """The specification with its data sets under other names."""
    if isinstance(node, dict):
        if set(node) == {"name"} and node["name"] in names:
            return {"name": names[node["name"]]}
        return {key: _renamed(value, names) for key, value in node.items()}
    return [_renamed(each, names) for each in node] if isinstance(node, list) else node
