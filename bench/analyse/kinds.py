"""What kind of figure a metric is: what may disturb it decides what it may be compared across."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from bench.errors import unknown
from bench.quality import METRICS as TASK_METRICS
from bench.record.comparison import Change
from bench.record.metric import METRICS, Direction

Kind = Literal["felt", "quality", "artifact"]
"""`felt`: what the machine felt (time, memory, energy), of this machine only. `quality`: what the outputs are worth, of
the evaluation data. `artifact`: of the file alone."""

ARTIFACT = frozenset({"size", "macs"})
QUALITY = frozenset(
    {
        "accuracy",
        "robustness",
        "robustness_worst",
        "calibration_error",
        "parity_max_abs",
        "parity_mean_abs",
        "parity_cosine",
        "parity_sqnr",
        "parity_agreement",
        "clear_agreement",
        "edge_max_abs",
    }
)
FELT = frozenset(METRICS) - QUALITY - ARTIFACT


def kind(metric: str) -> Kind:
    """The kind of a metric. One that is not known here came from a foreign file, which holds times."""
    return "artifact" if metric in ARTIFACT else "quality" if metric in QUALITY else "felt"


def better(metric: str) -> Direction:
    """Which way is an improvement."""
    return METRICS[metric].better if metric in METRICS else "lower"


def better_of(change: Change) -> Direction:
    """Which way is an improvement for this change."""
    return change.better or better(change.metric)


def better_by(metric: str, judged_by: str | None) -> Direction | None:
    """What a case's own task metric says of the figure that holds it; None of every other figure."""
    return TASK_METRICS[judged_by].better if metric == "accuracy" and judged_by in TASK_METRICS else None


def check_metrics(names: Iterable[str], where: str = "--metric") -> None:
    """Raises `UserError` for a name that is no metric."""
    for name in names:
        if name not in METRICS:
            raise unknown("metric", name, METRICS, where=where)
