"""Rows folded into choices: what can be put into service, with all that the rows of its scenarios say."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence

import msgspec

from bench.analyse.intervals import within
from bench.analyse.kinds import kind
from bench.errors import UserError
from bench.load.table import SCENARIOS, lanes, own_options
from bench.record.case import Option
from bench.record.choice import Choice
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.record.row import Row
from bench.store.manifest import Manifest

ONE, OFFLINE, SERVER, COLD = "single-stream", "offline", "server", "cold-start"
_OF_START = ("cold_start", "process_start", "import_time")
_NAMED = 3
_Key = tuple[str, str, str, int, int, tuple[tuple[str, Option], ...]]


def choices(
    rows: Sequence[Row], judged_by: Mapping[str, str | None] = {}, *, p99_s: float | None = None
) -> tuple[Choice, ...]:
    """One choice for the rows that differ only in their scenario, in the order in which they first occur.

    Latency, memory and energy are those of single-stream. Throughput is that of offline where it was run, and
    the choice then says so. Quality and size come from whichever row has them. Capacity is that of the server scenario,
    searched under a bound on p99: of several bounds the largest within `p99_s` (s), else the tightest. Rows with more
    than one lane are left out, as one choice is one lane, and a warning says so.

    Args:
        rows: of one run, or of several that may be compared.
        judged_by: the name of the task metric by model.
        p99_s: the bound on p99 that matters, s; None: none.
    """
    groups: dict[_Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(_key(row), []).append(row)
    return tuple(_folded(key, group, judged_by.get(key[0]), p99_s) for key, group in groups.items())


def choices_of(
    manifest: Manifest, rows: Sequence[Row], only: Sequence[str] = (), *, p99_s: float | None = None
) -> tuple[Choice, ...]:
    """The choices of a kept run; with globs in `only`, those whose name fits one. Raises `UserError` where none do."""
    judged_by = {entry.name: entry.metric for entry in manifest.models}
    found = choices(rows, judged_by, p99_s=p99_s)
    fitting = tuple(c for c in found if not only or any(fnmatch.fnmatchcase(c.name, glob) for glob in only))
    if not fitting:
        names = ", ".join(choice.name for choice in found[:_NAMED])
        raise UserError(
            "the run has no such choice" if found else "the run has no rows",
            where=f"--only {' '.join(only)}" if found else manifest.run_id,
            remedy=f"the first there are: {names}" if found else "run a suite with cases",
        )
    return fitting


def unfinished(manifest: Manifest) -> tuple[str, ...]:
    """A sentence where the run is not complete, as what it has yet to measure may change any answer."""
    if manifest.status == "complete":
        return ()
    return (f"the run is not complete ({manifest.status}): what it has yet to measure is not here",)


def runtime_options(row: Row) -> dict[str, Option]:
    """The options of the runtime, without those of the scenario, sorted by name."""
    own = own_options(row.case.scenario, row.case.options)
    return {name: value for name, value in sorted(row.case.options.items()) if name not in own}


def _key(row: Row) -> _Key:
    case = row.case
    return case.model, case.variant, case.target, case.threads, case.batch, tuple(runtime_options(row).items())


def _folded(key: _Key, group: Sequence[Row], judged_by: str | None, p99_s: float | None) -> Choice:
    model, variant, target, threads, batch, options = key
    rows = [row for row in group if _lanes(row) == 1 or row.case.scenario not in (OFFLINE, SERVER)]
    one, offline, cold = (_of(rows, scenario) for scenario in (ONE, OFFLINE, COLD))
    server = _searched(rows, p99_s)
    warnings = list(dict.fromkeys(text for row in rows for text in row.warnings))
    if len(rows) < len(group):
        warnings.append("rows with more than one lane are left out: a choice is one lane")
    artifact = next((row.artifact for row in group if row.artifact is not None), None)
    return Choice(
        name="/".join([model, variant, target, f"t{threads}", f"b{batch}", *(f"{k}={v}" for k, v in options)]),
        model=model,
        variant=variant,
        base=variant if artifact is None else artifact.base,
        target=target,
        threads=threads,
        batch=batch,
        options=dict(options),
        figures=_figures(group, one, offline, cold, server),
        capacity_bound_s=None if server is None else bound(server),
        offline=offline is not None and _known(offline, "throughput"),
        artifact=artifact,
        dataset=group[0].dataset,
        judged_by=judged_by,
        cases=tuple(row.case.name for row in group),
        failure=_failure(group),
        warnings=tuple(warnings),
    )


def _figures(
    group: Sequence[Row], one: Row | None, offline: Row | None, cold: Row | None, server: Row | None
) -> dict[str, Measurement]:
    found = {}
    for name in METRICS:
        if name == "capacity":
            found[name] = _figure(server, name, "no rate was searched for (scenario server, rate = 'search')")
        elif name in _OF_START:
            found[name] = _figure(cold, name, f"no row of the scenario {COLD}")
        elif kind(name) != "felt":
            found[name] = _first(group, name)
        elif name == "throughput" and offline is not None and _known(offline, name):
            figure = offline.metrics[name]
            found[name] = msgspec.structs.replace(figure, how=f"{figure.how}; {OFFLINE}")
        else:
            found[name] = _figure(one, name, f"no row of the scenario {ONE}")
    return found


def _figure(row: Row | None, name: str, otherwise: str) -> Measurement:
    if row is None:
        return Measurement.unavailable(METRICS[name].unit, otherwise)
    figure = row.metrics.get(name)
    if figure is None or (figure.value is None and row.failure is not None):
        reason = f"the row has no {name}" if row.failure is None else f"{row.case.scenario}: {row.failure.reason}"
        return Measurement.unavailable(METRICS[name].unit, reason)
    return figure


def _first(rows: Sequence[Row], name: str) -> Measurement:
    """Of the first row that has a value, else the first row's reason."""
    return _figure(next((row for row in rows if _known(row, name)), rows[0]), name, "")


def _known(row: Row, name: str) -> bool:
    return name in row.metrics and row.metrics[name].value is not None


def _of(rows: Sequence[Row], scenario: str) -> Row | None:
    return next((row for row in rows if row.case.scenario == scenario), None)


def _lanes(row: Row) -> int:
    return lanes(row.case.scenario, row.case.options) if row.case.scenario in SCENARIOS else 1


def bound(row: Row) -> float:
    """The bound on p99 (s) of a row whose rate was searched for."""
    return float(row.case.options["p99_ms"]) / 1e3


def _searched(rows: Sequence[Row], p99_s: float | None) -> Row | None:
    """The row whose capacity counts: of several bounds the largest within `p99_s`, else the tightest."""
    there = [row for row in rows if row.case.scenario == SERVER and _is_search(row)]
    kept = [row for row in there if p99_s is not None and within(bound(row), p99_s)]
    return max(kept, key=bound) if kept else min(there, key=bound, default=None)


def _is_search(row: Row) -> bool:
    """Whether it searched for a rate under a bound that it names; a row of a foreign hand may name none."""
    bound_ms = row.case.options.get("p99_ms")
    return row.case.options.get("rate") == "search" and isinstance(bound_ms, int | float) and bound_ms > 0


def _failure(rows: Sequence[Row]) -> str | None:
    """Why it cannot be put into service: a floor was missed, or it does not run at all.

    A scenario beside single-stream that could not be measured only costs its own figures, which say why.
    """
    failed = [row for row in rows if row.status != "ok" and row.failure is not None]
    counts = [row for row in failed if row.measured or row.case.scenario == ONE]
    if not counts and len(failed) == len(rows):
        counts = failed
    return counts[0].failure.reason if counts and counts[0].failure is not None else None
