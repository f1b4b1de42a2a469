"""`bench gate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import AllowOption, JsonOption, NormaliseOption, OutOption, consoles, guarded, print_json


@guarded
def gate(
    baseline: Annotated[str, typer.Argument(help="A run, baseline:NAME, or a file of another tool.")],
    candidate: Annotated[str, typer.Argument(help="The same; default: the last run.")] = "latest",
    max_regression: Annotated[
        list[str] | None,
        typer.Option("--max-regression", metavar="METRIC=SHARE", help="How much worse it may get: p50_latency=5%."),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="RULE", help="Any rule: 'p99_latency<=8ms', '*/int8/*: accuracy=-0.5pt'."),
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="TOML", help="Take the rules of this suite's table [gate].")
    ] = None,
    allow: AllowOption = None,
    normalise_by: NormaliseOption = None,
    again: Annotated[
        bool, typer.Option("--again/--no-again", help="Measure what regressed once more before it counts.")
    ] = True,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write a pull-request comment.")
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.")] = None,
    github: Annotated[bool, typer.Option("--github", help="Write GitHub's step summary and annotations.")] = False,
    out: OutOption = Path("results"),
    json: JsonOption = False,
) -> None:
    """Hold a run against a baseline by rules, for continuous integration.

    Exit codes: 0 passed, 1 regressed, 2 bad input, 3 not enough evidence, not comparable, or something is missing.
    """
    from bench.cli.signals import stop_like_ctrl_c
    from bench.report.document import gate_document
    from bench.report.gate import draw
    from bench.report.gate_files import write_reports
    from bench.report.live import Live
    from bench.runner.gate import Asked, gate_runs

    output, progress = consoles()
    asked = Asked(
        baseline=baseline,
        candidate=candidate,
        results=out,
        rules=(*(max_regression or ()), *(rule or ())),
        suite=suite,
        allow=tuple(allow or ()),
        normalise_by=normalise_by,
        measure_again=again,
    )
    with stop_like_ctrl_c(), Live(progress) as live:
        report = gate_runs(asked, live)
    write_reports(report, markdown=markdown, junit=junit, github=github)
    if json:
        print_json(gate_document(report))
    else:
        draw(output, report)
    raise typer.Exit(report.exit_code)
