"""The Python API: run, load and look at benchmark runs from a script or a notebook.

Figures are in SI units: seconds, bytes, joules, watts, one a second. Whatever the user can mend is a
`bench.UserError`, which says what is wrong, where and what to do; it names arguments as the command line does
(`--max-p99` is `max_p99`).

Each name is imported when it is first used: to measure takes neither tables nor statistics, which a small target lacks.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api.answers import Answer
    from bench.api.judge import compare, gate, recommend
    from bench.api.kept import Run, load, runs
    from bench.api.measure import Interrupted, run
    from bench.api.plots import Plots
    from bench.api.targets import compare_targets

__all__ = [
    "Answer",
    "Interrupted",
    "Plots",
    "Run",
    "compare",
    "compare_targets",
    "gate",
    "load",
    "recommend",
    "run",
    "runs",
]

_WHERE = {
    "Answer": "answers",
    **dict.fromkeys(("compare", "gate", "recommend"), "judge"),
    **dict.fromkeys(("Run", "load", "runs"), "kept"),
    **dict.fromkeys(("Interrupted", "run"), "measure"),
    "Plots": "plots",
    "compare_targets": "targets",
}
"""The module that each name is in."""


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = found
    return found
