"""The most that this machine can do: products by precision, memory bandwidth, and what a runtime costs by itself."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from bench.errors import UserError
from bench.files import cache_dir, write_whole
from bench.hardware.stated import BANDWIDTH, COMMAND
from bench.machine.environment import read_environment
from bench.record.codec import from_json, json_bytes
from bench.record.environment import Environment
from bench.record.measurement import Measurement
from bench.record.peaks import MachinePeaks, Peaks
from bench.runner.peaks.gauge import BUSY, Gauge, GaugeError, other_work, threads_text
from bench.runner.peaks.overheads import overheads
from bench.runner.peaks.rates import FAILED, UNQUIET, Offers, best_of, compute, find_offers

FOLDER = "peaks"
_METHOD = 2
"""Goes up where a new way of measuring makes kept peaks worthless."""
_MACHINE = ("cpu_model", "cpu_features", "architecture", "cores_usable", "cpu_quota_cores", "gpus", "cache_bytes")
_GIB = 2**30
_PACKAGES = ("ai-edge-litert", "numpy", "onnxruntime", "onnxruntime-gpu", "openvino")

_AGAIN_S = 3600.0
"""How old peaks that were disturbed have to be to be measured again: a machine may never be at rest."""

Progress = Callable[[str], None]


def measure_peaks(threads: Sequence[int], targets: Sequence[str], progress: Progress) -> MachinePeaks:
    """The peaks of this machine with so many threads each, from fresh processes pinned to as many cores.

    Compute is the best of every CPU runtime that is installed here, whichever `targets` (runtime-provider) say; these
    are those to measure `call` and `node` of. About ten seconds for a number of threads on a quiet machine; a
    rate that two processes do not reach alike says so in its `how`.
    """
    return _extended(None, read_environment(), threads, targets, progress)


def machine_peaks(
    environment: Environment, threads: Sequence[int], targets: Sequence[str], progress: Progress, *, anew: bool = False
) -> MachinePeaks:
    """The peaks of the machine that `environment` describes: as kept in the cache folder, or measured and kept.

    `anew` measures whatever is kept. More threads or targets than asked for may be among them. Those that were
    measured beside other work, or failed, are measured again after an hour where the machine is at rest.

    Raises:
        UserError: they are not kept, and that machine is not this one.
    """
    here = read_environment()
    # Peaks kept under other versions of the packages serve too, but only those of the same machine.
    then, now = _machine(environment), _machine(here)
    same = then == now
    places = (_path(environment), _path(here)) if same else (_path(environment),)
    kept = next((path for path in places if path.exists()), places[0])
    known = None if anew else _read(kept)
    if known is not None and not _lacking(known, threads, targets) and not (same and _due(known, threads)):
        return known
    for field in now:
        if then[field] != now[field]:
            raise UserError(
                "the peaks of that machine are not known, and it is not this one: "
                f"{field} was {then[field]}, is {now[field]}",
                remedy="do it there; `bench roofline` can also take a hardware profile of it (--profile)",
            )
    own = _path(here)
    own.parent.mkdir(parents=True, exist_ok=True)
    with _alone(own.with_suffix(".lock"), progress):
        # Another process may have measured them meanwhile; two at once would be in each other's way.
        known = None if anew else _read(own)
        if known is not None and _due(known, threads):
            targets = sorted({*targets, *(target for peaks in known.by_threads for target in peaks.call)})
            kept_ones = tuple(peaks for peaks in known.by_threads if not _doubtful(peaks))
            known = msgspec.structs.replace(known, by_threads=kept_ones)
        if known is None or _lacking(known, threads, targets):
            known = _extended(known, here, threads, targets, progress)
            write_whole(own, json_bytes(known))
    return known


def kept_peaks(environment: Environment) -> MachinePeaks | None:
    """The peaks that are kept of the machine that `environment` describes; None where none are. Nothing is measured."""
    here = read_environment()
    same = _machine(environment) == _machine(here)
    places = (_path(environment), _path(here)) if same else (_path(environment),)
    return next((known for path in places if (known := _read(path)) is not None), None)


def doubts(peaks: MachinePeaks, threads: Sequence[int]) -> tuple[str, ...]:
    """What to warn of where those with so many threads may be too low, as other work disturbed the measurement."""
    marked = [count for count in threads if (at := peaks.at(count)) is not None and _marked(at, (BUSY, UNQUIET))]
    if not marked:
        return ()
    with_ = f"{', '.join(map(str, marked))} thread{'' if marked == [1] else 's'}"
    return (
        f"the peaks with {with_} were measured while the machine was not at rest: they may be too low, and the shares "
        f"too high; `{COMMAND}` measures anew",
    )


def _due(known: MachinePeaks, threads: Sequence[int]) -> bool:
    """Whether some of them are doubtful and may come out better now."""
    asked = [peaks for count in threads if (peaks := known.at(count)) is not None]
    if not any(_doubtful(peaks) for peaks in asked):
        return False
    age = datetime.now(UTC) - datetime.fromisoformat(known.created)
    return age.total_seconds() > _AGAIN_S and not other_work()


def _doubtful(peaks: Peaks) -> bool:
    return _marked(peaks, (BUSY, UNQUIET, FAILED))


def _marked(peaks: Peaks, marks: Sequence[str]) -> bool:
    figures = (*peaks.compute.values(), peaks.bandwidth, *peaks.call.values(), *peaks.node.values())
    return any(mark in figure.how for figure in figures for mark in marks)


@contextlib.contextmanager
def _alone(path: Path, progress: Progress) -> Iterator[None]:
    """The lock; who has to wait for it is told so."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress("peaks: another process is measuring them, this one waits for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _extended(
    known: MachinePeaks | None, here: Environment, threads: Sequence[int], targets: Sequence[str], progress: Progress
) -> MachinePeaks:
    """What is known with what is asked for in addition."""
    by_threads = {} if known is None else {peaks.threads: peaks for peaks in known.by_threads}
    with tempfile.TemporaryDirectory(prefix="bench-peaks-") as folder:
        gauge = Gauge(Path(folder), progress)
        offers: Offers | None = None
        for count in dict.fromkeys(threads):
            if count not in by_threads:
                offers = offers or find_offers(gauge)
                rates = compute(gauge, offers, count)
                by_threads[count] = Peaks(threads=count, compute=rates, bandwidth=_bandwidth(gauge, count))
            by_threads[count] = _with_overheads(gauge, by_threads[count], targets)
    return MachinePeaks(
        name=f"this machine ({here.cpu_model or here.architecture})",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        by_threads=rising([by_threads[count] for count in sorted(by_threads)]),
    )


def rising(by_threads: Sequence[Peaks]) -> tuple[Peaks, ...]:
    """With each rate as high as with fewer threads at least: those could leave the other cores alone."""
    found: list[Peaks] = []
    for peaks in by_threads:
        before = found[-1] if found else peaks
        found.append(
            msgspec.structs.replace(
                peaks,
                compute={
                    precision: _no_less(figure, before.compute.get(precision), before.threads)
                    for precision, figure in peaks.compute.items()
                },
                bandwidth=_no_less(peaks.bandwidth, before.bandwidth, before.threads),
            )
        )
    return tuple(found)


def _no_less(figure: Measurement, before: Measurement | None, threads: int) -> Measurement:
    if before is None or before.value is None or (figure.value is not None and figure.value >= before.value):
        return figure
    fewer = threads_text(threads)
    return msgspec.structs.replace(before, how=f"{before.how}; got with {fewer}, as with more it came out lower")


def _with_overheads(gauge: Gauge, peaks: Peaks, targets: Sequence[str]) -> Peaks:
    found = {target: overheads(gauge, target, peaks.threads) for target in targets if target not in peaks.call}
    return msgspec.structs.replace(
        peaks,
        call=peaks.call | {target: each.call for target, each in found.items()},
        node=peaks.node | {target: each.node for target, each in found.items()},
    )


def _bandwidth(gauge: Gauge, threads: int) -> Measurement:
    try:
        best = best_of(lambda: gauge.bandwidth(threads))
    except GaugeError as error:
        return Measurement.unavailable(BANDWIDTH, f"{FAILED}: {error}")
    parts = "" if threads == 1 else f" in {threads} parts"
    how = f"NumPy c = a + b{parts}, bytes as STREAM counts them (reads and writes, no write-allocate)"
    return best.found.measurement(BANDWIDTH, f"measured:{how}, {best.about('passes')}{gauge.disturbed}")


def _lacking(known: MachinePeaks, threads: Sequence[int], targets: Sequence[str]) -> bool:
    return any((peaks := known.at(count)) is None or not peaks.call.keys() >= set(targets) for count in threads)


def _machine(environment: Environment) -> dict[str, object]:
    """What tells it from another; a kernel keeps a little of the memory for itself, and not always as much."""
    told: dict[str, object] = {field: getattr(environment, field) for field in _MACHINE}
    return {**told, "memory in GiB": round(environment.memory_bytes / _GIB)}


def _path(environment: Environment) -> Path:
    """Where the peaks of a machine are kept, with the runtimes that it had."""
    machine = _machine(environment)
    packages = {name: environment.packages.get(name) for name in _PACKAGES}
    content = json.dumps({"method": _METHOD, **machine, "packages": packages}, sort_keys=True)
    return cache_dir() / FOLDER / f"{hashlib.sha256(content.encode()).hexdigest()[:24]}.json"


def _read(path: Path) -> MachinePeaks | None:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        known = from_json(path.read_bytes(), MachinePeaks)
        with contextlib.suppress(OSError):
            os.utime(path)  # `bench cache gc` goes by the last use
        return known
    return None
