"""`bench cost`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import (
    DONE,
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
    refuse,
)


@guarded
def cost(
    run: RunArgument = "latest",
    profile: ProfileOption = None,
    costs: Annotated[
        Path | None,
        typer.Option("--costs", metavar="TOML", help="Your own prices, and costs of data, training and engineering."),
    ] = None,
    traffic: Annotated[
        str | None, typer.Option("--traffic", metavar="RATE", help="Requests to serve: 10000/s. Adds costs a month.")
    ] = None,
    max_p99: P99Option = None,
    headroom: HeadroomOption = None,
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Examples in a request.")] = 1,
    slots: SlotsOption = None,
    only: ChoicesOption = None,
    opened: Annotated[
        str | None, typer.Option("--open", metavar="CHOICE", help="Show every part of one choice's cost.")
    ] = None,
    out: OutOption = Path("results"),
    json: JsonOption = False,
) -> None:
    """Show what each choice costs in money, energy and carbon: a million inferences, a month, the model's life.

    Exit codes: 0 shown, 2 bad input, 3 no cost is known.
    """
    from bench.analyse.cost import HEADROOM, Demand
    from bench.analyse.cost import opened as opened_in
    from bench.cli.amounts import latency, rate
    from bench.report.cost import document, show, show_open
    from bench.runner.bill import Prices, bill
    from bench.store.runs import find

    if traffic is None:
        refuse({"--max-p99": max_p99}, "a bound on p99 needs the traffic to serve within it: --traffic")
        refuse({"--headroom": headroom is not None}, "head-room is for a --traffic")
    bound = None if max_p99 is None else latency(max_p99, "--max-p99")
    asked = None
    if traffic is not None:
        spare = HEADROOM if headroom is None else headroom
        asked = Demand(traffic=rate(traffic, "--traffic"), p99_s=bound, headroom=spare, batch=batch)
    found = bill(find(run, out), Prices(profile=profile, costs=costs, slots=slots), asked, only or ())
    one = None if opened is None else opened_in(found, opened)
    if json:
        print_json(document(found, None if one is None else [one]))
    elif one is not None:
        show_open(consoles()[0], one, found)
    else:
        show(consoles()[0], found)
    known = any(account.widest.money.figure.value is not None for account in found.accounts)
    raise typer.Exit(DONE if known else INCONCLUSIVE)
