"""`bench recommend`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import (
    DONE,
    FAILED,
    INCONCLUSIVE,
    ChoicesOption,
    HeadroomOption,
    JsonOption,
    OutOption,
    P99Option,
    ProfileOption,
    RunArgument,
    SlotsOption,
    consoles,
    guarded,
    print_json,
)


class Goal(StrEnum):
    """Objectives; the names of `bench.record.recommendation.Objective`."""

    cost = "cost"
    latency = "latency"
    energy = "energy"
    size = "size"
    accuracy = "accuracy"
    memory = "memory"


@guarded
def recommend(
    run: RunArgument = "latest",
    objective: Annotated[
        Goal | None,
        typer.Option("--objective", help="What is to be best; default: cost where prices are asked for, else latency."),
    ] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option("--min-accuracy", metavar="X", help="The least quality; the most of a metric that is an error."),
    ] = None,
    metric: Annotated[
        str, typer.Option("--metric", help="The quality that is meant, such as robustness; default: the task metric.")
    ] = "accuracy",
    max_p99: P99Option = None,
    max_memory: Annotated[
        str | None, typer.Option("--max-memory", metavar="SIZE", help="Peak resident memory of a process: 200MiB.")
    ] = None,
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="SIZE", help="Size of the model's file: 500KiB.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", metavar="MONEY", min=0, help="Most money a month; takes --traffic.")
    ] = None,
    traffic: Annotated[
        str | None,
        typer.Option("--traffic", metavar="RATE", help="Requests to serve: 10000/s; p99 is under load."),
    ] = None,
    headroom: HeadroomOption = None,
    model: Annotated[str | None, typer.Option("--model", help="Which model, where the run has several.")] = None,
    only: ChoicesOption = None,
    profile: ProfileOption = None,
    costs: Annotated[
        Path | None,
        typer.Option("--costs", metavar="TOML", help="Your prices and work: cost is then that of the model's life."),
    ] = None,
    slots: SlotsOption = None,
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="PROFILE", help="Project every figure to that machine, and say so everywhere."),
    ] = None,
    accept_unsure: Annotated[
        bool, typer.Option("--accept-unsure", help="Hold limits against values where intervals do not decide.")
    ] = False,
    out: OutOption = Path("results"),
    json: JsonOption = False,
) -> None:
    """Say which choice to put into service, what it gains against fp32, why its rivals lost, and how sure that is.

    Exit codes: 0 chosen, 1 surely no choice is within the limits, 2 bad input, 3 not enough evidence.
    """
    from bench import api
    from bench.cli.amounts import latency, rate, size

    console, errors = consoles()
    answer = api.recommend(
        run,
        objective=None if objective is None else objective.value,
        min_accuracy=min_accuracy,
        metric=metric,
        max_p99=None if max_p99 is None else latency(max_p99, "--max-p99"),
        max_memory=None if max_memory is None else size(max_memory, "--max-memory"),
        max_size=None if max_size is None else size(max_size, "--max-size"),
        budget=budget,
        traffic=None if traffic is None else rate(traffic, "--traffic"),
        headroom=headroom,
        model=model,
        only=only,
        profile=profile,
        costs=costs,
        slots=slots,
        on=on,
        accept_unsure=accept_unsure,
        out=out,
        progress=errors.print,
    )
    if json:
        print_json(answer.to_dict())
    else:
        answer.show(console)
    found = answer.record
    raise typer.Exit(DONE if found.chosen else INCONCLUSIVE if found.undecidable else FAILED)
