"""`bench list`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import JsonOption, ModelsOption, OutOption, consoles, guarded, print_json


class What(StrEnum):
    """What can be listed."""

    models = "models"
    datasets = "datasets"
    variants = "variants"
    runtimes = "runtimes"
    scenarios = "scenarios"
    sensors = "sensors"
    metrics = "metrics"
    suites = "suites"
    profiles = "profiles"
    runs = "runs"


@guarded
def list_command(
    what: Annotated[What, typer.Argument(help="What to list.")],
    out: OutOption = Path("results"),
    models: ModelsOption = None,
    json: JsonOption = False,
) -> None:
    """List what there is, and why something is not available."""
    from bench.report.listing import draw
    from bench.runner import inventory

    if what is What.models:
        found = inventory.models(models or [])
    elif what is What.runs:
        found = inventory.runs(out)
    else:
        found = getattr(inventory, what.value)()
    if json:
        print_json(found)
    else:
        draw(consoles()[0], found)
