"""The rows of a run as CSV: every figure with unit, interval, sample count and provenance."""

from __future__ import annotations

import io
from collections.abc import Sequence
from csv import DictWriter

from bench.record.metric import METRICS
from bench.record.row import Row
from bench.report.changes import plain
from bench.store.formula import MARK, defused

_UNIT_NAMES = {"s": "_s", "B": "_bytes", "J": "_joules", "W": "_watts", "1/s": "_per_s", "dB": "_db", "1": ""}


def csv(run_id: str, rows: Sequence[Row]) -> str:
    """One line a case, the unit in the column's name; an absent figure is an empty cell, its reason in `_how`."""
    written = io.StringIO()
    lines = [_line(run_id, row) for row in rows]
    writer = DictWriter(written, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return written.getvalue()


def _line(run_id: str, row: Row) -> dict[str, object]:
    case = row.case
    line: dict[str, object] = {
        "run": _safe(run_id),
        "case": _safe(case.name),
        "model": _safe(case.model),
        "variant": _safe(case.variant),
        "runtime": _safe(case.runtime),
        "provider": _safe(case.provider),
        "threads": case.threads,
        "batch": case.batch,
        "scenario": _safe(case.scenario),
        "options": _safe(" ".join(f"{key}={value}" for key, value in sorted(case.options.items()))),
        "scope": _safe(str(row.facts.get("scope", ""))),
        "mlperf_rules_met": None if row.validity is None else str(row.validity.valid).lower(),
        "status": row.status,
        "dataset": _safe(row.dataset),
        "reason": _safe(row.failure.reason) if row.failure else "",
        "warnings": _safe("; ".join(row.warnings)),
    }
    for name, metric in METRICS.items():
        figure = row.metrics[name]
        column = name + _UNIT_NAMES[metric.unit]
        line |= {
            column: figure.value,
            f"{column}_low": figure.low,
            f"{column}_high": figure.high,
            f"{column}_n": figure.n,
            f"{column}_how": _safe(figure.how),
        }
    return line


def _safe(value: str) -> str:
    """Text on one line, without control characters, that a spreadsheet does not take for a formula."""
    return MARK + plain(value) if defused(value) != value else defused(plain(value))
