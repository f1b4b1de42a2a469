"""`bench roofline`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import (
    JsonOption,
    OutOption,
    RunArgument,
    consoles,
    guarded,
    print_json,
)


@guarded
def roofline(
    run: RunArgument = "latest",
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", metavar="NAME", help="Take the peaks of this hardware profile instead of measuring them here."
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="GLOB", help="Only cases whose name matches (repeatable).")
    ] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw it too.")] = None,
    out: OutOption = Path("results"),
    json: JsonOption = False,
) -> None:
    """Show how near each case comes to the limit of its machine, and what bounds it: compute, memory or overhead."""
    from bench.analyse.roofline import cases, roofline
    from bench.cli.signals import stop_like_ctrl_c
    from bench.report.charts import roofline as charts
    from bench.report.charts.draw import check_svg
    from bench.report.roofline import document, show
    from bench.runner.limits import peaks_for
    from bench.runner.reopen import reopen
    from bench.store.runs import find

    output, progress = consoles()
    if svg is not None:
        check_svg(svg)
    opened = reopen(find(run, out))
    rows = cases(opened.rows, only or ())
    with stop_like_ctrl_c():
        against = peaks_for(opened.manifest.environment, rows, profile, lambda told: progress.print(told, markup=False))
    found = roofline(rows, against.peaks, against.device, opened.manifest.environment, against.warnings)
    if svg is not None:
        charts.write(svg, found)
        progress.print(f"chart in {svg}", soft_wrap=True, markup=False)
    if json:
        print_json(document(opened.manifest.run_id, Path(opened.folder), found))
    else:
        show(output, found)
