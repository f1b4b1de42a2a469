"""`bench ab`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import (
    INTERRUPTED,
    InputsOption,
    JsonOption,
    ModelsOption,
    NoNetworkOption,
    consoles,
    guarded,
    print_json,
    refuse,
)


@guarded
def ab(
    a: Annotated[
        str | None,
        typer.Argument(metavar="A", help="A model's path, a zoo name or a bundle; with /VARIANT one variant of it."),
    ] = None,
    b: Annotated[
        str | None, typer.Argument(metavar="B", help="The same, to hold against A; A again where left out.")
    ] = None,
    threshold: Annotated[
        str, typer.Option("--threshold", metavar="SHARE", help="How much slower B may be and still be the same.")
    ] = "2%",
    rounds: Annotated[int, typer.Option("--rounds", min=2, help="Rounds at most.")] = 50,
    budget: Annotated[
        float, typer.Option("--budget", metavar="SECONDS", min=0, help="Time for all rounds together.")
    ] = 300,
    runtime: Annotated[
        list[str] | None,
        typer.Option("--runtime", metavar="TARGET", help="Runtime-provider to measure with (repeatable)."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="NPZ", help="Evaluation data for models of your own.")
    ] = None,
    inputs: InputsOption = None,
    models: ModelsOption = None,
    python_a: Annotated[
        str | None, typer.Option("--python-a", metavar="PATH", help="Interpreter or virtual environment to measure A.")
    ] = None,
    python_b: Annotated[str | None, typer.Option("--python-b", metavar="PATH", help="The same for B.")] = None,
    command: Annotated[
        str | None,
        typer.Option("--command", metavar="CMD", help="Compare two git revisions of the project here by this command."),
    ] = None,
    rev_a: Annotated[str | None, typer.Option("--rev-a", metavar="REV", help="Revision A, for --command.")] = None,
    rev_b: Annotated[str | None, typer.Option("--rev-b", metavar="REV", help="Revision B, for --command.")] = None,
    prepare: Annotated[
        str | None, typer.Option("--prepare", metavar="CMD", help="Run once in each revision before measuring.")
    ] = None,
    no_network: NoNetworkOption = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of data and of the order of cases.")] = 0,
    json: JsonOption = False,
) -> None:
    """Measure A and B in turns on this machine: to tell whether B is slower.

    Exit codes: 0 the same or faster, 1 slower or a side failed, 2 bad input, 3 inconclusive, 130 interrupted.
    """
    from bench.analyse.rules import parse_rule
    from bench.cli.signals import stop_like_ctrl_c
    from bench.errors import UserError
    from bench.report.ab import LivePairs, document, show
    from bench.runner.ab import COMMAND_METRIC, MODEL_METRIC, compare_sides
    from bench.runner.sides import Asked, open_models, open_revisions

    allowed = parse_rule(MODEL_METRIC, threshold, where="--threshold")
    if allowed.form != "share":
        raise UserError(f"{threshold!r} is no share", where="--threshold", remedy="write a percentage, such as 2%")
    of_commands = {"--command": command, "--rev-a": rev_a, "--rev-b": rev_b, "--prepare": prepare}
    of_models: dict[str, object] = {
        "A": a,
        "B": b,
        "--runtime": runtime,
        "--data": data,
        "--inputs": inputs,
        "--models": models,
        "--python-a": python_a,
        "--python-b": python_b,
        "--no-network": no_network,
    }
    output, progress = consoles()
    with stop_like_ctrl_c(), LivePairs(progress) as live:
        if any(of_commands.values()):
            refuse(of_models, "two revisions are compared by --command alone")
            if command is None or rev_a is None or rev_b is None:
                absent = [name for name in ("--command", "--rev-a", "--rev-b") if not of_commands[name]]
                raise UserError("two revisions need a command", where=", ".join(absent), remedy="give that too")
            opening = open_revisions(command, (rev_a, rev_b), live, preparation=prepare, timeout_s=budget)
        else:
            if a is None or (b is None and python_a is None and python_b is None):
                raise UserError(
                    "there is nothing to compare",
                    where="A" if a is None else "B",
                    remedy="name two models, or one and --python-b, or --command with --rev-a and --rev-b",
                )
            asked = Asked(
                a=a,
                b=b or a,
                python_a=python_a,
                python_b=python_b,
                targets=tuple(runtime or ()),
                data=None if data is None else str(data.resolve()),
                inputs=None if inputs is None else str(inputs.resolve()),
                model_folders=tuple(str(folder.resolve()) for folder in models or ()),
                seed=seed,
                no_network=no_network,
            )
            opening = open_models(asked, live)
        with opening as opened:
            result = compare_sides(
                opened,
                metric=MODEL_METRIC if command is None else COMMAND_METRIC,
                threshold=allowed.limit,
                rounds=rounds,
                budget_s=budget,
                seed=seed,
                events=live,
            )
    code = INTERRUPTED if result.report.stopped_by == "interrupted" else result.exit_code
    if json:
        print_json(document(result.report, result.verdicts, code))
    else:
        show(output, result.report, result.verdicts)
    raise typer.Exit(code)
