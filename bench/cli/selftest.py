"""`bench selftest`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.common import DONE, FAILED, JsonOption, consoles, guarded, print_json


@guarded
def selftest(
    rounds: Annotated[int, typer.Option("--rounds", help="Process invocations for each side of each comparison.")] = 10,
    json: JsonOption = False,
) -> None:
    """Measure the tool itself on this machine: overhead, false alarms, power, probe effect.

    Exit codes: 0 every bound holds, 1 one is missed, 2 bad input.
    """
    from bench.record.codec import plain
    from bench.report.listing import draw
    from bench.report.live import Live
    from bench.runner.selftest import selftest as run

    output, progress = consoles()
    with Live(progress) as live:
        checks = run(rounds, live.stage)
    verdicts = {True: "holds", False: "MISSED", None: "–"}
    if json:
        print_json(plain(list(checks)))
    else:
        draw(
            output,
            [
                {"check": c.name, "measured": c.measured, "bound": c.bound, "verdict": verdicts[c.passed]}
                for c in checks
            ],
        )
    raise typer.Exit(FAILED if any(check.passed is False for check in checks) else DONE)
