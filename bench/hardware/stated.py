"""What a profile states becomes peaks by threads, as rooflines and projections take them."""

from __future__ import annotations

from collections.abc import Sequence

from bench.hardware.schema import HardwareProfile, Stated
from bench.record.measurement import Measurement
from bench.record.peaks import MachinePeaks, Peaks

OPERATIONS, BANDWIDTH = "op/s", "B/s"
COMMAND = "bench profile detect"
"""What measures a profile: its figures are measured ones, those of other sources are stated."""
MEASURED = f"measured by {COMMAND}"


def stated_peaks(profile: HardwareProfile, threads: Sequence[int]) -> MachinePeaks:
    """The peaks of a profile with so many threads.

    A GPU is one whole, whatever the threads. A CPU's are those of the whole from as many threads as it has cores on,
    an estimate where there are more threads, which may have had more cores; below that in proportion to the cores, or
    where the figure of one core is known so many times that, at most the whole. `call` and `node` are the profile's
    own. No interval is given: none is stated.
    """
    figures = [*profile.peak.values(), *profile.peak_core.values(), profile.memory.bandwidth]
    return MachinePeaks(
        name=profile.name,
        created=max(figure.date for figure in figures).isoformat(),
        by_threads=tuple(_peaks(profile, count) for count in dict.fromkeys(threads)),
    )


def _peaks(profile: HardwareProfile, threads: int) -> Peaks:
    memory = profile.memory
    return Peaks(
        threads=threads,
        compute={
            precision: _scaled(profile, whole, profile.peak_core.get(precision), threads, OPERATIONS)
            for precision, whole in profile.peak.items()
        },
        bandwidth=_scaled(profile, memory.bandwidth, memory.bandwidth_core, threads, BANDWIDTH),
        call={target: _as_stated(figure, "s") for target, figure in profile.call.items()},
        node={target: _as_stated(figure, "s") for target, figure in profile.node.items()},
    )


def _scaled(profile: HardwareProfile, whole: Stated, core: Stated | None, threads: int, unit: str) -> Measurement:
    cores = profile.cores.value
    if profile.kind == "gpu" or threads == cores:
        return _as_stated(whole, unit)
    if threads > cores:
        how = (
            f"the whole of {cores:g} core{'' if cores == 1 else 's'}, fewer than {threads} threads, from {whole.source}"
        )
        return Measurement(value=whole.value, unit=unit, n=0, how=f"estimated:{how}")
    if core is not None and threads == 1:
        return _as_stated(core, unit)
    if core is not None:
        value = min(core.value * threads, whole.value)
        how = f"{threads} times that of one core, at most the whole, from {core.source}"
    else:
        value = whole.value * threads / cores
        how = f"in proportion to the cores, {threads} of {cores:g}, from {whole.source}"
    return Measurement(value=value, unit=unit, n=0, how=f"estimated:{how}")


def _as_stated(figure: Stated, unit: str) -> Measurement:
    grade = "measured" if figure.source.startswith(MEASURED) else "stated"
    how = figure.source.removeprefix("measured ") if grade == "measured" else figure.source
    return Measurement(value=figure.value, unit=unit, n=0, how=f"{grade}:{how}")
