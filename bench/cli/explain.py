"""`bench explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import JsonOption, OutOption, consoles, guarded, print_json


@guarded
def explain(
    run: Annotated[str, typer.Argument(help="A run id, a unique start of one, a path, or latest.")],
    case: Annotated[
        str, typer.Argument(help="A case's id or name, or a part of it: pruned, int8/onnxruntime-cpu.", metavar="CASE")
    ],
    out: OutOption = Path("results"),
    json: JsonOption = False,
) -> None:
    """Show where a case's time goes, operator by operator, beside fp32, and why it is not faster."""
    from bench.cli.signals import stop_like_ctrl_c
    from bench.report.explain import document, draw
    from bench.runner.explain import explain_case
    from bench.store.runs import find

    folder = find(run, out)
    with stop_like_ctrl_c():
        found = explain_case(folder, case)
    if json:
        print_json(document(folder, found))
    else:
        draw(consoles()[0], found)
