"""`bench fetch`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.common import DONE, FAILED, JsonOption, consoles, guarded, print_json


@guarded
def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DATASET]...", help="Data sets or weights, see `bench list datasets`."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that can be downloaded.")] = False,
    accept_terms: Annotated[
        bool, typer.Option("--accept-terms", help="Accept the terms of use of data sets that have some.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Download data sets and ready weights, checked by SHA-256; a download that broke off goes on.

    Exit codes: 0 all is here, 1 something could not be downloaded, 2 bad input or terms not accepted.
    """
    from bench.errors import UserError
    from bench.report.listing import draw
    from bench.report.live import Live
    from bench.zoo.collection import fetch_all, fetch_several

    if bool(names) == everything:
        raise UserError(
            "name data sets, or give --all", where="bench fetch", remedy="`bench list datasets` shows what there is"
        )
    output, progress = consoles()
    with Live(progress) as live:
        done = (
            fetch_all(accept_terms, live.stage) if everything else fetch_several(names or [], accept_terms, live.stage)
        )
    lines = [
        {
            "name": one.name,
            "state": one.state,
            "where": "; ".join(str(path) for path in one.files),
            "note": "; ".join((*(one.reason or "").splitlines()[:1], *one.notes)),
        }
        for one in done
    ]
    for one in done:
        if one.state == "failed":
            typer.echo(f"error: {one.reason}", err=True)
    if json:
        print_json(lines)
    else:
        draw(output, lines)
    raise typer.Exit(FAILED if any(one.state == "failed" for one in done) else DONE)
