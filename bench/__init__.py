"""Counterpoise: benchmark and profile trained models across variants, runtimes and hardware.

The Python API: `run` measures, `load` reads a kept run back, `runs` lists them; `compare`, `gate` and `recommend`
judge. Each is imported when it is first used, so that `import bench` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import Answer, Interrupted, Run, compare, compare_targets, gate, load, recommend, run, runs
    from bench.errors import UserError
    from bench.record.metric import METRICS

__version__ = "0.1.0"
__all__ = [
    "METRICS",
    "Answer",
    "Interrupted",
    "Run",
    "UserError",
    "__version__",
    "compare",
    "compare_targets",
    "gate",
    "load",
    "recommend",
    "run",
    "runs",
]

_WHERE = {"METRICS": "bench.record.metric", "UserError": "bench.errors"}
"""Modules of the names that are not in `bench.api`."""

# The package of load generators has the name of the function `load`. Importing a package binds its name here, but only
# the first time: so it is imported now (it is empty), and its name given up.
importlib.import_module("bench.load")
globals().pop("load", None)


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_WHERE.get(name, "bench.api")), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
