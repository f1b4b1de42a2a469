"""What the page changes in a chart on a narrow screen, as the page does it."""

from __future__ import annotations

import copy
from typing import Any

from bench.report.charts.draw import whole
from bench.report.charts.drawing import Drawing


def check_narrow(drawing: Drawing) -> None:
    """Every place that is changed is there, and the chart can still be drawn."""
    import vl_convert

    spec: Any = copy.deepcopy(dict(drawing.spec))
    for pointer, value in spec["usermeta"]["narrow"].items():
        *path, last = pointer.split("/")[1:]
        node = spec
        for name in path:
            node = node[int(name) if isinstance(node, list) else name]
        if isinstance(node, list):
            assert int(last) < len(node), pointer
            del node[int(last)]
        elif value is None:
            del node[last]
        else:
            node[last] = value
    changed = Drawing(drawing.kind, drawing.title, drawing.about, spec, drawing.data, drawing.scope)
    assert vl_convert.vegalite_to_svg(whole(changed), allowed_base_urls=[]).startswith("<svg")
