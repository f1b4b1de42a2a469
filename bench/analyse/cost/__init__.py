"""What a choice costs in money, energy and carbon, each as a tree of parts. `docs/cost.md` has the formulas."""

from bench.analyse.cost.ledger import Account, Ledger, ledger, opened
from bench.analyse.cost.life import ALIKE, of_life
from bench.analyse.cost.serving import machines, per_million, per_month, replicas
from bench.analyse.cost.terms import HEADROOM, Bill, Demand, Terms, hour_price, slots, terms_of
from bench.analyse.cost.whose import terms_for
from bench.analyse.cost.worth import cheapest, quality_for_money

__all__ = [
    "ALIKE",
    "HEADROOM",
    "Account",
    "Bill",
    "Demand",
    "Ledger",
    "Terms",
    "cheapest",
    "hour_price",
    "ledger",
    "machines",
    "of_life",
    "opened",
    "per_million",
    "per_month",
    "quality_for_money",
    "replicas",
    "slots",
    "terms_for",
    "terms_of",
]
