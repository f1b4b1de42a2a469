"""Rows and profiles made by hand, for the judgement of them."""

from __future__ import annotations

from bench.machine.environment import read_environment
from bench.record.artifact import Artifact, Recipe
from bench.record.case import Case
from bench.record.environment import Environment
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.record.observation import Placement
from bench.record.profile import OperatorTime, Profile
from bench.record.row import Row


def row(
    variant: str,
    latency_us: float,
    *,
    half: float = 0.01,
    base: str | None = None,
    sparsity: float | None = None,
    size: int = 1000,
    **case: object,
) -> Row:
    """A measured row whose median is known to ± `half` (a share)."""
    metrics = {name: Measurement.unavailable(metric.unit, "not here") for name, metric in METRICS.items()}
    value = latency_us * 1e-6
    metrics["p50_latency"] = Measurement(
        value=value,
        unit="s",
        n=100,
        how="measured:clock",
        low=value * (1 - half),
        high=value * (1 + half),
        confidence=0.95,
    )
    fields = {"model": "m", "variant": variant, "runtime": "onnxruntime", "provider": "cpu", **case}
    return Row(
        case=Case(**fields),  # type: ignore[arg-type]
        status="ok",
        dataset="digits",
        metrics=metrics,
        placement=Placement(provider="CPU", nodes={}, evidence="by hand"),
        artifact=Artifact(
            model="m",
            variant=variant,
            format="onnx",
            recipe=Recipe(base or variant),
            path="m.onnx",
            sha256="0",
            bytes=size,
            inputs=(),
            outputs=(),
            sparsity=sparsity,
        ),
    )


def profile(*operators: tuple[str, str | None, float]) -> Profile:
    """A profile of operators, each a type, a data type and its time (µs)."""
    whole = sum(us for *_, us in operators) or 1.0
    return Profile(
        target="onnxruntime-cpu",
        operators=tuple(
            OperatorTime(
                name=f"{kind}_{at}",
                type=kind,
                provider="CPU",
                ns=us * 1e3,
                calls=1,
                share=us / whole,
                precision=precision,
            )
            for at, (kind, precision, us) in enumerate(operators)
        ),
        runs=10,
    )


def machine(*features: str, cores: int = 4) -> Environment:
    """This machine, with other CPU features and cores."""
    import msgspec

    return msgspec.structs.replace(read_environment(), cpu_features=features, cores_usable=tuple(range(cores)))
