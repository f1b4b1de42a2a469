"""The choice that meets every constraint at the best objective, its rivals, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analyse.appraise import Asked, Bills, appraise, settle
from bench.analyse.constraints import constraints, relaxation
from bench.analyse.cost import Terms, hour_price
from bench.analyse.gains import gains
from bench.analyse.pareto import way
from bench.analyse.race import FEASIBLE, REFERENCE, run, worth
from bench.record.choice import Choice
from bench.record.metric import METRICS, Direction
from bench.record.recommendation import COST, Candidate, Gain, Judged, Recommendation

_MOST_RIVALS = 2
"""Of those that lost although their objective is better, and of those that are worse."""


def recommend(
    choices: Sequence[Choice], asked: Asked, bills: Bills | None = None, unfinished: Sequence[str] = ()
) -> Recommendation:
    """The answer for the choices of one model.

    Only what surely meets every constraint is chosen, unless point values are accepted. A choice is not chosen where
    another one surely dominates it, see `bench.analyse.race.run`. `bills` is what costs rest on; None: there are no
    costs. `unfinished` says why the run may have more to say; nothing is sure then.
    """
    judged_by = next((choice.judged_by for choice in choices if choice.judged_by), None)
    currency, profile = ("USD", None) if bills is None else (bills.terms.money, bills.terms.profile)
    wanted = constraints(asked, judged_by, currency)
    better: Direction = "lower" if asked.metric == COST else way(asked.metric, judged_by)
    found = settle([appraise(choice, asked, bills) for choice in choices])
    race = run(found, asked, wanted, better, judged_by)
    chosen = race.chosen
    reference = _reference(chosen, race.candidates, better)
    gained: tuple[Gain, ...] = ()
    if chosen is not None and reference is not None and chosen is not reference:
        by_name = {each.choice.name: each for each in found}
        metrics = [asked.metric, *(c.metric for c in wanted), asked.quality, "p50_latency", "size"]
        gained = gains(by_name[chosen.name], by_name[reference.name], metrics, judged_by)
    surely_within = chosen is not None and all(each.outcome == "met" for each in chosen.judged)
    return Recommendation(
        model=choices[0].model if choices else "",
        objective=asked.objective,
        metric=asked.metric,
        better=better,
        unit=currency if asked.metric == COST else METRICS[asked.metric].unit,
        constraints=wanted,
        candidates=race.candidates,
        chosen=None if chosen is None else chosen.name,
        reference=None if reference is None else reference.name,
        gains=gained,
        rivals=_rivals(chosen, race.candidates, better),
        binding=_binding(chosen),
        sure=surely_within and not race.contenders and not unfinished,
        contenders=race.contenders,
        relaxation=relaxation(wanted, race.open, accept_unsure=asked.accept_unsure) if chosen is None else None,
        traffic=asked.traffic,
        headroom=None if asked.traffic is None else asked.headroom,
        projected=next((choice.projected for choice in choices if choice.projected), None),
        accept_unsure=asked.accept_unsure,
        judged_by=judged_by,
        lacks=race.lacks,
        unfinished=tuple(unfinished),
        estimates=_estimates(chosen, race.candidates, gained),
        notes=() if chosen is None else chosen.choice.warnings,
        profile=None if profile is None else profile.name,
        price=None if bills is None else _price(bills.terms),
        example_price=profile is not None and profile.price is not None and profile.price.example,
    )


def _reference(chosen: Candidate | None, candidates: Sequence[Candidate], better: Direction) -> Candidate | None:
    """float32 on the same runtime and settings, on the same runtime, or whichever is best by the objective."""
    plain = [c for c in candidates if c.choice.base == REFERENCE and c.choice.failure is None]
    if chosen is None or not plain:
        return None
    own = chosen.choice

    def nearness(candidate: Candidate) -> tuple[bool, bool, float, str]:
        choice = candidate.choice
        alike = (choice.threads, choice.batch, choice.options) == (own.threads, own.batch, own.options)
        return choice.target != own.target, not alike, worth(candidate.objective, better), choice.name

    return min(plain, key=nearness)


def _rivals(chosen: Candidate | None, candidates: Sequence[Candidate], better: Direction) -> tuple[str, ...]:
    """Those with a better objective that may not be chosen, best first; then the nearest of the others."""
    if chosen is None:
        return ()
    others = [c for c in candidates if c is not chosen and c.objective.value is not None]
    known = sorted(((worth(c.objective, better), c.name, c) for c in others), key=lambda each: each[:2])
    mine = worth(chosen.objective, better)
    out = [name for value, name, c in known if value < mine and c.standing not in FEASIBLE]
    near = [name for _, name, c in known if c.standing in FEASIBLE]
    return (*out[:_MOST_RIVALS], *near[:_MOST_RIVALS])


def _binding(chosen: Candidate | None) -> Judged | None:
    """The constraint with the least slack that is known."""
    known = [] if chosen is None else [(each.slack, each) for each in chosen.judged if each.slack is not None]
    return min(known, key=lambda pair: pair[0])[1] if known else None


def _estimates(chosen: Candidate | None, candidates: Sequence[Candidate], gained: Sequence[Gain]) -> tuple[str, ...]:
    """What the answer rests on that was not measured: in the figures of the chosen one, and in those it was held to."""
    if chosen is None:
        return ()
    figures = [chosen.objective, *(each.figure for each in chosen.judged), *(gain.chosen for gain in gained)]
    figures += [each.objective for each in candidates if each.standing in FEASIBLE]
    told = [figure.how for figure in figures if figure.how.startswith(("estimated:", "projected:"))]
    return tuple(dict.fromkeys(told))


def _price(terms: Terms) -> str:
    """What an hour of the machine costs, or why that is not known."""
    price = hour_price(terms)
    return price.formula or price.figure.reason or ""
