"""Whether a variant is as good as its model has to be."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.metrics.quality import NOT_ASKED
from bench.quality import METRICS
from bench.record.measurement import Measurement
from bench.record.observation import Failure

UNCOMPRESSED = ("fp32", "fp16", "source")
"""The variants that have to reach the floor of the task metric."""
AGREEING = ("fp32", "fp16", "int8")
"""The variants that have to decide as the source model does."""


class Floors(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a model's figures: see `bench.record.artifact.ModelInfo`.

    `about` says where `quality` comes from, `missed` what becomes of a row that has to reach a floor and does
    not; other variants are warned of.
    """

    metric: str | None = None
    quality: float | None = None
    agreement: float | None = None
    about: str | None = None
    missed: Literal["warn", "fail"] = "warn"


def judge(floors: Floors, variant: str, figures: dict[str, Measurement]) -> tuple[Failure | None, list[str]]:
    """The failure of a row that misses a floor it has to reach, and warnings of what else is below one."""
    must: list[str] = []
    may: list[str] = []
    if floors.quality is not None and floors.metric is not None:
        metric = METRICS[floors.metric]
        side = "below the model's floor of" if metric.better == "higher" else "above the model's limit of"
        found = figures["accuracy"]
        missed = found.value is not None and metric.worse(found.value, floors.quality)
        if told := _told(metric.title, found, missed, f"{side} {floors.quality:g}", floors.about):
            (must if variant in UNCOMPRESSED else may).append(told)
    if floors.agreement is not None and variant in AGREEING:
        found = figures["clear_agreement"]
        missed = found.value is not None and found.value < floors.agreement
        side = f"below the model's floor of {floors.agreement:g}"
        if told := _told("agreement with the source model", found, missed, side, None):
            must.append(told)
    if must and floors.missed == "fail":
        return Failure(reason="; ".join(must), phase="evaluate"), may
    return None, must + may


def _told(title: str, found: Measurement, missed: bool, side: str, about: str | None) -> str | None:
    """The sentence on a floor that is missed; None where it is reached, or nobody asked for an evaluation."""
    source = f" ({about})" if about else ""
    if missed:
        return f"{title} {found.value:.4f} is {side}{source}"
    if found.value is None and found.reason != NOT_ASKED:
        # No figure, as where outputs are not finite or have another shape: that reaches no floor.
        return f"{title} has no value ({found.reason}), so that it is not known to reach the model's floor{source}"
    return None
