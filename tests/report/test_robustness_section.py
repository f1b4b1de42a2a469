"""Robustness by corruption: the table, the chart, and what is said where there is none."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from bench.record.artifact import Epoch, Training
from bench.record.measurement import Measurement
from bench.record.observation import Cell, Robustness
from bench.record.row import Row
from bench.report.charts import draw
from bench.report.charts.robustness import drawing
from bench.report.files import write_summaries
from bench.report.markdown import markdown
from bench.report.robustness import ALIKE, by_corruption, curves
from bench.report.training import trained
from tests.report.test_tables import NASTY, manifest_for, row


def found(
    fall: float = 0.1, names: tuple[str, ...] = ("gaussian_noise", "blur"), metric: str = "accuracy"
) -> Robustness:
    """Every corruption takes `fall` of a clean value of 0.9 a severity."""
    cells = [
        Cell(corruption=name, severity=at, value=0.9 * (1 - fall * at), ratio=1 - fall * at, low=0.0, high=1.0)
        for name in names
        for at in (1, 2, 3, 4, 5)
    ]
    return Robustness(metric=metric, clean=0.9, cells=tuple(cells), examples=250, seed=4)


def under(fall: float, variant: str = "fp32", runtime: str = "onnxruntime", **more: object) -> Row:
    made = row(variant, under_corruption=found(fall), **more)
    return msgspec.structs.replace(made, case=msgspec.structs.replace(made.case, runtime=runtime))


def only_table(*rows: Row) -> dict[str, tuple[str, ...]]:
    (model,) = curves(manifest_for(*rows), rows)
    return {column.title: column.cells for column in by_corruption(model).columns}


def test_a_row_is_a_variant_and_a_column_a_corruption_with_the_mean_over_severities() -> None:
    table = only_table(under(0.1), under(0.15, "int8"))
    assert table["variant"] == ("fp32", "int8")
    assert table["gaussian noise"] == ("0.700", "0.550")
    assert table["blur"] == ("0.700", "0.550")
    assert table["accuracy, clean"] == ("0.9000", "0.9000")


def test_runtimes_that_agree_share_a_line_and_those_that_do_not_have_their_own() -> None:
    agree = only_table(under(0.1), under(0.1 + ALIKE / 6, runtime="litert"))
    assert agree["runtime"] == ("onnxruntime-cpu, litert-cpu",)
    apart = (under(0.1), under(0.1 + ALIKE, runtime="litert"))
    assert only_table(*apart)["runtime"] == ("onnxruntime-cpu", "litert-cpu")
    (model,) = curves(manifest_for(*apart), apart)
    assert [line.label for line in model.lines] == ["fp32, onnxruntime-cpu", "fp32, litert-cpu"]


def test_a_model_without_corruption_has_no_section_and_no_chart(tmp_path: Path) -> None:
    rows = [row()]
    write_summaries(tmp_path, manifest_for(*rows), rows)
    assert not (tmp_path / "robustness.svg").exists()
    assert "robustness" not in (tmp_path / "summary.md").read_text()


def test_the_chart_has_a_facet_a_corruption_a_line_a_variant_and_the_clean_value_at_zero() -> None:
    rows = (under(0.1), under(0.15, "int8"))
    (model,) = curves(manifest_for(*rows), rows)
    made = drawing(model)
    assert made.spec["facet"]["field"] == "corruption"
    assert made.spec["spec"]["layer"][1]["encoding"]["color"]["field"] == "line"
    data = made.data["curves"]
    assert set(data["corruption"]) == {"gaussian noise", "blur"}
    assert set(data["line"]) == {"fp32", "int8"}
    assert [v for v, severity in zip(data["value"], data["severity"], strict=True) if severity == 0] == [0.9] * 4
    assert len(data["value"]) == 2 * 2 * 6


def test_the_chart_is_drawn_beside_the_summary_without_a_network_or_a_browser(tmp_path: Path) -> None:
    pytest.importorskip("altair")
    rows = [under(0.1), under(0.15, "int8"), under(0.2, model="other")]
    write_summaries(tmp_path, manifest_for(*rows), rows)
    drawn = ElementTree.parse(tmp_path / "robustness.svg")
    words = " ".join(drawn.getroot().itertext())
    for word in ("gaussian noise", "blur", "int8", "severity", "accuracy under corruption", "other"):
        assert word in words
    assert "![robustness by corruption](robustness.svg)" in (tmp_path / "summary.md").read_text()


@pytest.mark.parametrize("name", NASTY)
def test_no_name_breaks_out_of_table_or_chart(tmp_path: Path, name: str) -> None:
    rows = [row(name, model=name, under_corruption=found(names=(name, "blur")))]
    write_summaries(tmp_path, manifest_for(*rows), rows)
    summary = (tmp_path / "summary.md").read_text()
    assert "<script" not in summary.replace(r"\<", "")
    section = summary[summary.index(": robustness") :]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1
    if (tmp_path / "robustness.svg").exists():
        tags = {tag.tag.rpartition("}")[2] for tag in ElementTree.parse(tmp_path / "robustness.svg").iter()}
        assert "script" not in tags


def test_without_the_drawing_libraries_the_summary_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "altair" else there(name))
    rows = [under(0.1)]
    write_summaries(tmp_path, manifest_for(*rows), rows)
    assert not (tmp_path / "robustness.svg").exists()
    summary = (tmp_path / "summary.md").read_text()
    assert "no chart of robustness by corruption was drawn: altair not installed (pip install altair)" in summary
    assert "gaussian noise" in summary, "the table is there all the same"


def test_a_chart_that_cannot_be_drawn_costs_no_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("altair")

    def broken(model: object) -> object:
        raise ValueError("no font")

    monkeypatch.setattr(draw.robustness, "drawing", broken)
    write_summaries(tmp_path, manifest_for(under(0.1)), [under(0.1)])
    assert "was drawn: ValueError: no font" in (tmp_path / "summary.md").read_text()


def test_the_drawing_library_is_imported_only_to_draw() -> None:
    code = "import sys, bench.report.files, bench.cli.main; print({'altair', 'vl_convert'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


TRAINING = Training(
    examples=54_000,
    epochs=tuple(Epoch(number=at, loss=0.1, seconds=21.0) for at in range(1, 11)),
    costs={
        "training_time": Measurement(value=212.0, unit="s", n=1, how="measured:clock"),
        "training_peak_rss": Measurement(value=1.1 * 2**30, unit="B", n=1, how="measured:high-water-mark"),
        "training_energy": Measurement.unavailable("J", "no RAPL counters"),
    },
    machine="two cores",
    notes=("resumed once",),
)


def test_what_training_cost_is_one_line_with_what_is_not_known() -> None:
    assert trained(TRAINING) == (
        "trained on 54,000 examples in 10 epochs on two cores: time 212 s, peak RSS 1.10 GiB, "
        "energy unavailable: no RAPL counters; resumed once"
    )


def test_an_estimate_of_the_energy_of_training_says_that_it_is_one() -> None:
    estimate = Measurement(value=5300.0, unit="J", n=9, how="estimated:tdp")
    assert "energy ≈5,300 J est." in trained(msgspec.structs.replace(TRAINING, costs={"training_energy": estimate}))


def test_the_line_stands_with_the_model_that_was_trained() -> None:
    rows = [row(), row(model="other")]
    made = manifest_for(*rows)
    models = (msgspec.structs.replace(made.models[0], training=TRAINING), made.models[1])
    told = markdown(msgspec.structs.replace(made, models=models), rows)
    assert len(re.findall("trained on 54,000 examples", told)) == 1
    assert told.index("trained on") < told.index("## other")
