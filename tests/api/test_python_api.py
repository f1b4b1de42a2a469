"""The Python API: what it shows is what is kept, and it does what the command line does."""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import altair as alt
import msgspec
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import bench
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.record.observation import Reading, SensorState, Telemetry
from bench.record.recommendation import Objective
from bench.report.live import Live
from tests.conftest import bench as command
from tests.kept_runs import failed, keep, keep_small, observed, row_of

ONE = "*/fp32/onnxruntime-cpu/*"
EXAMPLE = Path(__file__).parents[2] / "docs/examples/digits-run"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    keep_small(folder, "20260101-000000-s-aa")
    keep_small(folder, "20260102-000000-s-bb", latency_us=120)
    return folder


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import bench, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"polars", "altair", "tensorflow", "numpy", "scipy", "msgspec", "pydantic", "rich", "typer", "onnxruntime"}
    assert not heavy & set(done.stdout.split())


def test_every_public_name_is_there_and_told_of() -> None:
    assert set(bench.__all__) <= set(dir(bench))
    assert all(getattr(bench, name) is not None for name in bench.__all__)
    with pytest.raises(AttributeError, match="no attribute 'ruin'"):
        bench.ruin  # noqa: B018


def test_load_is_the_function_although_a_package_has_its_name() -> None:
    from bench.load.table import SCENARIOS

    assert callable(bench.load)
    assert "single-stream" in SCENARIOS


def test_a_run_is_found_by_id_by_its_start_by_path_and_as_the_latest(results: Path) -> None:
    first, last = bench.runs(results)
    assert (first, last) == ("20260101-000000-s-aa", "20260102-000000-s-bb")
    assert bench.load(out=results).id == last
    assert bench.load("20260101", out=results).id == first
    assert bench.load(results / first) == bench.load(first, out=results)
    assert bench.load(first, out=results) != bench.load(last, out=results)


def test_a_run_that_is_not_there_is_bad_input_with_the_nearest_name(results: Path, tmp_path: Path) -> None:
    with pytest.raises(bench.UserError, match="did you mean '20260101-000000-s-aa'"):
        bench.load("20260101-000000-s-ab", out=results)
    with pytest.raises(bench.UserError, match="there are no runs"):
        bench.load(out=tmp_path / "none")
    assert bench.runs(tmp_path / "none") == []


def test_the_frame_holds_the_values_of_the_parquet_file() -> None:
    run = bench.load(EXAMPLE)
    frame, kept = run.to_polars(), pl.read_parquet(EXAMPLE / "cases.parquet")
    assert frame["case"].to_list() == kept["name"].to_list()
    for name in ("run_id", "case_id", "model", "variant", "runtime", "threads", "batch", "scenario", "status"):
        assert frame["run" if name == "run_id" else name].to_list() == kept[name].to_list(), name
    for metric in METRICS:
        fields = ("value", "low", "high", "confidence", "n", "how")
        flat = frame.select(
            pl.col(metric if field == "value" else f"{metric}_{field}").alias(field) for field in fields
        )
        assert_frame_equal(flat, kept.select(pl.col(metric).struct.unnest()).select(fields), check_exact=True)


def test_what_is_not_known_is_null_with_its_reason_and_a_failed_case_says_why(results: Path) -> None:
    frame = bench.load(out=results).to_polars()
    broken = frame.filter(pl.col("status") == "failed")
    assert broken.select("variant", "reason", "p50_latency", "p50_latency_how").rows() == [
        ("pruned", "it crashed", None, "unavailable:it crashed")
    ]
    assert frame["energy"].null_count() == frame.height


def test_frames_of_several_runs_can_be_put_one_under_the_other(results: Path) -> None:
    frames = [bench.load(run, out=results).to_polars() for run in bench.runs(results)]
    assert pl.concat(frames).group_by("run").len().height == 2
    empty = bench.load(keep(results, "20260103-000000-s-cc", []))
    assert empty.to_polars().schema == frames[0].schema


def test_pandas_has_the_same_and_its_absence_is_told_with_a_remedy(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bench.load(out=results)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pandas", None)
        with pytest.raises(bench.UserError, match="pip install pandas"):
            run.to_pandas()
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = run.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["case"].tolist() == run.to_polars()["case"].to_list()
    assert frame["p50_latency"].dtype == "float64"
    assert frame["p50_latency"].isna().tolist() == [False, False, True]


def test_raw_samples_come_with_the_name_of_their_case(results: Path) -> None:
    run = bench.load(out=results)
    samples = run.latencies()
    kept = pl.read_parquet(run.folder / "latencies.parquet")
    assert_frame_equal(samples.drop("case"), kept)
    assert samples.select("case").unique(maintain_order=True)["case"].to_list() == run.to_polars()["case"].to_list()[:2]
    assert run.telemetry().columns == ["case", *pl.read_parquet(run.folder / "telemetry.parquet").columns]


def test_a_copy_without_raw_samples_says_so() -> None:
    with pytest.raises(bench.UserError, match="keeps no raw samples"):
        bench.load(EXAMPLE).latencies()


class _Cells(HTMLParser):
    """The tags, and the text of each table cell."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag in ("td", "th", "caption"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


@pytest.mark.parametrize("nasty", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a|b", "x" * 200])
def test_no_name_breaks_out_of_the_table_of_a_notebook(tmp_path: Path, nasty: str) -> None:
    seen = [observed(nasty, 80), observed("int8", 40, seed=1)]
    folder = keep(tmp_path, "20260101-000000-s-aa", [*map(row_of, seen), failed("pruned")], seen)
    # The table is by model, and a run made by hand has none in its manifest yet.
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["models"] = [{"given": "m", "name": "m", "source_sha256": "", "content": "c", "dataset": nasty}]
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    run = bench.load(folder)
    shown = _Cells(run._repr_html_())
    assert not {"script", "img"} & shown.tags
    assert nasty in shown.cells
    assert f"m · {nasty}" in shown.cells
    for answer in (bench.compare(folder, folder), bench.recommend(folder)):
        assert not {"script", "img"} & _Cells(answer._repr_html_()).tags
    assert len(repr(run).splitlines()) == 1


def test_the_best_is_marked_and_not_by_colour_alone() -> None:
    page = re.sub(r'<span aria-hidden="true".*?</span>', "", bench.load(EXAMPLE)._repr_html_())
    marked = [cell for cell in _Cells(page).cells if cell.endswith("★")]
    assert 0 < len(marked) < page.count("<td") / 2
    assert all(cell[0].isdigit() for cell in marked)


@pytest.mark.parametrize("kind", ["pareto", "percentiles", "ecdf", "violin"])
def test_a_chart_is_an_altair_chart_with_its_data_inside(results: Path, kind: str) -> None:
    made = getattr(bench.load(out=results).plot, kind)()
    assert isinstance(made, alt.TopLevelMixin)
    told = made.to_dict()
    assert any(told["datasets"].values())
    assert "usermeta" not in told


def test_the_axes_of_a_front_are_any_two_figures(results: Path) -> None:
    plot = bench.load(out=results).plot
    (choices,) = plot.pareto(x="size", y="mean_latency").to_dict()["datasets"].values()
    assert {choice["size"] for choice in choices if choice["size"] is not None} == {2.0}
    with pytest.raises(bench.UserError, match="p98_latency"):
        plot.pareto(x="p98_latency")


def test_cases_of_a_chart_are_chosen_by_name_and_by_glob(results: Path) -> None:
    plot = bench.load(out=results).plot
    for chosen in ("*/int8/*", ["m/int8/onnxruntime-cpu/t1/b1/single-stream"], "int8"):
        drawn = plot.ecdf(chosen).to_dict()["datasets"].values()
        assert {record["name"] for records in drawn for record in records if "name" in record} == {
            "m/int8/onnxruntime-cpu/t1/b1/single-stream"
        }
    with pytest.raises(bench.UserError, match="unknown case 'int9'"):
        plot.ecdf("int9")


def test_no_cases_are_all_cases(results: Path) -> None:
    plot = bench.load(out=results).plot
    assert plot.ecdf([]).to_dict() == plot.ecdf().to_dict()


def test_a_chart_of_one_case_warns_where_several_fit(tmp_path: Path) -> None:
    states = (SensorState(sensor="process", source="psutil", period_s=0.1, available=True, quantities={"rss": "B"}),)
    told = tuple(Reading(at * 10**8, "process", "tree", "rss", 1e6 + at) for at in range(20))
    seen = [
        msgspec.structs.replace(observed(variant, 80.0), telemetry=Telemetry(sensors=states, readings=told))
        for variant in ("fp32", "int8")
    ]
    rows = [msgspec.structs.replace(row_of(each), facts={"phases": [{"measure": (0, 10**9)}]}) for each in seen]
    plot = bench.load(keep(tmp_path, "20260101-000000-s-aa", rows, seen)).plot
    with pytest.warns(UserWarning, match="2 cases fit, and the first"):
        drawn = plot.timeline("*").to_dict()
    assert drawn == plot.timeline("*/fp32/*").to_dict() == plot.timeline().to_dict()


def test_a_chart_against_a_word_shows_what_the_word_means_now(results: Path) -> None:
    run = bench.load("20260101", out=results)
    before = run.plot.comparison("latest").to_dict()
    keep_small(results, "20260103-000000-s-cc", latency_us=300)
    after = run.plot.comparison("latest").to_dict()
    assert after != before
    assert after == bench.load(run).plot.comparison("latest").to_dict()


def test_a_run_whose_charts_were_seen_can_be_pickled(results: Path) -> None:
    run = bench.load(out=results)
    drawn = run.plot.ecdf().to_dict()
    again = pickle.loads(pickle.dumps(run))
    assert again == run
    assert again.plot.ecdf().to_dict() == drawn


def test_a_chart_that_cannot_be_drawn_says_why() -> None:
    with pytest.raises(bench.UserError, match="there is nothing to draw: "):
        bench.load(EXAMPLE).plot.ecdf()


def test_the_report_is_written_and_holds_the_baseline(results: Path, tmp_path: Path) -> None:
    first, last = (bench.load(run, out=results) for run in bench.runs(results))
    path = last.report(tmp_path / "report.html", baseline=first)
    assert path == tmp_path / "report.html"
    text = path.read_text()
    assert first.id in text
    assert last.id in text
    with pytest.raises(bench.UserError, match=r"end its name in \.html"):
        last.report(tmp_path / "report.pdf")
    with pytest.raises(bench.UserError, match="unknown hardware profile 'nope'"):
        last.report(path, profile="nope")


def test_a_report_of_several_runs_is_that_of_the_command(results: Path, tmp_path: Path) -> None:
    first, last = (bench.load(run, out=results) for run in bench.runs(results))
    made = last.report(tmp_path / "made.html", beside=[first], title="both")
    done = command("report", first.id, last.id, "--title", "both", "-o", "typed.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "typed.html").read_text() == made.read_text()


def test_what_goes_with_a_run_is_looked_for_beside_it(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results.rename("elsewhere")
    keep_small(results, "20260104-000000-s-dd", latency_us=500)
    assert command("baseline", "save", "main", "20260101", "--out", "elsewhere", cwd=tmp_path).returncode == 0
    run = bench.load("20260102", out="elsewhere")
    for given in ("baseline:main", "20260101"):
        found = bench.compare(given, run, metric="p50_latency")
        assert found.to_polars()["ratio"][0] == pytest.approx(1.5, rel=0.05)
        assert run.plot.comparison(given)
    assert bench.compare(run).record.after == run.id
    assert bench.compare(run, out="results").record.after == "20260104-000000-s-dd"
    held = bench.gate("baseline:main", run, rules="size=5%", again=False, progress=False)
    assert not any("there is no baseline" in note for note in held.record.notes)
    assert run.report("report.html", baseline="baseline:main") == Path("report.html")


def test_a_tilde_is_the_home_folder(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    home.mkdir()
    results.rename(home / "results")
    (first, last) = bench.runs("~/results")
    assert bench.load(out="~/results").id == last
    assert bench.load(f"~/results/{first}").report("~/page.html") == home / "page.html"
    assert (home / "page.html").exists()
    assert bench.compare(f"~/results/{first}", f"~/results/{last}").record.after == last
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("given", [None, 3, ["latest"]])
def test_what_names_no_run_is_bad_input(given: object) -> None:
    for asked in (bench.load, bench.compare, bench.recommend):
        with pytest.raises(bench.UserError, match="names no run"):
            asked(given)  # type: ignore[arg-type]


def test_only_runs_that_can_be_read_are_listed(results: Path) -> None:
    (results / bench.runs(results)[0] / "cases.parquet").unlink()
    assert bench.runs(results) == ["20260102-000000-s-bb"]


def test_a_comparison_is_that_of_the_command(results: Path) -> None:
    found = bench.compare("20260101", "latest", metric="p50_latency", out=results)
    done = command("compare", "20260101", "--metric", "p50_latency", "--json", cwd=results.parent)
    assert json.loads(done.stdout) == json.loads(msgspec.json.encode(found.to_dict()))
    frame = found.to_polars()
    assert frame["case"].to_list() == [change.case for change in found.record.changes]
    assert frame["ratio"][0] == pytest.approx(1.5, rel=0.05)
    assert "p50" in found._repr_html_()


def test_a_gate_is_that_of_the_command(results: Path) -> None:
    first, last = bench.runs(results)
    report = bench.gate(first, last, rules=["size=5%"], again=False, out=results, progress=False)
    done = command("gate", first, last, "--rule", "size=5%", "--no-again", "--json", cwd=results.parent)
    assert json.loads(done.stdout) == json.loads(msgspec.json.encode(report.to_dict()))
    assert report.to_polars()["outcome"].to_list() == [verdict.outcome for verdict in report.record.verdicts]


def test_a_recommendation_is_that_of_the_command(tmp_path: Path) -> None:
    advice = bench.recommend(EXAMPLE, min_accuracy=0.95, max_p99=0.010, max_size=500 * 1024)
    limits = ("--min-accuracy", "0.95", "--max-p99", "10ms", "--max-size", "500KiB")
    done = command("recommend", str(EXAMPLE), *limits, "--json", cwd=tmp_path)
    assert json.loads(done.stdout) == json.loads(msgspec.json.encode(advice.to_dict()))
    table = advice.to_polars()
    assert table.filter(pl.col("standing") == "chosen")["choice"].to_list() == [advice.record.chosen]
    assert advice.record.chosen in repr(advice)
    with pytest.raises(bench.UserError, match="head-room is for a --traffic"):
        bench.recommend(EXAMPLE, headroom=0.3)


@pytest.mark.parametrize("word", ["Latency", "speed", "p50_latency", "", 3])
def test_an_objective_that_is_none_is_refused_and_not_taken_for_another(word: object) -> None:
    with pytest.raises(bench.UserError, match="unknown objective"):
        bench.recommend(EXAMPLE, objective=word, min_accuracy=0.97)  # type: ignore[arg-type]


@pytest.mark.parametrize("objective", get_args(Objective))
def test_every_objective_is_the_one_that_is_judged_by(objective: Objective) -> None:
    assert bench.recommend(EXAMPLE, objective=objective, profile="server-cpu-vnni").record.objective == objective


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"slots": 0}, "whole number of processes"),
        ({"slots": 2.5}, "whole number of processes"),
        ({"slots": True}, "whole number of processes"),
        ({"min_accuracy": "0.95"}, "'0.95' is not a number"),
        ({"max_p99": "10ms"}, "seconds, such as 0.010"),
        ({"max_memory": "200MiB"}, "bytes, such as"),
        ({"traffic": "10000/s"}, "requests a second"),
        ({"traffic": 10, "headroom": "30%"}, "a share, such as 0.3"),
        ({"budget": math.nan, "traffic": 10}, "not a number"),
    ],
)
def test_a_limit_that_is_no_number_is_bad_input(limits: dict[str, Any], told: str) -> None:
    with pytest.raises(bench.UserError, match=told):
        bench.recommend(EXAMPLE, **limits)


def test_numbers_of_numpy_are_numbers() -> None:
    numbers = bench.recommend(EXAMPLE, min_accuracy=np.float32(0.95), slots=np.int64(1))  # type: ignore[arg-type]
    assert numbers.record.chosen


def test_a_script_without_a_main_guard_measures_the_cases_of_the_command(
    tmp_path: Path, brief_quick: Path, export_cache: Path
) -> None:
    """One run by each; the same rows and ids, and the same words in the manifest."""
    del export_cache
    (tmp_path / "script.py").write_text(
        "import sys, bench\n"
        f"run = bench.run(sys.argv[1], only={ONE!r}, progress=False)\n"
        "print(run.id, run.to_polars()['p50_latency'][0] > 0)\n"
    )
    script = [sys.executable, "script.py", os.path.relpath(brief_quick, tmp_path)]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    name, known = done.stdout.split()
    assert known == "True"
    run = bench.load(out=tmp_path / "results")
    assert run.id == name
    typed = command("run", str(brief_quick), "--only", ONE, "--json", cwd=tmp_path)
    assert typed.returncode == 0, typed.stderr
    told = json.loads(typed.stdout)
    assert [(case["name"], case["id"]) for case in told["cases"]] == run.to_polars().select("case", "case_id").rows()
    assert told["request"] == run.manifest.request
    assert (run.folder / "summary.md").exists()


class _Stopping(Live):
    """Ctrl-C when the first case is done."""

    def done(self, row: object) -> None:
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_keeps_what_is_done_and_the_run_goes_on_later(tmp_path: Path, brief_quick: Path) -> None:
    from rich.console import Console

    with pytest.raises(bench.Interrupted, match=r"1 of 2 cases done; bench\.load") as stopped:
        bench.run(
            brief_quick,
            only=["*/fp32/onnxruntime-cpu/*", "*/fp32/litert-xnnpack/*"],
            out=tmp_path,
            progress=_Stopping(Console(quiet=True)),
        )
    half = stopped.value.run
    assert "1 of 2 cases, interrupted" in repr(half)
    with pytest.raises(bench.UserError, match="cannot take SUITE, --seed"):
        bench.run("quick", resume=half, seed=0)
    whole = bench.run(resume=half.id, out=tmp_path, progress=False)
    assert "2 cases, complete" in repr(whole)
    assert half.rows[0] in whole.rows


def test_runs_that_are_the_same_are_one_in_a_set(results: Path) -> None:
    first, last = bench.runs(results)
    assert len({bench.load(first, out=results), bench.load(first, out=results), bench.load(last, out=results)}) == 2


def test_robustness_roofline_and_operators_are_drawn_or_say_why_not() -> None:
    plot = bench.load(EXAMPLE).plot
    assert "curves" in json.dumps(plot.robustness().to_dict())
    assert "roofs" in json.dumps(plot.roofline(profile="server-cpu-vnni").to_dict())
    with pytest.raises(bench.UserError, match="there is nothing to draw: no profile of a case was kept"):
        plot.operators()


def test_a_table_with_nothing_to_add_has_no_list_of_notes(tmp_path: Path) -> None:
    made = row_of(observed("fp32", 80))
    known = {name: Measurement(value=1.0, unit=m.unit, n=1, how="measured:by hand") for name, m in METRICS.items()}
    whole = msgspec.structs.replace(made, metrics=known)
    pages = []
    for name, row in (("some", made), ("all", whole)):
        folder = keep(tmp_path / name, "20260101-000000-s-aa", [row])
        manifest = json.loads((folder / "manifest.json").read_bytes())
        manifest["models"] = [{"given": "m", "name": "m", "source_sha256": "", "content": "c", "dataset": "d"}]
        (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
        pages.append(bench.load(folder)._repr_html_())
    assert [page.count("<details") for page in pages] == [2, 1], "of the table and of the run, and of the run alone"
