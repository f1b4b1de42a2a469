"""Each measured case against the most that its machine can do."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from bench.analyse.cost.quantity import Quantity
from bench.analyse.device import strange
from bench.analyse.faster import SCENARIO, SHOULD_BE_FASTER
from bench.analyse.limits import count, figure, limits
from bench.analyse.traffic import work
from bench.errors import UserError
from bench.load.table import lanes
from bench.record.environment import Environment
from bench.record.measurement import Measurement
from bench.record.peaks import MachinePeaks, Peaks
from bench.record.roofline import Bound, Device, Limits, Point, Roofline
from bench.record.row import Row
from bench.runtimes.table import RUNTIMES

SCENARIOS = (SCENARIO, "offline")
"""Those in which the median latency is the time of one call."""
NOTES = (
    "operations: two a multiply-accumulate of the matrix products and convolutions; no others are counted",
    "bytes: the file once a call, for the parameters in it, and every input and output once: the least that has to be "
    "moved, so the intensity is the highest there can be",
    "limit: the longer of the times for operations and for bytes; overhead: an empty call, and every operator of the "
    "file, more than are left once the runtime has fused some",
)


def cases(rows: Sequence[Row], only: Sequence[str] = ()) -> tuple[Row, ...]:
    """The rows that can be held against a roofline: measured, one call at a time or offline, and of a model.

    Raises:
        UserError: there are none, or none whose name fits one of the globs `only`.
    """
    there = [row for row in rows if row.measured and row.case.scenario in SCENARIOS and _of_a_model(row.case.runtime)]
    if not there:
        raise UserError(
            f"no case of the run was measured in a scenario whose latency is that of one call ({', '.join(SCENARIOS)})",
            remedy='run one: `bench run` with scenarios = ["single-stream"]',
        )
    found = [row for row in there if not only or any(fnmatch.fnmatchcase(row.case.name, glob) for glob in only)]
    if not found:
        raise UserError(
            f"no such case matches {', '.join(only)}",
            where="--only",
            remedy=f"there are {', '.join(row.case.name for row in there[:5])}{', …' if len(there) > 5 else ''}",
        )
    return tuple(found)


def roofline(
    rows: Sequence[Row],
    peaks: MachinePeaks,
    device: Device,
    environment: Environment,
    warnings: Sequence[str] = (),
) -> Roofline:
    """The point of every row, in their order. `environment` is that of the run, `device` what the peaks are of."""
    points = []
    for row in rows:
        absent = strange(row.case.target, device)
        at = peaks.at(row.case.threads) if absent is None else None
        points.append(point(row, at, environment, absent))
    return Roofline(peaks=peaks, device=device, points=tuple(points), notes=NOTES, warnings=tuple(warnings))


def point(row: Row, peaks: Peaks | None, environment: Environment | None, absent: str | None = None) -> Point:
    """One measured row against the peaks of as many threads; None: not known, because of `absent`.

    The share is limit / measured. Where it is over 1 a limit was beaten, which cannot be: a warning says so. Only the
    dense limit of a pruned model may be, by kernels that skip its zeros: then a note does.
    """
    case = row.case
    todo = work(row.artifact, case.target, case.batch, case.options, environment)
    measured = row.metrics.get("p50_latency") or Measurement.unavailable("s", "no median latency is on record")
    reason = absent or f"the peaks with {case.threads} threads are not known"
    least = _no_limits(reason) if peaks is None else limits(todo, peaks, case.target)
    share = figure("1", lambda: Quantity.of(least.limit) / Quantity.of(measured))
    sparse = row.artifact is not None and SHOULD_BE_FASTER.get(row.artifact.base) == "sparse"
    beaten = _beaten(share, sparse)
    return Point(
        case=case.name,
        id=case.id,
        threads=case.threads,
        batch=case.batch,
        operations=todo.operations,
        moved=todo.moved,
        intensity=_intensity(todo.operations, todo.moved),
        limits=least,
        measured=measured,
        rate=figure("1/s", lambda: count(todo.operations) / Quantity.of(measured)),
        share=share,
        bound=bound(least, measured),
        notes=(*todo.notes, *least.notes, *_lanes(row), *(beaten if sparse else ())),
        warnings=() if sparse else beaten,
    )


def _of_a_model(runtime: str) -> bool:
    """Not one that only tests this tool; one that this version does not know has a place, without a limit."""
    return runtime not in RUNTIMES or RUNTIMES[runtime].measures_model


def bound(least: Limits, measured: Measurement) -> Bound:
    """The longest of the three times. Without the overhead the limit has to be half of what was measured or more."""
    times: dict[Bound, Measurement] = {
        "compute": least.compute,
        "memory": least.memory,
        "overhead": least.overhead,
    }
    known = {name: time.value for name, time in times.items() if time.value is not None}
    missing = times.keys() - known.keys()
    if missing and not (missing == {"overhead"} and 2 * max(known.values()) >= (measured.value or float("inf"))):
        return "unknown"
    return max(known, key=lambda name: known[name])


def _intensity(operations: Measurement, moved: Measurement) -> Measurement:
    """Operations a byte, the highest there can be."""
    missing = operations.reason or moved.reason
    if operations.value is None or not moved.value:
        return Measurement.unavailable("1/B", missing or "no byte has to be moved")
    return Measurement(
        value=operations.value / moved.value, unit="1/B", n=1, how="computed:operations / bytes that have to be moved"
    )


def _no_limits(reason: str) -> Limits:
    absent = Measurement.unavailable("s", reason)
    return Limits(compute=absent, memory=absent, overhead=absent, limit=absent)


def _lanes(row: Row) -> list[str]:
    together = lanes(row.case.scenario, row.case.options)
    if together == 1:
        return []
    return [f"{together} calls at a time share the machine: the share is that of one of them"]


def _beaten(share: Measurement, sparse: bool) -> tuple[str, ...]:
    if share.value is None or share.value <= 1:
        return ()
    if sparse:
        return (f"it took {1 / share.value:.0%} of the dense limit: kernels that skip zeros may, or a figure is wrong",)
    told = f"it took only {1 / share.value:.0%} of the time that is the least possible"
    doubt = ", though that may be noise" if share.low is not None and share.low <= 1 else ""
    return (f"LIMIT BEATEN: {told}{doubt}: the peaks, the operations, the bytes or the latency are wrong",)
