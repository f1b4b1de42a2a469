"""Which figures of different machines may be held against each other.

That the machines differ is the question here; what was measured, on what and how has to be the same all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bench.analyse.comparable import ALL_KEYS, CASE
from bench.analyse.kinds import kind
from bench.errors import unknown
from bench.record.measurement import Measurement

ARTIFACT, METHOD, UNIT = "artifact", "method", "unit"
KEYS = (*CASE, ARTIFACT, METHOD)
"""What may be let differ by `--allow-mismatch`, beside the keys of the machine, which may anyway."""
_ENERGY = ("energy", "energy_net", "power", "idle_power")
_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What a figure is of. `artifacts` are the SHA-256 of its variant's files by format, in the same run.

    `source` is that of the model that they were made from; `format` that of the file which was run.
    """

    runtime: str
    data: str | None
    judged_by: str | None
    scope: str | None
    schema: int
    format: str | None
    source: str | None
    artifacts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Unlike:
    """One key in which figures differ, with the values in the order in which they occur."""

    key: str
    values: tuple[str | None, ...]

    def __str__(self) -> str:
        if self.key in (ARTIFACT, METHOD, UNIT):
            return f"{self.key} differs ({' against '.join(value or 'not known' for value in self.values)})"
        return f"{self.key} differs"


def check_keys(keys: Collection[str]) -> None:
    """Raises `UserError` for a key that nothing is compared by."""
    for key in keys:
        if key not in ALL_KEYS and key not in KEYS:
            raise unknown("key", key, ALL_KEYS | set(KEYS), where="--allow-mismatch")


def unlike(metric: str, figures: Sequence[tuple[Measurement, Basis]]) -> list[Unlike]:
    """In what figures of one metric differ that makes them figures of different things.

    As the gate has it: the schema always, the timing scope of what a machine felt, evaluation data and metric of
    quality. Beside that the artifact, as a variant that was exported twice is two, the method where it decides what is
    measured, and the unit. Runtimes word their scopes differently: of two runtimes only its kind counts.
    """
    found: dict[tuple[str, str], dict[str | None, None]] = {}

    def add(key: str, group: str, value: str | None) -> None:
        found.setdefault((key, group), {})[value] = None

    for figure, basis in figures:
        add(UNIT, "", figure.unit)
        add("schema", "", str(basis.schema))
        if kind(metric) == "felt":
            add("scope", "", None if basis.scope is None else basis.scope.partition(":")[0])
            add("scope", basis.runtime, basis.scope)
        if kind(metric) == "quality":
            add("data", "", basis.data)
            add("judged_by", "", basis.judged_by)
        add(METHOD, "", _method(metric, figure))
    for form, files in _files([basis for _, basis in figures]).items():
        for value in files:
            add(ARTIFACT, form, value)
    unlike_ones: dict[str, Unlike] = {}
    for (key, _), values in found.items():
        if len(values) > 1:
            unlike_ones.setdefault(key, Unlike(key, tuple(values)))
    return list(unlike_ones.values())


def labels(metric: str, one: tuple[Measurement, Basis], other: tuple[Measurement, Basis]) -> list[str]:
    """What qualifies a ratio of two figures that may be compared."""
    told = []
    if one[0].is_estimate != other[0].is_estimate and metric in _ENERGY:
        told.append("an estimate against a measurement")
    sources = [_source(figure) for figure, _ in (one, other)]
    if metric in _ENERGY and not one[0].is_estimate and not other[0].is_estimate and sources[0] != sources[1]:
        told.append(f"measured by {sources[0]} against {sources[1]}")
    forms = [basis.format for _, basis in (one, other)]
    if None not in forms and forms[0] != forms[1]:
        told.append(f"{forms[0]} against {forms[1]}")
    return told


def _files(bases: Sequence[Basis]) -> dict[str, list[str]]:
    """What to hold against each other, by format: the files that were run.

    Where their formats differ, the other files of the same variant too, as they came of one export, and what the model
    was made from.
    """
    run = {basis.format for basis in bases if basis.format is not None}
    files: dict[str, list[str]] = {
        form: [sha for basis in bases for name, sha in basis.artifacts if name == form] for form in sorted(run)
    }
    shown = {form: [f"{form} {sha[:_SHOWN]}" for sha in shas] for form, shas in files.items()}
    if len(run) > 1:
        shown["source"] = [f"made from {basis.source[:_SHOWN]}" for basis in bases if basis.source is not None]
    return shown


def _method(metric: str, figure: Measurement) -> str | None:
    """How it was measured, as far as that decides what is in it; an estimate is labelled instead."""
    if figure.is_estimate:
        return "of the devices that it ran on"
    if metric in _ENERGY:
        if "(GPU alone" in figure.how:
            return "of the GPU alone"
        return "of the whole module" if "ina3221" in figure.how else "of the devices that it ran on"
    return figure.how if metric == "peak_rss" else ""


def _source(figure: Measurement) -> str:
    return figure.how.partition(":")[2].partition(" (")[0].partition(";")[0]
