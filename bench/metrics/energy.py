"""Energy and power over the measured phase, only where a counter or a meter gave them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.record.case import Case
from bench.record.measurement import Measurement
from bench.record.observation import Observation, Telemetry
from bench.runtimes.table import RUNTIMES
from bench.sensors.energy import (
    cpu_energy,
    gpu_energy,
    idle_power,
    mean_power,
    module_energy,
    per_item,
    total,
    without_idle,
)
from bench.sensors.idle import END, START


def figures(observations: Sequence[Observation]) -> dict[str, Measurement]:
    """Joules of one example and watts, of the devices that the case ran on.

    `energy` is of the whole device, idle included; `energy_net` is that less what the device drew at rest,
    before and after, in the same time. Over several invocations energies, times and examples add up.
    """
    gross, net, seconds, examples = [], [], 0.0, 0
    for seen in observations:
        phase = next((p for p in seen.phases if p.name == "measure"), None)
        if phase is None or seen.telemetry is None or seen.samples is None:
            return _absent("the measured phase is not on record")
        span = (phase.end_ns - phase.start_ns) * 1e-9
        energy = _energy(seen.telemetry, phase.start_ns, phase.end_ns, on_gpu=_on_gpu(seen.case))
        gross.append(energy)
        net.append(without_idle(energy, _rest(seen), span))
        seconds += span
        examples += len(seen.samples.latency_ns) * seen.case.batch
    whole = total(gross)
    return {
        "energy": per_item(whole, examples),
        "energy_net": per_item(total(net), examples),
        "power": mean_power(whole, seconds),
        "idle_power": idle_power(*_rests(observations[0])) if observations[0].idle else _no_idle("W"),
    }


def _energy(telemetry: Telemetry, start_ns: int, end_ns: int, *, on_gpu: bool) -> Measurement:
    """What the devices drew that the case ran on; unavailable with every reason where one of them is not known.

    A case on the CPU is charged with the CPU, or with the whole module where only that was measured. One on a
    GPU is charged with all GPUs that it may use, and with the CPU where that is known; else `how` says so.
    """
    cpu = cpu_energy(telemetry, start_ns, end_ns)
    module = module_energy(telemetry, start_ns, end_ns)
    gpus = [] if not on_gpu else list(gpu_energy(telemetry, start_ns, end_ns).values())
    parts = list(module.values()) or (gpus if on_gpu else [cpu])
    if not parts:
        reasons = [s.reason for s in telemetry.sensors if s.sensor in ("nvml", "amd") and not s.available]
        return Measurement.unavailable("J", "; ".join(reasons) or "no sensor of GPU energy was read")
    missing = [part.reason for part in parts if part.reason]
    if missing:
        return Measurement.unavailable("J", "; ".join(dict.fromkeys(missing)))
    if module or not on_gpu:
        return total(parts)
    if cpu.value is not None:
        return total([*parts, cpu])
    whole = total(parts)
    return msgspec.structs.replace(whole, how=f"{whole.how} (GPU alone; CPU: {cpu.reason})")


def _rests(seen: Observation) -> tuple[Measurement, Measurement]:
    """Power at rest before and after, W."""
    before, after = (_idle(telemetry, on_gpu=_on_gpu(seen.case)) for telemetry in seen.idle)
    return before, after


def _rest(seen: Observation) -> Measurement:
    return idle_power(*_rests(seen)) if seen.idle else _no_idle("W")


def _idle(telemetry: Telemetry, *, on_gpu: bool) -> Measurement:
    stamps = [[r.t_ns for r in telemetry.snapshots.get(edge, ())] for edge in (START, END)]
    if not all(stamps):
        return Measurement.unavailable("W", "the sampler gave no readings at rest")
    start, end = max(stamps[0]), min(stamps[1])
    return mean_power(_energy(telemetry, start, end, on_gpu=on_gpu), (end - start) * 1e-9)


def _no_idle(unit: str) -> Measurement:
    return Measurement.unavailable(unit, "no rest was measured, as there is no sensor of energy")


def _on_gpu(case: Case) -> bool:
    return case.provider in RUNTIMES[case.runtime].on_gpu


def _absent(reason: str) -> dict[str, Measurement]:
    units = {"energy": "J", "energy_net": "J", "power": "W", "idle_power": "W"}
    return {name: Measurement.unavailable(unit, reason) for name, unit in units.items()}
