"""What is seen while a run goes on: a view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from bench.machine.cores import keep_to
from bench.machine.cpu import usable_cores
from bench.record.case import Case
from bench.record.measurement import Measurement
from bench.record.observation import Failure, Reading, SensorState
from bench.report import view
from bench.report.ab import LivePairs
from bench.report.gauges import Gauges
from bench.report.live import Live, is_drawn
from bench.report.view import Scene, draw
from bench.runner.events import REST, Sight
from tests.report.test_tables import row

CASE = Case(model="mnist_cnn@digits", variant="int8-dynamic", runtime="onnxruntime", provider="cpu")
NO_POWER = SensorState(sensor="rapl", source="", period_s=1, available=False, reason="no RAPL counters on this machine")
PROCESS = SensorState(sensor="process", source="", period_s=1, available=True, quantities={"rss": "B"})
RSS = Reading(1, "process", "", "rss", 231 * 2.0**20)


def sight(*readings: Reading, apart: bool = True, states: tuple[SensorState, ...] = (NO_POWER, PROCESS)) -> Sight:
    return Sight(latest=lambda: readings, sensors=lambda: states, apart=lambda case: apart, each_s=(2.0, 4.0))


def seen(scene: Scene, width: int = 80, *, gauges: Gauges | None = None, height: int = 24) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, highlight=False, color_system=None)
    console.print(draw(scene, gauges or Gauges(), console))
    return file.getvalue()


def measuring(blocks: int = 40) -> Scene:
    scene = Scene(total=17, done=3, sight=sight(RSS))
    scene.turn(CASE.name, case=True, blockwise=True)
    scene.enter("measure")
    for at in range(blocks):
        scene.block("measure", 400 * (at + 1), (81.2 + 0.01 * (at - blocks / 2)) * 1e-6)
    scene.ends_at = time.monotonic() + 40.4
    return scene


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, columns: int = 80, **env: str) -> Iterator[tuple[Console, int]]:
    """A console on a terminal of its own, and the end from which what it shows is read."""
    for name in ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(view, "PERIOD_S", 0.1)
    for name, value in {"TERM": "xterm-256color", **env}.items():
        monkeypatch.setenv(name, value)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as file:
        yield Console(file=file, width=columns, height=24, highlight=False), ours
    os.close(ours)


def written(ours: int, seconds: float) -> str:
    """What comes within so long."""
    got = b""
    over = time.monotonic() + seconds
    while (left := over - time.monotonic()) > 0:
        if select.select([ours], [], [], left)[0]:
            got += os.read(ours, 65536)
    return got.decode(errors="replace")


def until(ours: int, text: str) -> str:
    """What comes until there is `text` in it, or for ten seconds."""
    got = ""
    give_up = time.monotonic() + 10
    while text not in got and time.monotonic() < give_up:
        got += written(ours, 0.05)
    assert text in got
    return got


def go_through(live: Live, apart: bool = True) -> None:
    live.begin(2, 0)
    live.watching(sight(RSS, apart=apart))
    live.case(CASE, 0)
    live.progress("measure", 0, None)
    for at in range(8):
        live.progress("measure", 100 * (at + 1), 81.2e-6)


def test_case_phase_median_interval_power_memory_and_time_left_are_there() -> None:
    gauges = Gauges()
    scene = measuring()
    assert scene.sight is not None
    gauges.read(scene.sight, CASE.name)
    shown = seen(scene, gauges=gauges)
    assert CASE.name in shown
    assert "measure, 0 s, 16,000 samples" in shown
    assert re.search(r"81\.19 µs \[81\.\d\d, 81\.\d\d\] 95% of 40 blocks", shown)
    assert "unavailable: no RAPL counters on this machine" in shown
    assert "231 MiB resident" in shown
    assert re.search(r"3/17, about \d\d s left", shown)


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 200])
def test_no_figure_is_cut_in_any_width(width: int) -> None:
    scene = measuring()
    scene.finished("mnist_cnn/fp32/onnxruntime-cpu/t1/b1/single-stream", "p50 98.1 µs of 7,122 samples", False)
    shown = seen(scene, width)
    assert all(cell_len(line) <= width for line in shown.splitlines())
    whole = set(re.findall(r"\d[\d.,]*\d|\d", seen(scene, 400)))
    assert set(re.findall(r"\d[\d.,]*\d|\d", shown)) <= whole
    assert "81.19" in shown


def test_too_few_blocks_have_no_interval_and_blocks_that_overlap_none_at_all() -> None:
    assert "81.20 µs of 2 blocks" in seen(measuring(2)).replace("81.19", "81.20")
    scene = measuring()
    scene.blockwise = False
    assert "of late" in seen(scene)
    assert "[" not in seen(scene)


@given(st.lists(st.floats(1e-7, 1e-1), min_size=1, max_size=60))
def test_the_interval_holds_the_median(medians: list[float]) -> None:
    scene = measuring(0)
    for value in medians:
        scene.block("measure", 1, value)
    found = re.search(r"median +([\d.,]+) \S+ \[([\d.,]+), ([\d.,]+)\]", seen(scene, 200))
    assert (found is not None) == (len(medians) >= 6)
    if found is not None:
        middle, low, high = (float(figure.replace(",", "")) for figure in found.groups())
        assert low <= middle <= high


def test_failures_stay_in_sight_and_say_that_they_are() -> None:
    scene = measuring()
    scene.finished("a/broken", "failed: it crashed with SIGSEGV", True)
    for at in range(9):
        scene.finished(f"case-{at}", "p50 98.1 µs", False)
    shown = seen(scene)
    assert "FAILED a/broken: failed: it crashed with SIGSEGV" in shown
    assert "case-8" in shown
    assert "case-1" not in shown
    assert "1 failed" in shown
    assert len(seen(scene, height=12).splitlines()) <= 12


def test_power_is_read_from_a_gauge_or_from_how_far_a_counter_went() -> None:
    gauges, second = Gauges(), 10**9
    states = tuple(
        SensorState(sensor=name, source="", period_s=1, available=True, quantities={})
        for name in ("nvml", "rapl", "tdp")
    )

    def at(t: int, joules: float) -> Sight:
        return sight(
            Reading(t, "nvml", "0", "power_average", 34.0),
            Reading(t, "nvml", "0", "power_instant", 35.1),
            Reading(t, "rapl", "package-0", "energy", joules),
            Reading(t, "tdp", "", "energy", joules / 2),
            states=states,
        )

    gauges.read(at(second, 100.0), None)
    assert gauges.power(at(second, 100.0)) == ["35.1 W (nvml 0)"]
    gauges.read(at(3 * second, 124.0), None)
    assert gauges.power(at(3 * second, 124.0)) == [
        "35.1 W (nvml 0)", "12.0 W (rapl package-0)", "≈6.00 W (tdp, estimated)",
    ]  # fmt: skip
    gauges.read(at(4 * second, 5.0), None)
    assert gauges.power(at(4 * second, 5.0)) == ["35.1 W (nvml 0)"], "a counter that was set back says nothing"


def test_memory_is_never_that_of_the_harness_or_of_another_case() -> None:
    gauges = Gauges()
    gauges.read(sight(RSS), None)
    assert gauges.memory(sight(RSS), CASE.name) == ["no reading yet"]
    gauges.read(sight(RSS), "another")
    assert gauges.memory(sight(RSS), CASE.name) == ["no reading yet"]
    gauges.read(sight(RSS), CASE.name)
    assert gauges.memory(sight(RSS), CASE.name) == ["231 MiB resident"]
    blind = SensorState(sensor="process", source="", period_s=1, available=False, reason="no /proc")
    assert Gauges().memory(sight(states=(blind,)), CASE.name) == ["unavailable: no /proc"]


def test_the_reason_that_matters_for_the_case_comes_first_and_is_short() -> None:
    gpu = SensorState(
        sensor="nvml", source="", period_s=1, available=False, reason="no NVIDIA driver (its library is not there)"
    )
    both = sight(states=(gpu, NO_POWER))
    assert Gauges().power(both) == ["unavailable: no RAPL counters on this machine", "no NVIDIA driver"]
    assert Gauges().power(both, on_gpu=True) == ["unavailable: no NVIDIA driver", "no RAPL counters on this machine"]


@pytest.mark.parametrize(("value", "drawn"), [("false", True), ("0", True), ("", True), ("1", False), ("true", False)])
def test_ci_counts_where_it_says_yes(monkeypatch: pytest.MonkeyPatch, value: str, drawn: bool) -> None:
    with terminal(monkeypatch) as (console, _):
        monkeypatch.setenv("CI", value)
        assert is_drawn(console) is drawn


def test_a_terminal_is_drawn_on_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as (console, ours):
        with Live(console) as live:
            go_through(live)
            shown = until(ours, "81.20 µs [81.20, 81.20] 95% of 8 blocks") + until(ours, "231 MiB resident")
        end = written(ours, 0.1)
    assert re.search(r"0/2, about \d s left", shown), "before the first is done, the plan says how long one takes"
    assert "\x1b[?25l" in shown
    assert "\x1b[?25h" in end, "the cursor is back"


@pytest.mark.parametrize("env", [{"CI": "true"}, {"TERM": "dumb"}])
def test_plain_lines_under_ci_and_on_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> None:
    with terminal(monkeypatch, **env) as (console, ours), Live(console) as live:
        go_through(live)
        live.done(row())
        shown = written(ours, 0.2)
    assert "\x1b" not in shown
    assert re.fullmatch(r"\[1/2\] m/fp32/\S+: p50 80\.0 µs of 1,000 samples \(about \d+ s left\)\r\n", shown)


def test_a_pipe_gets_plain_lines_also_where_colour_is_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    file = io.StringIO()
    with Live(Console(file=file, force_terminal=True, color_system="standard")) as live:
        go_through(live)
        live.done(row(status="failed", failure=Failure(reason="it broke", phase="load")))
    assert "\x1b[?25l" not in file.getvalue()
    assert "failed: it broke" in file.getvalue()


def test_no_color_leaves_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch, NO_COLOR="1") as (console, ours), Live(console) as live:
        go_through(live)
        live.done(row(status="failed", failure=Failure(reason="it broke", phase="load")))
        shown = until(ours, "FAILED")
    codes = {code for found in re.findall(r"\x1b\[([\d;]*)m", shown) for code in found.split(";")}
    assert codes <= {"", "0", "1", "2", "22", "39", "49"}, "bold, dim and the terminal's own colours"


def test_where_the_harness_has_no_core_of_its_own_the_view_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as (console, ours), Live(console) as live:
        go_through(live, apart=False)
        until(ours, "this view rests")
        written(ours, 0.2)
        assert not written(ours, 0.5), "not a byte while it is measured"
        live.progress("evaluate", 0, None)
        until(ours, "evaluate")
        live.progress(REST, 0, None)
        until(ours, "rest, 0 s")


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot pin")
def test_the_thread_that_draws_keeps_off_the_measuring_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    first = usable_cores()[:1]
    with terminal(monkeypatch) as (console, _), Live(console) as live:
        live.begin(1, 0)
        (drawing,) = [thread for thread in threading.enumerate() if thread.name == "view"]
        assert drawing.native_id is not None
        with keep_to(first):
            assert os.sched_getaffinity(drawing.native_id) == set(first)


def test_a_terminal_that_goes_away_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(view, "PERIOD_S", 0.1)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as file, Live(Console(file=file, width=80, height=24)) as live:
        go_through(live)
        os.close(ours)
        time.sleep(0.3)
        live.done(row())


@pytest.mark.parametrize("width", [6, 40])
def test_how_far_a_stage_is_stands_in_a_bar_where_there_is_room_for_one(width: int) -> None:
    shown = seen(Scene(heading="export", share=0.4), width)
    assert "40%" in shown
    assert ("━" in shown) == (width == 40)


def test_before_the_first_block_there_is_no_median_and_without_a_sampler_neither_power_nor_memory() -> None:
    scene = measuring(0)
    scene.sight = None
    shown = seen(scene)
    assert "none yet" in shown
    assert "power" not in shown
    assert "memory" not in shown


def test_the_view_begins_with_the_first_stage_and_shows_each_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as (console, ours), Live(console) as live:
        live.stage("exporting int8", share=0.25)
        until(ours, "exporting int8")
        live.begin(2, 0)
        until(ours, "starting to measure")
        views = [thread for thread in threading.enumerate() if thread.name == "view"]
    assert len(views) == 1


def test_a_terminal_on_which_nothing_was_begun_stays_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as (console, ours):
        with Live(console) as live:
            live.watching(sight(apart=False))
            live.case(CASE, 0)
        assert not written(ours, 0.1)


def test_a_pair_is_a_line_where_nothing_is_drawn_and_one_that_is_done_in_the_view(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def go(live: LivePairs) -> None:
        live.pairs(1, 6)
        live.pair("a/case", 0)
        live.paired("a/case", 0, "p50 -1.0 %")

    file = io.StringIO()
    go(LivePairs(Console(file=file, width=80)))
    assert "round 1 of at most 6, a/case: p50 -1.0 %" in file.getvalue()
    with terminal(monkeypatch) as (console, ours), LivePairs(console) as live:
        go(live)
        shown = until(ours, "1/6")
    assert "p50 -1.0 %" in shown
    assert "at most" not in shown


def test_a_case_without_a_median_is_done_with_the_reason() -> None:
    file = io.StringIO()
    metrics = {**row().metrics, "p50_latency": Measurement.unavailable("s", "not of this scenario")}
    with Live(Console(file=file, width=200)) as live:
        live.begin(1, 0)
        live.done(row(metrics=metrics))
    assert ": p50 unavailable: not of this scenario (" in file.getvalue()


def test_a_sampler_that_is_busy_and_a_counter_that_stood_still_leave_what_was_read_last() -> None:
    gauges, second = Gauges(), 10**9
    states = (SensorState(sensor="rapl", source="", period_s=1, available=True, quantities={}),)

    def at(t: int, joules: float) -> Sight:
        return sight(Reading(t, "rapl", "package-0", "energy", joules), states=states)

    for t, joules in ((second, 100.0), (3 * second, 124.0), (3 * second, 124.0)):
        gauges.read(at(t, joules), None)
        if joules == 124.0:
            assert gauges.power(at(t, joules)) == ["12.0 W (rapl package-0)"]
    gauges.read(sight(states=states), None)
    assert gauges.power(sight(states=states)) == ["12.0 W (rapl package-0)"]
