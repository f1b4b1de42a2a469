"""What a model costs over its life: data, training, engineering and serving."""

from __future__ import annotations

import msgspec

from bench.analyse.cost.parts import leaf, scaled, stated, total
from bench.analyse.cost.quantity import Quantity, Unknown, number
from bench.analyse.cost.serving import IN_THE_RENT, energy_carbon, energy_money, no_service, per_month
from bench.analyse.cost.terms import COSTS_FILE, Bill, Demand, Terms
from bench.record.artifact import Training
from bench.record.choice import Choice
from bench.record.cost import Part
from bench.suite.effort import Effort

LIFE = "the model's life"
NO_TRAFFIC = "no traffic is given"
ALIKE = ("data", "collection", "labelling", "training", "training machine", "training energy")
"""The parts that every variant of a model is charged with alike, as it comes from them."""


def of_life(choice: Choice, terms: Terms, demand: Demand | None, effort: Effort, training: Training | None) -> Bill:
    """Of all that the model costs from its data to its end.

    Data as stated; trainings x (measured seconds x price of the training machine + measured joules x tariff); hours
    of engineering x rate; months of life x the month at the demand. Every variant is charged with the data and the
    training, since it comes from them.
    """
    serving = _serving(choice, terms, demand, effort)
    trained = _training_energy(effort, training)
    return Bill(
        money=total(
            LIFE,
            terms.money,
            [
                _data(terms, effort),
                _training(terms, effort, training, trained),
                _engineering(choice, terms, effort),
                serving.money,
            ],
        ),
        energy=total(LIFE, "J", [trained, serving.energy]),
        carbon=total(LIFE, "g", [energy_carbon(trained, terms), serving.carbon]),
    )


def _data(terms: Terms, effort: Effort) -> Part:
    return total(
        "data",
        terms.money,
        [
            stated("collection", effort.data.collection, terms.money, COSTS_FILE, "[data] collection"),
            stated("labelling", effort.data.labelling, terms.money, COSTS_FILE, "[data] labelling"),
        ],
    )


def _training(terms: Terms, effort: Effort, training: Training | None, energy: Part) -> Part:
    costs = effort.training
    if costs.cost is not None:
        return stated("training", costs.cost, terms.money, COSTS_FILE, "[training] cost")

    def machine() -> tuple[Quantity, str]:
        seconds = _of_training(training, "training_time")
        if costs.price_per_hour is None:
            raise Unknown(f"{COSTS_FILE} states no [training] price_per_hour")
        price = Quantity.exact(costs.price_per_hour, f"{terms.money}/h")
        paid = f"{costs.price_per_hour:g} {terms.money} an hour{IN_THE_RENT if costs.includes_energy else ''}"
        return seconds * costs.runs * price, f"{costs.runs:g} trainings × {number(seconds.value)} s × {paid}"

    parts = [leaf("training machine", terms.money, machine), *energy_money(energy, terms, costs.includes_energy)]
    return total("training", terms.money, parts)


def _training_energy(effort: Effort, training: Training | None) -> Part:
    def drawn() -> tuple[Quantity, str]:
        joules = _of_training(training, "training_energy")
        return joules * effort.training.runs, f"{effort.training.runs:g} trainings × {number(joules.value)} J"

    return leaf("training energy", "J", drawn)


def _of_training(training: Training | None, name: str) -> Quantity:
    if training is None:
        raise Unknown("the run has no record of a training of this model: [training] cost in the costs file states one")
    if name not in training.costs:
        raise Unknown(f"the training has no {name} on record")
    return Quantity.of(training.costs[name])


def _engineering(choice: Choice, terms: Terms, effort: Effort) -> Part:
    def cost() -> tuple[Quantity, str]:
        hours, rate = effort.engineering.hours_for(choice.variant), effort.engineering.rate_per_hour
        if hours is None:
            raise Unknown(f"{COSTS_FILE} states no [engineering.hours] for {choice.variant}")
        if rate is None:
            raise Unknown(f"{COSTS_FILE} states no [engineering] rate_per_hour")
        return (
            Quantity.exact(hours, "h") * Quantity.exact(rate, f"{terms.money}/h"),
            f"{hours:g} h × {rate:g} {terms.money} an hour",
        )

    return leaf("engineering", terms.money, cost)


def _serving(choice: Choice, terms: Terms, demand: Demand | None, effort: Effort) -> Bill:
    if demand is None:
        return no_service("serving", terms, NO_TRAFFIC)
    if effort.life_months is None:
        return no_service("serving", terms, f"{COSTS_FILE} states no life_months")
    month, months = per_month(choice, terms, demand), Quantity.exact(effort.life_months)

    def over(part: Part, unit: str) -> Part:
        return msgspec.structs.replace(scaled(part, months, unit, f"{effort.life_months:g} months"), name="serving")

    return Bill(money=over(month.money, terms.money), energy=over(month.energy, "J"), carbon=over(month.carbon, "g"))
