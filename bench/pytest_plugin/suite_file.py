"""A suite file whose cases are tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.analyse.rules import Rule, rules_of
from bench.errors import UserError
from bench.pytest_plugin import gate
from bench.pytest_plugin.measuring import Bench, bench
from bench.record.case import Case
from bench.runner.plan import Planned, Request, plan_run


class SuiteFile(pytest.File):
    """`*.bench.toml`: planned when it is collected, exported when its first case is set up, closed after the last."""

    planned: Planned
    rules: list[Rule]
    bench: Bench
    _stack: contextlib.ExitStack

    def collect(self) -> Iterable[CaseItem]:
        """An item for each case, in the suite's order. Raises `CollectError` for what the user can mend."""
        try:
            self.planned = plan_run(Request(suite=str(self.path)))
            self.rules = rules_of(self.planned.suite.gate, f"{self.path}: gate")
        except UserError as error:
            raise self.CollectError(str(error)) from error
        for rule in self.rules:
            if not any(rule.fits(case.name) for case in self.planned.cases):
                self._unused(rule)
        for case in self.planned.cases:
            yield CaseItem.from_parent(self, name=case.name, case=case)

    def _unused(self, rule: Rule) -> None:
        """A rule that holds nothing, since a case has another name, is never passed over in silence."""
        told = f"{self.name}: no case has such a name as the rule {rule}"
        if self.config.getoption("bench_strict"):
            raise self.CollectError(told)
        self.warn(gate.GateWarning(told))

    def setup(self) -> None:
        """Export what the selected cases need."""
        chosen = tuple(i.case for i in self.session.items if isinstance(i, CaseItem) and i.parent is self)
        self._stack = contextlib.ExitStack()
        planned = msgspec.structs.replace(self.planned, cases=chosen)
        self.bench = self._stack.enter_context(bench(planned, self.config))

    def teardown(self) -> None:
        """End the sampler, take away what the session was for."""
        self._stack.close()


class CaseItem(pytest.Item):
    """One case. To pytest-benchmark it looks like a test with its fixture, so that its options hold."""

    fixturenames = ("benchmark",)

    def __init__(self, *, case: Case, **named: Any) -> None:
        super().__init__(**named)
        self.case = case

    def runtest(self) -> None:
        """Measure, show, judge."""
        file = self.parent
        assert isinstance(file, SuiteFile)
        shown = file.bench.measure(self.case, self, self.name, self.nodeid)
        gate.judge(self, [shown], [*file.rules, *gate.marked_rules(self)])

    def reportinfo(self) -> tuple[Path, int, str]:
        """How failures are headed; a case has no line of its own."""
        return self.path, 0, self.name
