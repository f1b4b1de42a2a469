"""`bench compare`."""

from __future__ import annotations

from enum import StrEnum
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
    refuse,
)


class By(StrEnum):
    """What the columns of a matrix are."""

    target = "target"


@guarded
def compare(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="A run, baseline:NAME, or a file of another tool.")],
    after: Annotated[
        str | None, typer.Argument(metavar="AFTER", help="The same; default: the last run.", show_default=False)
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="RUN", help="Further runs, with --by target.", show_default=False)
    ] = None,
    by: Annotated[
        By | None, typer.Option("--by", help="Variants by targets: runs of any number of machines side by side.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", help="Compare this figure (repeatable), also cost with --by target; default: those that matter."
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", metavar="TARGET", help="With --by: ratios are to this one; default: the first."),
    ] = None,
    each: Annotated[
        bool, typer.Option("--each", help="With --by: a row for every configuration, not the best.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="GLOB", help="Only cases whose name matches.")
    ] = None,
    allow: AllowOption = None,
    normalise_by: NormaliseOption = None,
    out: OutOption = Path("results"),
    json: JsonOption = False,
) -> None:
    """Show what changed between two runs, or what variants reach on each target, where they may be compared.

    Exit codes: 0 compared, 2 bad input, 3 some figures were not compared, since the runs differ in what matters.
    """
    from bench import api

    if by is not None:
        refuse({"--normalise-by": normalise_by}, "a matrix of targets is not normalised")
        words = [before, *([] if after is None else [after]), *(more or ())]
        matrix = api.compare_targets(
            *words, metric=metric, reference=reference, each=each, only=only, allow=allow, out=out
        )
        if json:
            print_json(matrix.to_dict())
        else:
            matrix.show(consoles()[0])
        raise typer.Exit(INCONCLUSIVE if matrix.record.refused else DONE)
    refuse({"--reference": reference, "--each": each, "RUN": more}, "that is for a matrix: --by target")
    found = api.compare(
        before,
        "latest" if after is None else after,
        metric=metric,
        only=only,
        allow=allow,
        normalise_by=normalise_by,
        out=out,
    )
    if json:
        print_json(found.to_dict())
    else:
        found.show(consoles()[0])
    raise typer.Exit(INCONCLUSIVE if any(change.refused for change in found.record.changes) else DONE)
