"""The HTML page without a browser: what it says, whether its values are those of the tables, and hostile names."""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import json
import math
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.choices import choices_of
from bench.analyse.compare import Comparison
from bench.analyse.cost import Ledger, Terms
from bench.analyse.cost.ledger import Account
from bench.analyse.cost.terms import Bill
from bench.analyse.timeline import Timeline
from bench.record.case import Case
from bench.record.comparison import Change
from bench.record.cost import Part
from bench.record.measurement import Measurement
from bench.record.observation import Failure
from bench.record.profile import Profile
from bench.record.row import Row
from bench.report.page.alerts import alerts
from bench.report.page.facts import sheets
from bench.report.page.figures import Figures
from bench.report.page.headline import headline
from bench.report.page.pack import as_json, drawn, packed
from bench.report.page.write import html
from bench.runner.gather import CaseSeen, Gathered, gather
from bench.store.tables import read_cases
from tests.conftest import bench

RUN = Path(__file__).parents[2] / "docs/examples/digits-run"
HOSTILE = "</script><script>alert(1)</script>\u202e\x1b[31m\"'a|b{{7*7}}" + "long/" * 40
INACTIVE = "application/octet-stream;base64"


class _Page(HTMLParser):
    """Elements with their attributes, the text of each section, and the scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: dict[int, dict[str, str]] = {}
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles: list[str] = []
        self.shown = ""
        self._row = -1
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append((tag, given))
        self._open.append(tag)
        if tag == "tr" and "data-at" in given:
            self._row = int(given["data-at"] or "")
        if tag == "td" and "data-metric" in given:
            self.rows.setdefault(self._row, {})[given["data-metric"] or ""] = given["data-value"] or ""
        if tag == "script":
            self.scripts.append((given, ""))

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "script":
            given, text = self.scripts[-1]
            self.scripts[-1] = given, text + data
        elif inside == "style":
            self.styles.append(data)
        else:
            self.shown += data

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass


@pytest.fixture(scope="module")
def example() -> Gathered:
    return gather([RUN])


@pytest.fixture(scope="module")
def text(example: Gathered) -> str:
    return html(example)


@pytest.fixture(scope="module")
def page(text: str) -> _Page:
    return _Page(text)


def _unpacked(page: _Page, name: str) -> str:
    content = next(content for given, content in page.scripts if given.get("id") == name)
    return gzip.decompress(base64.b64decode(content)).decode()


def _with_rows(found: Gathered, **changed: Any) -> Gathered:
    """The same with every row changed by a function: `_with_rows(found, warnings=lambda at, row: …)`."""

    def row(at: int, seen: CaseSeen) -> CaseSeen:
        fields = {name: make(at, seen.row) for name, make in changed.items()}
        new: Row = msgspec.structs.replace(seen.row, **fields)
        return CaseSeen(seen.run, new, seen.label, seen.distribution, seen.timeline, seen.operators)

    cases = tuple(row(at, seen) for at, seen in enumerate(found.cases))
    return Gathered(found.runs, cases, found.ledgers, found.rooflines, found.comparison, found.missing)


def test_every_value_in_the_table_is_the_one_in_the_parquet_file(page: _Page) -> None:
    rows = read_cases(RUN)
    assert len(page.rows) == len(rows)
    compared = 0
    for at, row in enumerate(rows):
        for metric, raw in page.rows[at].items():
            if metric in row.metrics:
                value = row.metrics[metric].value
                assert (None if raw == "" else float(raw)) == value
                compared += value is not None
    assert compared > len(rows) * 10


def test_what_stands_behind_a_number_is_embedded_exactly(page: _Page) -> None:
    figures = json.loads(_unpacked(page, "data"))["figures"]
    names = [metric["name"] for metric in figures["metrics"]]
    for at, row in enumerate(read_cases(RUN)):
        for name, found in row.metrics.items():
            place = at * len(names) + names.index(name)
            told = [figures[field][place] for field in ("value", "low", "high", "n")]
            assert told == [found.value, found.low, found.high, found.n]
            assert figures["hows"][figures["how"][place]] == found.how


def test_nothing_is_loaded_from_anywhere(page: _Page, text: str) -> None:
    for tag, has in page.elements:
        assert "src" not in has, tag
        assert (has.get("href") or "#").startswith(("#", "data:")), has
        assert not [name for name in has if name.startswith("on")], has
        assert "style" not in has, tag
    assert "sourceMappingURL" not in text
    assert not re.search(r"@import|url\(\s*['\"]?(?!data:)", "".join(page.styles))


def test_the_policy_allows_only_the_scripts_and_the_style_of_the_page(page: _Page) -> None:
    policy = next(given["content"] or "" for tag, given in page.elements if given.get("http-equiv"))
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in rules["script-src"] + rules["style-src-elem"]
    own = [content for given, content in page.scripts if given.get("type") != INACTIVE]
    for script in [*own, _unpacked(page, "vega")]:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in rules["script-src"]
    assert len(own) == 1
    assert base64.b64encode(hashlib.sha256(page.styles[0].encode()).digest()).decode() in rules["style-src-elem"]


def test_warnings_come_before_the_best_and_the_best_before_the_table(text: str) -> None:
    places = [text.index(f'<section id="{name}"') for name in ("warnings", "best", "cases", "pareto", "sources")]
    assert places == sorted(places)


def test_headings_are_in_order_and_tables_have_captions(page: _Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    tags = [tag for tag, _ in page.elements]
    assert tags.count("caption") == tags.count("table")


def test_hostile_names_and_warnings_are_text_and_nothing_else(example: Gathered) -> None:
    hostile = _with_rows(
        example,
        case=lambda at, row: msgspec.structs.replace(row.case, variant=f"{HOSTILE}{at}"),
        warnings=lambda at, row: (HOSTILE,),
    )
    cases = tuple(CaseSeen(seen.run, seen.row, f"{HOSTILE}{at}") for at, seen in enumerate(hostile.cases))
    read = _Page(html(Gathered(example.runs, cases, missing={"cost": HOSTILE}), title=HOSTILE))
    assert len(read.scripts) == 3
    assert "</script><script>alert(1)</script>" in read.shown
    assert "{{7*7}}" in read.shown
    assert "\x1b" not in read.shown
    assert json.loads(_unpacked(read, "data"))["cases"][0]["warnings"] == [HOSTILE]


def test_a_row_that_missed_its_floor_is_not_the_best(example: Gathered) -> None:
    best = headline(example, Figures(example))[0].best[1]
    assert best.metric == "p50_latency"
    assert best.at is not None
    failed = _with_rows(
        example,
        status=lambda at, row: "failed" if at == best.at else row.status,
        failure=lambda at, row: Failure(reason="below its floor", phase="judge") if at == best.at else row.failure,
    )
    heads = headline(failed, Figures(failed))[0]
    assert heads.best[1].at != best.at
    assert heads.failed == 1
    group = alerts(failed)[0]
    assert (group.name, group.grave, group.alerts[0].cases) == ("failed", True, (best.at,))


def test_equal_values_are_told_and_no_value_says_why(example: Gathered) -> None:
    def metrics(at: int, row: Row) -> dict[str, Measurement]:
        same = Measurement(value=0.9, unit="1", n=9, how="measured:evaluation", low=0.8, high=0.95, confidence=0.95)
        gone = Measurement.unavailable("J", "no sensor")
        return {**row.metrics, "accuracy": same, "energy": gone}

    alike = _with_rows(example, metrics=metrics)
    accurate, _, energy, _ = headline(alike, Figures(alike))[0].best
    assert len(accurate.equal) == len(alike.cases) - 1
    assert accurate.span == "0.8000 to 0.9500 at 95 %"
    assert (energy.at, energy.reason) == (None, "no sensor")


def _bill(value: float, *absent: str, unit: str = "USD") -> Part:
    """A sum of money that lacks these parts."""
    figure = Measurement(value=value, unit=unit, n=1, how="estimated:prices")
    known = Part(name="machines", figure=figure)
    unknown = tuple(Part(name=name, figure=Measurement.unavailable(unit, "no price")) for name in absent)
    return Part(name="money", figure=figure, parts=(known, *unknown))


def _billed(found: Gathered, *bills: Part) -> Gathered:
    """The same with what a million inferences cost of the first cases, each a choice of its own."""
    (run,) = found.runs
    accounts = tuple(
        Account(
            choice=next(each for each in choices_of(run.manifest, run.rows) if seen.row.case.name in each.cases),
            million=msgspec.structs.replace(_NOTHING, money=bill),
        )
        for seen, bill in zip(found.cases, bills, strict=False)
    )
    return replace(found, ledgers=(Ledger(accounts=accounts, terms=Terms(profile=None), machine_hour=bills[0]),))


_NOTHING = Bill(money=_bill(1.0), energy=_bill(1.0, unit="J"), carbon=_bill(1.0, unit="g"))


def test_a_cost_that_lacks_a_part_is_ranked_nowhere(example: Gathered) -> None:
    dear, cheap = _bill(3.0), _bill(1.0, "electricity")
    found = _billed(example, dear, cheap)
    figures = Figures(found)
    cheapest = headline(found, figures)[0].best[3]
    assert (cheapest.title, cheapest.at, cheapest.bounds) == ("Cheapest", 0, 1)
    assert 1 not in figures.best("cost")
    assert "1 case not ranked: only a lower bound is known" in " ".join(_Page(html(found)).shown.split())
    only = _billed(example, *[cheap] * len(example.cases))
    told = headline(only, Figures(only))[0].best[3]
    assert told.at is None
    assert told.reason == "only a lower bound is known, which is not ranked: no electricity"


def test_money_in_two_currencies_is_not_put_in_one_order(example: Gathered) -> None:
    found = Figures(_billed(example, _bill(3.0), _bill(1.0, unit="EUR")))
    (heading,) = (each for each in found.headings() if each.metric == "cost")
    assert (heading.unit, heading.sorted) == ("", False)
    assert [found.cells(at, [heading])[0].shown for at in (0, 1)] == ["≈3.00 USD", "≈1.00 EUR"]


@pytest.mark.parametrize(("value", "shown"), [(3e-6, "<0.0001"), (0.0, "0.0000"), (0.25, "0.2500")])
def test_a_share_that_is_not_nothing_is_not_shown_as_nothing(value: float, shown: str, example: Gathered) -> None:
    found = Measurement(value=value, unit="1", n=9, how="measured:evaluation")
    figures = Figures(_with_rows(example, metrics=lambda at, row: {**row.metrics, "accuracy": found}))
    (heading,) = (each for each in figures.headings() if each.metric == "accuracy")
    assert figures.cells(0, [heading])[0].shown == shown


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_figure_that_is_not_finite_is_never_the_best_and_breaks_nothing(odd: float, example: Gathered) -> None:
    found = Measurement(value=odd, unit="1", n=9, how="measured:evaluation")
    strange = _with_rows(example, metrics=lambda at, row: {**row.metrics, "accuracy": found} if at else row.metrics)
    assert headline(strange, Figures(strange))[0].best[0].at == 0
    assert Figures(strange).best("accuracy") == frozenset()
    assert html(strange)


def test_others_without_an_interval_may_be_as_good_as_the_best(example: Gathered) -> None:
    def metrics(at: int, row: Row) -> dict[str, Measurement]:
        bare = Measurement(value=0.5, unit="1", n=9, how="measured:evaluation")
        sure = msgspec.structs.replace(bare, value=0.9, low=0.8, high=0.95, confidence=0.999)
        return {**row.metrics, "accuracy": bare if at else sure}

    found = _with_rows(example, metrics=metrics)
    accurate = headline(found, Figures(found))[0].best[0]
    assert (accurate.at, accurate.open) == (0, len(found.cases) - 1)
    assert accurate.span == "0.8000 to 0.9500 at 99.9 %"


def test_estimates_are_marked_wherever_they_show(example: Gathered) -> None:
    guess = Measurement(value=2e-3, unit="J", n=1, how="estimated:tdp")
    guessed = _with_rows(example, metrics=lambda at, row: {**row.metrics, "energy": guess})
    figures = Figures(guessed)
    cell = next(cell for cell in figures.cells(0, figures.headings()) if cell.metric == "energy")
    assert (cell.shown, cell.beside, cell.raw) == ("≈2.00", "est.", "0.002")
    assert headline(guessed, figures)[0].best[2].guess == "estimated"
    assert figures.text(0, "energy").endswith("estimated")


def test_sentences_that_differ_in_numbers_are_one_with_their_range(example: Gathered) -> None:
    told = _with_rows(
        example, warnings=lambda at, row: (f"drift of {1.5 + at}% in fp16",), why_not_faster=lambda at, row: None
    )
    group = next(group for group in alerts(told) if group.name == "warnings")
    last = 0.5 + len(told.cases)
    assert [alert.text for alert in group.alerts] == [f"drift of 1.5 … {last}% in fp16"]
    assert group.alerts[0].said[1] == "drift of 2.5% in fp16"
    assert group.count == len(told.cases)


def test_a_mark_in_one_sentence_is_no_number_in_another(example: Gathered) -> None:
    told = _with_rows(example, warnings=lambda at, row: ("bad node #" if at else "bad node 3",))
    group = next(group for group in alerts(told) if group.name == "warnings")
    assert [alert.text for alert in group.alerts] == ["bad node 3", "bad node #"]


def test_versions_are_named_one_by_one_and_not_as_a_range(example: Gathered) -> None:
    told = _with_rows(example, warnings=lambda at, row: (f"made with {'1.2.3' if at else '1.10.0'}",))
    group = next(group for group in alerts(told) if group.name == "warnings")
    assert [alert.text for alert in group.alerts] == ["made with 1.10.0, 1.2.3"]


@given(st.lists(st.text(), max_size=4))
def test_no_warning_is_lost_when_they_are_grouped(warnings: list[str]) -> None:
    found = gathered_once()
    told = _with_rows(found, warnings=lambda at, row: tuple(warnings) if at == 0 else ())
    wanted = {text for text in warnings if not text.startswith("the graph is split")}
    groups = [group for group in alerts(told) if group.name == "warnings"]
    said = {text for group in groups for alert in group.alerts for text in (alert.text, *alert.said)}
    assert all(any(text in each for each in said) for text in wanted)


_ONCE: list[Gathered] = []


def gathered_once() -> Gathered:
    if not _ONCE:
        _ONCE.append(gather([RUN]))
    return _ONCE[0]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_packed_comes_back_and_cannot_end_a_script(content: str) -> None:
    assert gzip.decompress(base64.b64decode(packed(content))).decode() == content
    assert "<" not in packed(content)


@given(st.floats())
def test_numbers_stay_exact_in_json_and_what_json_has_not_is_null(value: float) -> None:
    assert json.loads(as_json([value])) == [value if math.isfinite(value) else None]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_only_drawn_keeps_six_digits(value: float) -> None:
    assert drawn({"x": [value, None, "a"]})["x"][0] == pytest.approx(value, rel=1e-5)


def test_the_command_writes_the_page_beside_the_run_and_prints_its_path(tmp_path: Path) -> None:
    shutil.copytree(RUN, tmp_path / "results" / "run-a")
    shutil.copytree(RUN, tmp_path / "results" / "run-b")
    done = bench("report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "results/run-b/report.html"
    done = bench("report", "run-a", "run-b", "-o", "two.html", "--title", "both & more", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    two = (tmp_path / "two.html").read_text()
    assert "<bdi>both &amp; more</bdi>" in two
    assert "unchanged" in two
    assert len(_Page(two).rows) == 2 * len(read_cases(RUN))


def test_what_only_one_side_has_is_a_line_and_no_row_of_the_changes(example: Gathered) -> None:
    kept = {"case": "m/a/cpu", "metric": "p50_latency", "unit": "s", "before": 1.0, "after": 2.0, "ratio": 2.0}
    gone = [{**kept, "case": f"m/{v}/cpu", "after": None, "ratio": None, "absent": "no such case"} for v in "bc"]
    changes = tuple(Change(**{"basis": "exact", "n": 1, **each}) for each in [kept, *gone])
    sides = {
        "before": "old",
        "after": "new",
        "shared": 1,
        "reference": None,
        "refusing": (),
        "allowed": (),
        "notes": (),
    }
    held = Comparison(**sides, changes=changes)  # type: ignore[arg-type]
    shown = _Page(html(replace(example, comparison=held))).shown
    assert "no such case (b, c)" in shown
    assert "m/b/cpu" not in shown


def test_a_run_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    done = bench("report", "nothing", cwd=tmp_path)
    assert done.returncode == 2
    assert "bench run" in done.stderr


def test_a_case_that_failed_without_a_word_and_a_run_that_is_not_done_are_said(example: Gathered) -> None:
    mute = _with_rows(
        example,
        status=lambda at, row: "failed" if at == 0 else row.status,
        failure=lambda at, row: None if at == 0 else row.failure,
    )
    (run,) = mute.runs
    begun = msgspec.structs.replace(run, manifest=msgspec.structs.replace(run.manifest, status="interrupted"))
    groups = {group.name: group for group in alerts(replace(mute, runs=(begun,)))}
    assert groups["failed"].alerts[0].text == "failed: no reason is on record"
    of = f"{len(run.rows)} of {len(run.manifest.cases)} cases are done"
    assert f"{run.manifest.run_id}: {of}" in [alert.text for alert in groups["notes"].alerts]


def test_a_run_under_a_profile_names_it_and_a_model_without_a_metric_has_no_judge(example: Gathered) -> None:
    (run,) = example.runs
    bare = tuple(msgspec.structs.replace(model, metric=None, training=None) for model in run.manifest.models)
    manifest = msgspec.structs.replace(run.manifest, profile={"name": "my-server"}, models=bare)
    changed = sheets(replace(example, runs=(msgspec.structs.replace(run, manifest=manifest),)))
    facts = {line.name: line.values for sheet in changed for line in sheet.lines}
    assert facts["hardware profile"] == ("my-server",)
    (told,) = facts[bare[0].name]
    assert "judged by" not in told
    assert "trained" not in told
    assert "; source " in told


def test_fastest_of_any_number_of_threads_says_so_and_without_a_case_that_is_ok_there_is_none(
    example: Gathered,
) -> None:
    def case(at: int, row: Row) -> Case:
        return msgspec.structs.replace(row.case, threads=1 + at % 2)

    fastest = headline(many := _with_rows(example, case=case), Figures(many))[0].best[1]
    assert fastest.about == "median latency, one request at a time, batch 1, any number of threads"
    below = _with_rows(
        example,
        status=lambda at, row: "failed",
        failure=lambda at, row: Failure(reason="below its floor", phase="judge"),
    )
    accurate = headline(below, Figures(below))[0].best[0]
    assert (accurate.at, accurate.reason) == (None, "no case is ok and was measured one request at a time")


def test_why_a_chart_of_a_case_shows_less_is_told_where_it_is_known(example: Gathered) -> None:
    first, *others = example.cases
    whole = Timeline(invocation=0, phases=(), series=(), missing={})
    broken = Profile(target=first.row.case.target, reason="no answer within 5 s")
    cases = (replace(first, timeline=whole, operators=broken), *others)
    told = json.loads(_unpacked(_Page(html(replace(example, cases=cases))), "data"))["cases"][0]["missing"]
    assert "timeline" not in told
    assert told["operators"] == ["no answer within 5 s"]
