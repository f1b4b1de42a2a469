"""Variants by targets: real rows on several machines, what is held against what, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.comparable import MACHINE
from bench.analyse.compare import compare
from bench.errors import UserError
from bench.hardware.load import load_profile
from bench.record.matrix import Across, Cell, Line
from bench.record.measurement import Measurement
from bench.record.observation import Failure
from bench.record.row import Row
from bench.runner.across import compare_targets, expand_runs, named
from bench.runner.bill import bill
from bench.store.manifest import read_manifest, write_manifest
from bench.store.snapshot import read_run
from bench.store.tables import read_cases
from tests.analyse.target_runs import BOARD, KEPT, keep, scaled, with_artifact, with_figures

SINGLE = ("*/single-stream",)
INT8 = "mnist_cnn@digits/int8/b1/single-stream"
ORT, LITERT = (
    f"mnist_cnn@digits/int8/{target}/t1/b1/single-stream" for target in ("onnxruntime-cpu", "litert-xnnpack")
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`a`, the kept run; `board`, three times slower; `twin`, another virtual machine like `a`, a little slower."""
    folder = tmp_path_factory.mktemp("results")
    keep(folder, "a")
    keep(folder, "board", 3.0, environment=BOARD)
    keep(folder, "twin", 1.001, environment={"boot": "another"})
    return folder


def _made(results: Path, *runs: str, metric: str = "p50_latency", **asked: Any) -> Across:
    return compare_targets(runs, results, [metric], **{"only": SINGLE, **asked})


def _line(found: Across, name: str = INT8) -> Line:
    return next(line for line in found.matrices[0].lines if line.name == name)


def _cells(found: Across, name: str = INT8) -> tuple[Cell, ...]:
    return _line(found, name).cells


def _other(tmp_path: Path, **made: Any) -> Path:
    """A folder with `a` and a second machine, `b`."""
    keep(tmp_path, "a")
    keep(tmp_path, "b", environment=BOARD, **made)
    return tmp_path


def _of(case: str, change: Any) -> Any:
    return lambda row: change(row) if row.case.name == case else row


def test_a_target_is_the_profile_of_the_run_else_the_one_that_fits_else_the_processor(results):
    run = read_manifest(KEPT)
    known = {name: load_profile(name) for name in ("generic-cpu", "server-cpu-vnni")}
    stated = msgspec.structs.replace(run, profile={"name": "my-server"})
    board = read_manifest(results / "board")
    assert [(t.name, t.named) for t in named([stated, run, board], known)] == [
        ("my-server", "stated"),
        ("server-cpu-vnni", "matched"),
        ("generic-cpu (Cortex-A76)", "matched"),
    ]
    (target,) = named([board], {})
    assert (target.name, target.named) == ("Cortex-A76", "cpu")


def test_two_machines_of_a_target_are_told_apart_by_machine_and_two_runs_of_one_by_run(results):
    a, twin = (read_manifest(results / name) for name in ("a", "twin"))
    again = msgspec.structs.replace(a, run_id="again")
    machines = named([a, twin], {})
    assert [target.name for target in machines] == [f"AMD EPYC @{target.machine}" for target in machines]
    assert machines[0].machine != machines[1].machine
    assert [t.name.split()[-1] for t in named([a, twin, again], {})] == ["a", f"@{machines[1].machine}", "again"]
    ids = [msgspec.structs.replace(a, run_id=f"2026-quick-{end}") for end in ("11ed", "a651")]
    assert [t.name.split()[-1] for t in named(ids, {})] == ["11ed", "a651"]
    assert [t.name.split()[-1] for t in named([a, a], {})] == ["#1", "#2"]


def test_a_restart_makes_another_machine_of_a_virtual_one_only(results):
    board = read_manifest(results / "board")
    restarted = msgspec.structs.replace(board, environment=msgspec.structs.replace(board.environment, boot="later"))
    first, second = named([board, restarted], {})
    assert first.machine == second.machine


def test_the_ratio_is_that_of_a_comparison_and_that_of_the_reference_is_1(results):
    reference, board = _cells(_made(results, "a", "board"))
    assert reference.change.ratio == 1.0
    assert reference.change.basis == "exact"
    found = compare(read_run(results / "a"), read_run(results / "board"), ["p50_latency"], allow=MACHINE)
    expected = next(change for change in found.changes if change.case == LITERT)
    assert board.configuration == LITERT
    assert (board.change.ratio, board.change.low, board.change.high) == (expected.ratio, expected.low, expected.high)
    assert board.change.ratio == pytest.approx(3)
    assert board.change.labels == ()


def test_the_cell_has_the_best_configuration_and_those_that_may_be_as_good(results):
    found = _made(results, "a", "board")
    cell = _cells(found)[0]
    assert (cell.configuration, cell.setting, cell.among, cell.rivals) == (LITERT, "litert-xnnpack t1", 2, ())
    fp32 = _cells(found, "mnist_cnn@digits/fp32/b1/single-stream")[0]
    assert fp32.rivals == ("mnist_cnn@digits/fp32/litert-xnnpack/t1/b1/single-stream",)
    throughput = _cells(_made(results, "a", "board", metric="throughput"))[0]
    assert throughput.configuration == LITERT


def test_each_configuration_has_a_line_where_it_is_asked_for(results):
    found = _made(results, "a", "board", each=True)
    assert {line.name for line in found.matrices[0].lines} == {
        row.case.name for row in read_cases(results / "a") if row.case.scenario == "single-stream"
    }
    assert all(cell.configuration == line.name for line in found.matrices[0].lines for cell in line.cells)


def test_a_cell_without_a_figure_says_why(tmp_path):
    broken = Failure(reason="it crashed", phase="load")

    def change(row: Row) -> Row | None:
        if row.case.variant == "fp32":
            return msgspec.structs.replace(row, status="failed", failure=broken)
        if row.case.variant == "int8":
            return msgspec.structs.replace(row, status="unavailable", failure=Failure(reason="no such chip", phase="x"))
        return None

    kept = read_manifest(KEPT)
    cases = tuple(case for case in kept.cases if case.variant != "pruned-channels-int8")
    results = _other(tmp_path, change=change, cases=cases)
    found = _made(results, "a", "b")
    cells = {line.variant: line.cells[1] for line in found.matrices[0].lines}
    assert cells["fp32"].figure.reason == "failed: it crashed"
    assert cells["int8"].figure.reason == "unavailable: no such chip"
    assert cells["pruned-channels-int8"].figure.reason == "not part of that run"
    assert all(cell.change is None and cell.mark is None for cell in cells.values())
    energy = _cells(_made(results, "a", "b", metric="energy"))[0]
    assert "RAPL" in energy.figure.reason


def test_what_was_planned_and_not_measured_is_not_called_absent(tmp_path):
    results = _other(tmp_path, change=_of(LITERT, lambda row: None), status="interrupted")
    found = _made(results, "a", "b", each=True)
    assert _cells(found, LITERT)[1].figure.reason == "planned and not measured: the run is interrupted"
    assert "not complete" in found.targets[1].notes[0]


def test_the_best_is_marked_only_where_it_is_sure(results):
    assert [cell.mark for cell in _cells(_made(results, "a", "board"))] == ["best", None]
    assert [cell.mark for cell in _cells(_made(results, "a", "board", "twin"))] == ["tied", None, "tied"]
    assert [cell.mark for cell in _cells(_made(results, "a", "board", metric="size"))] == [None, None]


def test_a_figure_without_an_interval_is_never_surely_worse(tmp_path):
    def blind(row: Row) -> Row:
        p50 = msgspec.structs.replace(scaled(row.metrics["p50_latency"], 9), low=None, high=None, confidence=None)
        return with_figures(row, {"p50_latency": p50})

    cells = _cells(_made(_other(tmp_path, change=blind), "a", "b"))
    assert [cell.mark for cell in cells] == ["tied", "tied"]
    assert cells[1].change.low is None


@pytest.mark.parametrize("metric", ["p50_latency", "accuracy", "size"])
def test_another_artifact_under_the_same_name_is_refused_unless_it_is_allowed(tmp_path, metric):
    results = _other(tmp_path, change=lambda row: with_artifact(row, "f" * 64))
    found = _made(results, "a", "b", metric=metric)
    cell = _cells(found)[1]
    assert found.refused
    assert cell.change.refused
    assert cell.change.ratio is None
    assert "artifact differs (" in cell.change.absent
    assert "ffffffff against" in cell.change.absent
    assert cell.figure.value is not None
    assert [each.mark for each in _cells(found)] == [None, None]
    assert _line(found).unmarked.startswith("not comparable")
    allowed = _made(results, "a", "b", metric=metric, allow=["artifact"])
    assert not allowed.refused
    assert _cells(allowed)[1].change.ratio == pytest.approx(1)
    assert _cells(allowed)[1].change.labels[0].startswith("allowed: artifact differs")


@pytest.mark.parametrize(
    ("fact", "key", "refused", "not_refused"),
    [
        ("evaluation_data", "data", "accuracy", "p50_latency"),
        ("scope", "scope", "p50_latency", "accuracy"),
        ("schema", "schema", "accuracy", None),
        ("schema", "schema", "p50_latency", None),
    ],
)
def test_what_the_gate_refuses_between_runs_is_refused_between_targets(tmp_path, fact, key, refused, not_refused):
    def change(row: Row) -> Row:
        if fact == "schema":
            return msgspec.structs.replace(row, schema=0)
        return msgspec.structs.replace(row, facts={**row.facts, fact: "another"})

    results = _other(tmp_path, change=change)
    assert f"not comparable: {key} differs" in _cells(_made(results, "a", "b", metric=refused))[1].change.absent
    assert not _made(results, "a", "b", metric=refused, allow=[key]).refused
    if not_refused is not None:
        assert not _made(results, "a", "b", metric=not_refused).refused


def test_quality_by_another_metric_is_refused(tmp_path):
    models = tuple(msgspec.structs.replace(model, metric="f1") for model in read_manifest(KEPT).models)
    results = _other(tmp_path, models=models)
    assert "judged_by differs" in _cells(_made(results, "a", "b", metric="accuracy"))[1].change.absent


def test_bests_of_two_runtimes_are_compared_where_they_come_of_one_export(tmp_path):
    def prefers_onnx(row: Row) -> Row:
        factor = 0.1 if row.case.runtime == "onnxruntime" else 1.0
        return with_figures(row, {"p50_latency": scaled(row.metrics["p50_latency"], factor)})

    cell = _cells(_made(_other(tmp_path / "one", change=prefers_onnx), "a", "b"))[1]
    assert cell.configuration == ORT
    assert cell.change.ratio is not None
    assert cell.change.labels == ("onnxruntime-cpu t1 against litert-xnnpack t1", "onnx against tflite")

    def other_export(row: Row) -> Row:
        return with_artifact(prefers_onnx(row), "f" * 64)

    other = _cells(_made(_other(tmp_path / "two", change=other_export), "a", "b"))[1]
    assert "artifact differs" in other.change.absent


def _joules(value: float, how: str) -> Any:
    figure = Measurement(value=value, unit="J", n=9, how=how, low=value * 0.9, high=value * 1.1, confidence=0.95)
    return lambda row: with_figures(row, {"energy": figure})


@pytest.mark.parametrize(
    ("how", "refused", "label"),
    [
        ("measured:rapl", False, None),
        ("measured:nvml-energy-counter+rapl", False, "measured by nvml-energy-counter+rapl against rapl"),
        ("measured:nvml-energy-counter (GPU alone; CPU: none)", True, None),
        ("measured:ina3221-power-integrated", True, None),
        ("estimated:tdp", False, "an estimate against a measurement"),
    ],
)
def test_energy_is_compared_where_the_same_things_drew_it_and_estimates_say_so(tmp_path, how, refused, label):
    keep(tmp_path, "a", change=_joules(1.0, "measured:rapl"))
    keep(tmp_path, "b", change=_joules(2.0, how), environment=BOARD)
    change = _cells(_made(tmp_path, "a", "b", metric="energy"))[1].change
    assert change.refused == refused
    assert not refused or "method differs" in change.absent
    assert label is None or label in change.labels
    assert refused or change.ratio == 2


def test_other_versions_of_a_runtime_and_another_plan_are_said(tmp_path):
    packages = {**read_manifest(KEPT).environment.packages, "onnxruntime": "1.31.0"}
    keep(tmp_path, "a")
    plan = msgspec.structs.replace(read_manifest(KEPT).plan, invocations=7)
    keep(tmp_path, "b", environment={**BOARD, "packages": packages}, plan=plan)
    found = _made(tmp_path, "a", "b", each=True)
    assert _cells(found, ORT)[1].change.labels == ("onnxruntime 1.31.0 against 1.32.0",)
    assert _cells(found, LITERT)[1].change.labels == ()
    assert found.targets[1].differs["cpu_model"] == ("AMD EPYC", "Cortex-A76")
    assert "invocations 7 against 2" in found.targets[1].notes[0]


def test_a_cost_is_that_of_the_bill_at_the_prices_of_its_own_target(results):
    found = _made(results, "a", "board", metric="cost")
    line = _line(found, "mnist_cnn@digits/int8/b1")
    for cell, name in zip(line.cells, ("a", "board"), strict=True):
        accounts = {account.choice.name: account for account in bill(results / name).accounts}
        assert cell.figure == accounts[cell.configuration].million.money.figure
        assert cell.figure.is_estimate
    hours = [target.machine_hour.value for target in found.targets]
    assert line.cells[1].change.ratio == pytest.approx(3 * hours[1] / hours[0])
    assert all(target.example_price for target in found.targets)
    assert "estimate" in line.cells[1].change.labels


def _priced(**more: Any) -> dict[str, Any]:
    told = load_profile("server-cpu-vnni").model_dump(mode="json", exclude_none=True)
    return {**told, "name": "mine", "match": {}, **more}


def test_costs_in_two_currencies_are_not_held_against_each_other(tmp_path):
    price = _priced()["price"] | {"currency": "EUR"}
    results = _other(tmp_path, profile=_priced(price=price))
    found = _made(results, "a", "b", metric="cost")
    cell = _cells(found, "mnist_cnn@digits/int8/b1")[1]
    assert cell.figure.unit == "EUR"
    assert "unit differs (EUR against USD)" in cell.change.absent
    assert found.refused


def test_a_cost_without_a_price_says_why_and_one_without_a_part_is_a_lower_bound(tmp_path):
    unpriced = {name: value for name, value in _priced(name="unpriced", energy={}).items() if name != "price"}
    bought = {
        "currency": "USD",
        **{k: _figure(v) for k, v in (("purchase", 500), ("life_years", 4), ("utilisation", 0.5))},
    }
    partly = _priced(name="partly", price=bought, power={}, energy={})
    keep(tmp_path, "a")
    keep(tmp_path, "b", profile=unpriced)
    keep(tmp_path, "c", profile=partly)
    a, b, c = _cells(_made(tmp_path, "a", "b", "c", metric="cost"), "mnist_cnn@digits/int8/b1")
    assert "the profile unpriced states no price" in b.figure.reason
    assert b.change is None
    assert c.at_least
    assert c.lacks
    assert c.change.ratio is None
    assert c.change.absent.startswith("a part is not known: ")
    assert a.mark is None or a.mark == "tied"


def _figure(value: float) -> dict[str, Any]:
    return {"value": value, "source": "by hand", "date": "2026-11-01"}


def test_the_reference_is_named_by_target_profile_machine_or_run(results):
    targets = _made(results, "a", "board", "twin").targets
    for word in ("board", "generic-cpu", "generic-cpu (Cortex-A76)", targets[1].machine):
        assert _made(results, "a", "board", "twin", reference=word).reference == targets[1].name
    with pytest.raises(UserError, match="means 2 targets"):
        _made(results, "a", "board", "twin", reference="server-cpu")
    with pytest.raises(UserError, match="unknown target"):
        _made(results, "a", "board", reference="moon")


@given(order=st.permutations(["a", "board", "twin"]), metric=st.sampled_from(["p50_latency", "accuracy", "cost"]))
def test_another_order_of_runs_only_moves_the_columns(results, order, metric):
    plain = _made(results, "a", "board", "twin", metric=metric, reference="board")
    moved = _made(results, *order, metric=metric, reference="board")
    places = [order.index(name) for name in ("a", "board", "twin")]
    assert [moved.targets[at] for at in places] == list(plain.targets)
    assert moved.reference == plain.reference
    back = [
        msgspec.structs.replace(line, cells=tuple(line.cells[at] for at in places)) for line in moved.matrices[0].lines
    ]
    assert back == list(plain.matrices[0].lines)
    assert all(line.cells[1].change.ratio == 1.0 for line in back)


def test_runs_without_a_case_in_common_are_not_compared(tmp_path):
    rest = [row.case for row in read_cases(KEPT) if row.case.variant != "int8"]
    keep(tmp_path, "a")
    keep(
        tmp_path,
        "b",
        environment=BOARD,
        change=lambda row: msgspec.structs.replace(row, case=msgspec.structs.replace(row.case, model="other")),
        cases=tuple(msgspec.structs.replace(case, model="other") for case in rest),
    )
    with pytest.raises(UserError, match="have a case in common"):
        _made(tmp_path, "a", "b")


def _fleet(results: Path, name: str, runs: list[str]) -> None:
    (results / name).mkdir()
    (results / name / "fleet.json").write_text(json.dumps({"runs": runs, "plan": {"more": 1}}))


def test_a_fleet_means_its_runs_each_once(tmp_path):
    for name in ("f1-board", "f1-server", "f2-board"):
        keep(tmp_path, name)
    _fleet(tmp_path, "f1", ["f1-server", "f1-board"])
    expected = [tmp_path / "f1-server", tmp_path / "f1-board"]
    assert expand_runs(["f1"], tmp_path) == expected
    assert expand_runs([str(tmp_path / "f1"), "f1-board"], tmp_path) == expected
    assert expand_runs(["f2-board"], tmp_path) == [tmp_path / "f2-board"]
    with pytest.raises(UserError, match="start of 3 runs"):
        expand_runs(["f"], tmp_path)


def test_a_run_without_tables_yet_is_told_of_beside_the_others(tmp_path):
    keep(tmp_path, "f1-server")
    keep(tmp_path, "f1-board", environment=BOARD)
    _fleet(tmp_path, "f1", ["f1-server", "f1-board"])
    begun = tmp_path / "f1-server"
    for table in begun.glob("*.parquet"):
        table.unlink()
    write_manifest(begun, msgspec.structs.replace(read_manifest(begun), status="running"))
    found = compare_targets(["f1"], tmp_path)
    assert [target.run for target in found.targets] == ["f1-board", "f1-server"], "those with figures first"
    assert found.reference == found.targets[0].name
    assert any("no figures yet" in note for note in found.targets[1].notes)
    assert any("not complete (running)" in note for note in found.targets[1].notes)
    for line in found.matrices[0].lines:
        assert line.cells[0].figure.value is not None or line.cells[0].figure.reason
        assert line.cells[1].figure.value is None
        assert line.cells[1].figure.reason == "planned and not measured: the run is running"
    for table in (tmp_path / "f1-board").glob("*.parquet"):
        table.unlink()
    with pytest.raises(UserError, match="no tables yet"):
        compare_targets(["f1"], tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "the file is damaged"),
        ('{"runs": 3}', "the file is damaged"),
        ('{"runs": []}', "no run yet"),
        ('{"runs": ["x"]}', "x"),
    ],
)
def test_a_faulty_fleet_is_a_clear_error(tmp_path, content, told):
    keep(tmp_path, "a")
    (tmp_path / "f").mkdir()
    (tmp_path / "f/fleet.json").write_text(content)
    with pytest.raises(UserError, match=told):
        expand_runs(["f"], tmp_path)


def test_a_fleet_is_meant_by_a_start_that_no_other_run_has(tmp_path):
    keep(tmp_path, "2026-fleet-ab-board")
    _fleet(tmp_path, "2026-fleet-ab", ["2026-fleet-ab-board"])
    assert expand_runs(["2026-fl"], tmp_path) == [tmp_path / "2026-fleet-ab-board"]


def test_no_run_at_all_is_bad_input(tmp_path):
    with pytest.raises(UserError, match="there is no run to compare"):
        _made(tmp_path)


def test_of_a_figure_that_has_no_better_value_none_stands_for_the_others(results):
    asked = {"metric": "cpu_utilisation"}
    cell = _cells(_made(results, "a", "board", **asked))[0]
    assert cell.figure.reason == (
        "no value of cpu_utilisation is better than another: --each shows those of 2 configurations"
    )
    assert (cell.configuration, cell.mark) == (None, None)
    found = _made(results, "a", "board", each=True, **asked)
    assert _cells(found, ORT)[0].figure.value > 0
    assert _cells(found, ORT)[1].change.ratio is not None
    assert _line(found, ORT).unmarked == "no value of cpu_utilisation is better than another"


def test_a_reference_of_0_has_no_ratio_and_says_so(tmp_path):
    keep(tmp_path, "a", change=_joules(0.0, "measured:rapl"))
    keep(tmp_path, "b", change=_joules(2.0, "measured:rapl"), environment=BOARD)
    change = _cells(_made(tmp_path, "a", "b", metric="energy"))[1].change
    assert (change.ratio, change.refused) == (None, False)
    assert change.absent == "there is no ratio to 0"


def test_costs_are_only_of_choices_with_a_case_that_is_asked_for(results):
    lines = _made(results, "a", "board", metric="cost", only=("*/int8/*",)).matrices[0].lines
    assert {line.variant for line in lines} == {"int8"}


def test_a_case_that_failed_before_it_had_a_file_does_not_hide_the_file_of_its_variant(tmp_path):
    def change(row: Row) -> Row:
        broken = Failure(reason="no such operator", phase="export")
        return msgspec.structs.replace(row, status="failed", failure=broken, artifact=None)

    found = _made(_other(tmp_path, change=_of(ORT, change)), "a", "b", each=True)
    assert _cells(found, ORT)[1].figure.reason == "failed: no such operator"
    assert _cells(found, LITERT)[1].change.ratio == pytest.approx(1)
