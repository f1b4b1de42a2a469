"""Figures of a test held against a baseline: rules of the suite's `[gate]`, and of the marker `bench_gate`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bench.analyse.rules import Rule
    from bench.pytest_plugin.measuring import Shown
    from bench.record.comparison import GateReport, Verdict
    from bench.store.snapshot import Snapshot

MARKER = "bench_gate"
_OPEN = ("inconclusive", "missing")


class GateWarning(pytest.PytestWarning):
    """A rule that could not be decided."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A marker that would do nothing, or that cannot be read, is refused before anything is measured."""
    for item in items:
        if item.get_closest_marker(MARKER) is not None:
            if not {"bench_case", "benchmark"} & set(getattr(item, "fixturenames", ())):
                raise pytest.UsageError(f"{item.nodeid}: the marker {MARKER} is for tests that use bench_case")
            marked_rules(item)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """After the test's own assertions, hold what it measured against its rules."""
    from bench.pytest_plugin.fixture import shown_by

    result = yield
    if pyfuncitem.get_closest_marker(MARKER) is not None:
        judge(pyfuncitem, shown_by(pyfuncitem), marked_rules(pyfuncitem))
    return result


def marked_rules(item: pytest.Item) -> list[Rule]:
    """The rules of the test's markers, the nearest last. Raises pytest's `UsageError`."""
    markers = list(item.iter_markers(MARKER))
    if not markers:
        return []
    from bench.analyse.rules import parse_rule
    from bench.errors import UserError

    where = f"{MARKER} of {item.nodeid}"
    if any(marker.args or not marker.kwargs for marker in markers):
        raise pytest.UsageError(f'{where}: name the metric of every rule, such as {MARKER}(p50_latency="5%")')
    try:
        pairs = [pair for marker in reversed(markers) for pair in marker.kwargs.items()]
        return [parse_rule(metric, str(text), where=where) for metric, text in pairs]
    except UserError as error:
        raise pytest.UsageError(str(error)) from error


def judge(item: pytest.Item, shown: Sequence[Shown], rules: Sequence[Rule]) -> None:
    """Fail the test where a rule is broken; warn where one is not decided, which is a failure with `--bench-strict`."""
    if not rules:
        return
    from bench.errors import UserError
    from bench.pytest_plugin import table
    from bench.pytest_plugin.measuring import fail

    if table.session(item.config).disabled:
        return

    if not shown:
        undecided(item, [f"{MARKER}: missing: nothing was measured"])
        return
    try:
        report = _report(item.config, shown, rules)
    except UserError as error:
        fail(str(error))
    item.user_properties += [
        (f"{MARKER}: {verdict.case}: {verdict.rule}", verdict.outcome) for verdict in report.verdicts
    ]
    broken = [sentence(verdict) for verdict in report.verdicts if verdict.outcome == "regressed"]
    still_open = [sentence(verdict) for verdict in report.verdicts if verdict.outcome in _OPEN]
    if broken:
        fail("\n".join([*broken, *still_open, f"baseline: {report.baseline}"]))
    undecided(item, [f"{each} (baseline: {report.baseline})" for each in still_open])


def undecided(item: pytest.Item, sentences: Sequence[str]) -> None:
    """Warn of each; a failure with `--bench-strict`."""
    from bench.pytest_plugin.measuring import fail

    if sentences and item.config.getoption("bench_strict"):
        fail("\n".join(sentences))
    for each in sentences:
        item.warn(GateWarning(each))


def sentence(verdict: Verdict) -> str:
    """What became of a rule, why, and what would settle it."""
    told = f"{verdict.case}: {verdict.rule}: {verdict.outcome}: {verdict.reason}"
    return f"{told}; to do: {verdict.remedy}" if verdict.remedy else told


def _report(config: pytest.Config, shown: Sequence[Shown], rules: Sequence[Rule]) -> GateReport:
    """The verdicts on the rows of one test. What seems to have regressed is measured once more before it counts."""
    from dataclasses import replace

    import polars as pl

    from bench.analyse.gate import gate
    from bench.pytest_plugin.baseline import baseline
    from bench.store.snapshot import from_rows

    by_name = {each.row.case.name: each for each in shown}
    first = shown[0].manifest
    judged = {model.name: model.metric for each in shown for model in each.manifest.models}

    def snapshot(rows: list[Any]) -> Snapshot:
        return from_rows("this session", first.created, first.environment, rows, judged_by=judged)

    before = baseline(config)
    here = pl.col("case").is_in(list(by_name))
    before = replace(before, cases=before.cases.filter(here), figures=before.figures.filter(here))
    return gate(
        before,
        snapshot([each.row for each in by_name.values()]),
        [rule for rule in rules if any(rule.fits(name) for name in by_name)],
        again=lambda names: snapshot([by_name[name].again() for name in names]),
    )
