"""A bundle carries all that its rows come from: elsewhere they are the rows that the model itself has here."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.export.bundle import save
from bench.metrics import quality
from bench.record.artifact import Bundle
from bench.record.row import Row
from bench.runner.conduct import start
from bench.runner.events import Events
from bench.runner.plan import Request, plan_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CASES = ("*/fp32/onnxruntime-cpu/*", "*/int8/litert-xnnpack/*")
SHORT = {"warmup_min_s": 0.0, "warmup_max_s": 0.1, "min_s": 0.05, "max_s": 0.1, "min_samples": 10}


class Nobody(Events):
    """Does not watch."""


def rows(suite: str, results: Path) -> dict[str, Row]:
    planned = plan_run(Request(suite=suite, only=CASES))
    planned = msgspec.structs.replace(planned, plan=msgspec.structs.replace(planned.plan, **SHORT))
    return {row.case.name: row for row in start(planned, results, Nobody()).rows}


def test_a_zipped_bundle_gives_the_rows_of_its_model(digits_bundle: tuple[Path, Bundle], tmp_path: Path) -> None:
    folder, bundle = digits_bundle
    here = rows("quick", tmp_path / "here")
    zipped = save(folder, lambda answer: True, tmp_path / "b.zip")
    there = rows(str(zipped), tmp_path / "there")
    held = {answer.variant for answer in bundle.answers}
    assert {"fp32", "int8"} <= held
    assert set(there) == {name for name in here if name.split("/")[1] in held}
    assert len(there) == len(CASES)
    for name, row in there.items():
        assert row.status == here[name].status == "ok", row.failure
        assert row.artifact == here[name].artifact
        assert row.dataset == here[name].dataset
        figures = [figure for figure in quality.missing("") if figure in here[name].metrics]
        assert "accuracy" in figures
        assert {f: row.metrics[f].value for f in figures} == {f: here[name].metrics[f].value for f in figures}
