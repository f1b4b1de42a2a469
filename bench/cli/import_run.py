"""`bench import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import JsonOption, OutOption, consoles, guarded, print_json


@guarded
def import_run(
    given: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a run that was made elsewhere, or a .zip of it.")
    ],
    out: OutOption = Path("results"),
    json: JsonOption = False,
) -> None:
    """Take in a run of another machine: checked, never over another one.

    Of a small target's run the rows are made anew here, from its raw observations, with every interval. To import
    the same run again changes nothing.

    Exit codes: 0 it is here, 2 it is damaged, not whole, not a run, or another one of that name is here.
    """
    from bench.report import adopted as report
    from bench.report.files import write_summaries
    from bench.runner.adopt import adopt

    found = adopt(given, out, write_summaries)
    if json:
        print_json(report.document(found))
    else:
        report.draw(consoles()[0], found)
