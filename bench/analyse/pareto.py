"""Which choices are surely on the Pareto front, surely off it, or undecided, and what would decide."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.analyse.intervals import interval, more
from bench.analyse.kinds import better, better_by
from bench.errors import UserError
from bench.record.choice import Choice
from bench.record.front import Blocker, Front, More, Placed, Standing
from bench.record.measurement import Measurement
from bench.record.metric import METRICS, Direction
from bench.stats import dominance
from bench.stats.dominance import Interval

QUALITY, COSTS = "accuracy", ("p50_latency", "size")
_STANDINGS: dict[dominance.Standing, Standing] = {"on": "on", "maybe": "undecided", "off": "off"}


def way(metric: str, judged_by: str | None) -> Direction:
    """Which way the metric is better where the task is judged by `judged_by`."""
    return better_by(metric, judged_by) or better(metric)


def default_metrics(choices: Sequence[Choice]) -> tuple[str, ...]:
    """Quality where a choice has one, median latency and size."""
    judged = any(QUALITY in c.figures and c.figures[QUALITY].value is not None for c in choices)
    return (QUALITY, *COSTS) if judged else COSTS


def fronts(choices: Sequence[Choice], metrics: Sequence[str] = ()) -> tuple[Front, ...]:
    """A front for each model, as qualities on different data have no order. Raises as `front`."""
    models = dict.fromkeys(choice.model for choice in choices)
    return tuple(front([choice for choice in choices if choice.model == model], metrics) for model in models)


def front(choices: Sequence[Choice], metrics: Sequence[str] = ()) -> Front:
    """The front of choices of one model over `metrics`; none given: `default_metrics`.

    Intervals are taken as the ends of what each figure may be (`bench.stats.dominance`). How many more samples would
    decide takes the middles for true and half-widths that shrink as 1/√n.

    Raises:
        UserError: no value of a metric is better than another.
    """
    names = tuple(dict.fromkeys(metrics)) or default_metrics(choices)
    judged_by = next((c.judged_by for c in choices if c.judged_by is not None), None)
    ways = {name: way(name, judged_by) for name in names}
    for name, direction in ways.items():
        if direction == "neither":
            raise UserError(f"no value of {name} is better than another", where="--metric", remedy="give another one")
    boxes: dict[int, list[Interval]] = {}
    for at, choice in enumerate(choices):
        if missing(choice, names) is None:
            boxes[at] = [_known(name, choice.figures[name]) for name in names]
    return Front(
        model=choices[0].model if choices else "",
        better=ways,
        placed=tuple(_placed(at, choices, boxes, ways) for at in range(len(choices))),
        judged_by=judged_by,
    )


def standings(choices: Sequence[Choice], metrics: Sequence[str], ways: Mapping[str, Direction]) -> tuple[Standing, ...]:
    """Where each choice stands, as `front` says but without who keeps it off: quick, for many pairs of metrics."""
    boxes = {
        at: [_known(name, choice.figures[name]) for name in metrics]
        for at, choice in enumerate(choices)
        if missing(choice, metrics) is None
    }
    turned = _ways({name: ways[name] for name in metrics})
    found = dict(zip(boxes, dominance.standings(list(boxes.values()), turned), strict=True))
    return tuple(_STANDINGS[found[at]] if at in found else "not placed" for at in range(len(choices)))


def missing(choice: Choice, metrics: Sequence[str]) -> str | None:
    """Why the choice cannot be placed: it failed, or has no such figure."""
    if choice.failure is not None:
        return f"failed: {choice.failure}"
    reasons: dict[str, list[str]] = {}
    for name in metrics:
        figure = choice.figures.get(name)
        if figure is None or figure.value is None:
            reasons.setdefault(figure.reason if figure and figure.reason else "not measured", []).append(name)
    told = [f"{', '.join(METRICS[n].title if n in METRICS else n for n in names)}: {r}" for r, names in reasons.items()]
    return "; ".join(told) or None


def surely_dominated(
    choice: Choice, others: Sequence[Choice], better_way: dict[str, Direction], boxes: dict[str, dict[str, Interval]]
) -> str | None:
    """The first of `others` that surely dominates `choice`; `boxes` are the intervals by name of choice and metric."""
    ways = _ways(better_way)
    mine = [boxes[choice.name][metric] for metric in better_way]
    for other in others:
        theirs = [boxes[other.name][metric] for metric in better_way]
        if other.name != choice.name and dominance.dominates(theirs, mine, ways) == "surely":
            return other.name
    return None


def _placed(
    at: int, choices: Sequence[Choice], boxes: dict[int, list[Interval]], better_way: dict[str, Direction]
) -> Placed:
    choice = choices[at]
    figures = {name: choice.figures[name] for name in better_way if name in choice.figures}
    standing: Standing = "not placed"
    by: tuple[Blocker, ...] = ()
    needed: More | None = None
    if at in boxes:
        by, needed = _against(at, choices, boxes, better_way)
        standing = "off" if any(each.surely for each in by) else "undecided" if by else "on"
    return Placed(
        choice=choice.name,
        variant=choice.variant,
        standing=standing,
        figures=figures,
        by=by,
        more=needed,
        why=missing(choice, tuple(better_way)),
        projected=choice.projected,
    )


def _against(
    at: int, choices: Sequence[Choice], boxes: dict[int, list[Interval]], better_way: dict[str, Direction]
) -> tuple[tuple[Blocker, ...], More | None]:
    """Who dominates the choice, surely if anyone does so, else possibly; and what would decide where it stands."""
    ways = _ways(better_way)
    verdicts = {o: dominance.dominates(boxes[o], boxes[at], ways) for o in boxes if o != at}
    surely = [o for o, verdict in verdicts.items() if verdict == "surely"]
    if surely:
        return tuple(Blocker(choice=choices[o].name, surely=True) for o in surely), None
    mine = _values(choices[at], better_way)
    open_to: list[tuple[float, bool, Blocker]] = []
    for other in (o for o, verdict in verdicts.items() if verdict == "possibly"):
        theirs = _values(choices[other], better_way)
        times, where = dominance.times_to_decide(boxes[other], boxes[at], (theirs, mine), ways)
        metric = list(better_way)[where]
        needed = more(metric, times, choices[other].figures[metric], choices[at].figures[metric])
        # By its middles it dominates, so that deciding the pair is enough to be off.
        beats = dominance.dominates([(v, v) for v in theirs], [(v, v) for v in mine], ways) == "surely"
        open_to.append((times, beats, Blocker(choice=choices[other].name, surely=False, more=needed)))
    open_to.sort(key=lambda each: (each[0], each[2].choice))
    beaten = [each for each in open_to if each[1]]
    decisive = beaten[0] if beaten else open_to[-1] if open_to else None
    return tuple(each[2] for each in open_to), decisive[2].more if decisive else None


def _ways(better_way: dict[str, Direction]) -> list[dominance.Direction]:
    return ["higher" if direction == "higher" else "lower" for direction in better_way.values()]


def _values(choice: Choice, metrics: dict[str, Direction]) -> list[float]:
    found = [choice.figures[name].value for name in metrics]
    return [math.nan if value is None else value for value in found]


def _known(metric: str, figure: Measurement) -> Interval:
    found = interval(metric, figure)
    assert found is not None
    return found
