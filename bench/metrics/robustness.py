"""What a variant loses when its inputs get worse, from its outputs on clean and on corrupted inputs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from bench.errors import UserError
from bench.quality import QualityMetric, worsened
from bench.record.artifact import Corrupted
from bench.record.measurement import Measurement
from bench.record.observation import Cell, Robustness

FIGURES = ("robustness", "robustness_worst")
HOW = "measured:evaluation-under-corruption"
NO_CORRUPTION = "no corruption is defined for these data"

Array = npt.NDArray[np.generic]


class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """Where the outputs on the corrupted inputs are (npz), or why there are none."""

    path: Path | None = None
    reason: str = NO_CORRUPTION


def figures(
    metric: QualityMetric, clean: Array, labels: Array, outputs: Outputs, corrupted: Corrupted | None
) -> tuple[dict[str, Measurement], Robustness | None]:
    """Mean and worst share of `metric` that is left, and the curves they come from.

    `clean` (N, ...) are outputs on all evaluation inputs and `labels` (N, ...) theirs; the ratios are to the
    metric on those of them that were corrupted.
    """
    if corrupted is None or outputs.path is None:
        return _absent(outputs.reason)
    chosen = np.asarray(corrupted.examples, dtype=np.int64)
    count = len(chosen)
    try:
        worse = read_arrays(outputs.path)[0]
        names = [f"{name} {severity}" for name, severity in corrupted.cells]
        if len(worse) != len(names) * count:
            return _absent(f"{len(worse)} outputs do not fit {len(names)} cells of {count} examples")
        cells = {name: worse[at * count : (at + 1) * count] for at, name in enumerate(names)}
        found = worsened(metric, clean[chosen], cells, labels[chosen])
    except (UserError, ValueError, IndexError) as error:
        return _absent(str(error).replace("\n", ";"), count)
    if isinstance(found, str):
        return _absent(found, count)
    curves = Robustness(
        metric=metric.name,
        clean=found.clean,
        cells=tuple(
            Cell(corruption=name, severity=severity, value=value, ratio=ratio.value, low=ratio.low, high=ratio.high)
            for (name, severity), value, ratio in zip(corrupted.cells, found.values, found.ratios, strict=True)
        ),
        examples=count,
        seed=corrupted.seed,
    )
    shares = {name: share.measurement("1", HOW) for name, share in zip(FIGURES, (found.mean, found.worst), strict=True)}
    return shares, curves


def read_arrays(path: Path) -> list[Array]:
    """The arrays "0", "1", … of an npz. Never unpickles."""
    with np.load(path, allow_pickle=False) as archive:
        return [archive[str(position)] for position in range(len(archive.files))]


def _absent(reason: str, n: int = 0) -> tuple[dict[str, Measurement], None]:
    return {name: Measurement.unavailable("1", reason, n) for name in FIGURES}, None
