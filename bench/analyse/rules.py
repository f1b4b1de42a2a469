"""Rules of a gate: how much worse a figure may get, or what it must keep to."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from bench.analyse.kinds import QUALITY, better
from bench.errors import UserError, unknown
from bench.record.metric import METRICS

EVERY = "*"
Form = Literal["share", "points", "budget"]

_UNITS: dict[str, dict[str, float]] = {
    "s": {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0},
    "B": {"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
    "J": {"nJ": 1e-9, "uJ": 1e-6, "µJ": 1e-6, "mJ": 1e-3, "J": 1.0, "kJ": 1e3},
    "W": {"mW": 1e-3, "W": 1.0},
    "1": {"": 1.0, "%": 0.01},
    "1/s": {"": 1.0, "/s": 1.0, "1/s": 1.0},
    "dB": {"": 1.0, "dB": 1.0},
}
# As many digits as no number beyond all bounds has.
_NUMBER = r"\d{1,30}(?:\.\d{1,30})?"
_SHARE = re.compile(rf"([-+]?)\s*({_NUMBER})\s*%")
_POINTS = re.compile(rf"[-+]?\s*({_NUMBER})\s*pt")
_BUDGET = re.compile(rf"(<=|>=)\s*({_NUMBER}(?:[eE][-+]?\d{{1,2}})?)\s*(\S*)")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule for one metric of the cases whose name fits `cases` (a glob).

    `limit` is the share by which the figure may worsen ("share"), the points of a share that it may lose ("points",
    0.005 for half a point), or the bound in the metric's own unit ("budget").
    """

    metric: str
    form: Form
    limit: float
    text: str
    cases: str = EVERY

    def fits(self, case: str) -> bool:
        """Whether the rule is for this case. A name without wildcards may hold brackets, which a pattern reads."""
        return self.cases in (EVERY, case) or fnmatch.fnmatchcase(case, self.cases)

    def __str__(self) -> str:
        where = "" if self.cases == EVERY else f"{self.cases}: "
        return f"{where}{self.metric} {self.text}"


def parse_rule(metric: str, text: str, *, cases: str = EVERY, where: str = "rule") -> Rule:
    """`"5%"` (how much worse), `"-0.5pt"` (points of accuracy lost), `"<= 8ms"` or `">= 0.97"` (a budget).

    Raises:
        UserError: the metric is not known or has no better side, or the text is none of these.
    """
    if metric not in METRICS:
        raise unknown("metric", metric, METRICS, where=where)
    if better(metric) == "neither":
        raise UserError(f"no value of {metric} is better than another", where=where, remedy="gate another metric")
    words = text.strip()
    if found := _SHARE.fullmatch(words):
        limit = float(found[2]) / 100
        if found[1] == ("-" if better(metric) == "lower" else "+") and limit:
            raise UserError(
                f"{words} of {metric} is an improvement",
                where=where,
                remedy=f"write {words[1:].strip()}, without a sign",
            )
        if limit >= 1 and better(metric) == "higher":
            raise UserError(f"{metric} cannot lose {words}", where=where, remedy="give less than 100%")
        return Rule(metric=metric, form="share", limit=limit, text=words, cases=cases)
    if found := _POINTS.fullmatch(words):
        if metric not in QUALITY or METRICS[metric].unit != "1":
            raise UserError(f"{metric} has no points", where=where, remedy='give a share, such as "5%"')
        return Rule(metric=metric, form="points", limit=float(found[1]) / 100, text=words, cases=cases)
    if found := _BUDGET.fullmatch(words):
        return Rule(metric=metric, form="budget", limit=_in_unit(metric, found, text, where), text=words, cases=cases)
    raise UserError(
        f"{text!r} is no rule for {metric}",
        where=where,
        remedy='give how much worse it may get ("5%", for accuracy also "-0.5pt") or a budget ("<= 8ms", ">= 0.97")',
    )


def rules_of(table: Mapping[str, str | Mapping[str, str]], where: str) -> list[Rule]:
    """The rules of a `[gate]` table: metrics, and tables of them by a glob of case names. Raises `UserError`."""
    found = [parse_rule(key, text, where=f"{where}.{key}") for key, text in table.items() if isinstance(text, str)]
    for cases, rules in table.items():
        if not isinstance(rules, str):
            found += [parse_rule(m, text, cases=cases, where=f"{where}.{cases}.{m}") for m, text in rules.items()]
    return found


def parse_word(word: str, where: str) -> Rule:
    """A rule in one word: `p50_latency=5%`, `p99_latency<=8ms`, with cases `*/int8/*: size=0%`. Raises `UserError`."""
    cases, colon, rest = word.rpartition(": ")
    found = re.fullmatch(r"\s*([A-Za-z0-9_]+)\s*(=(?!=)|<=|>=)\s*(.+)", rest)
    if not found:
        raise UserError(
            f"{word!r} is no rule", where=where, remedy="write METRIC=5%, METRIC<=8ms or 'CASES: METRIC=5%'"
        )
    text = found[3] if found[2] == "=" else f"{found[2]} {found[3]}"
    return parse_rule(found[1], text, cases=cases.strip() if colon else EVERY, where=where)


def in_force(rules: Iterable[Rule], case: str) -> list[Rule]:
    """Those for this case: of several for one metric and form, the last one given."""
    found: dict[tuple[str, bool], Rule] = {}
    for rule in rules:
        if rule.fits(case):
            found[rule.metric, rule.form == "budget"] = rule
    return list(found.values())


def _in_unit(metric: str, found: re.Match[str], text: str, where: str) -> float:
    side = "<=" if better(metric) == "lower" else ">="
    # What "accuracy" holds may be an error.
    if found[1] != side and metric != "accuracy":
        raise UserError(f"the better side of {metric} is {side}, not {found[1]}", where=where, remedy=f"write {side}")
    units = _UNITS[METRICS[metric].unit]
    if found[3] not in units:
        raise UserError(
            f"{text!r} has no unit of {metric}",
            where=where,
            remedy=f"give one of {', '.join(u or 'none' for u in units)}",
        )
    return float(found[2]) * units[found[3]]
