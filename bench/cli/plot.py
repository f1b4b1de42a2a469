"""`bench plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import OutOption, consoles, guarded


@guarded
def plot(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run id, a unique start of one, a path, or latest.")],
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="pareto, percentiles, ecdf, violin, timeline, roofline, robustness, operators or comparison.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", help="A .png or .svg, or a .json with the Vega-Lite specification."
        ),
    ],
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="GLOB", help="Only cases whose name matches (repeatable); of one case, the first."
        ),
    ] = None,
    x: Annotated[str | None, typer.Option("--x", metavar="METRIC", help="What pareto has across.")] = None,
    y: Annotated[str | None, typer.Option("--y", metavar="METRIC", help="What pareto has up.")] = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="RUN", help="What comparison holds the run against: as `bench compare`."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="NAME", help="Hardware profile for prices and peaks.")
    ] = None,
    scale: Annotated[float, typer.Option("--scale", min=0.5, max=8, help="Pixels a unit of the chart, of PNG.")] = 2.0,
    dark: Annotated[bool, typer.Option("--dark", help="Light on dark.")] = False,
    out: OutOption = Path("results"),
) -> None:
    """Draw a chart of a run as a picture, the same as in its report."""
    from bench.report.charts.choose import drawings, joined, not_drawn, places
    from bench.report.charts.draw import check_suffix, image, seen_in
    from bench.report.charts.kinds import kind_of
    from bench.runner.gather import gather
    from bench.store.atomic import write_bytes
    from bench.store.runs import find

    check_suffix(output, "-o")
    title = kind_of(kind).title
    gathered = gather([find(run, out)], baseline=baseline, results=out, profile=profile)
    chosen = places(only, gathered, "--only") if only else None
    made = drawings(gathered, kind, x, y)
    drawing = joined(made, title, f"{gathered.runs[0].manifest.run_id}: {kind}")
    write_bytes(output, image(drawing, output.suffix, chosen, scale=scale, dark=dark))
    progress = consoles()[1]
    left = seen_in(drawing, chosen)
    for told in [*not_drawn(made), *([left] if left else [])]:
        progress.print(told, soft_wrap=True, markup=False)
    progress.print(f"chart in {output}", soft_wrap=True, markup=False)
