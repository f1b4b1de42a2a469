"""`bench history`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import JsonOption, OutOption, consoles, guarded, print_json


@guarded
def history(
    metric: Annotated[str, typer.Argument(metavar="METRIC", help="A figure of the rows: p50_latency, accuracy, size.")],
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="GLOB", help="Only cases whose name matches (repeatable).")
    ] = None,
    last: Annotated[int | None, typer.Option("--last", metavar="N", min=1, help="Only the newest N runs.")] = None,
    out: OutOption = Path("results"),
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw it too: FILE.svg, FILE.png or FILE.html.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show one figure over all complete runs and saved baselines, and where it changed."""
    from bench.analyse.history import history, read_snapshots
    from bench.report.charts import history as charts
    from bench.report.history import draw

    if plot is not None:
        charts.check(plot)
    snapshots, notes = read_snapshots(out, metric, last)
    found = history(snapshots, metric, only=only or (), notes=notes)
    if plot is not None:
        charts.write(plot, found)
        consoles()[1].print(f"chart in {plot}", soft_wrap=True, markup=False)
    if json:
        print_json(found)
    else:
        draw(consoles()[0], found)
