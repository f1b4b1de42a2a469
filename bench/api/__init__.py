"""The Python API: run, load and look at benchmark runs from a script or a notebook.

Figures are in SI units: seconds, bytes, joules, watts, one a second. Whatever the user can mend is a
`bench.UserError`, which says what is wrong, where and what to do; it names arguments as the command line does
(`--max-p99` is `max_p99`).
"""

from bench.api.answers import Answer
from bench.api.judge import compare, gate, recommend
from bench.api.kept import Run, load, runs
from bench.api.measure import Interrupted, run
from bench.api.plots import Plots

__all__ = ["Answer", "Interrupted", "Plots", "Run", "compare", "gate", "load", "recommend", "run", "runs"]
