"""Variants only: a model becomes a bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.errors import UserError, unknown
from bench.export.bundle import open_bundle, save
from bench.export.cache import cache_dir
from bench.export.errors import ExportError
from bench.export.prepare import prepare
from bench.export.variants import SOURCE, VARIANTS
from bench.record.artifact import Bundle, Format
from bench.runner.training import TrainingMeter
from bench.training.report import Report
from bench.zoo.find import find

FORMATS: tuple[Format, ...] = ("onnx", "tflite")


def make_bundle(
    model: str,
    out: Path,
    *,
    variants: Sequence[str] | None,
    formats: Sequence[str],
    data: Path | None,
    model_folders: Sequence[Path],
    seed: int,
    progress: Report,
    tensorboard: Path | None = None,
) -> Bundle:
    """Export `variants` (None: all there are) of `model` to `out`. Raises `UserError`."""
    source = find(model, list(model_folders))
    for name in variants or ():
        if name not in VARIANTS:
            raise unknown("variant", name, VARIANTS, where="--variants")
    for name in formats:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS, where="--formats")
    wanted: list[tuple[str, Format]] = [
        (name, fmt)
        for name in (variants or VARIANTS)
        for fmt in VARIANTS[name].formats
        if fmt in formats and fmt in source.formats
    ]
    try:
        folder = prepare(
            source,
            wanted,
            data=data,
            cache=cache_dir(),
            seed=seed,
            progress=progress,
            meter=TrainingMeter(),
            tensorboard=tensorboard,
        )
    except ExportError as error:
        raise UserError(
            f"export: {error.reason}", where=source.about, remedy=error.tail or "try again, or leave out a variant"
        ) from error
    save(folder, lambda made: (made.variant, made.format) in wanted or made.variant == SOURCE, out)
    with tempfile.TemporaryDirectory() as scratch:
        return open_bundle(out, Path(scratch))[1]
