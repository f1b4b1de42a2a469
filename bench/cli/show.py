"""`bench show`."""

from __future__ import annotations

from enum import StrEnum
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


class Format(StrEnum):
    """Formats of other tools; the names of `bench.report.exchange.FORMATS`."""

    pytest_benchmark = "pytest-benchmark"
    github_action_benchmark = "github-action-benchmark"
    bencher = "bencher"


@guarded
def show(
    run: RunArgument = "latest",
    out: OutOption = Path("results"),
    json: JsonOption = False,
    as_format: Annotated[Format | None, typer.Option("--as", help="Print the JSON of another tool instead.")] = None,
) -> None:
    """Show the table of a run, or print it for other tools."""
    from bench.api import load
    from bench.report.document import document

    opened = load(run, out=out)
    if as_format is not None:
        from bench.report.exchange import FORMATS

        print_json(FORMATS[as_format](opened.folder, opened.manifest, opened.rows))
    elif json:
        print_json(document(opened.folder, opened.manifest, opened.rows))
    else:
        opened.show(consoles()[0])
