"""The plugin for pytest: suites as test files, a fixture that measures, a marker that gates.

Every pytest run of whoever has installed the package loads this module: it imports nothing but pytest, and the
rest only where a suite or a test asks for it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

SUITES = "*.bench.toml"
MARKER = (
    "bench_gate(**rules): hold what bench_case measures against the baseline of --bench-baseline, "
    'such as bench_gate(p50_latency="5%")'
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the command line, and the one that may stand in the configuration file."""
    group = parser.getgroup("bench", "benchmarks of models (counterpoise)")
    group.addoption(
        "--bench-out", metavar="DIR", type=Path, help="Keep what was measured as a run folder in DIR, for `bench show`."
    )
    group.addoption(
        "--bench-results",
        metavar="DIR",
        type=Path,
        help="Folder of the runs and baselines; default: results in the root folder.",
    )
    group.addoption(
        "--bench-baseline", metavar="NAME|RUN|FILE", help="What the rules of a gate hold the figures against."
    )
    group.addoption(
        "--bench-strict",
        action="store_true",
        help="Fail a test also where a rule of its gate cannot be decided, not only where it is broken.",
    )
    parser.addini("bench_baseline", "What --bench-baseline is where it is not given.")


def pytest_configure(config: pytest.Config) -> None:
    """The marker is known with and without pytest-benchmark."""
    config.addinivalue_line("markers", MARKER)


def pytest_sessionstart(session: pytest.Session) -> None:
    """The fixture and the rest, once every plugin is there."""
    manager = session.config.pluginmanager
    if has_benchmark(session.config):
        from bench.pytest_plugin import fixture, gate, keep

        for module in (fixture, gate, keep):
            manager.register(module, f"counterpoise-{module.__name__.rpartition('.')[2]}")
    else:
        from bench.pytest_plugin import absent

        manager.register(absent, "counterpoise-absent")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A suite file, whose cases are the tests."""
    if not file_path.match(SUITES):
        return None
    if has_benchmark(parent.config):
        from bench.pytest_plugin.suite_file import SuiteFile

        return SuiteFile.from_parent(parent, path=file_path)
    from bench.pytest_plugin.absent import UnreadSuite

    return UnreadSuite.from_parent(parent, path=file_path)


def has_benchmark(config: pytest.Config) -> bool:
    """Whether pytest-benchmark is loaded: its session is then a plugin of this name."""
    return config.pluginmanager.has_plugin("pytest-benchmark")
