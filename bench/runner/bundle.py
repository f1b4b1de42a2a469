"""Variants only: a model becomes a bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.errors import UserError, unknown
from bench.export.bundle import check_place, open_bundle, read_index, save
from bench.export.cache import cache_dir
from bench.export.errors import ExportError
from bench.export.prepare import prepare
from bench.export.recipes import Definition, Wanted, key_of, only, recipes
from bench.export.variants import VARIANTS
from bench.record.artifact import Bundle, Format
from bench.runner.described import descriptions, read_inputs_file
from bench.runner.fence import check_network
from bench.runner.training import TrainingMeter
from bench.training.report import Report
from bench.zoo.find import find

FORMATS: tuple[Format, ...] = ("onnx", "tflite")


def make_bundle(
    model: str,
    out: Path,
    *,
    variants: Sequence[str] | None,
    own: Mapping[str, Definition],
    formats: Sequence[str],
    data: Path | None,
    inputs: Path | None = None,
    model_folders: Sequence[Path],
    seed: int,
    progress: Report,
    tensorboard: Path | None = None,
    network: bool = True,
) -> Bundle:
    """Export `variants` (None: all there are, with the user's `own`) of `model` to `out`. Raises `UserError`.

    Without `network` the processes that read the model have none, or nothing is exported.
    """
    for given, where in ((variants, "--variants"), (formats, "--formats")):
        if given is not None and not given:
            raise UserError("nothing is named", where=where, remedy="name what to export, or leave it out")
    unused = [] if variants is None else [name for name in own if name not in variants]
    if unused:
        raise UserError(
            f"--variants does not name {', '.join(unused)}", where="--define", remedy="name it there, or leave it out"
        )
    check_place(out)
    source = find(model, list(model_folders))
    known = recipes(own, where="--define")
    for name in variants or ():
        if name not in known:
            raise unknown("variant", name, known, where="--variants")
    for name in formats:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS, where="--formats")
    asked = [
        Wanted(name, fmt, known[name])
        for name in (variants or known)
        for fmt in VARIANTS[known[name].base].formats
        if fmt in formats and fmt in source.formats
    ]
    if not asked:
        raise UserError(
            f"nothing of what is asked for comes in {' or '.join(formats)} from this model",
            where=source.about,
            remedy=f"it can become {', '.join(source.formats)}; `bench list variants` tells the formats of each",
        )
    check_network(network, "--no-network")
    try:
        folder = prepare(
            source,
            [(each.variant, each.format) for each in asked],
            own=own,
            data=data,
            inputs=None if inputs is None else descriptions(read_inputs_file(inputs), str(inputs)).of(source.name),
            cache=cache_dir(),
            seed=seed,
            progress=progress,
            meter=TrainingMeter(),
            tensorboard=tensorboard,
            network=network,
        )
    except ExportError as error:
        raise UserError(
            f"export: {error.reason}", where=source.about, remedy=error.tail or "try again, or leave out a variant"
        ) from error
    chosen = {key_of(answer) for answer in only(read_index(folder), asked).answers}
    save(folder, lambda answer: key_of(answer) in chosen, out)
    with tempfile.TemporaryDirectory() as scratch:
        return open_bundle(out, Path(scratch))[1]
