"""Two snapshots side by side: which rows may be compared, and what changed. Columns throughout, for many cases."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import msgspec
import polars as pl

from bench.analyse.comparable import CASE, Difference, machine_differences, runtime_of
from bench.analyse.kinds import better_by, kind
from bench.errors import UserError
from bench.record.comparison import Change
from bench.store.snapshot import CASE_SCHEMA, FIGURE_SCHEMA, Snapshot

METRICS = (
    "p50_latency",
    "p99_latency",
    "throughput",
    "peak_rss",
    "energy",
    "accuracy",
    "parity_agreement",
    "size",
    "macs",
)
"""What is compared where nothing is asked for."""
_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All changes of the metrics asked for, in the candidate's order of cases, and how the two runs differ.

    `shared` counts the cases that both have. `reference` is the case that others are normalised by.

    `refusing` are the differences of the machines for which figures were not compared; `allowed` those that the user
    took upon himself, which every figure they touch is labelled with.
    """

    before: str
    after: str
    shared: int
    changes: tuple[Change, ...]
    reference: str | None
    refusing: tuple[Difference, ...]
    allowed: tuple[Difference, ...]
    notes: tuple[str, ...]


def compare(
    before: Snapshot,
    after: Snapshot,
    metrics: Sequence[str] = METRICS,
    *,
    allow: Collection[str] = (),
    normalise_by: str | None = None,
) -> Comparison:
    """Hold `after` (the candidate) against `before` (the baseline), figure by figure.

    What a machine felt is compared only where machine, runtime, timing scope and schema agree in all that matters
    but the keys in `allow`; quality where the evaluation data agree; an artifact's size always. `normalise_by` is a
    glob for one case that both have: what was felt is then divided by the same figure of that case, which takes the
    speed of the machine out as far as it meets both alike, and is labelled so.

    Raises:
        UserError: `normalise_by` does not fit exactly one case of both.
    """
    wanted = list(dict.fromkeys(metrics))
    for side in (before, after):
        if side.cases["case"].is_duplicated().any():
            raise UserError(
                "two cases have one name", where=side.label, remedy="compare runs in which every case has its own"
            )
    cases = _joined_cases(before.cases, after.cases)
    differences = machine_differences(before.machine, after.machine)
    refusing = [d for d in differences if d.key not in allow]
    allowed = [d for d in differences if d.key in allow]
    table = _joined_figures(before.figures, after.figures, cases, wanted)
    reference = _reference(table, cases, normalise_by) if normalise_by is not None else None
    maker = _Maker(refusing, allowed, frozenset(allow), reference, normalise_by)
    changes = tuple(maker.change(record) for record in table.iter_rows(named=True))
    refused = [change for change in changes if change.refused and kind(change.metric) == "felt"]
    touched = {d for d in refusing if any(_touches(d, change.case) for change in refused)}
    return Comparison(
        before=before.label,
        after=after.label,
        shared=cases.filter(pl.col("in_a") & pl.col("in_b")).height,
        changes=changes,
        reference=None if reference is None else reference.case,
        refusing=tuple(d for d in refusing if d in touched),
        allowed=tuple(allowed),
        notes=_notes(cases, before, after, allowed),
    )


def _joined_cases(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """A row a case of either side, those of `after` first; fields of `before` with a prefix."""
    left = before.select(*CASE_SCHEMA).rename({name: f"a_{name}" for name in CASE_SCHEMA if name != "case"})
    right = after.select(*CASE_SCHEMA).rename({name: f"b_{name}" for name in CASE_SCHEMA if name != "case"})
    return (
        right.with_columns(pl.lit(True).alias("in_b"))
        .join(
            left.with_columns(pl.lit(True).alias("in_a")),
            on="case",
            how="full",
            coalesce=True,
            maintain_order="left_right",
        )
        .with_columns(pl.col("in_a").fill_null(False), pl.col("in_b").fill_null(False))
    )


def _joined_figures(
    before: pl.DataFrame, after: pl.DataFrame, cases: pl.DataFrame, metrics: Sequence[str]
) -> pl.DataFrame:
    """A row for every case and metric, with what both sides say of it, ratio and standard error of its logarithm."""
    rows = cases.join(pl.DataFrame({"metric": list(metrics)}), how="cross")
    for prefix, side in (("a", before), ("b", after)):
        names = [name for name in FIGURE_SCHEMA if name not in ("case", "metric")]
        given = side.filter(pl.col("metric").is_in(list(metrics)))
        rows = rows.join(
            given.rename({name: f"{prefix}_figure_{name}" for name in names}),
            on=["case", "metric"],
            how="left",
            maintain_order="left",
        )
    error = [_log_error(rows, prefix) for prefix in ("a", "b")]
    return rows.with_columns(
        pl.when(pl.col("a_figure_value") != 0).then(pl.col("b_figure_value") / pl.col("a_figure_value")).alias("ratio"),
        (error[0] ** 2 + error[1] ** 2).sqrt().alias("spread"),
    ).with_columns(
        # The bounds of the two logarithms, put together as in Zou and Donner (2008).
        (pl.col("ratio") * (-_reach(("b", "low"), ("a", "high"))).exp()).alias("low"),
        (pl.col("ratio") * _reach(("b", "high"), ("a", "low")).exp()).alias("high"),
    )


def _log_error(rows: pl.DataFrame, prefix: str) -> pl.Expr:
    """Half the width of the interval on the log scale, in standard errors; null where there is none."""
    low, high, confidence = (pl.col(f"{prefix}_figure_{name}") for name in ("low", "high", "confidence"))
    known = rows[f"{prefix}_figure_confidence"].drop_nulls().unique().to_list()
    z = confidence.replace_strict({c: _z(c) for c in known}, default=None, return_dtype=pl.Float64)
    return pl.when(low > 0).then((high.log() - low.log()) / 2 / z)


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def _reach(*ends: tuple[str, str]) -> pl.Expr:
    """How far log(ratio) may lie away towards these ends of the two intervals."""
    parts = [pl.col(f"{prefix}_figure_{end}").log() - pl.col(f"{prefix}_figure_value").log() for prefix, end in ends]
    return (parts[0] ** 2 + parts[1] ** 2).sqrt()


@dataclass(frozen=True)
class _Reference:
    """By metric: the ratio of the reference case, and the standard error of its logarithm where it is known."""

    case: str
    ratios: dict[str, tuple[float, float | None]]
    invocations: int


def _reference(table: pl.DataFrame, cases: pl.DataFrame, glob: str) -> _Reference:
    both = cases.filter(pl.col("in_a") & pl.col("in_b"))["case"].to_list()
    fits = [case for case in both if case == glob or fnmatch.fnmatchcase(case, glob)]
    if len(fits) != 1:
        raise UserError(
            f"{glob!r} fits {len(fits)} cases that both have, and has to fit one",
            where="--normalise-by",
            remedy=f"name one of: {', '.join((fits or both)[:8])}",
        )
    rows = table.filter((pl.col("case") == fits[0]) & (pl.col("ratio") > 0)).to_dicts()
    fewest = min((_invocations(row) for row in rows), default=1)
    return _Reference(fits[0], {r["metric"]: (r["ratio"], r["spread"]) for r in rows}, fewest)


@dataclass(frozen=True)
class _Maker:
    """Makes a change of a joined row."""

    refusing: Sequence[Difference]
    allowed: Sequence[Difference]
    allow: frozenset[str]
    reference: _Reference | None
    glob: str | None

    def change(self, row: dict[str, Any]) -> Change:
        """The change, or why there is none."""
        case, metric = row["case"], row["metric"]
        unit = row["b_figure_unit"] or row["a_figure_unit"] or ""
        plain = Change(
            case=case,
            metric=metric,
            unit=unit,
            before=row["a_figure_value"],
            after=row["b_figure_value"] if row["b_figure_n"] else None,
            better=better_by(metric, row["b_judged_by"] or row["a_judged_by"]),
            after_processes=row["b_invocations"],
            after_low=row["b_figure_low"],
            after_high=row["b_figure_high"],
        )
        if row["b_status"] == "failed" and row["a_status"] == "ok":
            plain = _replaced(plain, broken=row["b_reason"] or "no reason is on record")
        absent = _absent(row)
        if absent is not None:
            return _replaced(plain, absent=absent)
        felt = kind(metric) == "felt"
        refused = self._refused(row, felt)
        if refused:
            return _replaced(plain, absent=f"not comparable: {'; '.join(refused)}", refused=True)
        labels = [f"allowed: {d.key}" for d in self.allowed if felt and _touches(d, case)]
        labels += [f"allowed: {key}" for key in CASE if key in self.allow and _differs(row, key)]
        if any((row[f"{side}_figure_how"] or "").startswith("estimated:") for side in ("a", "b")):
            labels.append("estimate")
        if not felt:
            return _replaced(plain, ratio=row["ratio"], basis="exact", n=row["b_figure_n"], labels=tuple(labels))
        n = _invocations(row)
        if self.reference is not None and case != self.reference.case:
            return self._normalised(plain, row, min(n, self.reference.invocations), labels)
        known = row["spread"] is not None
        return _replaced(
            plain,
            ratio=row["ratio"],
            low=row["low"],
            high=row["high"],
            confidence=row["b_figure_confidence"] if known else None,
            basis="intervals" if known else "none",
            n=n,
            spread=row["spread"],
            labels=tuple(labels),
        )

    def _normalised(self, plain: Change, row: dict[str, Any], n: int, labels: Sequence[str]) -> Change:
        assert self.reference is not None
        if plain.metric not in self.reference.ratios or row["ratio"] is None:
            return _replaced(plain, absent=f"{self.reference.case} has no {plain.metric} to normalise by")
        ratio, error = self.reference.ratios[plain.metric]
        spread = None if error is None or row["spread"] is None else math.hypot(error, row["spread"])
        value = row["ratio"] / ratio
        z = _z(_CONFIDENCE)
        return _replaced(
            plain,
            ratio=value,
            low=None if spread is None else value * math.exp(-z * spread),
            high=None if spread is None else value * math.exp(z * spread),
            confidence=None if spread is None else _CONFIDENCE,
            basis="none" if spread is None else "intervals",
            n=n,
            spread=spread,
            labels=(*labels, f"normalised by {self.reference.case}"),
        )

    def _refused(self, row: dict[str, Any], felt: bool) -> list[str]:
        keys = ["schema"] + (["scope"] if felt else ["data", "judged_by"] if kind(row["metric"]) == "quality" else [])
        found = [f"{key} differs" for key in keys if key not in self.allow and _differs(row, key)]
        normalised = self.reference is not None and row["case"] != self.reference.case
        if felt and not normalised:
            found += [str(d) for d in self.refusing if _touches(d, row["case"])]
        return found


def _replaced(change: Change, **fields: Any) -> Change:
    return msgspec.structs.replace(change, **fields)


def _absent(row: dict[str, Any]) -> str | None:
    """Why there is nothing to compare."""
    for prefix, name in (("a", "the baseline"), ("b", "the candidate")):
        if not row[f"in_{prefix}"]:
            return f"{name} has no such case"
        if row[f"{prefix}_figure_value"] is None:
            how = row[f"{prefix}_figure_how"]
            why = row[f"{prefix}_reason"] or (
                how.removeprefix("unavailable:") if how else "no such figure is on record"
            )
            return f"{name} has no value: {why}"
        if not row[f"{prefix}_figure_n"]:
            return f"{name} has no samples"
    return None


def _differs(row: dict[str, Any], key: str) -> bool:
    return bool(row[f"a_{key}"] != row[f"b_{key}"])


def _invocations(row: dict[str, Any]) -> int:
    return min(row["a_invocations"] or 1, row["b_invocations"] or 1)


def _touches(difference: Difference, case: str) -> bool:
    return difference.runtime is None or difference.runtime == runtime_of(case)


def _notes(cases: pl.DataFrame, before: Snapshot, after: Snapshot, allowed: Sequence[Difference]) -> tuple[str, ...]:
    both = cases.filter(pl.col("in_a") & pl.col("in_b"))
    only_a, only_b = cases.filter(~pl.col("in_b")).height, cases.filter(~pl.col("in_a")).height
    other = both.filter(pl.col("a_artifact") != pl.col("b_artifact")).height
    notes = [f"{len(both)} cases in both, {only_a} only in {before.label}, {only_b} only in {after.label}"]
    if other:
        notes.append(f"the artifact is another one in {other} of them")
    notes += [f"compared in spite of {d}" for d in allowed]
    notes += [f"{side.label}: {note}" for side in (before, after) for note in side.notes]
    return tuple(notes)
