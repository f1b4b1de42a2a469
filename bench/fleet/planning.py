"""What a fleet measures: the cases of a suite, and which of them each target is given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bench.errors import UserError
from bench.fleet.book import Book
from bench.fleet.messages import Announcement
from bench.fleet.record import Scope
from bench.record.case import Case
from bench.runner.plan import Planned, Request, plan_run
from bench.suite.schema import Suite


def plan_fleet(request: Request, told: Sequence[Announcement]) -> tuple[Planned, dict[str, Scope]]:
    """All cases of a suite, and each target's share: what `bench run --profile TARGET` would measure on its machines.

    Runtimes that the suite takes only where they are available are those that all workers of a target have,
    whatever there is where the parent runs. Of those that it takes always, what the best equipped worker of a target
    has is needed of all that are handed something.

    Raises:
        UserError: the request is wrong, or no target has a runtime of the suite.
    """
    planned = plan_run(request)
    always = {name for matrix in planned.suite.matrix for name in matrix.runtimes}
    maybe = {name for matrix in planned.suite.matrix for name in matrix.if_available} - always
    lacking: dict[str, set[str]] = {}
    best: dict[str, set[str]] = {}
    for each in told:
        lacking.setdefault(each.target, set()).update(each.lacks)
        best[each.target] = max(best.get(each.target, set()), always.difference(each.lacks), key=len)
    profiles = {each.target: each.profile for each in told}
    optional = {
        target: {name for name in profile["providers"] if name in maybe and name not in lacking[target]}
        for target, profile in profiles.items()
    }
    if maybe:
        planned = plan_run(request, _settled(planned.suite, set().union(*optional.values())))
    asked = list(dict.fromkeys(case.target for case in planned.cases))
    found = {}
    for target, profile in profiles.items():
        named = [name for name in asked if name in profile["providers"]]
        runtimes = tuple(name for name in named if name in always or name in optional[target])
        if runtimes:
            needed = tuple(name for name in runtimes if name in optional[target] | best[target])
            found[target] = Scope(profile=profile, runtimes=runtimes, needed=needed)
    if not found:
        raise UserError(
            f"no target has a runtime of the suite, which asks for {', '.join(asked)}",
            where="--target",
            remedy="add some to the providers of the hardware profiles, or choose another suite",
        )
    return planned, found


def book_of(cells: Mapping[str, Sequence[Case]], seed: int) -> Book:
    """A book of the cases of each target, in an order of its own, so that drift favours none.

    The order is the same for the same seed. All cases of a model stay on one machine of a target, as they are held
    against each other. Targets that share a sequence of cases share one of their ids.
    """

    def shuffled(target: str, count: int) -> npt.NDArray[np.uint32]:
        key = hashlib.sha256(f"{seed} {target}".encode()).digest()
        return np.random.default_rng(int.from_bytes(key)).permutation(count).astype(np.uint32)

    ids: dict[int, list[str]] = {}
    model: dict[str, str] = {}
    for cases in cells.values():
        if id(cases) not in ids:
            ids[id(cases)] = [case.id for case in cases]
            model.update(zip(ids[id(cases)], (case.model for case in cases), strict=True))
    return Book({target: ids[id(cases)] for target, cases in cells.items()}, part=model.__getitem__, order=shuffled)


def _settled(suite: Suite, there: set[str]) -> Suite:
    """The suite with the runtimes that it takes where they are, where `there` has them."""
    matrix = [
        each.model_copy(
            update={"runtimes": [*each.runtimes, *filter(there.__contains__, each.if_available)], "if_available": []}
        )
        for each in suite.matrix
    ]
    return suite.model_copy(update={"matrix": matrix})
