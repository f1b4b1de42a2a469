"""A figure over many runs: gaps with their reason, changes of machine, and what a change coincides with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analyse.history import CaseHistory, history
from bench.errors import UserError
from bench.store.snapshot import Snapshot
from tests.analyse.snapshots import CASE, figure, snapshot

OTHER = "m/int8/litert-xnnpack/t1/b1/single-stream"
STEP = 15


def run(
    at: int, value: float | None, case: str = CASE, metric: str = "p50_latency", how: str = "measured:x", **more: Any
) -> Snapshot:
    told = figure(value, 0.01 if value is not None else None, how=how)
    fields = {"artifact": "a", **more.pop("fields", {})}
    return snapshot(f"r{at:02d}", {case: {metric: told}}, cases={case: fields}, **more)


def values(n: int = 30, step: float = 1.2, seed: int = 1) -> np.ndarray:
    made = 80e-6 * np.exp(np.random.default_rng(seed).normal(0, 0.01, n))
    made[STEP:] *= step
    return made


def series(machine: dict[str, str | None] | None = None, at: int = STEP, **more: Any) -> CaseHistory:
    """One case whose figure steps at `STEP`, and whose machine changes by `machine` at run `at`."""
    made = [run(i, v, machine=machine if i >= at else None, **more) for i, v in enumerate(values())]
    (case,) = history(made, more.get("metric", "p50_latency")).cases
    return case


def test_a_step_is_told_with_its_run_and_whether_it_is_better() -> None:
    case = series()
    (turn,) = case.turns
    assert (turn.at, turn.run, turn.improved, turn.causes) == (STEP, f"r{STEP}", False, ())
    assert turn.ratio == pytest.approx(1.2, rel=0.02)
    assert case.breaks == ()
    (rate,) = series(metric="throughput").turns
    assert rate.improved is True
    (use,) = series(metric="cpu_utilisation").turns
    assert use.improved is None


def test_a_change_of_machine_is_a_break_and_is_named_at_the_change_point() -> None:
    case = series({"cpu_model": "B", "cores": "0"})
    ((turn,), (gap,)) = case.turns, case.breaks
    assert turn.causes == ("machine changed: cpu_model, cores",)
    assert (gap.at, gap.keys) == (STEP, ("cpu_model", "cores"))


def test_a_change_of_machine_elsewhere_explains_nothing() -> None:
    case = series({"cpu_model": "B"}, at=5)
    assert [each.at for each in case.breaks] == [5]
    assert case.turns[0].causes == ()


def test_a_neighbouring_run_is_named_since_noise_moves_a_place() -> None:
    assert series({"cpu_model": "B"}, at=STEP - 1).turns[0].causes == ("machine changed: cpu_model (one run earlier)",)
    assert series({"cpu_model": "B"}, at=STEP + 1).turns[0].causes == ("machine changed: cpu_model (one run later)",)


def test_a_new_version_of_the_case_s_own_runtime_is_a_likely_cause_and_no_break() -> None:
    newer: dict[str, str | None] = {"package:onnxruntime": "1.33.0", "package:ai-edge-litert": "2.4.0"}
    case = series(newer)
    assert case.turns[0].causes == ("onnxruntime 1.32.0 -> 1.33.0",)
    assert case.breaks == ()
    assert series(newer, case=OTHER).turns[0].causes == ("ai-edge-litert 2.3.0 -> 2.4.0",)


def test_a_new_start_of_a_bare_machine_is_the_same_machine_and_of_a_virtual_one_is_not() -> None:
    assert series({"boot": "two"}).breaks == ()
    virtual: dict[str, str | None] = {"virtualisation": "kvm"}
    made = [run(i, v, machine={**virtual, "boot": "two" if i >= STEP else "one"}) for i, v in enumerate(values())]
    (case,) = history(made, "p50_latency").cases
    assert [each.keys for each in case.breaks] == [("boot",)]


def test_quality_depends_on_the_data_and_not_on_the_machine() -> None:
    assert series({"cpu_model": "B"}, metric="accuracy").breaks == ()
    made = [run(i, v, metric="accuracy", fields={"data": "d2" if i >= STEP else "d1"}) for i, v in enumerate(values())]
    (case,) = history(made, "accuracy").cases
    assert [(each.at, each.keys) for each in case.breaks] == [(STEP, ("data",))]
    assert case.turns[0].causes == ("evaluation data changed",)
    (felt,) = history([run(i, 1.0, fields={"data": str(i)}) for i in range(3)], "p50_latency").cases
    assert felt.breaks == ()


def test_an_artifact_that_was_made_anew_is_a_cause_with_all_packages() -> None:
    made = [
        run(
            i,
            v,
            fields={"artifact": "b" if i >= STEP else "a"},
            machine={"package:onnxslim": "2" if i >= STEP else "1"},
        )
        for i, v in enumerate(values())
    ]
    (case,) = history(made, "p50_latency").cases
    assert case.turns[0].causes == ("onnxslim 1 -> 2", "the artifact changed")


def test_a_run_without_the_figure_is_a_gap_with_its_reason() -> None:
    level = values(step=1.2)
    made = [run(i, v) for i, v in enumerate(level)]
    made[3] = run(3, None, how="unavailable:no such counter")
    made[4] = run(4, None, how="unavailable:x", fields={"status": "failed", "reason": "the child was killed"})
    made[5] = run(5, 1.0, case=OTHER)
    made[6] = snapshot("r06", {CASE: {}})
    found = {case.case: case for case in history(made, "p50_latency").cases}
    reasons = {p.run: p.absent for p in found[CASE].points if p.value is None}
    assert reasons == {
        "r03": "no such counter",
        "r04": "the child was killed",
        "r05": "the case is not in this run",
        "r06": "the run holds no such figure",
    }
    assert [turn.run for turn in found[CASE].turns] == [f"r{STEP}"], "gaps do not move the run of a change"
    assert len(found[OTHER].values) == 1
    assert all(len(case.points) == len(level) for case in found.values())


def test_few_runs_have_no_change_points_and_say_so() -> None:
    (case,) = history([run(i, 1.0 + i) for i in range(3)], "p50_latency").cases
    assert case.turns == ()
    assert "too few runs" in str(case.untold)


def test_every_difference_in_size_is_a_change_since_it_has_no_noise() -> None:
    made = [run(i, v, metric="size") for i, v in enumerate([100.0, 100.0, 90.0, 120.0])]
    (case,) = history(made, "size").cases
    assert [(turn.run, turn.improved) for turn in case.turns] == [("r02", True), ("r03", False)]
    assert case.untold is None


def test_a_drift_is_told_and_is_no_row_of_steps() -> None:
    rng = np.random.default_rng(2)
    level = np.exp(np.linspace(0, 0.3, 60) + rng.normal(0, 0.01, 60))
    (case,) = history([run(i, v) for i, v in enumerate(level)], "p50_latency").cases
    assert case.turns == ()
    assert case.drift == pytest.approx(0.3, abs=0.08)


def test_among_many_cases_of_noise_few_are_told_to_have_changed() -> None:
    rng = np.random.default_rng(3)
    names = [f"m/v{i}/onnxruntime-cpu/t1/b1/single-stream" for i in range(60)]
    made = []
    for at in range(20):
        level = {name: 80e-6 * np.exp(rng.normal(0, 0.01)) for name in names}
        level[names[0]] *= 1.3 if at >= 10 else 1.0
        made.append(snapshot(f"r{at:02d}", {name: {"p50_latency": figure(v)} for name, v in level.items()}))
    changed = [case.case for case in history(made, "p50_latency").cases if case.turns]
    assert names[0] in changed
    assert len(changed) <= 2


def test_the_order_of_the_snapshots_and_a_second_one_of_a_run_do_not_matter() -> None:
    made = [run(i, v) for i, v in enumerate(values())]
    assert history([*made[::-1], made[4]], "p50_latency") == history(made, "p50_latency")


def test_cases_are_chosen_by_globs_and_none_is_an_error() -> None:
    made = [run(0, 1.0), run(1, 1.0, case=OTHER)]
    assert [case.case for case in history(made, "p50_latency", only=["*litert*"]).cases] == [OTHER]
    with pytest.raises(UserError, match="no case matches nothing"):
        history(made, "p50_latency", only=["nothing"])


def test_an_unknown_metric_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(UserError) as raised:
        history([run(0, 1.0)], "p50_latenc")
    assert "'p50_latency'" in str(raised.value)


def test_an_accuracy_that_is_an_error_is_better_lower() -> None:
    for judged, improved in (("mae", False), ("r2", True)):
        (turn,) = series(metric="accuracy", fields={"judged_by": judged}).turns
        assert turn.improved is improved


def test_a_figure_that_is_no_number_is_a_gap_that_says_so() -> None:
    made = [run(at, value) for at, value in enumerate(values(12))]
    (case,) = history([*made[:6], run(6, float("inf")), *made[7:]], "p50_latency").cases
    assert case.points[6].value is None
    assert case.points[6].absent == "the figure is not a number: inf"
