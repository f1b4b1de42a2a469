"""`bench query`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import JsonOption, OutOption, consoles, guarded, print_json, refuse


@guarded
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="SELECT … FROM cases, latencies, telemetry or runs.")],
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write a .parquet or .csv file instead.")
    ] = None,
    out: OutOption = Path("results"),
    json: JsonOption = False,
) -> None:
    """Ask the tables of all runs in SQL.

    A figure is a struct: p50_latency.value, .unit, .n, .low, .high, .confidence, .how, in SI units.
    """
    from bench.report.changes import plain
    from bench.report.query import MOST, draw
    from bench.store.query import ask

    formats = {"--json": json, "--csv": csv, "-o": output}
    if sum(map(bool, formats.values())) > 1:
        refuse(formats, "the answer goes one way")
    console, progress = consoles()
    asked = ask(out, sql)
    for told in asked.left_out:
        progress.print(f"left out: {plain(told)}", markup=False, soft_wrap=True)
    if output is not None:
        asked.write(output)
        progress.print(f"answer in {output}", markup=False, soft_wrap=True)
    elif csv:
        sys.stdout.write(asked.csv())
    elif json:
        print_json(asked.collect().to_dicts())
    else:
        draw(console, asked.collect(MOST + 1))
