"""A search from its table to the confirmed choice, on real processes of a small model."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.hardware.load import load_profile
from bench.record.comparison import Change
from bench.record.measurement import Measurement
from bench.runner.trial import Trial
from bench.runner.tune.confirm import Confirmation, _money
from bench.runner.tune.goals import (
    COST,
    Constraint,
    Goals,
    budgets,
    least_accuracy,
    least_after_loss,
    objectives,
    usual,
)
from bench.runner.tune.noise import Spread, pooled
from bench.runner.tune.prepare import Asked
from bench.runner.tune.result import Tuned
from bench.runner.tune.search import tune
from bench.runtimes.base import Opening, SessionError
from bench.runtimes.table import open_session
from bench.suite.load import load_suite

SHORT = """
name = "small"
[measure]
warmup_min_s = 0.01
warmup_max_s = 0.02
min_s = 0.06
max_s = 0.15
min_samples = 20
[[matrix]]
models = ["trial.onnx"]
variants = ["fp32"]
runtimes = ["onnxruntime-cpu"]
"""
SLOWED = """
[tune]
invocations = 3
options = { slowdown = 2.0 }
[tune.space]
runtime = ["slowed-cpu"]
slowdown = [0.0, 20.0]
"""
"""The default is made slower than the best by a factor of three, the other setting by one of twenty."""


class Watched:
    """Notes what is tried."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.told: list[str] = []

    def stage(self, text: str, share: float | None = None, *, passing: bool = False) -> None: ...
    def begin(self, total: int, done: int) -> None: ...
    def case(self, case: object, invocation: int) -> None: ...
    def progress(self, phase: str, samples: int, median_s: float) -> None: ...
    def done(self, row: object) -> None: ...
    def pairs(self, cases: int, rounds: int) -> None: ...
    def pair(self, case: str, at: int) -> None: ...
    def paired(self, case: str, at: int, told: str) -> None: ...
    def settled(self, case: str, rounds: int) -> None: ...
    def searching(self, trials: int, done: int) -> None: ...

    def trial(self, name: str) -> None:
        self.names.append(name)

    def tried(self, name: str, told: str) -> None:
        self.told.append(told)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Trial(tmp_path)
    return tmp_path


def searched(folder: Path, table: str, events: Watched | None = None, **asked: object) -> Tuned:
    suite = folder / "small.toml"
    suite.write_text(SHORT + table)
    given = {"rounds": 3, "out": str(folder / "results"), **asked}
    return tune(Asked(suite=str(suite), **given), events or Watched())  # type: ignore[arg-type]


# a whole search


def test_the_best_is_found_what_is_hopeless_is_pruned_and_the_gain_is_confirmed_in_pairs(folder: Path) -> None:
    events = Watched()
    found = searched(folder, SLOWED, events)
    assert found.chosen is not None
    assert found.chosen.setup.options == {"slowdown": 0.0}
    pruned = [candidate for candidate in found.candidates if candidate.status == "pruned"]
    assert [candidate.setup.options["slowdown"] for candidate in pruned] == [20.0]
    assert all(candidate.figures["p50_latency"].n == 1 for candidate in pruned)
    confirmation = found.confirmation
    assert confirmation is not None
    assert confirmation.report is not None
    assert confirmation.verdict == "improved", confirmation.reason
    assert found.exit_code == 0
    gain = confirmation.gain
    assert gain is not None
    assert gain[1] <= gain[0] <= gain[2] < 0
    assert -0.85 < gain[0] < -0.4
    # Fresh rounds, and not the figures that chose it.
    assert confirmation.report.rounds == 3
    assert found.chosen.figures["p50_latency"].value not in confirmation.report.series[0].b
    # Every setting once, and the default.
    assert (found.stopped_by, found.size, len(events.names)) == ("space", 2, 3)
    snippet = folder / "again.toml"
    snippet.write_text(found.snippet)
    (matrix,) = load_suite(str(snippet)).matrix
    assert (matrix.runtimes, matrix.options) == (["slowed-cpu"], {"slowdown": 0.0})


def test_a_setting_that_fails_does_not_end_the_search_and_a_constraint_is_kept(folder: Path) -> None:
    table = """
[tune]
objectives = ["p50_latency", "size"]
invocations = 1
constraints = { size = "<= 5MB" }
[tune.space]
variant = ["fp32", "fp16", "int8"]
"""
    found = searched(folder, table, confirm_s=0.0)
    by_variant = {candidate.setup.variant: candidate for candidate in found.candidates}
    assert by_variant["int8"].status == "failed"
    assert "no calibration data" in (by_variant["int8"].reason or "")
    assert found.default.status == "infeasible"
    assert "size <= 5e+06" in (found.default.reason or "")
    assert found.chosen is not None
    assert found.chosen.setup.variant == "fp16"
    assert [candidate.setup.variant for candidate in found.frontier] == ["fp16"]
    assert any("no constraint is on quality" in note for note in found.notes)


def test_nothing_better_than_the_default_is_said_plainly(folder: Path) -> None:
    table = """
[tune]
invocations = 1
constraints = { size = ">= 1MB" }
[tune.space]
threads = [1]
"""
    with pytest.raises(UserError, match="better side of size"):
        searched(folder, table)
    found = searched(folder, table.replace('constraints = { size = ">= 1MB" }', ""))
    assert found.confirmation is not None
    assert (found.confirmation.verdict, found.exit_code, found.confirmation.report) == ("no better", 0, None)
    # The one setting of the space is the default, and was measured already.
    assert (found.repeats, found.candidates) == (1, ())


@pytest.mark.parametrize(
    ("table", "asked", "said"),
    [
        ("[tune]\nmin_accuracy = 0.9\n[tune.space]\nthreads = [1]", {}, "accuracy >= 0.9 cannot be checked"),
        ("[tune]\nmax_loss = 0.01\n[tune.space]\nthreads = [1]", {}, "the default setting has no accuracy"),
        ("[tune]\nobjectives = ['capacity']\n[tune.space]\nthreads = [1]", {}, "has no figure for capacity"),
        ("[tune]\nobjectives = ['p50_latncy']\n", {}, "did you mean 'p50_latency'"),
        ("[tune]\nobjectives = ['size', 'size']\n", {}, "an objective is given twice"),
        ("[tune]\nobjectives = ['cpu_utilisation']\n", {}, "no value of cpu_utilisation is better"),
        ("[tune]\n[tune.space]\nslowdown = { low = 0.0, high = 1.0 }\nruntime = ['slowed-cpu']", {"sampler": "grid"},
         "a grid needs steps"),
        ("[[matrix]]\nmodels = ['b.onnx']\nvariants = ['fp32']\nruntimes = ['onnxruntime-cpu']\n", {},
         "the suite names trial.onnx, b.onnx"),
        ("[tune]\nobjectives = ['cost']\n", {}, "--profile"),
        ("[tune]\nscenario = 'single'\n", {}, "did you mean 'single-stream'"),
        ("", {"resume": True}, "no study to go on with"),
        ("", {"model": "trial.tflite"}, "no such model file"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused(folder: Path, table: str, asked: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as refused:
        searched(folder, table, **asked)
    assert said in str(refused.value)


def test_a_default_setting_that_cannot_be_measured_is_refused_with_the_reason(folder: Path) -> None:
    (folder / "small.toml").write_text(SHORT.replace("[measure]", "[measure]\nmemory_limit_mb = 1"))
    with pytest.raises(UserError, match=r"the default setting cannot be measured: out of memory \(limit 1 MiB\)"):
        tune(Asked(suite=str(folder / "small.toml"), out=str(folder / "results")), Watched())


def test_where_no_setting_meets_a_constraint_nothing_is_chosen(folder: Path) -> None:
    table = """
[tune]
objectives = ["size"]
invocations = 2
constraints = { size = "<= 1MB" }
[tune.space]
variant = ["fp16"]
"""
    found = searched(folder, table)
    assert [(each.status, len(each.figures["p50_latency"].how)) for each in found.candidates] == [
        ("infeasible", len("measured:median of 1 processes"))
    ]
    assert (found.chosen, found.confirmation, found.frontier, found.exit_code) == (None, None, (), 1)


def test_a_smaller_file_needs_no_rounds_to_be_confirmed(folder: Path) -> None:
    table = """
[tune]
objectives = ["size"]
invocations = 1
[tune.space]
variant = ["fp16"]
"""
    found = searched(folder, table, seed=5)
    assert found.confirmation is not None
    assert (found.confirmation.verdict, found.confirmation.report) == ("improved", None)
    gain = found.confirmation.gain
    assert gain is not None
    assert gain == pytest.approx((-0.5, -0.5, -0.5), abs=0.01)


@pytest.mark.alone
def test_money_is_sought_by_the_price_of_a_profile_and_confirmed_by_the_rates(folder: Path) -> None:
    profile = load_profile("server-cpu-avx2")
    table = SLOWED.replace("[0.0, 20.0]", "[0.0, 0.1]")
    found = searched(folder, table, objectives=("cost",), profile=profile, trials=1, rounds=12)
    assert found.stopped_by == "trials"
    assert len(found.candidates) == 1
    for each in (found.default, *found.candidates):
        assert each.figures[COST].unit == profile.price.currency
    confirmation = found.confirmation
    assert confirmation is not None
    assert (confirmation.metric, confirmation.verdict) == (COST, "improved"), confirmation.reason
    assert confirmation.change is not None
    assert confirmation.change.unit == profile.price.currency
    assert confirmation.gain is not None
    assert -0.85 < confirmation.gain[0] < -0.4


def test_without_a_table_the_usual_settings_are_tried_that_leave_the_outputs_alike(folder: Path) -> None:
    found = searched(folder, "", budget_s=1e-9)
    assert (found.stopped_by, found.candidates) == ("budget", ())
    assert found.size is not None
    assert found.size > 10
    assert found.notes == ("kept to, as no constraint was given: parity_agreement >= 0.99",)
    assert found.chosen == found.default


# stopped and gone on with


def test_on_ctrl_c_what_was_measured_is_told_without_a_confirmation(folder: Path) -> None:
    class Stopped(Watched):
        def trial(self, name: str) -> None:
            super().trial(name)
            if len(self.names) == 2:
                raise KeyboardInterrupt

    found = searched(folder, SLOWED, Stopped())
    assert (found.stopped_by, found.exit_code) == ("interrupted", 130)
    assert found.candidates == ()
    assert found.chosen == found.default
    assert found.confirmation is None


_SEARCH = "import typer; from bench.cli.tune import tune; typer.run(tune)"


def _states(study: Path) -> list[str]:
    if not study.exists():
        return []
    try:
        with sqlite3.connect(f"file:{study}?mode=ro", uri=True) as file:
            return [state for (state,) in file.execute("select state from trials order by number")]
    except sqlite3.OperationalError:  # it is being made
        return []


def test_a_search_that_is_killed_within_a_trial_goes_on_where_it_was(folder: Path) -> None:
    (folder / "small.toml").write_text(SHORT + SLOWED.replace("[0.0, 20.0]", "[0.0, 0.5, 20.0]"))
    study = folder / "study.db"
    arguments = ["small.toml", "--study", "study.db", "--rounds", "2"]
    with subprocess.Popen(
        [sys.executable, "-c", _SEARCH, *arguments], cwd=folder, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        until = time.monotonic() + 60
        # The first trial is kept and the second one runs.
        while not ("RUNNING" in _states(study) and {"COMPLETE", "PRUNED"} & set(_states(study))):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    before = _states(study)
    with pytest.raises(UserError, match="--resume"):
        tune(Asked(suite=str(folder / "small.toml"), study=str(study)), Watched())
    with pytest.raises(UserError, match="another objectives"):
        tune(
            Asked(suite=str(folder / "small.toml"), study=str(study), resume=True, objectives=("throughput",)),
            Watched(),
        )
    events = Watched()
    asked = Asked(suite=str(folder / "small.toml"), study=str(study), resume=True, confirm_s=0.0)
    found = tune(asked, events)
    after = _states(study)
    stale = before.index("RUNNING")
    assert after[stale] == "FAIL"
    assert [after[at] for at, state in enumerate(before) if state in ("COMPLETE", "PRUNED")] == [
        state for state in before if state in ("COMPLETE", "PRUNED")
    ]
    # All settings are there, each once, and what was kept was not measured again.
    assert len({candidate.setup.key for candidate in found.candidates}) == len(found.candidates) == 3
    assert len(events.names) == 3 - sum(state in ("COMPLETE", "PRUNED") for state in before)
    assert found.chosen is not None
    assert found.chosen.setup.options == {"slowdown": 0.0}


# figures


@given(st.lists(st.lists(st.floats(1e-6, 1e-2), min_size=1, max_size=6), min_size=1, max_size=6))
def test_the_interval_of_a_setting_holds_its_median_and_has_no_end_where_nothing_is_known(
    groups: list[list[float]],
) -> None:
    spread = pooled(groups)
    assert spread.freedom == sum(len(group) - 1 for group in groups)
    low, high = spread.interval(groups[0])
    middle = sorted(groups[0])[len(groups[0]) // 2] if len(groups[0]) % 2 else sum(sorted(groups[0])[1:-1]) / 2
    assert math.isinf(high) == (spread.freedom == 0)
    if len(groups[0]) % 2:
        assert low <= middle <= high


def test_a_single_process_is_known_as_closely_as_others_have_shown() -> None:
    quiet, noisy = pooled([[1.0, 1.01, 0.99]] * 5), pooled([[1.0, 1.2, 0.8]] * 5)
    assert quiet.interval([2.0])[0] > noisy.interval([2.0])[0]
    alone, four = quiet.interval([2.0]), quiet.interval([2.0] * 4)
    assert math.log(alone[1] / alone[0]) == pytest.approx(2 * math.log(four[1] / four[0]))
    assert Spread(0.0, 3).interval([1.0])[0] < 1.0  # some spread there always is


def figure(value: float | None, unit: str = "1") -> Measurement:
    if value is None:
        return Measurement.unavailable(unit, "no labels")
    return Measurement(value=value, unit=unit, n=1, how="measured:x")


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_constraint_is_met_exactly_where_its_limit_is_kept(value: float, limit: float) -> None:
    assert (Constraint("accuracy", ">=", limit).excess({"accuracy": figure(value)}) <= 0) == (value >= limit)
    assert (Constraint("size", "<=", limit).excess({"size": figure(value)}) <= 0) == (value <= limit)


def test_what_is_not_known_meets_no_constraint() -> None:
    limit = Constraint("accuracy", ">=", 0.9)
    goals = Goals(objectives=(), constraints=(limit,))
    assert limit.excess({}) > 0
    assert not goals.met({"accuracy": figure(None)})
    assert "no labels" in goals.broken({"accuracy": figure(None)})


def test_goals_mind_which_side_of_a_task_metric_is_better() -> None:
    assert [o.better for o in objectives(["accuracy", "size"], "rmse", "x")] == ["lower", "lower"]
    assert objectives(["accuracy"], "auc", "x")[0].better == "higher"
    assert least_after_loss(0.1, {"accuracy": figure(0.5)}, "rmse", "x").side == "<="
    assert least_after_loss(0.0, {"accuracy": figure(0.5)}, "auc", "x").excess({"accuracy": figure(0.5)}) <= 0
    with pytest.raises(UserError, match="less is better"):
        least_accuracy(0.9, "rmse", "x")
    with pytest.raises(UserError, match="no budget"):
        budgets({"p99_latency": "5%"}, "x")
    (budget,) = budgets({"p99_latency": "<= 2ms"}, "x")
    assert (budget.side, budget.limit) == ("<=", 0.002)


@pytest.mark.parametrize(
    ("known", "kept"),
    [
        ({"accuracy": 0.9, "parity_agreement": 1.0, "parity_cosine": 1.0}, ["accuracy >= 0.89"]),
        ({"parity_agreement": 1.0, "parity_cosine": 1.0}, ["parity_agreement >= 0.99"]),
        ({"parity_cosine": 1.0}, ["parity_cosine >= 0.99"]),
        ({}, []),
    ],
)
def test_a_search_without_constraints_keeps_to_the_best_that_is_known_of_the_outputs(
    known: dict[str, float], kept: list[str]
) -> None:
    names = ("accuracy", "parity_agreement", "parity_cosine")
    assert list(map(str, usual({name: figure(known.get(name)) for name in names}, None, "x"))) == kept


def test_money_follows_the_rate_and_the_price_of_each_setting() -> None:
    # Twice the rate on twice the cores costs the same; the interval turns round.
    change = Change(
        case="c", metric="throughput", unit="1/s", before=100.0, after=200.0,
        ratio=2.0, low=1.6, high=2.5, confidence=0.95, basis="paired rounds", n=6, spread=0.1,
    )  # fmt: skip
    default = {COST: figure(10.0, "USD"), "throughput": figure(100.0, "1/s")}
    chosen = {COST: figure(11.0, "USD"), "throughput": figure(2000.0 / 11, "1/s")}
    money = _money(change, default, chosen)
    assert (money.metric, money.unit) == (COST, "USD")
    assert money.ratio == pytest.approx(1.0)
    assert (money.low, money.high) == (pytest.approx(0.8), pytest.approx(1.25))
    assert (money.before, money.after) == (pytest.approx(10.0), pytest.approx(10.0))
    unknown = _money(change, default, {**chosen, COST: figure(None, "USD")})
    assert (unknown.metric, unknown.ratio, unknown.absent) == (COST, None, "the cost of one side is not known")
    assert Confirmation(verdict="failed", metric=COST, reason="", change=unknown).gain is None


# the execution mode


def opened(folder: Path, threads: int, **options: str | int) -> dict[str, object]:
    """What a session says of its settings."""
    trial = Trial(folder)
    session = open_session(
        "onnxruntime",
        Opening(
            path=trial.path, artifact=trial.artifact, provider="cpu", threads=threads, shapes=[(1, 512)],
            options=dict(options),
        ),
    )  # fmt: skip
    facts = session.facts()
    session.close()
    return facts


def test_branches_of_a_graph_run_side_by_side_where_that_is_asked_for(tmp_path: Path) -> None:
    usual = opened(tmp_path, 2)
    assert (usual["execution_mode"], usual["inter_op_threads"]) == ("ORT_SEQUENTIAL", 1)
    parallel = opened(tmp_path, 2, execution_mode="parallel")
    assert (parallel["execution_mode"], parallel["inter_op_threads"]) == ("ORT_PARALLEL", 2)
    assert opened(tmp_path, 2, execution_mode="parallel", inter_op_threads=3)["inter_op_threads"] == 3
    for options in ({"inter_op_threads": 2}, {"execution_mode": "parallel", "inter_op_threads": 0}):
        with pytest.raises(SessionError, match="inter_op_threads"):
            opened(tmp_path, 2, **options)  # type: ignore[arg-type]
    with pytest.raises(SessionError, match="'both' is not one of"):
        opened(tmp_path, 2, execution_mode="both")
