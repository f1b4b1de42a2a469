"""Bills on a terminal and as JSON: a row a choice, what is not known below, and a tree of one bill's parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, Group
from rich.text import Text
from rich.tree import Tree

from bench.analyse.cost import Account, Bill, Ledger
from bench.record.codec import plain as as_plain
from bench.record.cost import Part
from bench.record.measurement import Measurement
from bench.report.changes import plain, said_once
from bench.report.choices import AT_LEAST, ESTIMATE, LEGEND, Names, count, least, marks, number, percent
from bench.report.table import ABSENT, Column, Table
from bench.report.terminal import fit
from bench.report.units import digits

_SCALES = {"J": ((3.6e3, "Wh"), (3.6e6, "kWh")), "g": ((1.0, "g CO2e"), (1e3, "kg CO2e")), "1": ((1.0, ""),)}
"""The units that bills are written in, smallest first; money keeps its own."""


def show(console: Console, found: Ledger) -> None:
    """Print a table for each model and, below, on what machine, what is not known and what rests on estimates."""
    for model in dict.fromkeys(account.choice.model for account in found.accounts):
        accounts = [account for account in found.accounts if account.choice.model == model]
        console.print()
        console.print(fit(table(accounts, found), console))
    for line in notes(found):
        console.print(Text(f"• {line}"), soft_wrap=not console.is_terminal)


def show_open(console: Console, account: Account, found: Ledger) -> None:
    """Print the widest bill of a choice with all its parts and their formulas."""
    bill = account.widest
    console.print(Text(f"{plain(account.choice.name)}: {_what(account, found)}", style="bold"), soft_wrap=True)
    trees = [
        _tree(part, name) for part, name in ((bill.money, "money"), (bill.energy, "energy"), (bill.carbon, "carbon"))
    ]
    console.print(Group(*trees), soft_wrap=not console.is_terminal)
    for line in notes(found, [account]):
        console.print(Text(f"• {line}"), soft_wrap=not console.is_terminal)


def table(accounts: Sequence[Account], found: Ledger) -> Table:
    """A row a choice of one model."""
    names = Names(account.choice.name for account in accounts)
    money = found.terms.money
    columns = [
        Column("choice", tuple(names(account.choice.name) for account in accounts)),
        Column("quality", tuple(_quality(account) for account in accounts), 2, numeric=True),
        _amounts("a million", [account.million.money for account in accounts], 0),
        _amounts("a million", [account.million.energy for account in accounts], 5),
        _amounts("a million", [account.million.carbon for account in accounts], 6),
    ]
    if found.demand is not None:
        columns += [
            _amounts("replicas", [account.replicas for account in accounts], 3),
            _amounts("machines", [account.machines for account in accounts], 1),
            _amounts("a month", [_of(account.month, "money") for account in accounts], 0),
            _amounts("a month", [_of(account.month, "carbon") for account in accounts], 4),
        ]
    if any(account.life is not None for account in accounts):
        columns += [
            _amounts(_life(found), [_of(account.life, "money") for account in accounts], 0),
            _amounts(_life(found), [_of(account.life, "carbon") for account in accounts], 5),
        ]
    columns += [
        Column(f"quality a {money}", tuple(_worth(account) for account in accounts), 7, numeric=True),
        Column("of the peak", tuple(_share(account) for account in accounts), 8, numeric=True),
    ]
    always = ("choice", f"{money} a million", f"{money} a month")
    return Table(
        names.about(accounts[0].choice.model, _asked(found)),
        tuple(column for column in columns if column.title in always or set(column.cells) != {ABSENT}),
    )


def amount(part: Part | None, factor: float = 1.0) -> str:
    """A sum in units of `factor`, with its interval: `≈12.3 [11.9, 12.8]`; a dash where nothing is known.

    Of a sum that lacks a part the lower end: `≥ ≈11.9`.
    """
    if part is None or part.figure.value is None:
        return ABSENT
    return _figure(part.figure, factor, at_least=not part.complete)


def notes(found: Ledger, accounts: Sequence[Account] | None = None) -> list[str]:
    """On what machine and at whose prices; what is not known and what is estimated, once with where that holds."""
    accounts = found.accounts if accounts is None else accounts
    names = Names(account.choice.name for account in found.accounts)
    parts = [(part, names(account.choice.name)) for account in accounts for part in _leaves(account)]
    told = _Told(len(accounts))
    if any(not bill.complete and bill.figure.value is not None for account in accounts for bill in _sums(account)):
        told.lines.append(LEGEND[AT_LEAST])
    lacking: dict[tuple[str, str], set[str]] = {}
    for part, name in parts:
        if part.figure.reason is not None:
            lacking.setdefault((part.figure.reason, name), set()).add(part.name)
    told.add(
        "not known: ", [(f"{', '.join(sorted(what))}: {reason}", name) for (reason, name), what in lacking.items()]
    )
    told.add(f"{ESTIMATE} estimate: ", [(why, name) for part, name in parts for why in _guesses(part.figure)])
    failed = [(account.choice.failure, names(account.choice.name)) for account in accounts]
    told.add("failed: ", [(why, name) for why, name in failed if why is not None])
    gains = [(account.gained.reason, names(account.choice.name)) for account in accounts if account.gained is not None]
    told.add("no quality for money over the cheapest: ", [(why, name) for why, name in gains if why is not None])
    return [*_machine(found), *map(plain, found.notes), *told.lines]


def document(found: Ledger, accounts: Sequence[Account] | None = None) -> dict[str, Any]:
    """What `--json` prints: every bill with all its parts."""
    return {
        "currency": found.terms.money,
        "profile": None if found.terms.profile is None else found.terms.profile.model_dump(mode="json"),
        "slots": found.terms.slots,
        "elsewhere": found.terms.elsewhere or None,
        "machine_hour": as_plain(found.machine_hour),
        "demand": as_plain(found.demand),
        "life_months": found.months,
        "accounts": [as_plain(account) for account in (found.accounts if accounts is None else accounts)],
        "notes": notes(found, accounts),
    }


def _tree(part: Part, name: str) -> Tree:
    root = Tree(_label(part, f"{name} of {part.name}" if part.name != name else name))
    _grow(root, part)
    return root


def _grow(tree: Tree, part: Part) -> None:
    for each in part.parts:
        _grow(tree.add(_label(each, each.name)), each)


def _label(part: Part, name: str) -> Text:
    if part.figure.value is None:
        reason = "" if part.parts else f": {plain(part.figure.reason or '')}"
        return Text.assemble((name, "bold"), ("  not known", "yellow"), reason)
    factor, unit = _scale([part])
    label = Text.assemble((name, "bold"), f"  {amount(part, factor)} {unit}".rstrip())
    return label.append(f"  = {plain(part.formula)}", style="dim") if part.formula else label


def _amounts(title: str, parts: Sequence[Part | None], priority: int) -> Column:
    factor, unit = _scale([part for part in parts if part is not None])
    return Column(f"{unit} {title}".strip(), tuple(amount(part, factor) for part in parts), priority, numeric=True)


def _scale(parts: Sequence[Part]) -> tuple[float, str]:
    """One unit for all: the largest in which the smallest is at least 1, else the smallest unit."""
    unit = parts[0].figure.unit
    scales = _SCALES.get(unit, ((1.0, unit),))
    least = min((part.figure.value for part in parts if part.figure.value), default=0.0)
    return next(((factor, name) for factor, name in reversed(scales) if least >= factor), scales[0])


def _of(bill: Bill | None, name: str) -> Part | None:
    return None if bill is None else getattr(bill, name)


def _figure(figure: Measurement, factor: float = 1.0, *, at_least: bool = False) -> str:
    assert figure.value is not None
    shown = count if figure.unit == "1" else number
    told = marks(figure, at_least) + shown((least(figure) if at_least else figure.value) / factor)
    if at_least or figure.low is None or figure.high is None:
        return told
    ends = shown(figure.low / factor), shown(figure.high / factor)
    return told if ends[0] == ends[1] else f"{told} [{ends[0]}, {ends[1]}]"


def _quality(account: Account) -> str:
    found = account.choice.figures.get("accuracy")
    return ABSENT if found is None or found.value is None else f"{found.value:.4f}"


def _worth(account: Account) -> str:
    return ABSENT if account.gained is None or account.gained.value is None else f"{_figure(account.gained)}"


def _share(account: Account) -> str:
    found = account.share
    return ABSENT if found is None or found.value is None else percent(found.value)


def _life(found: Ledger) -> str:
    return "its life" if found.months is None else f"in {found.months:g} months"


def _what(account: Account, found: Ledger) -> str:
    if account.life is not None:
        return f"its life {'' if found.months is None else f'of {found.months:g} months '}{_asked(found)}".strip()
    return f"a month {_asked(found)}" if account.month is not None else "a million inferences at full load"


def _asked(found: Ledger) -> str:
    """The demand in words."""
    demand = found.demand
    if demand is None:
        return ""
    bound = "" if demand.p99_s is None else f" at p99 ≤ {demand.p99_s * 1e3:g} ms"
    return f"for {digits(demand.traffic)} requests a second{bound}, {percent(demand.headroom, 0)} head-room"


def _machine(found: Ledger) -> list[str]:
    profile = found.terms.profile
    if profile is None:
        return []
    hour = found.machine_hour
    rent = ", energy in it" if found.terms.rent_includes_energy else ""
    price = "" if hour.figure.value is None else f", {amount(hour)} {found.terms.money} an hour{rent}"
    lines = [f"on {plain(profile.name)} ({plain(profile.title)}{price})"]
    if profile.price is not None and profile.price.example:
        of = profile.price.per_hour or profile.price.purchase
        source = "" if of is None else f": {plain(of.source)}, {of.date.isoformat()}"
        lines.append(f"the price is an example, to be replaced by your own{source}")
    return lines


class _Told:
    """Lines of notes, each said once with the choices it holds for, unless it holds for all of them."""

    def __init__(self, choices: int) -> None:
        self.lines: list[str] = []
        self._choices = choices

    def add(self, what: str, sentences: Iterable[tuple[str, str]]) -> None:
        once = list(dict.fromkeys(sentences))
        counts = Counter(sentence for sentence, _ in once)
        self.lines += [
            plain(f"{what}{sentence}{'' if counts[sentence] == self._choices else f' ({where})'}")
            for sentence, where in said_once(once)
        ]


def _sums(account: Account) -> list[Part]:
    bills = [bill for bill in (account.million, account.month, account.life) if bill is not None]
    return [part for bill in bills for part in (bill.money, bill.energy, bill.carbon)]


def _leaves(account: Account) -> list[Part]:
    return [leaf for part in _sums(account) for leaf in part.leaves()]


def _guesses(figure: Measurement) -> list[str]:
    grade, _, why = figure.how.partition(":")
    return why.split("; ") if grade in ("estimated", "projected") else []
