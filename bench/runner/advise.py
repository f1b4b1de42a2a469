"""From a kept run and what is asked to a recommendation: which model, which machine, at which prices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from pathlib import Path

import msgspec

from bench.analyse.appraise import Asked, Bills
from bench.analyse.choices import choices_of, unfinished
from bench.analyse.cost import Terms, terms_for, terms_of
from bench.analyse.device import device
from bench.analyse.kinds import QUALITY
from bench.analyse.pareto import way
from bench.analyse.project import project
from bench.analyse.recommend import recommend
from bench.errors import UserError, unknown
from bench.hardware.load import load_profile
from bench.hardware.stated import stated_peaks
from bench.record.choice import Choice
from bench.record.recommendation import Objective, Recommendation
from bench.runner.peaks.machine import machine_peaks
from bench.runner.reopen import reopen
from bench.store.manifest import Manifest
from bench.suite.effort import Effort, load_effort

_UNBOUNDED = ("parity_sqnr",)
"""Qualities that are no shares, and the better the higher."""
ONE_THREAD = 1
"""A projection takes the overheads of a call from the speed of one core."""


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer is reckoned with. `on` projects every figure to that profile; None: the run's own machine."""

    model: str | None = None
    only: tuple[str, ...] = ()
    profile: str | None = None
    costs: Path | None = None
    slots: int | None = None
    on: str | None = None


_HERE = Means()


def advise(
    folder: Path,
    asked: Asked,
    objective: Objective | None = None,
    means: Means = _HERE,
    progress: Callable[[str], None] = lambda told: None,
) -> Recommendation:
    """The recommendation for the run in `folder`.

    Without an `objective` it is cost where there is a traffic, a budget or a profile that was named and has a price,
    else latency.

    Raises:
        UserError: the run, the model, the profile or the costs file cannot be read or does not fit, the objective is
            unknown, a limit makes no sense, or a budget or the objective cost has nothing to rest on.
    """
    if objective is not None:
        asked = msgspec.structs.replace(asked, objective=objective)
    _check(asked, means)
    opened = reopen(folder)
    found = _of_model(choices_of(opened.manifest, opened.rows, means.only, p99_s=asked.max_p99_s), means.model)
    _check_quality(found, asked)
    effort = None if means.costs is None else load_effort(means.costs)
    terms = _terms(opened.manifest, means, effort)
    priced = terms.profile is not None and terms.profile.price is not None
    if objective is None:
        asked = msgspec.structs.replace(asked, objective=_objective(asked, means, priced))
    if asked.objective == "cost" and not priced:
        raise UserError(
            "there is no price to reckon with", where="--objective cost", remedy="name a --profile with one"
        )
    if asked.objective == "cost" and means.costs is not None and asked.traffic is None:
        raise UserError(
            "what a model costs over its life needs the traffic it serves",
            where="--costs",
            remedy="give --traffic, or another --objective",
        )
    if means.on is not None:
        found = _projected(found, opened.manifest, means.on, progress)
    training = next((entry.training for entry in opened.manifest.models if entry.name == found[0].model), None)
    return recommend(found, asked, Bills(terms=terms, effort=effort, training=training), unfinished(opened.manifest))


def _check(asked: Asked, means: Means) -> None:
    if asked.quality not in QUALITY:
        raise unknown("figure of quality", asked.quality, QUALITY, where="--metric")
    if asked.budget is not None and asked.traffic is None:
        raise UserError("a budget is for a month of traffic", where="--budget", remedy="give --traffic too")
    if means.slots is not None and (
        not isinstance(means.slots, Integral) or isinstance(means.slots, bool) or means.slots < 1
    ):
        raise UserError("a machine holds a whole number of processes, 1 or more", where="--slots", remedy="such as 2")
    if means.on is not None and means.profile is not None:
        raise UserError("the target's own profile has its prices", where="--profile with --on", remedy="leave one out")


def _check_quality(choices: Sequence[Choice], asked: Asked) -> None:
    limit = asked.min_quality
    judged_by = next((choice.judged_by for choice in choices if choice.judged_by), None)
    if limit is None or limit <= 1 or way(asked.quality, judged_by) != "higher" or asked.quality in _UNBOUNDED:
        return
    raise UserError(
        f"no {asked.quality} is over 1", where="--min-accuracy", remedy=f"write a share, such as {_share(limit)}"
    )


def _share(limit: float) -> str:
    return f"{limit / 100:g} for {limit:g} %" if limit <= 100 else "0.97"


def _of_model(choices: Sequence[Choice], model: str | None) -> tuple[Choice, ...]:
    models = list(dict.fromkeys(choice.model for choice in choices))
    if model is None and len(models) > 1:
        raise UserError(
            f"the run has {len(models)} models", where="--model", remedy=f"say which: {', '.join(sorted(models))}"
        )
    if model is not None and model not in models:
        raise unknown("model", model, models, where="--model")
    return tuple(choice for choice in choices if model in (None, choice.model))


def _terms(manifest: Manifest, means: Means, effort: Effort | None) -> Terms:
    if means.on is None:
        return terms_for(manifest, means.profile, effort, means.slots)
    return terms_of(load_profile(means.on), effort, means.slots)


def _objective(asked: Asked, means: Means, priced: bool) -> Objective:
    named = (asked.traffic, asked.budget, means.profile, means.costs, means.on)
    return "cost" if priced and any(each is not None for each in named) else "latency"


def _projected(
    choices: Sequence[Choice], manifest: Manifest, word: str, progress: Callable[[str], None]
) -> tuple[Choice, ...]:
    profile = load_profile(word)
    threads = sorted({ONE_THREAD, *(choice.threads for choice in choices)})
    targets = sorted({choice.target for choice in choices if device(choice.target) == "cpu"})
    if not targets:
        raise UserError(
            "only the peaks of a CPU are measured, and nothing of the run was measured on one",
            where="--on",
            remedy="measure it there: `bench export`, then `bench run` of the bundle",
        )
    here = machine_peaks(manifest.environment, threads, targets, progress)
    return project(choices, here, stated_peaks(profile, threads), profile, environment=manifest.environment)
