"""The bills of all choices side by side."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence

import msgspec

from bench.analyse.cost.life import of_life
from bench.analyse.cost.serving import machines, per_million, per_month, replicas
from bench.analyse.cost.terms import Bill, Demand, Terms, hour_price
from bench.analyse.cost.worth import cheapest, quality_for_money
from bench.errors import UserError, unknown
from bench.record.artifact import Training
from bench.record.choice import Choice
from bench.record.cost import Part
from bench.record.measurement import Measurement
from bench.suite.effort import Effort


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """All costs of one choice. `month` and what it needs are there where traffic is given, `life` where costs are.

    `gained` is the quality that a unit of money buys over `against`, the cheapest choice of its model that works, by
    the widest bill asked for; None for that choice itself. `share` is the achieved share of the machine's peak.
    """

    choice: Choice
    million: Bill
    month: Bill | None = None
    replicas: Part | None = None
    machines: Part | None = None
    life: Bill | None = None
    gained: Measurement | None = None
    against: str | None = None
    share: Measurement | None = None

    @property
    def widest(self) -> Bill:
        """Of the life, else of a month, else of a million inferences."""
        return self.life or self.month or self.million


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """`accounts` in the order of the choices. `machine_hour` is the price of an hour of work that all of them pay.

    `notes` are what a reader has to know of the run.
    """

    accounts: tuple[Account, ...]
    terms: Terms
    machine_hour: Part
    demand: Demand | None = None
    months: float | None = None
    notes: tuple[str, ...] = ()


def ledger(
    choices: Sequence[Choice],
    terms: Terms,
    demand: Demand | None = None,
    effort: Effort | None = None,
    trainings: Mapping[str, Training | None] = {},
    shares: Mapping[str, Measurement] = {},
    notes: Sequence[str] = (),
) -> Ledger:
    """Every bill that can be asked for; `trainings` by model, `shares` of the peak by the name of the choice."""
    accounts = [
        msgspec.structs.replace(
            _account(choice, terms, demand, effort, trainings.get(choice.model)), share=shares.get(choice.name)
        )
        for choice in choices
    ]
    return Ledger(
        accounts=tuple(_with_worth(account, accounts) for account in accounts),
        terms=terms,
        machine_hour=hour_price(terms),
        demand=demand,
        months=None if effort is None else effort.life_months,
        notes=tuple(notes),
    )


def opened(found: Ledger, word: str) -> Account:
    """The account of the one choice whose name is `word`, fits it as a pattern, or has it in it. Raises `UserError`."""
    names = {account.choice.name: account for account in found.accounts}
    if word in names:
        return names[word]
    hits = [name for name in names if fnmatch.fnmatchcase(name, f"*{word}*")]
    if len(hits) == 1:
        return names[hits[0]]
    if not hits:
        raise unknown("choice", word, names, where="--open")
    raise UserError(f"{word!r} may mean {len(hits)} choices", where="--open", remedy=f"say which: {', '.join(hits)}")


def _account(
    choice: Choice, terms: Terms, demand: Demand | None, effort: Effort | None, training: Training | None
) -> Account:
    return Account(
        choice=choice,
        million=per_million(choice, terms),
        month=None if demand is None else per_month(choice, terms, demand),
        replicas=None if demand is None else replicas(choice, demand),
        machines=None if demand is None else machines(choice, terms, demand),
        life=None if effort is None else of_life(choice, terms, demand, effort, training),
    )


def _with_worth(account: Account, accounts: Sequence[Account]) -> Account:
    peers = {each.choice.name: each for each in accounts if each.choice.model == account.choice.model}
    least = cheapest({name: each.widest.money for name, each in peers.items() if each.choice.failure is None})
    if least == account.choice.name:
        return account
    money = account.widest.money
    if least is None:
        unknown = Measurement.unavailable(f"1/{money.figure.unit}", "no choice has a complete cost")
        return msgspec.structs.replace(account, gained=unknown)
    gained = quality_for_money(account.choice, money, peers[least].choice, peers[least].widest.money)
    return msgspec.structs.replace(account, gained=gained, against=least)
