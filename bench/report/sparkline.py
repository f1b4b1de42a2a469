"""The shape of each case's latencies in a few characters, on one logarithmic axis for all rows of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console

from bench.record.row import Row
from bench.report.safe import encodable
from bench.report.table import ABSENT, Column, Table
from bench.report.units import text
from bench.store.kept import latencies

BINS = 16
BLOCKS, ASCII = " ▁▂▃▄▅▆▇█", " .:-=+*#%"
FINE = 1024
"""Steps to a decade in which samples are first counted: a step is 0.2 % of a latency."""
TAIL = 0.001
"""Share of a row's samples at either end that the axis need not reach: they are in the bins at its ends."""
_AFTER = "p99"
_PRIORITY = 2

Counts = Mapping[int, int]
"""How many samples lie at each step of log10 nanoseconds."""


@dataclass(frozen=True)
class Axis:
    """`BINS` bins of `wide` steps each, the first from the step `start`."""

    start: int
    wide: int

    @property
    def ends_s(self) -> tuple[float, float]:
        """Where the axis begins and ends, s."""
        low, high = self.start, self.start + BINS * self.wide
        return 10 ** (low / FINE) / 1e9, 10 ** (high / FINE) / 1e9


@dataclass(frozen=True)
class Shapes:
    """What was counted of each case, by its id."""

    counts: Mapping[str, Counts]

    def beside(self, table: Table, rows: Sequence[Row], console: Console) -> Table:
        """The table of a model with a column of shapes, where there is anything to show."""
        mine = [row.case.id for row in rows if row.case.model == table.model]
        found = [self.counts[name] for name in mine if name in self.counts]
        if not found:
            return table
        axis = common_axis(found)
        ramp = BLOCKS if encodable(BLOCKS, console.encoding) == BLOCKS else ASCII
        absent = encodable(ABSENT, console.encoding)
        cells = tuple(sparkline(self.counts[name], axis, ramp) if name in self.counts else absent for name in mine)
        low, high = axis.ends_s
        told = (
            f"shape: samples by latency, {text(low, 's')} to {text(high, 's')} on a logarithmic axis for all rows; "
            f"{ramp[1]} one sample at least, {ramp[-1]} the fullest of the row; the ends hold what lies beyond"
        )
        columns = list(table.columns)
        after = next((at + 1 for at, c in enumerate(columns) if c.title.startswith(_AFTER)), len(columns))
        columns.insert(after, Column("shape", cells, _PRIORITY, legend=told))
        return replace(table, columns=tuple(columns))


def read_shapes(folder: Path) -> Shapes:
    """Counted from the raw samples of a run, which are read once. A run without them has none. Raises `UserError`."""
    return Shapes({name: counted(samples) for name, samples in latencies(folder) if len(samples)})


def counted(samples_ns: npt.NDArray[np.int64]) -> Counts:
    """How many of `samples_ns` (ns, any shape) lie at each step; what is not above 0 counts as 1 ns."""
    steps = np.floor(np.log10(np.maximum(samples_ns, 1)) * FINE).astype(np.int64).ravel()
    counts = np.bincount(steps)
    return {int(at): int(counts[at]) for at in np.flatnonzero(counts)}


def common_axis(rows: Sequence[Counts]) -> Axis:
    """One axis for all `rows` (one at least), over all but the `TAIL` of each."""
    ends = [_ends(counts) for counts in rows]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    # Whole steps to a bin: bins of unlike width would draw ripples that are not there.
    wide = max(1, math.ceil((high + 1 - low) / BINS))
    return Axis(start=low - (BINS * wide - (high + 1 - low)) // 2, wide=wide)


def sparkline(counts: Counts, axis: Axis, ramp: str = BLOCKS) -> str:
    """`BINS` characters of `ramp`, whose first is for a bin without a sample; the fullest bin has the last."""
    bins = [0] * BINS
    for step, count in counts.items():
        bins[min(BINS - 1, max(0, (step - axis.start) // axis.wide))] += count
    most = max(bins)
    return "".join(ramp[math.ceil(count / most * (len(ramp) - 1))] for count in bins)


def _ends(counts: Counts) -> tuple[int, int]:
    """The steps within which all but the tails lie."""
    total = sum(counts.values())
    steps = sorted(counts)
    reached = np.cumsum([counts[step] for step in steps])
    low = int(np.searchsorted(reached, total * TAIL, side="right"))
    high = int(np.searchsorted(reached, total * (1 - TAIL), side="left"))
    return steps[min(low, len(steps) - 1)], steps[min(high, len(steps) - 1)]
