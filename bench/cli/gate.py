"""`bench gate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import (
    AllowOption,
    InputsOption,
    JsonOption,
    ModelsOption,
    NoNetworkOption,
    NormaliseOption,
    OutOption,
    consoles,
    guarded,
    print_json,
    refuse,
)


@guarded
def gate(
    baseline: Annotated[
        str,
        typer.Argument(help="A run, baseline:NAME, or a file of another tool; with --paired a model or bundle."),
    ],
    candidate: Annotated[str, typer.Argument(help="The same; default: the last run.")] = "latest",
    paired: Annotated[
        bool, typer.Option("--paired", help="Measure both sides here, in turns, as `bench ab` does.")
    ] = False,
    max_regression: Annotated[
        list[str] | None,
        typer.Option("--max-regression", metavar="METRIC=SHARE", help="How much worse it may get: p50_latency=5%."),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="RULE", help="Any rule: 'p99_latency<=8ms', '*/int8/*: accuracy=-0.5pt'."),
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="TOML", help="Take the rules of this suite's table \\[gate].")
    ] = None,
    allow: AllowOption = None,
    normalise_by: NormaliseOption = None,
    again: Annotated[
        bool, typer.Option("--again/--no-again", help="Measure what regressed once more before it counts.")
    ] = True,
    rounds: Annotated[
        int | None, typer.Option("--rounds", min=2, help="With --paired: rounds at most, 50 unless said.")
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", metavar="SECONDS", min=0, help="With --paired: time for all rounds, 600 unless said."),
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option("--runtime", metavar="TARGET", help="With --paired: measure with this runtime (repeatable)."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="NPZ", help="With --paired: evaluation data for your own models.")
    ] = None,
    inputs: InputsOption = None,
    models: ModelsOption = None,
    no_network: NoNetworkOption = False,
    seed: Annotated[
        int | None, typer.Option("--seed", help="With --paired: seed of data and of the order of cases.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write a pull-request comment.")
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.")] = None,
    github: Annotated[bool, typer.Option("--github", help="Write GitHub's step summary and annotations.")] = False,
    out: OutOption = Path("results"),
    json: JsonOption = False,
) -> None:
    """Hold a run against a baseline by rules, for continuous integration.

    Exit codes: 0 passed, 1 regressed or a case failed, 2 bad input, 3 not enough evidence, not comparable, or something
    is missing, 130 interrupted.
    """
    from bench import api
    from bench.api.answers import GATE, Answer
    from bench.cli.signals import stop_like_ctrl_c
    from bench.report.ab import LivePairs
    from bench.report.gate_files import write_reports
    from bench.runner.gate import all_rules
    from bench.runner.gate_paired import gate_pairs
    from bench.runner.sides import Asked as AskedSides
    from bench.runner.sides import open_models

    output, progress = consoles()
    words = (*(max_regression or ()), *(rule or ()))
    of_pairs = {
        "--rounds": rounds,
        "--budget": budget,
        "--seed": seed,
        "--runtime": runtime,
        "--data": data,
        "--inputs": inputs,
        "--models": models,
        "--no-network": no_network,
    }
    of_runs = {"--allow-mismatch": allow, "--normalise-by": normalise_by}
    refuse(*(of_runs, "with --paired both sides are measured here") if paired else (of_pairs, "that is for --paired"))
    with stop_like_ctrl_c(), LivePairs(progress) as live:
        if paired:
            rules = all_rules(suite, words)
            sides = AskedSides(
                a=baseline,
                b=candidate,
                targets=tuple(runtime or ()),
                data=None if data is None else str(data.resolve()),
                inputs=None if inputs is None else str(inputs.resolve()),
                model_folders=tuple(str(folder.resolve()) for folder in models or ()),
                seed=seed or 0,
                no_network=no_network,
            )
            with open_models(sides, live) as opened:
                paired_report = gate_pairs(
                    opened,
                    rules,
                    rounds=rounds or 50,
                    budget_s=600 if budget is None else budget,
                    seed=seed or 0,
                    events=live,
                    confirm=again,
                )
            answer = Answer(paired_report, GATE)
        else:
            answer = api.gate(
                baseline,
                candidate,
                rules=words,
                suite=suite,
                allow=allow,
                normalise_by=normalise_by,
                again=again,
                out=out,
                progress=live,
            )
    if json:
        print_json(answer.to_dict())
    else:
        answer.show(output)
    write_reports(answer.record, markdown=markdown, junit=junit, github=github)
    raise typer.Exit(answer.record.exit_code)
