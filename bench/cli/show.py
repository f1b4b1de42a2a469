"""`bench show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import JsonOption, OutOption, consoles, guarded, print_json


@guarded
def show(
    run: Annotated[str, typer.Argument(help="A run id, a unique start of one, a path, or latest.")] = "latest",
    out: OutOption = Path("results"),
    json: JsonOption = False,
) -> None:
    """Show the table of a run."""
    from bench.report import terminal
    from bench.report.document import document
    from bench.runner.reopen import reopen
    from bench.store.runs import find

    opened = reopen(find(run, out))
    if json:
        print_json(document(Path(opened.folder), opened.manifest, opened.rows))
    else:
        terminal.show(consoles()[0], Path(opened.folder), opened.manifest, opened.rows)
