"""`bench_case`: measure a case from a Python test."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from bench.pytest_plugin.measuring import Shown
    from bench.record.case import Option
    from bench.record.row import Row


class BenchCase(Protocol):
    """The type of the fixture `bench_case`."""

    def __call__(
        self,
        model: str | os.PathLike[str],
        variant: str = "fp32",
        runtime: str = "onnxruntime-cpu",
        threads: int = 1,
        batch: int = 1,
        scenario: str = "single-stream",
        data: str | os.PathLike[str] | None = None,
        *,
        measure: Mapping[str, float] | None = None,
        **options: Option,
    ) -> Row:
        """Measure one case in a fresh process and give its row.

        Args:
            model: a zoo name or a file; a relative path is looked for beside the test, then where pytest was started.
            variant: see `bench list variants`.
            runtime: runtime and provider, such as `onnxruntime-cpu`; see `bench list runtimes`.
            threads: threads of the runtime.
            batch: examples in a call.
            scenario: see `bench list scenarios`.
            data: evaluation data for a model of one's own: `.npz`, or a folder of `.npy`.
            measure: what differs from the defaults of a suite's `[measure]` table, seconds.
            options: options of the runtime or the scenario.

        The test fails where the case fails or a word is wrong, and is skipped where the case is unavailable.
        """


_SHOWN = pytest.StashKey["list[Shown]"]()


def shown_by(item: pytest.Item) -> list[Shown]:
    """What `bench_case` has measured in this test."""
    return item.stash.setdefault(_SHOWN, [])


@pytest.fixture
def bench_case(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[BenchCase]:
    """Measures a case as `bench run` does, and gives its row: call it with a model and what is special."""
    item: pytest.Item = request.node
    stack = contextlib.ExitStack()

    def measured(
        model: str | os.PathLike[str],
        variant: str = "fp32",
        runtime: str = "onnxruntime-cpu",
        threads: int = 1,
        batch: int = 1,
        scenario: str = "single-stream",
        data: str | os.PathLike[str] | None = None,
        *,
        measure: Mapping[str, float] | None = None,
        **options: Option,
    ) -> Row:
        from bench.errors import UserError
        from bench.pytest_plugin.measuring import bench, fail
        from bench.runner.plan import Request, plan_run
        from bench.suite.schema import Suite
        from bench.suite.validate import validate

        matrix = {
            "models": [os.fspath(model)],
            "variants": [variant],
            "runtimes": [runtime],
            "threads": [threads],
            "batch": [batch],
            "scenarios": [scenario],
            "options": options,
        }
        content = {"name": "pytest", "measure": dict(measure or {}), "matrix": [matrix]}
        try:
            suite = validate(content, Suite, where=f"bench_case in {item.nodeid}")
            found = None if data is None else str(_beside(item.path, data))
            planned = plan_run(Request(suite=str(item.path), data=found), suite)
        except UserError as error:
            fail(str(error))
        (case,) = planned.cases
        # Open until the test is over: a gate may measure the case once more.
        ready = stack.enter_context(bench(planned, request.config))
        shown = ready.measure(case, item, f"{item.name}[{case.name}]", f"{item.nodeid}[{case.name}]")
        shown_by(item).append(shown)
        return shown.row

    with stack:
        yield measured
    # It gave its options, and whoever used it has no need of its timer.
    benchmark.skipped = True


def _beside(test: Path, given: str | os.PathLike[str]) -> Path:
    """A path beside the test's file where there is one, else from where pytest was started."""
    path = test.parent / given
    return path.resolve() if path.exists() else Path(given).resolve()
