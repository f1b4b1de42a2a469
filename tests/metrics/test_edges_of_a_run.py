"""What a row says of edge inputs, and of each output, when a bundle is run."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from bench.record.artifact import Bundle
from bench.report.live import Live
from bench.runner import conduct
from bench.runner.plan import Request, plan_run
from bench.worker.measure import CORRUPTED, EDGES, measure
from bench.worker.messages import Errand
from tests.metrics.test_quality_of_a_run import SHORT
from tests.worker.test_measure import Watch, job_for


@pytest.fixture(scope="module")
def run(digits_bundle: tuple[Path, Bundle], tmp_path_factory: pytest.TempPathFactory) -> conduct.RunResult:
    folder = digits_bundle[0]
    found = plan_run(Request(suite=str(folder), only=("*/onnxruntime-cpu/*", "*/litert-xnnpack/*")))
    planned = msgspec.structs.replace(found, plan=msgspec.structs.replace(found.plan, **SHORT))
    with Live(Console(file=io.StringIO())) as events:
        return conduct.start(planned, tmp_path_factory.mktemp("runs"), events)


def test_every_variant_is_run_on_every_kind_of_edge_input(
    run: conduct.RunResult, digits_bundle: tuple[Path, Bundle]
) -> None:
    edges = digits_bundle[1].data.edges
    assert edges is not None
    for row in run.rows:
        kinds = row.facts["edge_parity"]
        assert set(kinds) == set(edges.kinds)
        figure = row.metrics["edge_max_abs"]
        assert figure.n == len(edges.kinds)
        assert figure.how.removeprefix("measured:edge-inputs:") in kinds
        assert figure.value == max(found["max_abs"] for found in kinds.values())
        assert not any("edge inputs" in warning for warning in row.warnings)


def test_int8_is_further_off_than_fp32_at_the_edges_and_on_real_inputs(run: conduct.RunResult) -> None:
    for runtime in ("onnxruntime", "litert"):
        rows = {row.case.variant: row.metrics for row in run.rows if row.case.runtime == runtime}
        for name in ("parity_max_abs", "parity_mean_abs", "edge_max_abs"):
            assert float(rows["fp32"][name].value or 0) < float(rows["int8"][name].value or 0)
        assert float(rows["fp32"]["parity_sqnr"].value or 0) > 80 > float(rows["int8"]["parity_sqnr"].value or 0) > 20
        assert rows["int8"]["parity_sqnr"].unit == "dB"


def test_each_output_has_figures_of_its_own(run: conduct.RunResult) -> None:
    for row in run.rows:
        assert row.artifact is not None
        (found,) = row.facts["parity"].values()
        assert len(row.artifact.outputs) == 1
        assert found["max_abs"] == row.metrics["parity_max_abs"].value


def test_an_errand_that_fails_keeps_neither_the_next_nor_the_case_from_being_measured(
    digits_bundle: tuple[Path, Bundle], tmp_path: Path
) -> None:
    folder, bundle = digits_bundle
    assert bundle.data.edges is not None
    (tmp_path / "damaged.npz").write_bytes(b"no zip")
    errands = {
        CORRUPTED: Errand(inputs=str(tmp_path / "damaged.npz"), outputs=str(tmp_path / "first.npz")),
        EDGES: Errand(inputs=str(folder / bundle.data.edges.inputs), outputs=str(tmp_path / "second.npz")),
    }
    job = msgspec.structs.replace(job_for(digits_bundle, outputs=tmp_path / "clean.npz"), errands=errands)
    seen = measure(job, 0, Watch())
    assert seen.status == "ok"
    assert "failed" in seen.facts[CORRUPTED]
    assert seen.facts[EDGES]["seconds"] > 0
    with np.load(tmp_path / "second.npz") as outputs:
        assert len(outputs["0"]) == len(bundle.data.edges.kinds)
