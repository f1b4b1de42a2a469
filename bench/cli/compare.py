"""`bench compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import (
    DONE,
    INCONCLUSIVE,
    AllowOption,
    JsonOption,
    NormaliseOption,
    OutOption,
    consoles,
    guarded,
    print_json,
)


@guarded
def compare(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="A run, baseline:NAME, or a file of another tool.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="The same; default: the last run.")] = "latest",
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="Compare this figure (repeatable); default: those that matter.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="GLOB", help="Only cases whose name matches.")
    ] = None,
    allow: AllowOption = None,
    normalise_by: NormaliseOption = None,
    out: OutOption = Path("results"),
    json: JsonOption = False,
) -> None:
    """Show what changed between two runs, where they may be compared.

    Exit codes: 0 compared, 2 bad input, 3 some figures were not compared, since the runs differ in what matters.
    """
    from bench import api

    found = api.compare(before, after, metric=metric, only=only, allow=allow, normalise_by=normalise_by, out=out)
    if json:
        print_json(found.to_dict())
    else:
        found.show(consoles()[0])
    raise typer.Exit(INCONCLUSIVE if any(change.refused for change in found.record.changes) else DONE)
