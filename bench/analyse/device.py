"""Which device a target computes on, as far as its name tells."""

from __future__ import annotations

from bench.analyse.explain import ON_CPU
from bench.record.roofline import Device
from bench.runtimes.table import RUNTIMES


def device(target: str) -> Device | None:
    """Of a `runtime-provider`; None where its name does not tell, or it computes nothing of the model."""
    runtime, _, provider = target.partition("-")
    spec = RUNTIMES.get(runtime)
    if spec is None or not spec.measures_model:
        return None
    if provider in spec.on_gpu:
        return "gpu"
    return "cpu" if provider in ON_CPU else None


def strange(target: str, wanted: Device) -> str | None:
    """Why peaks of the device `wanted` say nothing of the target; None where they do."""
    found = device(target)
    if found == wanted:
        return None
    if found is None:
        return f"it is not known which device {target} computes on"
    return f"{target} computes on the {found.upper()}, and the peaks are those of a {wanted.upper()}"
