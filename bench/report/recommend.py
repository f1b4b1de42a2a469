"""The recommendation in five lines, then the table of all choices; and the same as JSON."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from bench.analyse.cost import ALIKE
from bench.analyse.gains import difference
from bench.analyse.race import simplicity
from bench.record.codec import plain as as_plain
from bench.record.cost import Part
from bench.record.recommendation import (
    COST,
    MONTH,
    SERVED,
    Candidate,
    Constraint,
    Gain,
    Judged,
    Limit,
    Outcome,
    Ratio,
    Recommendation,
    Standing,
)
from bench.report.changes import SHARES, plain
from bench.report.choices import Names, amount, count, draw, figure, legend, needed, percent, title
from bench.report.table import ABSENT, Column, Table
from bench.report.units import digits

HEADS = ("choice", "gains", "rivals", "binds", "confidence")
NONE_HEADS = ("choice", "to relax", "nearest", "binds", "confidence")
"""What each of the five lines is about, with a choice and without one."""
STANDINGS: dict[Standing, str] = {
    "chosen": "chosen",
    "tied": "tied",
    "undecided": "undecided",
    "worse": "surely worse",
    "dominated": "dominated",
    "unsure": "not sure",
    "unknown": "not known",
    "missed": "missed",
    "failed": "failed",
}
OPTIONS: dict[Limit, str] = {
    "quality": "--min-accuracy",
    "p99": "--max-p99",
    "memory": "--max-memory",
    "size": "--max-size",
    "budget": "--budget",
    "traffic": "--traffic",
}
"""By which option each limit is set."""
_STYLES: dict[Standing, str] = {"chosen": "bold green", "tied": "green", "undecided": "yellow", "unsure": "yellow"}
_MARKS: dict[Outcome, str] = {"met": "✓", "missed": "✗", "unsure": "?", "unknown": "–"}
_NEAREST, _MOST = 2, 3


def show(console: Console, found: Recommendation) -> None:
    """Print the five lines and the table."""
    told = lines(found)
    for head, line in zip(heads(found), told, strict=True):
        label = Text(f"{head:<11}", style="bold")
        console.print(label + Text(line, style="green" if head == "choice" and found.chosen else ""), soft_wrap=True)
    console.print()
    names = Names(each.name for each in found.candidates)
    styles = [_STYLES.get(each.standing, "") for each in found.candidates]
    drawn = table(found)
    draw(console, drawn, styles, [names(each.name) for each in found.candidates])
    marked = legend(cell for column in drawn.columns for cell in column.cells)
    for note in (*marked, *found.unfinished, *found.notes):
        console.print(Text(f"• {plain(note)}", style="dim"), soft_wrap=True)


def document(found: Recommendation) -> dict[str, Any]:
    """What `--json` prints: the five lines, and every number behind them."""
    names = Names(each.name for each in found.candidates)
    told: dict[str, Any] = {"lines": dict(zip(heads(found), lines(found), strict=True)), **as_plain(found)}
    told["candidates"] = [
        {"name": each.name, "why": why(each, found, names), **as_plain(each)} for each in found.candidates
    ]
    return told


def heads(found: Recommendation) -> tuple[str, ...]:
    """What the five lines are about."""
    return NONE_HEADS if found.chosen is None else HEADS


def lines(found: Recommendation) -> tuple[str, str, str, str, str]:
    """The answer: the choice, what it gains, its rivals, the constraint that binds, the confidence."""
    names = Names(each.name for each in found.candidates)
    chosen = found.candidate(found.chosen)
    if chosen is None:
        told = (_none(found), _relax(found, names), _nearest(found, names), _most_missed(found), _doubt(found))
    else:
        told = (
            _choice(found, chosen),
            _gains(found, names),
            _rivals(found, names),
            _binds(found),
            _confidence(found, names),
        )
    label = "" if found.projected is None else f"projected to {found.projected}: "
    one, two, three, four, five = (label + plain(line) for line in told)
    return one, two, three, four, five


def table(found: Recommendation) -> Table:
    """A row a choice: objective, constraints, where it stands and why."""
    all_of = found.candidates
    names = Names(each.name for each in all_of)
    columns = [
        Column("choice", tuple(names(each.name) for each in all_of)),
        Column(_about(found), tuple(_objective(each, found) for each in all_of), 0, numeric=True),
    ]
    for at, constraint in enumerate(found.constraints):
        if constraint.metric != found.metric or constraint.on == "budget":
            cells = tuple(_held(constraint, each.judged[at]) for each in all_of)
            columns.append(Column(_limit(constraint, found), cells, 2, numeric=True))
    if found.traffic is not None:
        counts = tuple(_count(each.replicas) for each in all_of)
        columns.append(Column("replicas", counts, 1, numeric=True))
    columns += [
        Column("standing", tuple(STANDINGS[each.standing] for each in all_of)),
        Column("why", tuple(why(each, found, names) for each in all_of), 9),
    ]
    label = "" if found.projected is None else f"projected to {found.projected}"
    return Table(names.about(found.model, label), tuple(columns))


def why(candidate: Candidate, found: Recommendation, names: Names) -> str:
    """Why it is not the choice."""
    match candidate.standing:
        case "chosen":
            told = ""
        case "failed":
            told = f"failed: {candidate.choice.failure}"
        case "worse":
            told = f"surely worse: {_apart(candidate, found)}"
        case "dominated":
            told = _dominated(candidate, found, names)
        case "tied":
            told = f"as good within noise, and {_second(candidate, found)}"
        case "undecided" if candidate.gap:
            told = f"{_apart(candidate, found)}; which is better is not known without {', '.join(candidate.lacks)}"
        case "undecided":
            told = _join(f"{_apart(candidate, found)}, but the intervals meet", needed(candidate.more))
        case _:
            told = "; ".join(_faults(candidate, found))
    return plain(told)


def _faults(candidate: Candidate, found: Recommendation) -> list[str]:
    """Why it is not shown to be within the limits, or what its objective lacks."""
    told = [_fault(constraint, judged, found) for constraint, judged in _faulty(candidate, found)]
    if candidate.objective.value is None:
        reason = candidate.gap or candidate.objective.reason or ""
        if not any(judged.reason and judged.reason in reason for judged in candidate.judged):
            told.append(f"{_title(found.metric, found)} not known: {reason}")
    elif _lacks_more(candidate, found):
        told.append(f"{_title(found.metric, found)} {_objective(candidate, found)}, not known: {candidate.gap}")
    return told


def _dominated(candidate: Candidate, found: Recommendation, names: Names) -> str:
    about = [_title(metric, found) for metric in candidate.dominated_in]
    told = f"{names(candidate.dominated_by or '')} is surely as good or better in {_listed(about)}"
    if found.metric in candidate.dominated_in:
        return told
    return f"as good in {_title(found.metric, found)} within noise, but {told}"


def _second(candidate: Candidate, found: Recommendation) -> str:
    """Why one that ties goes second."""
    chosen = _one(found, found.chosen)
    if candidate.objective.is_estimate and not chosen.objective.is_estimate:
        return "it rests on an estimate"
    alike = simplicity(candidate.choice) == simplicity(chosen.choice)
    return "no simpler" if not alike else "no faster" if found.traffic is None else "of no more capacity"


def _lacks_more(candidate: Candidate, found: Recommendation) -> bool:
    """Whether a part of its cost is not known that is known of others."""
    return bool(set(candidate.lacks) - set(found.lacks))


def _choice(found: Recommendation, chosen: Candidate) -> str:
    told = f"{plain(chosen.name)}: {_about(found)} {_objective(chosen, found, words=True)}"
    if found.traffic is not None:
        told += f", {_counted(chosen.replicas, 'replica')}"
        if chosen.machines is not None and chosen.machines.figure.value is not None:
            told += f" on {_counted(chosen.machines, 'machine')} of {found.profile}"
        told += f" for {digits(found.traffic)} requests/s with {percent(found.headroom or 0, 0)} head-room"
    return told


def _objective(candidate: Candidate, found: Recommendation, *, words: bool = False) -> str:
    """The figure; a sum that lacks a part is a lower bound."""
    return figure(found.metric, candidate.objective, at_least=bool(candidate.lacks), words=words)


def _gains(found: Recommendation, names: Names) -> str:
    if found.reference is None:
        return "nothing to hold it against: none of the choices is an fp32 that works"
    if found.reference == found.chosen:
        return "it is fp32 itself"
    told = [_gain(gain, found) for gain in found.gains]
    return f"against {names(found.reference)}: {'; '.join(told)}"


def _rivals(found: Recommendation, names: Names) -> str:
    told = [f"{names(name)} ({why(_one(found, name), found, names)})" for name in found.rivals]
    return "; ".join(told) or "none: no other choice can be held against it"


def _binds(found: Recommendation) -> str:
    if not found.constraints:
        return "no constraint was given: the objective alone decides"
    told = [] if found.binding is None else [_tightened(found, found.binding)]
    held = _one(found, found.chosen).judged
    told += [
        f"{_limit(constraint, found)}: {plain(judged.reason)}"
        for constraint, judged in zip(found.constraints, held, strict=True)
        if judged.reason and judged.slack is None
    ]
    return "; ".join(told) or "none: no limit is near enough to change the choice"


def _tightened(found: Recommendation, judged: Judged) -> str:
    """How far the limit with the least slack could go with the choice still within it."""
    constraint = next(each for each in found.constraints if each.on == judged.on)
    assert judged.reach is not None
    assert judged.slack is not None
    reach = amount(constraint.metric, judged.reach, constraint.unit)
    told = f"could be tightened by {percent(judged.slack)}, to {reach}, and it still holds"
    return f"{_limit(constraint, found)}: {told}"


def _confidence(found: Recommendation, names: Names) -> str:
    told = []
    best = "by its interval no other choice is better"
    if found.sure:
        told.append(f"sure{' as far as the estimates hold' if found.estimates else ''}: {best}")
    elif not found.contenders:
        told.append(f"not sure, although {best}")
    else:
        ways = [_between(_one(found, name), found, names) for name in found.contenders[:_MOST]]
        rest = len(found.contenders) - len(ways)
        others = f" and {rest} more" if rest else ""
        known = " as far as the known parts go" if set(found.lacks) - set(ALIKE) else ""
        told.append(f"undecided between {1 + len(found.contenders)}{known}: against {', '.join(ways)}{others}")
    if found.accept_unsure and any(j.outcome != "met" for j in _one(found, found.chosen).judged):
        told.append("constraints are met by values only, as was accepted")
    return _join(*told, *map(plain, found.unfinished), *_doubts(found))


def _between(candidate: Candidate, found: Recommendation, names: Names) -> str:
    """What would decide against one: the limits that it is not known to keep first, as they come before the rest."""
    doubts = [_join(_title(c.metric, found), needed(j.more) or j.reason) for c, j in _faulty(candidate, found)]
    if not doubts and candidate.gap and not _lacks_more(candidate, found):
        return names(candidate.name)
    told = _join(*doubts) or needed(candidate.more) or candidate.gap or candidate.objective.reason or "not known"
    return f"{names(candidate.name)} ({plain(told)})"


def _doubts(found: Recommendation) -> list[str]:
    """What the answer rests on that was not measured."""
    chosen = found.candidate(found.chosen)
    told = [] if chosen is None or not found.lacks else [f"not known for any, so not counted: {plain(chosen.gap)}"]
    told += [plain(how.replace(":", ": ", 1)) for how in found.estimates]
    if found.example_price and any(m in (COST, MONTH) for m in (found.metric, *(c.metric for c in found.constraints))):
        told.append(f"the price is the example of {found.profile} ({found.price}): put yours there")
    return told


def _none(found: Recommendation) -> str:
    counts = [
        f"{many} {word}"
        for standing, word in STANDINGS.items()
        if (many := sum(each.standing == standing for each in found.candidates))
    ]
    asked = ", ".join(_limit(constraint, found) for constraint in found.constraints)
    kind = "is surely within" if found.undecidable else "is within"
    return f"none {kind} {asked or 'what was asked for'}: {', '.join(counts)}"


def _relax(found: Recommendation, names: Names) -> str:
    if found.relaxation is None:
        return "no change of the limits is known to make a choice feasible"
    changes = [
        f"{OPTIONS[limit.on]} from {amount(limit.metric, limit.limit, limit.unit)} "
        f"to {amount(limit.metric, limit.to, limit.unit)} (by {percent(limit.by)})"
        for limit in found.relaxation.limits
    ]
    return f"{' and '.join(changes)}: then {names(found.relaxation.choice)}"


def _nearest(found: Recommendation, names: Names) -> str:
    near = [each for each in found.candidates if each.standing in ("unsure", "unknown")]
    near = near or [each for each in found.candidates if each.standing == "missed"]
    told = [f"{names(each.name)} ({why(each, found, names)})" for each in near[:_NEAREST]]
    return "; ".join(told) or "every choice failed"


def _most_missed(found: Recommendation) -> str:
    counts = [
        sum(each.judged[at].outcome != "met" for each in found.candidates) for at in range(len(found.constraints))
    ]
    if not counts or not max(counts):
        return "no constraint: it is the figures that are missing"
    at = counts.index(max(counts))
    return f"{_limit(found.constraints[at], found)}: not surely met by {counts[at]} of {len(found.candidates)}"


def _doubt(found: Recommendation) -> str:
    if not found.undecidable:
        told = "every choice misses a limit or failed"
        return _join(
            f"{'not sure, although' if found.unfinished else 'sure:'} {told}", *found.unfinished, *_doubts(found)
        )
    ways = [needed(j.more) for each in found.candidates if each.standing == "unsure" for j in each.judged if j.more]
    evidence = dict.fromkeys(filter(None, ways[:_NEAREST]))
    unsure = any(each.standing == "unsure" for each in found.candidates)
    remedy = "--accept-unsure goes by values" if unsure and not found.accept_unsure else ""
    return _join("not enough evidence", *evidence, remedy, *found.unfinished, *_doubts(found))


def _faulty(candidate: Candidate, found: Recommendation) -> list[tuple[Constraint, Judged]]:
    """The limits that are not surely met; where no capacity is known, that is said once."""
    pairs = [p for p in zip(found.constraints, candidate.judged, strict=True) if p[1].outcome != "met"]
    twice = any(constraint.on == "traffic" and judged.outcome == "unknown" for constraint, judged in pairs)
    return [(c, j) for c, j in pairs if not (twice and c.metric == SERVED and j.figure.value is None)]


def _fault(constraint: Constraint, judged: Judged, found: Recommendation) -> str:
    limit = _limit(constraint, found)
    if judged.outcome == "unknown":
        return f"{limit} not known: {judged.reason}"
    if judged.outcome == "unsure":
        return (
            f"{limit} not sure: {_join(figure(constraint.metric, judged.figure), judged.reason, needed(judged.more))}"
        )
    value = figure(constraint.metric, judged.figure, at_least=judged.at_least)
    told = f"{limit} missed: {judged.reason if value == ABSENT else value}"
    return told if judged.slack is None or judged.slack >= 0 else f"{told}, by {percent(-judged.slack)}"


def _held(constraint: Constraint, judged: Judged) -> str:
    return f"{figure(constraint.metric, judged.figure, at_least=judged.at_least)} {_MARKS[judged.outcome]}"


def _limit(constraint: Constraint, found: Recommendation) -> str:
    if constraint.on == "traffic":
        return f"{digits(constraint.limit)} requests/s"
    sign = "≤" if constraint.better == "lower" else "≥"
    return f"{_title(constraint.metric, found)} {sign} {amount(constraint.metric, constraint.limit, constraint.unit)}"


def _title(metric: str, found: Recommendation) -> str:
    names = {MONTH: "cost a month", SERVED: "p99 under load", COST: _about(found)}
    return names[metric] if metric in names else title(metric, found.judged_by)


def _about(found: Recommendation) -> str:
    """What the objective is, in words."""
    if found.metric != COST:
        return title(found.metric, found.judged_by)
    money = next((each.money for each in found.candidates if each.money is not None), None)
    return "cost" if money is None else f"cost of {money.name}"


def _gain(gain: Gain, found: Recommendation) -> str:
    name = _title(gain.metric, found)
    if gain.difference is not None:
        change = _difference(gain.metric, gain.difference)
    elif gain.ratio is not None:
        change = _share(gain.ratio)
    else:
        change = "no ratio, as a part is not known" if any(gain.at_least) else "no ratio"
    sides = zip((gain.chosen, gain.reference), gain.at_least, strict=True)
    pair = " from ".join(figure(gain.metric, side, bounds=False, at_least=open_) for side, open_ in sides)
    return f"{name} {change} ({pair})"


def _apart(candidate: Candidate, found: Recommendation) -> str:
    """The objective of one within the limits beside that of the chosen one; both have a value."""
    chosen = _one(found, found.chosen)
    about = _title(found.metric, found)
    if found.metric in SHARES:
        return f"{about} {_difference(found.metric, difference(found.metric, candidate.objective, chosen.objective))}"
    if candidate.behind is not None:
        return f"{about} {_share(candidate.behind)}"
    return f"{about} {_objective(candidate, found)} against {_objective(chosen, found)}"


def _share(ratio: Ratio) -> str:
    """A ratio as a change: `-40.2 % [-41.0, -39.3]`."""
    if ratio.value == ratio.low == ratio.high == 1 or (ratio.value == 1 and ratio.low is None):
        return "unchanged"
    told = f"{100 * (ratio.value - 1):+,.1f} %"
    if ratio.low is None or ratio.high is None or ratio.low == ratio.high:
        return told
    high = "" if ratio.high == float("inf") else f"{100 * (ratio.high - 1):,.1f}"
    return f"{told} [{100 * (ratio.low - 1):,.1f}, {high}]"


def _difference(metric: str, found: Ratio) -> str:
    """Of shares in points of a hundred, else as it is."""
    scale, unit = (100.0, " pt") if metric in SHARES else (1.0, "")
    told = f"{scale * found.value:+.2f}{unit}"
    if found.low is None or found.high is None:
        return told
    return f"{told} [{scale * found.low:.2f}, {scale * found.high:.2f}]"


def _counted(part: Part | None, word: str) -> str:
    told = _count(part)
    return f"{told} {word}" if told == "1" else f"{told} {word}s"


def _count(part: Part | None) -> str:
    """A number of replicas or machines, with its ends where they differ."""
    if part is None or part.figure.value is None:
        return ABSENT
    found = part.figure
    told = count(part.figure.value)
    if found.low is None or found.high is None or found.low == found.high:
        return told
    return f"{told} [{count(found.low)}, {count(found.high)}]"


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _one(found: Recommendation, name: str | None) -> Candidate:
    candidate = found.candidate(name)
    assert candidate is not None
    return candidate


def _join(*parts: str) -> str:
    return "; ".join(filter(None, parts))
