"""`bench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import OutOption, consoles, guarded


@guarded
def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]…", help="Run ids, unique starts of one, paths, or latest.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The page; default: report.html in the last run's folder."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="WORD", help="Compare the last run with this: a baseline, a run or a path."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="Hardware profile for prices and peaks, or a .toml."),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="Heading of the page.")] = None,
    out: OutOption = Path("results"),
) -> None:
    """Make one HTML page of one or several runs: a single file that opens without a network."""
    from bench.api import load
    from bench.report.page.write import check_page_libraries

    check_page_libraries("bench report")
    *beside, last = [load(run, out=out) for run in runs or ["latest"]]
    path = output or last.folder / "report.html"
    made = last.report(path, beside=beside, baseline=baseline, profile=profile, title=title, out=out)
    consoles()[0].print(str(made), soft_wrap=True, markup=False)
