"""What was asked for, and everything that is settled before anything is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from bench.errors import UserError, unknown
from bench.export.recipes import Definition, recipes
from bench.hardware.schema import HardwareProfile
from bench.load.table import SCENARIOS
from bench.machine.environment import read_environment
from bench.record.codec import plain
from bench.runner.fence import check_network
from bench.runner.plan import Request
from bench.runner.sides import MEASURE
from bench.runner.tune import goals as wanted
from bench.runner.tune.goals import COST, Goals
from bench.runner.tune.space import Known, Space, default_space, make_space
from bench.runner.tune.trial import measuring
from bench.suite.load import load_suite
from bench.suite.schema import Suite
from bench.suite.tune import SamplerName, Tune
from bench.zoo.find import find, source_card

TRIALS = 40
FOLDER = "tune"
"""Within the folder of the runs; it holds no run, which `latest` would mean."""
_BATCHED = ("throughput", "energy", "energy_net", COST)
"""Objectives that a larger batch may serve."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; what is None is as the table `[tune]` has it, or its default.

    Paths are absolute. `study` is the SQLite file. `confirm_s` and `rounds` bound the measuring after the search,
    `retrain` lets a search without a space of its own choose the hyper-parameters that the model's card declares. With
    `no_network` models are exported and measured without network, as with `network = false` in `[measure]`.
    """

    suite: str | None = None
    model: str | None = None
    model_folders: tuple[str, ...] = ()
    data: str | None = None
    inputs: str | None = None
    objectives: tuple[str, ...] = ()
    min_accuracy: float | None = None
    trials: int | None = None
    budget_s: float | None = None
    sampler: SamplerName | None = None
    seed: int | None = None
    profile: HardwareProfile | None = None
    retrain: bool = False
    no_network: bool = False
    out: str = "results"
    study: str | None = None
    resume: bool = False
    rounds: int = 50
    confirm_s: float = 180.0


class Prepared:
    """Everything that is settled before anything is measured. Raises `UserError`."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        named = asked.suite or "quick"
        suite = load_suite(named)
        self.where = named if asked.suite else "bench tune"
        self.table = _table(suite, asked)
        self.source = find(*_model(suite, self.table, asked, self.where))
        if self.source.kind == "zoo" and asked.data is not None:
            raise UserError("a zoo model brings its own data", where="--data", remedy="leave it out")
        self.suite = measuring(suite, MEASURE)
        if asked.seed is not None:
            self.suite = self.suite.model_copy(update={"seed": asked.seed})
        if asked.no_network:
            self.suite = self.suite.without_network()
        check_network(self.suite.measure.network)
        self.card = source_card(self.source) if self.source.kind == "zoo" else None
        self.fixed = dict(self.table.options)
        if self.table.scenario not in SCENARIOS:
            raise unknown("scenario", self.table.scenario, SCENARIOS, where=f"{self.where}: tune.scenario")
        self.known = self._known(suite)
        self.own_space = bool(self.table.space)
        self.space = self._space()
        self.judged_by = None if self.card is None else self.card.metric
        self.goals = self._goals()
        names = tuple(o.metric for o in self.goals.objectives)
        if COST in names and asked.profile is None:
            raise UserError("cost needs the price of a machine", where="--objective cost", remedy="give --profile NAME")
        self.sampler: SamplerName = self.table.sampler or ("nsga2" if len(names) > 1 else "tpe")
        self.size = self.space.count()
        self.trials = self.table.trials or (self.size or TRIALS if self.sampler == "grid" else TRIALS)
        if self.sampler == "grid" and self.size is None:
            list(self.space.combinations())  # says which range has no steps
        stem = f"{suite.name}-{self.source.name}" if asked.suite else self.source.name
        self.path = Path(asked.study) if asked.study else Path(asked.out) / FOLDER / f"{stem}.db"
        self.request = Request(
            suite=named,
            model_folders=asked.model_folders,
            data=asked.data,
            inputs=asked.inputs,
        )

    def identity(self) -> dict[str, Any]:
        """What has to be the same when a study goes on."""
        here = read_environment()
        return {
            "model": {"name": self.source.name, "sha256": self.source.sha256},
            "objectives": [objective.metric for objective in self.goals.objectives],
            "space": {
                "forms": plain(self.space.forms),
                **{
                    name: {key: values.model_dump() for key, values in part.items()}
                    for name, part in (("axes", self.space.axes), ("runtime", self.space.runtime))
                },
                "variant": {
                    name: {key: values.model_dump() for key, values in part.items()}
                    for name, part in self.space.variant.items()
                },
                "hyper": {key: values.model_dump() for key, values in self.space.hyper.items()},
            },
            "constraints": [
                *(str(constraint) for constraint in self.goals.constraints),
                f"max_loss {self.table.max_loss}",
            ],
            "measuring": {
                **self.suite.measure.model_dump(),
                "invocations": self.table.invocations,
                "scenario": self.table.scenario,
                "options": self.fixed,
                "seed": self.suite.seed,
            },
            "machine": {"cpu": here.cpu_model, "cores": len(here.cores_usable), "packages": here.packages},
        }

    def _known(self, suite: Suite) -> Known:
        hyper = {} if self.card is None or self.card.weights is not None else self.card.tune
        return Known(
            model=self.source.name if self.card is not None else self.source.path,
            formats=frozenset(self.source.formats),
            hyper=dict(hyper),
            values={} if self.card is None else {name: self.card.hyper(name) for name in hyper},
            recipes=recipes(
                {name: Definition(given.base, given.options) for name, given in suite.variants.items()},
                where=f"{self.where}: variants",
            ),
        )

    def _space(self) -> Space:
        if self.own_space:
            return make_space(self.table.space, self.known, self.where)
        usual = default_space(
            self.known,
            calibrates=self.card is not None or self.asked.data is not None,
            batches=all(name in _BATCHED for name in self.table.objectives),
            retrain=self.asked.retrain,
        )
        return make_space(usual, self.known, self.where)

    def _goals(self) -> Goals:
        place = f"{self.where}: tune"
        table = self.table
        constraints = list(wanted.budgets(table.constraints, f"{place}.constraints"))
        if table.min_accuracy is not None:
            constraints.append(wanted.least_accuracy(table.min_accuracy, self.judged_by, f"{place}.min_accuracy"))
        return Goals(
            objectives=wanted.objectives(table.objectives, self.judged_by, f"{place}.objectives"),
            constraints=tuple(constraints),
        )


def _table(suite: Suite, asked: Asked) -> Tune:
    """The table of the suite with what the command line puts in its place."""
    table = suite.tune or Tune()
    given: dict[str, object] = {
        "objectives": list(asked.objectives) or None,
        "min_accuracy": asked.min_accuracy,
        "trials": asked.trials,
        "budget_s": asked.budget_s,
        "sampler": asked.sampler,
    }
    return table.model_copy(update={key: value for key, value in given.items() if value is not None})


def _model(suite: Suite, table: Tune, asked: Asked, where: str) -> tuple[str, list[Path]]:
    """The one model to tune, and where zoo models are looked for. Raises `UserError`."""
    folders = [Path(folder) for folder in asked.model_folders]
    if asked.model is not None:
        return asked.model, folders
    named = list(dict.fromkeys(name for matrix in suite.matrix for name in matrix.models))
    if table.model is None and len(named) != 1:
        raise UserError(
            f"a search is of one model, the suite names {', '.join(named) or 'none'}",
            where=f"{where}: tune.model",
            remedy="add it there, or give --model",
        )
    word = table.model or named[0]
    beside = Path(where).parent / word
    return str(beside.resolve()) if beside.suffix and beside.exists() else word, folders
