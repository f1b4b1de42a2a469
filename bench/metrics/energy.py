"""Energy and power over the measured phase, only where a counter or a meter gave them."""

from __future__ import annotations

from collections.abc import Sequence

from bench.record.measurement import Measurement
from bench.record.observation import Observation
from bench.sensors.energy import cpu_energy, gpu_energy, mean_power, per_item, total


def figures(observations: Sequence[Observation]) -> dict[str, Measurement]:
    """Joules of one example and watts: CPU packages and GPUs together, or what of them was measured.

    The figure is of the whole device, idle included. Over several invocations energies and times add up.
    """
    energies, seconds, examples = [], 0.0, 0
    for seen in observations:
        phase = next((p for p in seen.phases if p.name == "measure"), None)
        if phase is None or seen.telemetry is None or seen.samples is None:
            return _absent("the measured phase is not on record")
        cpu = cpu_energy(seen.telemetry, phase.start_ns, phase.end_ns)
        gpus = list(gpu_energy(seen.telemetry, phase.start_ns, phase.end_ns).values())
        known = [part for part in (cpu, *gpus) if part.value is not None]
        if not known:
            missing = [gpu.reason for gpu in gpus] or [_gpu_reason(seen)]
            return _absent("; ".join(filter(None, (cpu.reason, *missing))))
        energies.append(total(known))
        seconds += (phase.end_ns - phase.start_ns) * 1e-9
        examples += len(seen.samples.latency_ns) * seen.case.batch
    whole = total(energies)
    return {"energy": per_item(whole, examples), "power": mean_power(whole, seconds)}


def _absent(reason: str) -> dict[str, Measurement]:
    return {"energy": Measurement.unavailable("J", reason), "power": Measurement.unavailable("W", reason)}


def _gpu_reason(seen: Observation) -> str | None:
    states = seen.telemetry.sensors if seen.telemetry else ()
    return next((state.reason for state in states if state.sensor == "nvml" and not state.available), None)
