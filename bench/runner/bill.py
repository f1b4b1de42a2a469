"""From a kept run to the bills of its choices: which machine, whose prices, and how much of the machine is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.analyse.choices import choices_of, unfinished
from bench.analyse.cost import Demand, Ledger, Terms, ledger, terms_for
from bench.analyse.device import strange
from bench.analyse.roofline import SCENARIOS, point
from bench.hardware.stated import stated_peaks
from bench.record.choice import Choice
from bench.record.environment import Environment
from bench.record.measurement import Measurement
from bench.record.row import Row
from bench.runner.reopen import reopen
from bench.suite.effort import load_effort


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """Whose prices: a `profile` by name or path (None: that of the run's machine), and the user's file of `costs`."""

    profile: str | None = None
    costs: Path | None = None
    slots: int | None = None


AS_MEASURED = Prices()


def bill(folder: Path, prices: Prices = AS_MEASURED, demand: Demand | None = None, only: Sequence[str] = ()) -> Ledger:
    """The bills of the choices of the run in `folder`, of those whose name fits a glob of `only` where there is one.

    Raises:
        UserError: the run, the profile or the costs file cannot be read, two currencies would be mixed, or no choice
            fits.
    """
    opened = reopen(folder)
    effort = None if prices.costs is None else load_effort(prices.costs)
    terms = terms_for(opened.manifest, prices.profile, effort, prices.slots)
    found = choices_of(opened.manifest, opened.rows, only, p99_s=None if demand is None else demand.p99_s)
    return ledger(
        found,
        terms,
        demand,
        effort,
        {model.name: model.training for model in opened.manifest.models},
        shares(found, opened.rows, terms, opened.manifest.environment),
        unfinished(opened.manifest),
    )


def shares(
    choices: Sequence[Choice], rows: Sequence[Row], terms: Terms, environment: Environment
) -> dict[str, Measurement]:
    """The share that each choice reaches of what its machine can do at most by its profile, by name.

    Of choices whose profile is not of their machine, or that have no row of one call at a time, there is none.
    """
    profile = terms.profile
    if profile is None or terms.elsewhere:
        return {}
    peaks = stated_peaks(profile, sorted({choice.threads for choice in choices}))
    calls = {row.case.name: row for row in rows if row.measured and row.case.scenario in SCENARIOS}
    found = {}
    for choice in choices:
        row = next((calls[name] for name in choice.cases if name in calls), None)
        if row is not None:
            absent = strange(choice.target, profile.kind)
            at = peaks.at(choice.threads) if absent is None else None
            found[choice.name] = _possible(point(row, at, environment, absent).share, profile.name)
    return found


def _possible(share: Measurement, name: str) -> Measurement:
    if share.value is not None and share.value > 1:
        return Measurement.unavailable("1", f"the limit was beaten: the peaks of {name} are not those of the machine")
    return share
