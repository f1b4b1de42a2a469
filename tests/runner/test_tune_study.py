"""The study of a search on disk: what it proposes, and which files it goes on with."""

from __future__ import annotations

import contextlib
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from bench.errors import UserError
from bench.export.recipes import recipes
from bench.runner.tune.goals import Goals, Objective
from bench.runner.tune.space import Known, make_space
from bench.runner.tune.study import NAME, Study, open_study
from bench.runner.tune.trial import Outcome
from bench.suite.tune import SamplerName
from bench.zoo.card import Hyper

RANGES = {
    "width": Hyper(low=8, high=64, step=8),
    "depth": Hyper(low=1, high=1000, log=True),
    "share": Hyper(low=0.1, high=0.55, step=0.1),
    "rate": Hyper(low=1e-5, high=1e-1, log=True),
}
SPACE = make_space(
    {f"model.{name}": values for name, values in RANGES.items()},
    Known(
        model="m@s",
        formats=frozenset({"onnx"}),
        hyper=RANGES,
        values=dict.fromkeys(RANGES),
        recipes=recipes({}),
    ),
    "mine.toml",
)
FAST, GOOD = Objective("p50_latency", "lower"), Objective("accuracy", "higher")
ONE, TWO = Goals(objectives=(FAST,)), Goals(objectives=(FAST, GOOD))


def opened(
    path: Path, goals: Goals = ONE, sampler: SamplerName = "random", *, resume: bool = False
) -> contextlib.AbstractContextManager[Study]:
    return open_study(path, SPACE, goals, sampler=sampler, seed=0, asked={"space": "s"}, resume=resume)


def states(path: Path) -> list[TrialState]:
    study = optuna.load_study(study_name=NAME, storage=f"sqlite:///{path}")
    return [trial.state for trial in study.get_trials(deepcopy=False)]


@pytest.mark.parametrize(("sampler", "goals"), [("random", ONE), ("tpe", ONE), ("nsga2", TWO)])
def test_every_proposal_of_every_sampler_is_within_the_ranges(
    tmp_path: Path, sampler: SamplerName, goals: Goals
) -> None:
    listed = {name: values.listed() for name, values in RANGES.items()}
    with opened(tmp_path / "s.db", goals, sampler) as study:
        for at in range(12):
            proposed = study.ask()
            assert proposed is not None
            for word in proposed.setup.hyper.split(","):
                name, _, text = word.partition("=")
                value = float(text) if name in ("share", "rate") else int(text)
                assert RANGES[name].fault(value) is None
                assert listed[name] is None or value in (listed[name] or ())
            outcome = Outcome(setup=proposed.setup, status="complete", number=at)
            study.tell(proposed, outcome, tuple(float(at) for _ in goals.objectives))
        assert [each.setup for each in study.outcomes()][-1] == proposed.setup


def test_what_failed_once_fails_again_without_being_measured(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with opened(path) as study:
        proposed = study.ask()
        assert proposed is not None
        failed = Outcome(setup=proposed.setup, status="failed", reason="out of memory", number=0)
        study.tell(proposed, failed, None)
        again = study.ask()
        assert again is not None
        study.repeat(again, failed, None)
        assert (study.repeats, len(study.outcomes())) == (1, 1)
    assert states(path) == [TrialState.FAIL, TrialState.FAIL]


def test_a_trial_that_was_killed_before_it_had_a_setting_is_not_put_on_the_list_again(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with opened(path):
        pass
    optuna.load_study(study_name=NAME, storage=f"sqlite:///{path}").ask()
    assert states(path) == [TrialState.RUNNING]
    with opened(path, resume=True) as study:
        assert study.outcomes() == []
    assert states(path) == [TrialState.FAIL]


def test_two_processes_do_not_search_in_one_study(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with opened(path), pytest.raises(UserError, match="another process searches here"), opened(path, resume=True):
        pass


def test_a_file_that_holds_no_study_of_bench_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    optuna.create_study(study_name=NAME, storage=f"sqlite:///{foreign}")
    with pytest.raises(UserError, match="the file holds no study of bench"), opened(foreign, resume=True):
        pass
    text = tmp_path / "text.db"
    text.write_text("no data base")
    with pytest.raises(UserError, match="the study cannot be read") as refused, opened(text, resume=True):
        pass
    assert refused.value.where == str(text)
    assert text.read_text() == "no data base"
