"""`bench export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import (
    FAILED,
    InputsOption,
    JsonOption,
    ModelsOption,
    NoNetworkOption,
    TensorboardOption,
    consoles,
    guarded,
    print_json,
)


@guarded
def export(
    model: Annotated[str, typer.Argument(help="A zoo name or the path of your own model.")],
    out: Annotated[
        Path, typer.Option("-o", "--output", metavar="BUNDLE", help="The bundle to write: a folder, or a .zip.")
    ],
    variants: Annotated[
        str | None,
        typer.Option(
            "--variants", metavar="A,B", help="Variants, see `bench list variants`; all that can be made unless given."
        ),
    ] = None,
    define: Annotated[
        list[str] | None,
        typer.Option(
            "--define", metavar="NAME=BASE,OPTION=VALUE", help="A variant of your own, on top of a built-in one."
        ),
    ] = None,
    formats: Annotated[str, typer.Option("--formats", metavar="A,B", help="onnx, tflite or both.")] = "onnx,tflite",
    data: Annotated[
        Path | None, typer.Option("--data", metavar="NPZ", help="Evaluation data: arrays x, y, calibration.")
    ] = None,
    inputs: InputsOption = None,
    models: ModelsOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of data and training.")] = 0,
    no_network: NoNetworkOption = False,
    tensorboard: TensorboardOption = None,
    debug_layers: Annotated[
        bool, typer.Option("--debug-layers", help="Compare every layer with that of fp32: where error enters.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Export a model's variants as a bundle that `bench run BUNDLE` measures on another machine.

    Exit codes: 0 all went well, 1 a variant of --variants could not be made (the bundle says why), 2 bad input.
    """
    from bench.export.recipes import parse_definitions
    from bench.record.codec import plain
    from bench.report.bundle import lines
    from bench.report.layers import document as layers_document
    from bench.report.layers import draw as draw_layers
    from bench.report.listing import draw
    from bench.report.live import Live
    from bench.runner.bundle import make_bundle
    from bench.runner.layers import layer_tables

    output, progress = consoles()
    with Live(progress) as live:
        bundle = make_bundle(
            model,
            out,
            variants=None if variants is None else [name.strip() for name in variants.split(",") if name.strip()],
            own=parse_definitions(define or ()),
            formats=[name.strip() for name in formats.split(",") if name.strip()],
            data=data,
            inputs=inputs,
            model_folders=models or [],
            seed=seed,
            progress=live.stage,
            tensorboard=tensorboard,
            network=not no_network,
        )
        layers = layer_tables(out, live.stage, network=not no_network) if debug_layers else []
    if json:
        compared = {"layers": layers_document(layers)} if debug_layers else {}
        print_json({"bundle": str(out), **plain(bundle), **compared})
    else:
        draw(output, lines(bundle))
        draw_layers(output, layers)
        output.print(f"bundle in {out}", markup=False, soft_wrap=True)
    raise typer.Exit(FAILED if bundle.unavailable and variants is not None else 0)
