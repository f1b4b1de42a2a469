"""The file of a saved snapshot: JSON that a diff can be read of.

Keys are sorted, a figure has a line of its own and its numbers are as short as they are exact: a diff shows which
figure of which case changed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from polars.exceptions import PolarsError

from bench.errors import UserError
from bench.record.measurement import Measurement
from bench.store.columns import case_columns, figure_columns
from bench.store.snapshot import CASE_SCHEMA, FIGURE_SCHEMA, Snapshot
from bench.store.version import check_version

SCHEMA = 1

GATED = (
    "accuracy",
    "robustness",
    "robustness_worst",
    "calibration_error",
    "parity_agreement",
    "clear_agreement",
    "p50_latency",
    "p90_latency",
    "p99_latency",
    "throughput",
    "load_time",
    "cold_start",
    "peak_rss",
    "rss_added",
    "energy",
    "energy_net",
    "size",
    "macs",
)
"""The metrics whose absence is kept too, with its reason: a gate has to tell "never measured" from "no longer"."""

_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False)
# Text that is not UTF-8 has an error of its own, and a count may be beyond what a column holds.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, PolarsError)
# Columns of a case as fields: what an older file lacks is None.
_KINDS: dict[Any, Any] = {pl.String: str | None, pl.Int64: int | None}
_Case: Any = msgspec.defstruct(
    "_Case",
    [(name, _KINDS[kind], None) for name, kind in CASE_SCHEMA.items() if name != "case"]
    + [("figures", dict[str, Measurement], {})],
    frozen=True,
)


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    created: str
    cases: dict[str, msgspec.Raw]


class _Marks(msgspec.Struct, frozen=True, kw_only=True):
    schema: msgspec.Raw
    cases: msgspec.Raw
    machine: msgspec.Raw


class _File(msgspec.Struct, frozen=True, kw_only=True):
    schema: int
    label: str
    created: str
    machine: dict[str, str | None]
    cases: dict[str, _Case]
    notes: tuple[str, ...] = ()


def read_baseline(path: Path) -> Snapshot:
    """A saved snapshot; its cases are sorted by name. Raises `UserError` where it is missing, damaged or too new."""
    content = _bytes(path)
    try:
        _check_schema(content, path)
        found = msgspec.json.decode(content, type=_File)
        return _snapshot(found)
    except _UNREADABLE as error:
        raise _damaged(error, path) from error


def read_summary(path: Path) -> tuple[str, int]:
    """When the snapshot was made and how many cases it has. Raises as `read_baseline`."""
    content = _bytes(path)
    try:
        _check_schema(content, path)
        head = msgspec.json.decode(content, type=_Head)
    except _UNREADABLE as error:
        raise _damaged(error, path) from error
    return head.created, len(head.cases)


def is_baseline(content: bytes) -> bool:
    """Whether a file's content is that of a saved snapshot, of whatever version."""
    try:
        msgspec.json.decode(content, type=_Marks)
    except _UNREADABLE:
        return False
    return True


def encode(snapshot: Snapshot) -> bytes:
    """The content of a snapshot's file. Raises `UserError` where two cases have the same name."""
    cases = snapshot.cases.to_dicts()
    if len({case["case"] for case in cases}) != len(cases):
        twice = snapshot.cases.filter(pl.col("case").is_duplicated())["case"][0]
        raise UserError(f"two cases are named {twice!r}", where=snapshot.label, remedy="run them under different names")
    kept = snapshot.figures.filter(pl.col("value").is_not_null() | pl.col("metric").is_in(GATED)).filter(
        pl.col("how").is_not_null() & (pl.col("value").is_finite() | pl.col("value").is_null())
    )
    lines = {
        case: {figure["metric"]: _figure(figure) for figure in figures}
        for case, figures in groupby(kept.sort("case").iter_rows(named=True), key=lambda figure: figure["case"])
    }
    told = {
        case["case"]: _block(
            {name: _text(value) for name, value in case.items() if value is not None and name != "case"}
            | {"figures": _block(lines.get(case["case"], {}), depth=3)},
            depth=2,
        )
        for case in cases
    }
    whole = {
        "cases": _block(told, depth=1),
        "created": _text(snapshot.created),
        "label": _text(snapshot.label),
        "machine": _block({key: _text(value) for key, value in snapshot.machine.items()}, depth=1),
        "notes": _text(list(snapshot.notes)),
        "schema": _text(SCHEMA),
    }
    return (_block(whole, depth=0) + "\n").encode()


def _snapshot(found: _File) -> Snapshot:
    cases = [
        {"case": case, **{field: getattr(told, field) for field in CASE_SCHEMA if field != "case"}}
        for case, told in found.cases.items()
    ]
    figures = ((case, metric, f) for case, told in found.cases.items() for metric, f in told.figures.items())
    return Snapshot(
        label=found.label,
        created=found.created,
        machine=found.machine,
        cases=case_columns(cases),
        figures=figure_columns(figures),
        notes=found.notes,
    )


def _figure(figure: Mapping[str, Any]) -> str:
    # `value` stands also where it is null: an absent figure says so.
    fields = {name: figure[name] for name in FIGURE_SCHEMA if name not in {"case", "metric"}}
    told = {name: value for name, value in fields.items() if not isinstance(value, float) or math.isfinite(value)}
    return _text({name: value for name, value in told.items() if value is not None or name == "value"})


def _block(entries: Mapping[str, str], depth: int) -> str:
    """A JSON object of encoded values, one a line, keys sorted."""
    if not entries:
        return "{}"
    pad = "  " * depth
    lines = ",\n".join(f"{pad}  {_text(key)}: {entries[key]}" for key in sorted(entries))
    return f"{{\n{lines}\n{pad}}}"


def _text(value: Any) -> str:
    return _JSON.encode(value)


class _Version(msgspec.Struct, frozen=True):
    schema: int


def _check_schema(content: bytes, path: Path) -> None:
    schema = msgspec.json.decode(content, type=_Version).schema
    check_version("the baseline", schema, SCHEMA, path)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read the baseline: {error.strerror}", where=str(path), remedy="see `bench baseline list`"
        ) from error


def _damaged(error: Exception, path: Path) -> UserError:
    return UserError(
        f"the baseline is damaged: {str(error).splitlines()[0]}",
        where=str(path),
        remedy="restore it from git, or save the run again",
    )
