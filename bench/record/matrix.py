"""Variants by targets: what each variant of a model reaches on each machine that ran it."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.record.case import Option
from bench.record.comparison import Change
from bench.record.measurement import Measurement
from bench.record.metric import Direction

Named = Literal["stated", "matched", "cpu"]
Mark = Literal["best", "tied"]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The machine of one run, by the hardware profile that it belongs to. `name` is unique among all of a matrix.

    `named` says where the profile comes from: "stated" (the run was made under it), "matched" (it fits best), or
    "cpu": none fits, and the processor's model stands for it. `machine` tells one machine from another of the same
    target. `differs` holds, by key of the fingerprint, what this machine has and the reference has not, as (reference,
    here). `machine_hour` is the price of an hour of it where costs were asked for; `example_price`: it is an example
    and not the user's own. `notes` are what a reader of its figures has to know.
    """

    name: str
    named: Named
    profile: str | None
    cpu: str
    machine: str
    run: str
    created: str
    differs: dict[str, tuple[str | None, str | None]] = {}
    machine_hour: Measurement | None = None
    example_price: bool = False
    notes: tuple[str, ...] = ()


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What one target reaches in one line: the figure, or why there is none.

    `configuration` is the case (for a cost the choice) that the figure is of, the best of `among` that ran there;
    `setting` its runtime, provider and threads in short; `rivals` are the others that may be as good, as far as the
    intervals tell. `at_least`: a sum that lacks the parts in `lacks`, so a lower bound. `invocations` are the processes
    behind it. `change` is from the reference's figure to this one: its `ratio` is this / reference, 1 exactly for the
    reference itself. None where one of the two has no figure.
    """

    figure: Measurement
    configuration: str | None = None
    setting: str = ""
    among: int = 0
    rivals: tuple[str, ...] = ()
    at_least: bool = False
    lacks: tuple[str, ...] = ()
    invocations: int = 0
    artifact: str | None = None
    change: Change | None = None
    mark: Mark | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a matrix, with a cell for each target in their order.

    `scenario` is empty for a cost, which rests on several. `setting` is set where every configuration has a line of its
    own. `marks` of the cells: one "best" where it is surely the best of all, else "tied" for all that may be.
    `unmarked` says why none is marked although several have a figure.
    """

    name: str
    model: str
    variant: str
    batch: int
    scenario: str
    options: dict[str, Option]
    setting: str
    better: Direction
    judged_by: str | None
    cells: tuple[Cell, ...]
    unmarked: str | None = None


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """All lines of one metric, or of `cost`: money for a million inferences."""

    metric: str
    lines: tuple[Line, ...]


class Across(msgspec.Struct, frozen=True, kw_only=True):
    """A matrix a metric over the same targets; `reference` is the name of the one that ratios are to."""

    targets: tuple[Target, ...]
    reference: str
    each: bool
    matrices: tuple[Matrix, ...]

    @property
    def refused(self) -> bool:
        """Whether a figure was not held against the reference's, as the two are not of the same thing."""
        return any(
            cell.change is not None and cell.change.refused
            for matrix in self.matrices
            for line in matrix.lines
            for cell in line.cells
        )
