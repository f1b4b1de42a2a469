"""Two sides in turns: the order, when it ends, what a failure costs, and what real processes show."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping

import numpy as np
import pytest

from bench.analyse.judge import change_of_series, judge
from bench.record.case import Case
from bench.record.comparison import Series
from bench.record.observation import Failure, Plan
from bench.runner.paired import Paired, Side, run_pairs
from bench.runner.sides import ModelSide, Ready
from bench.runner.trial import Trial
from bench.sensors.sampler import Sampler
from bench.stats.sequential import schedule
from bench.worker.measure import OnProgress
from bench.worker.messages import Job


class Quiet:
    """Nobody watches."""

    def pairs(self, cases: int, rounds: int) -> None: ...
    def pair(self, case: str, at: int) -> None: ...
    def progress(self, phase: str, samples: int, median_s: float) -> None: ...
    def paired(self, case: str, at: int, told: str) -> None: ...
    def settled(self, case: str, rounds: int) -> None: ...


class Noisy:
    """A side without processes: a latency with noise. It notes each call in a list that both sides share."""

    def __init__(self, name: str, called: list[tuple[str, str, int]], latency: float = 1.0, fails: str = "") -> None:
        self.name, self.called, self.latency, self.fails = name, called, latency, fails
        self.noise = np.random.default_rng(len(name) + int(latency * 100))

    def measure(self, case: str, at: int, on_progress: OnProgress) -> dict[str, float] | Failure:
        self.called.append((self.name, case, at))
        if case == self.fails and at == 1:
            return Failure(reason="the process crashed with SIGSEGV", phase="measure", tail="last words")
        return {"p50_latency": self.latency * float(self.noise.lognormal(0, 0.005)), "outlier_share": 0.0}


def never(case: str, rounds: int, series: Mapping[str, Series]) -> bool:
    return False


def shown(first: int, last: int) -> object:
    """A case is settled when B is slower, faster or the same within 5 %."""
    looks = schedule(first, last)

    def settled(case: str, rounds: int, series: Mapping[str, Series]) -> bool:
        change = change_of_series(series["p50_latency"], looks.at(rounds))
        return judge(change, 0.05, "lower").outcome in ("pass", "regressed", "improved")

    return settled


def pairs_of(a: Side, b: Side, cases: list[str], **options: object) -> Paired:
    given = {"schedule": schedule(4, 8), "budget_s": 60.0, "settled": never, "events": Quiet()} | options
    return run_pairs(a, b, cases, **given)  # type: ignore[arg-type]


def sides(**b: object) -> tuple[Noisy, Noisy, list[tuple[str, str, int]]]:
    called: list[tuple[str, str, int]] = []
    return Noisy("A", called), Noisy("B", called, **b), called  # type: ignore[arg-type]


def test_both_sides_of_a_case_follow_each_other_and_the_order_alternates_by_rounds() -> None:
    a, b, called = sides()
    done = pairs_of(a, b, ["x", "y", "z"])
    for first, second in zip(called[::2], called[1::2], strict=True):
        assert first[1:] == second[1:]
        assert (first[0], second[0]) == (("A", "B") if first[2] % 2 == 0 else ("B", "A"))
    assert done.rounds == {"x": 8, "y": 8, "z": 8}
    assert done.stopped_by == "rounds"


def test_the_order_of_cases_differs_between_rounds_and_is_the_same_for_the_same_seed() -> None:
    def order(seed: int) -> list[tuple[str, ...]]:
        a, b, called = sides()
        pairs_of(a, b, list("uvwxyz"), seed=seed)
        return [tuple(case for _, case, at in called[::2] if at == wanted) for wanted in range(8)]

    assert order(1) == order(1) != order(2)
    assert len(set(order(1))) > 1


def test_values_stay_in_pairs_and_what_has_no_ratio_is_left_out() -> None:
    a, b, _ = sides(latency=2.0)
    (series,) = pairs_of(a, b, ["x"]).series
    assert (series.case, series.metric, series.unit) == ("x", "p50_latency", "s")
    assert len(series.a) == len(series.b) == 8
    assert max(series.a) < min(series.b)


def test_a_settled_case_gets_no_further_round_and_the_others_go_on() -> None:
    a, b, _ = sides()

    def settled(case: str, rounds: int, series: Mapping[str, Series]) -> bool:
        return case == "x"

    done = pairs_of(a, b, ["x", "y"], settled=settled)
    assert done.rounds == {"x": 4, "y": 8}
    assert done.settled == {"x"}
    assert pairs_of(a, b, ["x"], settled=settled).stopped_by == "decision"


def test_a_clear_difference_ends_it_at_the_first_look_and_a_close_one_does_not() -> None:
    a, b, _ = sides(latency=1.2)
    clear = pairs_of(a, b, ["x"], schedule=schedule(4, 50), settled=shown(4, 50))
    assert (clear.stopped_by, clear.rounds["x"]) == ("decision", 4)
    a, b, _ = sides(latency=1.05)
    close = pairs_of(a, b, ["x"], schedule=schedule(4, 50), settled=shown(4, 50))
    assert close.rounds["x"] > 4


def test_a_side_that_fails_costs_its_case_and_no_other() -> None:
    a, b, _ = sides(fails="x")
    done = pairs_of(a, b, ["x", "y"])
    assert done.failures["x"].side == "B"
    assert "B failed in round 2: the process crashed with SIGSEGV" in str(done.failures["x"])
    assert "last words" in str(done.failures["x"])
    assert done.rounds == {"x": 1, "y": 8}
    assert len(done.of("x")["p50_latency"].a) == 1
    assert pairs_of(*sides(fails="x")[:2], ["x"]).stopped_by == "failures"


def test_the_budget_ends_it_before_a_pair_that_would_go_beyond() -> None:
    class Slow(Noisy):
        def measure(self, case: str, at: int, on_progress: OnProgress) -> dict[str, float] | Failure:
            time.sleep(0.05)
            return super().measure(case, at, on_progress)

    called: list[tuple[str, str, int]] = []
    done = pairs_of(Slow("A", called), Slow("B", called), ["x"], budget_s=0.35)
    assert done.stopped_by == "budget"
    assert 1 <= done.rounds["x"] <= 3
    assert pairs_of(Slow("A", called), Slow("B", called), ["x"], budget_s=0).rounds == {"x": 0}


def test_ctrl_c_keeps_the_finished_pairs() -> None:
    class Stopped(Noisy):
        def measure(self, case: str, at: int, on_progress: OnProgress) -> dict[str, float] | Failure:
            if at == 3:
                signal.raise_signal(signal.SIGINT)
            return super().measure(case, at, on_progress)

    called: list[tuple[str, str, int]] = []
    done = pairs_of(Stopped("A", called), Noisy("B", called), ["x"])
    assert done.stopped_by == "interrupted"
    assert done.rounds == {"x": 3}
    assert len(done.of("x")["p50_latency"].b) == 3


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(tmp_path_factory.mktemp("trial"))


def slowed(trial: Trial, name: str, sampler: Sampler, share: float, case: str = "trial") -> ModelSide:
    job = Job(
        case=Case(model="trial", variant="fp32", runtime="slowed", provider="cpu", options={"slowdown": share}),
        artifact=trial.artifact,
        artifact_path=str(trial.path),
        inputs=str(trial.inputs),
        outputs=None,
        plan=Plan(warmup_min_s=0.05, warmup_max_s=0.1, min_s=0.05, max_s=0.1, evaluate=False, timeout_s=60),
        cores=None,
    )
    return ModelSide(name, {case: Ready(job)}, sampler)


def test_a_side_made_slower_is_found_slower_and_the_same_side_twice_is_not(trial: Trial) -> None:
    with Sampler() as sampler:
        plain, again, slower = (slowed(trial, name, sampler, share) for name, share in (("A", 0), ("B", 0), ("S", 0.5)))
        found = pairs_of(plain, slower, ["trial"], schedule=schedule(4, 12), settled=shown(4, 12)).of("trial")
        null = pairs_of(plain, again, ["trial"], schedule=schedule(3, 3)).of("trial")
    assert change_of_series(found["p50_latency"]).low > 1.05
    assert change_of_series(null["p50_latency"], 0.99).low < 1.02
    assert {"p50_latency", "throughput", "load_time", "peak_rss"} <= set(found)
    assert found["throughput"].unit == "1/s"
    assert min(found["peak_rss"].a) > trial.artifact.bytes
