"""`bench run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import (
    DONE,
    FAILED,
    INTERRUPTED,
    InputsOption,
    JsonOption,
    ModelsOption,
    NoNetworkOption,
    OutOption,
    TensorboardOption,
    consoles,
    guarded,
    print_json,
)


@guarded
def run(
    suite: Annotated[
        str | None,
        typer.Argument(help="A suite's name, a suite file (.toml) or a bundle (.zip or folder). Default: quick."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="PATH",
            help="Your own .onnx, .tflite, .keras, .h5, .pt2 or SavedModel, or a zoo name.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="NPZ", help="Evaluation data for --model: arrays x, y and, for int8, calibration."
        ),
    ] = None,
    inputs: InputsOption = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="GLOB", help="Only cases whose name matches, such as '*/int8/*'."),
    ] = None,
    resume: Annotated[str | None, typer.Option("--resume", metavar="RUN", help="Go on with a stopped run.")] = None,
    out: OutOption = Path("results"),
    models: ModelsOption = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of data, training and order of cases.")] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="A hardware profile of this machine (see `bench list profiles`), or its file: only its runtimes.",
        ),
    ] = None,
    no_network: NoNetworkOption = False,
    tensorboard: TensorboardOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the cases.")] = False,
    json: JsonOption = False,
) -> None:
    """Measure the cases of a suite and show the table.

    Exit codes: 0 done, 1 a case failed, 2 bad input, 130 interrupted (what is finished is kept).
    """
    from bench.api.measure import Asked, Interrupted, planned, refuse_with_resume
    from bench.api.measure import run as measure
    from bench.cli.signals import stop_like_ctrl_c
    from bench.report.document import document
    from bench.report.live import Live
    from bench.shown import shown

    output, progress = consoles()
    asked: Asked = {
        "suite": suite,
        "model": model,
        "data": data,
        "inputs": inputs,
        "only": only,
        "models": models,
        "seed": seed,
        "profile": profile,
        "no_network": no_network,
    }
    with stop_like_ctrl_c(), Live(progress) as live:
        if dry_run:
            if resume is not None:
                refuse_with_resume(asked, "--dry-run")
            for name in planned(**asked):
                typer.echo(shown(name))
            raise typer.Exit(DONE)
        try:
            made = measure(**asked, resume=resume, out=out, tensorboard=tensorboard, progress=live)
        except Interrupted as stopped:
            made = stopped.run
    if json:
        print_json(document(made.folder, made.manifest, made.rows))
    else:
        made.show(output)
    if made.manifest.status == "interrupted":
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(FAILED if any(row.status == "failed" for row in made.rows) else DONE)
