"""The study of a search: Optuna proposes, everything is kept in SQLite, and a stopped search goes on."""

from __future__ import annotations

import contextlib
import importlib.util
import random
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from bench.errors import UserError
from bench.record.case import Option
from bench.record.codec import plain
from bench.runner.tune.goals import Goals
from bench.runner.tune.setup import Setup
from bench.runner.tune.space import Space
from bench.runner.tune.trial import Outcome
from bench.suite.tune import SamplerName, Values

NAME = "tune"
_ASKED, _DEFAULT, _LISTED, _OUTCOME, _SAME = "asked", "default", "listed", "outcome", "same_as"
_GENERATION = 10
"""Of NSGA-II: with Optuna's 50 a search of the usual length would not get beyond random settings."""


class Proposed(msgspec.Struct, frozen=True):
    """A setup that the sampler asks for. `trial` is Optuna's."""

    trial: Any
    setup: Setup


def check_optuna() -> None:
    """Raises `UserError` where Optuna is not installed."""
    if importlib.util.find_spec("optuna") is None:
        raise UserError(
            "the search is Optuna's, which is not installed here",
            where="bench tune",
            remedy="pip install 'counterpoise[tune]'",
        )


class Study:
    """One search on disk."""

    def __init__(self, study: Any, space: Space, goals: Goals) -> None:
        self._study, self._space, self._goals = study, space, goals

    def outcomes(self) -> list[Outcome]:
        """Of all finished trials that were measured, in order."""
        told = ((trial.number, trial.user_attrs.get(_OUTCOME)) for trial in self._study.get_trials(deepcopy=False))
        found = [(number, msgspec.convert(each, Outcome)) for number, each in told if each is not None]
        return [msgspec.structs.replace(outcome, number=number) for number, outcome in found]

    @property
    def repeats(self) -> int:
        """Trials that asked for what had been measured already."""
        return sum(_SAME in trial.user_attrs for trial in self._study.get_trials(deepcopy=False))

    @property
    def default(self) -> Outcome | None:
        """The default setting as it was measured when the study began."""
        kept = self._study.user_attrs.get(_DEFAULT)
        return None if kept is None else msgspec.convert(kept, Outcome)

    @default.setter
    def default(self, outcome: Outcome) -> None:
        self._study.set_user_attr(_DEFAULT, plain(outcome))

    def lay_out(self, seed: int) -> None:
        """Put every setup on the list, in an order drawn with `seed`, if that was not done yet.

        Raises:
            UserError: a range has no steps.
        """
        if self._study.user_attrs.get(_LISTED):
            return
        combinations = list(self._space.combinations())
        random.Random(seed).shuffle(combinations)
        for params, _ in combinations:
            self._study.enqueue_trial(dict(params))
        self._study.set_user_attr(_LISTED, True)

    def ask(self) -> Proposed | None:
        """The next setup; None where all of a list are through."""
        if self._study.user_attrs.get(_LISTED) and not self._waiting():
            return None
        trial = self._study.ask()
        return Proposed(trial, self._space.walk(lambda name, values: _suggest(trial, name, values)))

    def _waiting(self) -> bool:
        from optuna.trial import TrialState

        return bool(self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def report(self, proposed: Proposed, value: float, step: int) -> None:
        """The running value of a search with one objective after the process `step`."""
        if len(self._goals.objectives) == 1:
            proposed.trial.report(value, step)

    def tell(self, proposed: Proposed, outcome: Outcome, values: tuple[float, ...] | None) -> None:
        """What came of it; `values` are those of the objectives."""
        proposed.trial.set_user_attr(_OUTCOME, plain(outcome))
        self._tell(proposed, outcome, values)

    def repeat(self, proposed: Proposed, outcome: Outcome, values: tuple[float, ...] | None) -> None:
        """The same again, for a setup that was measured already: nothing is measured twice."""
        proposed.trial.set_user_attr(_SAME, outcome.number)
        if values is not None:
            self.report(proposed, values[0], 0)
        self._tell(proposed, outcome, values)

    def _tell(self, proposed: Proposed, outcome: Outcome, values: tuple[float, ...] | None) -> None:
        from optuna.trial import TrialState

        if outcome.status == "failed" or values is None:
            self._study.tell(proposed.trial, state=TrialState.FAIL)
        elif outcome.status == "pruned" and len(values) == 1:
            self._study.tell(proposed.trial, state=TrialState.PRUNED)
        else:
            # Optuna knows no pruning with several objectives; what is surely dominated is known well enough to be told.
            self._study.tell(proposed.trial, list(values))

    def limits(self, proposed: Proposed, excess: Mapping[str, float]) -> None:
        """By how much each constraint is missed; 0 or less where it is met. Samplers keep away from what misses."""
        for name, value in excess.items():
            proposed.trial.set_constraint(name, value)


@contextlib.contextmanager
def open_study(
    path: Path, space: Space, goals: Goals, *, sampler: SamplerName, seed: int, asked: Mapping[str, Any], resume: bool
) -> Iterator[Study]:
    """The study in the file `path`, made there unless it is to be gone on with.

    `asked` is everything that has to be the same when it goes on. A trial that was being measured when the search was
    killed counts as failed, and is put on the list again.

    Raises:
        UserError: there is a study already, there is none to go on with, or it is of something else; or another
            process is at it.
    """
    # As it is read back.
    asked = msgspec.json.decode(msgspec.json.encode({**asked, "sampler": sampler}))
    _check_file(path, resume)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError("another process searches here", where=str(path), remedy="wait for it, or stop it") from None
    try:
        with _quiet():
            study = _load(path, goals, sampler, seed, resume)
            if resume:
                _check_same(study.user_attrs.get(_ASKED), asked, path)
                _ask_again(study)
            else:
                study.set_user_attr(_ASKED, asked)
            yield Study(study, space, goals)
    finally:
        lock.release()


def _check_file(path: Path, resume: bool) -> None:
    if resume and not path.exists():
        raise UserError("there is no study to go on with", where=str(path), remedy="leave --resume out")
    if path.exists() and not resume:
        raise UserError(
            "there is a study already", where=str(path), remedy="go on with --resume, or choose a file with --study"
        )


def _load(path: Path, goals: Goals, sampler: SamplerName, seed: int, resume: bool) -> Any:
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    toward = {"lower": optuna.study.StudyDirection.MINIMIZE, "higher": optuna.study.StudyDirection.MAXIMIZE}
    directions = [toward[way] for way in goals.ways]
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}")
        done = 0
        if resume:
            done = len(optuna.load_study(study_name=NAME, storage=storage).get_trials(deepcopy=False))
        return optuna.create_study(
            storage=storage,
            study_name=NAME,
            directions=directions,
            # With the first seed again, a search that goes on would propose what it has proposed.
            sampler=_sampler(sampler, seed + done),
            pruner=optuna.pruners.NopPruner(),
            load_if_exists=resume,
        )
    except (SQLAlchemyError, KeyError, RuntimeError, optuna.exceptions.OptunaError) as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(f"the study cannot be read: {said}", where=str(path), remedy="choose another file") from error


def _sampler(name: SamplerName, seed: int) -> Any:
    from optuna import samplers

    match name:
        case "tpe":
            # Groups, since the space is conditional: options that are asked for together are modelled together.
            return samplers.TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=8)
        case "nsga2":
            return samplers.NSGAIISampler(seed=seed, population_size=_GENERATION)
        case _:
            return samplers.RandomSampler(seed=seed)


def _check_same(before: Any, asked: Mapping[str, Any], path: Path) -> None:
    if not isinstance(before, dict):
        raise UserError("the file holds no study of bench", where=str(path), remedy="choose another file")
    differ = [key for key in asked if before.get(key) != asked[key]]
    if differ:
        raise UserError(
            f"the study was begun with another {', '.join(differ)}",
            where=str(path),
            remedy="begin a new one in another file: figures of both do not belong in one search",
        )


def _ask_again(study: Any) -> None:
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        # Killed at once, it has no parameters of its own yet, but those that it was to take from the list.
        params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        if params:
            study.enqueue_trial(params)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's log, and without its warnings on what it calls experimental."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", module="optuna")
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _suggest(trial: Any, name: str, values: Values) -> Option:
    listed = values.listed()
    if values.ends is None:
        chosen: Option = trial.suggest_categorical(name, list(listed or ()))
        return chosen
    low, high = values.ends
    if values.whole:
        whole: int = trial.suggest_int(name, low, (listed or (high,))[-1], step=int(values.step or 1), log=values.log)
        return whole
    end = high if listed is None else listed[-1]
    # Rounded as the listed values are; six digits of a continuous one are enough to tell settings apart.
    found = float(trial.suggest_float(name, low, end, step=values.step, log=values.log))
    return float(f"{found:.6g}") if listed is None else round(found, 12)
