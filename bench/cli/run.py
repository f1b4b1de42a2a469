"""`bench run`."""

from __future__ import annotations

from collections.abc import Mapping
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
    tensorboard: TensorboardOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the cases.")] = False,
    json: JsonOption = False,
) -> None:
    """Measure the cases of a suite and show the table.

    Exit codes: 0 done, 1 a case failed, 2 bad input, 130 interrupted (what is finished is kept).
    """
    from bench.cli.signals import stop_like_ctrl_c
    from bench.hardware.load import is_path
    from bench.report.document import document
    from bench.report.files import write_summaries
    from bench.report.live import Live
    from bench.report.terminal import show
    from bench.runner import conduct
    from bench.runner.plan import Request, plan_run
    from bench.store.runs import find

    output, progress = consoles()
    with stop_like_ctrl_c(), Live(progress) as live:
        if resume is not None:
            refuse_with_resume(
                {
                    "SUITE": suite,
                    "--model": model,
                    "--data": data,
                    "--inputs": inputs,
                    "--only": only,
                    "--models": models,
                    "--seed": seed,
                    "--profile": profile,
                }
                | {"--dry-run": dry_run}
            )
            result = conduct.resume(find(resume, out), live, tensorboard=tensorboard)
        else:
            request = Request(
                suite=_absolute(suite or "quick"),
                models=tuple(_absolute(name) for name in model or ()),
                model_folders=tuple(str(folder.resolve()) for folder in models or ()),
                data=None if data is None else str(data.resolve()),
                inputs=None if inputs is None else str(inputs.resolve()),
                only=tuple(only or ()),
                seed=seed,
                profile=str(Path(profile).expanduser().resolve()) if profile and is_path(profile) else profile,
            )
            planned = plan_run(request)
            if dry_run:
                for case in planned.cases:
                    typer.echo(case.name)
                raise typer.Exit(DONE)
            result = conduct.start(planned, out, live, tensorboard=tensorboard)
        folder = Path(result.folder)
        write_summaries(folder, result.manifest, result.rows)
    if json:
        print_json(document(folder, result.manifest, result.rows))
    else:
        show(output, folder, result.manifest, result.rows)
    if result.manifest.status == "interrupted":
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(FAILED if any(row.status == "failed" for row in result.rows) else DONE)


def _absolute(name_or_path: str) -> str:
    """A path that also holds when the run is resumed from elsewhere; a name stays a name."""
    path = Path(name_or_path).expanduser()
    is_model_folder = any((path / mark).is_file() for mark in ("saved_model.pb", "model.toml", "bundle.json"))
    looks_like_path = path.suffix or len(path.parts) > 1 or path.is_file() or is_model_folder
    return str(path.resolve()) if looks_like_path else name_or_path


def refuse_with_resume(given: Mapping[str, object]) -> None:
    """A resumed run is what it was: nothing about it can be said anew. Raises `UserError`."""
    from bench.errors import UserError

    extra = [name for name, value in given.items() if value]
    if extra:
        raise UserError(
            f"--resume goes on with the run as it was; it cannot take {', '.join(extra)}",
            where="--resume",
            remedy="leave it out, or start a new run",
        )
