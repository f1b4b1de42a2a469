"""Cases measured for a test: as `bench run` measures them, or once and briefly where benchmarks are disabled."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import NoReturn

import msgspec
import pytest

from bench.errors import UserError
from bench.pytest_plugin import keep, table
from bench.record.case import Case
from bench.record.observation import Plan
from bench.record.row import Row
from bench.runner.conduct import Steps, step_by_step
from bench.runner.events import Sight
from bench.runner.plan import Planned
from bench.store.manifest import Manifest

_log = logging.getLogger("bench")
_BRIEF_S = 0.001


class _Logged:
    """What takes long before anything is measured goes to pytest's log (`--log-cli-level=INFO`)."""

    def stage(self, text: str, share: float | None = None, *, passing: bool = False) -> None:
        """One line for each stage."""
        if not passing:
            _log.info("%s", text)

    def begin(self, total: int, done: int) -> None:
        """Pytest counts its tests itself."""

    def watching(self, sight: Sight) -> None:
        """Nothing: there is no view."""

    def case(self, case: Case, invocation: int) -> None:
        """Pytest names the test."""

    def progress(self, phase: str, samples: int, median_s: float | None) -> None:
        """Nothing: a test is short."""

    def done(self, row: Row) -> None:
        """Pytest says what became of it."""


class Shown(msgspec.Struct, frozen=True):
    """A measured case: its row, the manifest of its suite, and how to measure it once more."""

    row: Row
    manifest: Manifest
    again: Callable[[], Row]


class Bench:
    """What is planned, ready to measure; `config` is pytest's, whose session gets the samples and the rows."""

    def __init__(self, steps: Steps, config: pytest.Config) -> None:
        self._steps, self._config = steps, config

    def measure(self, case: Case, item: pytest.Item, name: str, fullname: str) -> Shown:
        """A case, shown in pytest-benchmark's table as `name`, known to its files as `fullname`.

        Raises pytest's own outcomes: failed or skipped, with the reason.
        """
        step = self._steps.measure(case)
        row = step.row
        if row.failure is not None and row.status == "unavailable":
            pytest.skip(row.failure.reason)
        session = table.session(self._config)
        if not session.disabled:
            keep.add(self._config, self._steps.manifest, step)
        if row.failure is not None:
            fail(f"{row.case.name}: {row.failure.reason}", row.failure.tail)
        if not session.disabled:
            table.add(session, step, self._steps.manifest.plan, name, fullname)
        if row.warnings:
            item.add_report_section("call", "bench", "\n".join(row.warnings))
        manifest = self._steps.manifest
        return Shown(row=row, manifest=manifest, again=lambda: self._steps.measure(case, anew=True).row)


@contextlib.contextmanager
def bench(planned: Planned, config: pytest.Config) -> Iterator[Bench]:
    """Export what is planned, then measure inside. What a user can mend fails the test without a traceback."""
    if table.session(config).disabled:
        planned = msgspec.structs.replace(planned, plan=_brief(planned.plan))
    with contextlib.ExitStack() as stack:
        try:
            steps = stack.enter_context(step_by_step(planned, _Logged()))
        except UserError as error:
            fail(str(error))
        yield Bench(steps, config)


def fail(sentence: str, tail: str = "") -> NoReturn:
    """Fail the test with a sentence, and the last words of the measuring process where there are some."""
    raise pytest.fail.Exception("\n".join([sentence, *tail.splitlines()]), pytrace=False) from None


def _brief(plan: Plan) -> Plan:
    """Enough to see the case work: the figures mean nothing."""
    return msgspec.structs.replace(
        plan,
        warmup_min_s=0.0,
        warmup_max_s=_BRIEF_S,
        min_s=_BRIEF_S,
        max_s=_BRIEF_S,
        min_samples=1,
        invocations=1,
        idle_s=0.0,
    )
