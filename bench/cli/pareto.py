"""`bench pareto`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import (
    DONE,
    INCONCLUSIVE,
    ChoicesOption,
    JsonOption,
    OutOption,
    RunArgument,
    consoles,
    guarded,
    print_json,
)


@guarded
def pareto(
    run: RunArgument = "latest",
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="An objective (repeatable); default: accuracy, p50_latency and size."),
    ] = None,
    only: ChoicesOption = None,
    svg: Annotated[
        Path | None,
        typer.Option("--svg", metavar="FILE", help="Draw two of the objectives, the first two that are given."),
    ] = None,
    out: OutOption = Path("results"),
    json: JsonOption = False,
) -> None:
    """Show which choices nothing beats: surely on the Pareto front, surely off it, or undecided and what would decide.

    Exit codes: 0 shown, 2 bad input, 3 no choice has all the figures.
    """
    from bench.analyse.choices import choices_of, unfinished
    from bench.analyse.kinds import check_metrics
    from bench.analyse.pareto import fronts
    from bench.report.charts.pareto import axes, write
    from bench.report.pareto import document, show
    from bench.runner.reopen import reopen
    from bench.store.runs import find

    check_metrics(metric or ())
    opened = reopen(find(run, out))
    asked, notes = tuple(dict.fromkeys(metric or ())), unfinished(opened.manifest)
    found = fronts(choices_of(opened.manifest, opened.rows, only or ()), asked)
    if svg is not None:
        across, up = asked[:2] if len(asked) > 1 else axes(tuple(found[0].better))
        write(svg, found, across, up)
    if json:
        print_json(document(found, notes))
    else:
        show(consoles()[0], found, notes)
    placed = any(each.standing != "not placed" for front in found for each in front.placed)
    raise typer.Exit(DONE if placed else INCONCLUSIVE)
