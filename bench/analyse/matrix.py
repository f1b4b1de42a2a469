"""Variants by targets: the best configuration of each variant on each machine, held against those of a reference."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from bench.analyse.alike import Unlike, check_keys, labels, unlike
from bench.analyse.comparable import ALL_KEYS, RUNTIME_PACKAGES, machine_differences
from bench.analyse.compare import compare
from bench.analyse.entries import Entry, Key, Side, entries, keys_of
from bench.analyse.kinds import check_metrics, kind
from bench.errors import UserError, unknown
from bench.record.comparison import Change
from bench.record.matrix import Across, Cell, Line, Mark, Matrix, Target
from bench.record.measurement import Measurement
from bench.record.metric import METRICS, Direction
from bench.record.observation import Plan
from bench.record.recommendation import COST
from bench.stats import dominance
from bench.store.columns import case_columns, figure_columns
from bench.store.snapshot import Snapshot, fingerprint

_ZERO = "there is no ratio to 0"
_PACKAGES = {key: runtime for runtime, keys in RUNTIME_PACKAGES.items() for key in keys}


@dataclass(frozen=True)
class _Picked:
    """What stands in a cell: an entry with a figure, or only why there is none."""

    figure: Measurement
    entry: Entry | None = None
    among: int = 0
    rivals: tuple[str, ...] = ()


def check_asked(metrics: Sequence[str]) -> None:
    """Raises `UserError` for what is neither a metric nor the cost."""
    check_metrics(name for name in metrics if name != COST)


def across(
    sides: Sequence[Side],
    metrics: Sequence[str],
    *,
    reference: str | None = None,
    only: Sequence[str] = (),
    each: bool = False,
    allow: Collection[str] = (),
) -> Across:
    """A matrix for each of `metrics` (`cost` among them) over the targets of `sides`, in their order.

    In a cell stands the best configuration that ran well there; with `each` every configuration has a line of its own.
    `reference` names the target that ratios are to; the first unless given. `only` are globs on names of cases. `allow`
    are keys of `bench.analyse.alike.KEYS` in which figures may differ and still be held against each other.

    Raises:
        UserError: no such metric, key or target; no side; or no line that two targets have.
    """
    check_keys(allow)
    check_asked(metrics)
    if not sides:
        raise UserError("there is no run to compare", where="RUN", remedy="name two runs or more")
    at = _reference([side.target for side in sides], reference)
    told = [_told(side, sides[at]) for side in sides]
    matrices = tuple(_matrix(told, at, metric, only, each, frozenset(allow)) for metric in dict.fromkeys(metrics))
    _check_shared(matrices, told)
    return Across(
        targets=tuple(side.target for side in told), reference=told[at].target.name, each=each, matrices=matrices
    )


def _reference(targets: Sequence[Target], word: str | None) -> int:
    """The place of the target that `word` names: its name, profile, machine or run, or a unique start of one."""
    if word is None:
        return 0
    names = [[each for each in (t.name, t.profile, t.machine, t.run) if each] for t in targets]
    exact = [at for at, mine in enumerate(names) if word in mine]
    hits = exact or [at for at, mine in enumerate(names) if word and any(name.startswith(word) for name in mine)]
    if len(hits) > 1:
        raise UserError(
            f"{word!r} means {len(hits)} targets",
            where="--reference",
            remedy=f"name one of: {', '.join(targets[at].name for at in hits)}",
        )
    if not hits:
        raise unknown("target", word, [target.name for target in targets], where="--reference")
    return hits[0]


def _told(side: Side, reference: Side) -> Side:
    """The side with what its target has to say of the reference's."""
    if side is reference:
        return side
    mine, theirs = (fingerprint(each.manifest.environment) for each in (side, reference))
    differs = {each.key: (each.before, each.after) for each in machine_differences(theirs, mine)}
    notes = [*side.target.notes, *_plans(reference.manifest.plan, side.manifest.plan)]
    return replace(side, target=msgspec.structs.replace(side.target, differs=differs, notes=tuple(notes)))


def _plans(reference: Plan, here: Plan) -> list[str]:
    """That it was measured longer, more closely or more often, or less."""
    one, other = (msgspec.structs.asdict(plan) for plan in (reference, here))
    found = [f"{name} {other[name]} against {one[name]}" for name in one if name != "seed" and one[name] != other[name]]
    return [f"measured by another plan than the reference: {', '.join(found)}"] if found else []


def _check_shared(matrices: Sequence[Matrix], sides: Sequence[Side]) -> None:
    lines = [line for matrix in matrices for line in matrix.lines]
    # One that has no row yet has no case in common with any, and says so of itself.
    if sum(bool(side.rows) for side in sides) > 1 and not any(
        sum(cell.among > 0 for cell in line.cells) > 1 for line in lines
    ):
        raise UserError(
            f"no two of {', '.join(side.target.run for side in sides)} have a case in common",
            where="RUN, --only",
            remedy="compare runs of the same suite; `bench show RUN` lists the cases of one",
        )


def _matrix(
    sides: Sequence[Side], at: int, metric: str, only: Sequence[str], each: bool, allow: frozenset[str]
) -> Matrix:
    found = [entries(side, metric, only, each=each) for side in sides]
    keys = keys_of([found[at], *(mine for place, mine in enumerate(found) if place != at)])
    picked = [
        {key: _pick(mine.get(key, []), metric, side) for key in keys} for mine, side in zip(found, sides, strict=True)
    ]
    changes = [
        _changes(metric, sides[at], picked[at], side, mine, allow) if place != at else _itself(metric, mine)
        for place, (side, mine) in enumerate(zip(sides, picked, strict=True))
    ]
    lines = []
    for key in keys:
        row = [mine[key] for mine in picked]
        marks, unmarked = _marks(metric, row, allow)
        lines.append(
            Line(
                name=key.name,
                model=key.model,
                variant=key.variant,
                batch=key.batch,
                scenario=key.scenario,
                options=dict(key.options),
                setting=key.setting,
                better=_first(found, key).better,
                judged_by=_first(found, key).judged_by,
                cells=tuple(
                    _cell(one, change.get(key.name), mark)
                    for one, change, mark in zip(row, changes, marks, strict=True)
                ),
                unmarked=unmarked,
            )
        )
    return Matrix(metric=metric, lines=tuple(lines))


def _first(found: Sequence[Mapping[Key, Sequence[Entry]]], key: Key) -> Entry:
    return next(mine[key][0] for mine in found if key in mine)


def _pick(given: Sequence[Entry], metric: str, side: Side) -> _Picked:
    """The best of the configurations that ran well; by name where two are equal."""
    able = sorted((entry for entry in given if entry.counts), key=lambda entry: entry.configuration)
    if not able:
        return _Picked(figure=_absent(given, metric, side), among=len(given))
    way = able[0].better
    if way == "neither":
        if len({entry.figure.value for entry in able}) > 1:
            why = f"no value of {metric} is better than another: --each shows those of {len(able)} configurations"
            return _Picked(figure=Measurement.unavailable(able[0].figure.unit, why), among=len(given))
        return _Picked(able[0].figure, able[0], len(given))
    standings = _standings(able, way)
    left = [entry for entry, standing in zip(able, standings, strict=True) if standing != "off"]
    # A lower bound may lie anywhere above: what is known whole goes first.
    best = min(left, key=lambda entry: (bool(entry.lacks), _worth(entry, way)))
    rivals = tuple(entry.configuration for entry in left if entry is not best)
    return _Picked(best.figure, best, len(given), rivals)


def _standings(able: Sequence[Entry], way: Direction) -> list[dominance.Standing]:
    assert way != "neither"
    return dominance.standings([[entry.bounds] for entry in able if entry.bounds is not None], [way])


def _worth(entry: Entry, way: Direction) -> float:
    assert entry.figure.value is not None
    return entry.figure.value if way == "lower" else -entry.figure.value


def _absent(given: Sequence[Entry], metric: str, side: Side) -> Measurement:
    """Why a cell has no figure: those that ran say why they have none, else why none ran."""
    unit = given[0].figure.unit if given else METRICS[metric].unit if metric in METRICS else ""
    if not given:
        done = side.manifest.status == "complete"
        return Measurement.unavailable(
            unit, "not part of that run" if done else "not measured, or not part of that run"
        )
    ran = [entry for entry in given if entry.fault is None]
    reasons = [entry.figure.reason or "" for entry in ran] or [entry.fault or "" for entry in given]
    return Measurement.unavailable(unit, "; ".join(dict.fromkeys(reasons)))


def _cell(picked: _Picked, change: Change | None, mark: Mark | None) -> Cell:
    entry = picked.entry
    if entry is None:
        return Cell(figure=picked.figure, among=picked.among)
    return Cell(
        figure=picked.figure,
        configuration=entry.configuration,
        setting=entry.setting,
        among=picked.among,
        rivals=picked.rivals,
        at_least=bool(entry.lacks),
        lacks=entry.lacks,
        invocations=entry.invocations,
        artifact=entry.artifact,
        change=change,
        mark=mark,
    )


def _marks(metric: str, row: Sequence[_Picked], allow: frozenset[str]) -> tuple[list[Mark | None], str | None]:
    """Which cells of a line are the best, or may be; and why none is marked where that cannot be said."""
    none: list[Mark | None] = [None] * len(row)
    known = {at: one.entry for at, one in enumerate(row) if one.entry is not None}
    if len(known) < 2:
        return none, None
    able = list(known.values())
    way = able[0].better
    differing = [each for each in unlike(metric, [(e.figure, e.basis) for e in able]) if each.key not in allow]
    if differing:
        return none, f"not comparable: {'; '.join(map(str, differing))}"
    if way == "neither" or (len({entry.figure.value for entry in able}) == 1 and not any(e.lacks for e in able)):
        return none, f"no value of {metric} is better than another" if way == "neither" else "all are equal"
    places = [at for at, standing in zip(known, _standings(able, way), strict=True) if standing != "off"]
    mark: Mark = "best" if len(places) == 1 else "tied"
    return [mark if at in places else None for at in range(len(row))], None


def _itself(metric: str, mine: Mapping[Key, _Picked]) -> dict[str, Change]:
    """The reference against itself: 1, whatever its noise."""
    return {
        key.name: _plain(key.name, metric, one, one, ratio=1.0, basis="exact", n=one.entry.n)
        for key, one in mine.items()
        if one.entry is not None
    }


def _changes(
    metric: str,
    reference: Side,
    theirs: Mapping[Key, _Picked],
    side: Side,
    mine: Mapping[Key, _Picked],
    allow: frozenset[str],
) -> dict[str, Change]:
    """From the reference to a target, by line: only of lines in which both have a figure."""
    both = {key: (one.entry, mine[key].entry) for key, one in theirs.items()}
    pairs = {key: (a, b) for key, (a, b) in both.items() if a is not None and b is not None}
    before, after = (
        _snapshot(which, metric, {key: pair[place] for key, pair in pairs.items()})
        for place, which in enumerate((reference, side))
    )
    # What may not be compared is refused below, by what the figures are of: here all have the names of their lines.
    ratios = {change.case: change for change in compare(before, after, [metric], allow=ALL_KEYS).changes}
    found = {}
    for key, (a, b) in pairs.items():
        differing = unlike(metric, [(b.figure, b.basis), (a.figure, a.basis)])
        refusing = [each for each in differing if each.key not in allow]
        if refusing:
            told = f"not comparable: {'; '.join(map(str, refusing))}"
            found[key.name] = _plain(key.name, metric, theirs[key], mine[key], absent=told, refused=True)
            continue
        change = ratios[key.name]
        absent = change.absent
        if a.lacks or b.lacks:
            absent = f"a part is not known: {', '.join(dict.fromkeys((*a.lacks, *b.lacks)))}"
        elif change.ratio is None:
            absent = absent or _ZERO
        if absent is not None:
            found[key.name] = _plain(key.name, metric, theirs[key], mine[key], absent=absent)
            continue
        found[key.name] = msgspec.structs.replace(
            change, labels=(*_allowed(differing), *_qualified(metric, a, b, side, change))
        )
    return found


def _allowed(differing: Sequence[Unlike]) -> list[str]:
    return [f"allowed: {each}" for each in differing]


def _qualified(metric: str, a: Entry, b: Entry, side: Side, change: Change) -> list[str]:
    told = [label for label in change.labels if not label.startswith("allowed: ")]
    told += [f"{b.setting} against {a.setting}"] if a.setting != b.setting else []
    told += labels(metric, (b.figure, b.basis), (a.figure, a.basis))
    if kind(metric) == "felt":
        runtimes = {a.basis.runtime, b.basis.runtime}
        told += [
            f"{key.removeprefix('package:')} {here or 'not there'} against {there or 'not there'}"
            for key, (there, here) in side.target.differs.items()
            if _PACKAGES.get(key) in runtimes
        ]
    return list(dict.fromkeys(told))


def _plain(case: str, metric: str, theirs: _Picked, mine: _Picked, **fields: object) -> Change:
    entry = mine.entry
    return Change(
        case=case,
        metric=metric,
        unit=mine.figure.unit,
        before=theirs.figure.value,
        after=mine.figure.value,
        after_low=mine.figure.low,
        after_high=mine.figure.high,
        after_processes=None if entry is None else entry.invocations,
        **fields,  # type: ignore[arg-type]
    )


def _snapshot(side: Side, metric: str, chosen: Mapping[Key, Entry]) -> Snapshot:
    """The chosen configurations under the names of their lines, as runs are compared."""
    return Snapshot(
        label=side.target.name,
        created=side.manifest.created,
        machine=fingerprint(side.manifest.environment),
        cases=case_columns(
            [
                {
                    "case": key.name,
                    "status": "ok",
                    "judged_by": entry.judged_by,
                    "invocations": entry.invocations,
                    "schema": entry.basis.schema,
                }
                for key, entry in chosen.items()
            ]
        ),
        figures=figure_columns(
            # A computed figure has no samples of its own, but rests on some.
            (key.name, metric, msgspec.structs.replace(entry.figure, n=entry.n))
            for key, entry in chosen.items()
        ),
    )
