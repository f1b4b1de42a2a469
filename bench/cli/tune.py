"""`bench tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import (
    InputsOption,
    JsonOption,
    ModelsOption,
    NoNetworkOption,
    OutOption,
    consoles,
    guarded,
    print_json,
)


@guarded
def tune(
    suite: Annotated[
        str | None, typer.Argument(help="A suite's name or file, whose table \\[tune] says what to search.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="PATH", help="The model to tune: a file of your own, or a zoo name."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="NPZ", help="Evaluation data for a model of your own.")
    ] = None,
    inputs: InputsOption = None,
    models: ModelsOption = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            "--objective",
            metavar="METRIC",
            help="Make this as good as can be (repeatable; the first one decides). Default: p50_latency.",
        ),
    ] = None,
    min_accuracy: Annotated[
        float | None, typer.Option("--min-accuracy", metavar="X", help="Settings below this do not count.")
    ] = None,
    trials: Annotated[int | None, typer.Option("--trials", min=1, help="Settings to measure. Default: 40.")] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="TIME", help="Time for the search, such as 5min or 1h.")
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option("--sampler", metavar="NAME", help="tpe, random, grid or nsga2 (for several objectives)."),
    ] = None,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Also choose hyper-parameters that the model's card declares.")
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="Hardware profile with a price, for the objective cost."),
    ] = None,
    study: Annotated[Path | None, typer.Option("--study", metavar="FILE.db", help="Where the search is kept.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a search that was stopped.")] = False,
    rounds: Annotated[int, typer.Option("--rounds", min=2, help="Rounds of the confirmation at most.")] = 50,
    no_network: NoNetworkOption = False,
    out: OutOption = Path("results"),
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of data, training and search.")] = None,
    json: JsonOption = False,
) -> None:
    """Search for the best setting of a model, and confirm it against the default in a paired measurement.

    Exit codes: 0 done (also when the default could not be beaten), 1 no setting meets the constraints, 2 bad input,
    3 the confirmation is inconclusive, 130 interrupted (go on with --resume).
    """
    from typing import get_args

    from bench.cli.amounts import seconds
    from bench.cli.signals import stop_like_ctrl_c
    from bench.errors import unknown
    from bench.hardware.load import load_profile
    from bench.report.tune import LiveTune, document, show
    from bench.runner.tune.prepare import Asked
    from bench.runner.tune.search import tune as search
    from bench.suite.tune import SamplerName

    if sampler is not None and sampler not in get_args(SamplerName):
        raise unknown("sampler", sampler, get_args(SamplerName), where="--sampler")
    asked = Asked(
        suite=suite,
        model=model,
        model_folders=tuple(str(folder.resolve()) for folder in models or ()),
        data=None if data is None else str(data.resolve()),
        inputs=None if inputs is None else str(inputs.resolve()),
        objectives=tuple(objective or ()),
        min_accuracy=min_accuracy,
        trials=trials,
        budget_s=None if budget is None else seconds(budget, "--budget"),
        sampler=sampler,  # type: ignore[arg-type]  # checked above
        seed=seed,
        profile=None if profile is None else load_profile(profile),
        retrain=retrain,
        no_network=no_network,
        out=str(out),
        study=None if study is None else str(study),
        resume=resume,
        rounds=rounds,
    )
    output, progress = consoles()
    with stop_like_ctrl_c(), LiveTune(progress) as live:
        found = search(asked, live)
    if json:
        print_json(document(found))
    else:
        show(output, found)
    raise typer.Exit(found.exit_code)
