"""Runs gathered for a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.machine.environment import read_environment
from bench.record.case import Case
from bench.record.observation import Reading, SensorState, Telemetry
from bench.record.peaks import MachinePeaks
from bench.runner.gather import gather, labels
from bench.runner.peaks import machine
from bench.store import profiles, tables
from tests.analyse.rows import profile
from tests.kept_runs import SAMPLES, failed, keep, keep_small, observed, row_of

ONE, TWO = "20260101-000000-quick-aaaa", "20260102-000000-quick-bbbb"
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
CASES = st.builds(
    Case,
    model=WORDS,
    variant=WORDS,
    runtime=WORDS,
    provider=WORDS,
    threads=st.integers(1, 4),
    batch=st.integers(1, 4),
    options=st.dictionaries(WORDS, st.integers(0, 3), max_size=2),
)


@pytest.fixture(autouse=True)
def no_peaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No peaks of this machine are kept, and nothing may measure them."""
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(machine, "_extended", lambda *_: pytest.fail("measured"))


def test_every_case_has_its_raw_samples_summarised(tmp_path: Path) -> None:
    folder = keep_small(tmp_path, ONE)
    found = gather([folder])
    assert [seen.label for seen in found.cases] == ["fp32", "int8", "pruned"]
    raw = pl.read_parquet(folder / tables.LATENCIES)
    for seen in found.cases[:2]:
        mine = raw.filter(pl.col("case_id") == seen.row.case.id)["latency_ns"].to_numpy()
        assert seen.distribution is not None
        assert seen.distribution.n == len(mine) == SAMPLES
        assert seen.distribution.quantile(0.5) == pytest.approx(np.median(mine) / 1e9, rel=0.01)
    assert found.cases[2].distribution is None


def test_all_invocations_of_a_case_are_one_distribution(tmp_path: Path) -> None:
    first = observed("fp32", 80.0)
    seen = [first, msgspec.structs.replace(first, invocation=1)]
    found = gather([keep(tmp_path, ONE, [row_of(first)], seen)])
    assert found.cases[0].distribution is not None
    assert found.cases[0].distribution.n == 2 * SAMPLES


def test_readings_stand_beside_the_phases_and_what_is_silent_says_why(tmp_path: Path) -> None:
    states = (SensorState(sensor="process", source="psutil", period_s=0.1, available=True, quantities={"rss": "B"}),)
    told = tuple(Reading(at * 10**8, "process", "tree", "rss", 1e6 + at) for at in range(20))
    seen = msgspec.structs.replace(observed("fp32", 80.0), telemetry=Telemetry(sensors=states, readings=told))
    row = msgspec.structs.replace(
        row_of(seen), facts={"phases": [{"measure": (0, 10**9)}], "silent_sensors": {"rapl": "no RAPL here"}}
    )
    (case,) = gather([keep(tmp_path, ONE, [row], [seen])]).cases
    assert case.timeline is not None
    assert [(p.name, p.end_s) for p in case.timeline.phases] == [("measure", 1)]
    assert [(one.quantity, len(one.values)) for one in case.timeline.series] == [("rss", 20)]
    assert case.timeline.missing["power"] == "no RAPL here"


def test_kept_profiles_are_there(tmp_path: Path) -> None:
    folder = keep_small(tmp_path, ONE)
    made = profile(("Conv", None, 10.0))
    profiles.keep(folder, observed("fp32", 80.0).case.id, made)
    found = gather([folder])
    assert [seen.operators for seen in found.cases] == [made, None, None]


def test_a_run_without_its_samples_is_read_all_the_same(tmp_path: Path) -> None:
    folder = keep_small(tmp_path, ONE)
    (folder / tables.LATENCIES).unlink()
    (folder / tables.TELEMETRY).unlink()
    found = gather([folder])
    assert all(seen.distribution is None and seen.timeline is None for seen in found.cases)


def test_a_damaged_table_is_a_clear_error(tmp_path: Path) -> None:
    folder = keep_small(tmp_path, ONE)
    (folder / tables.LATENCIES).write_bytes(b"no table")
    with pytest.raises(UserError) as told:
        gather([folder])
    assert told.value.where == str(folder / tables.LATENCIES)


def test_what_there_is_not_has_its_reason_and_nothing_is_measured(tmp_path: Path) -> None:
    found = gather([keep_small(tmp_path, ONE)])
    assert (found.rooflines, found.comparison) == ((None,), None)
    assert "name a baseline" in found.missing["comparison"]
    assert "peaks" in found.missing["roofline"]
    assert len(found.ledgers) == 1
    assert (found.ledgers[0] is None) == ("cost" in found.missing)


def test_peaks_that_are_kept_of_the_machine_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = MachinePeaks(name="kept", created="2026-01-01T00:00:00+00:00", by_threads=())
    monkeypatch.setattr(machine, "_read", lambda _: known)
    (found,) = gather([keep_small(tmp_path, ONE)]).rooflines
    assert found is not None
    assert found.peaks.name == "kept"
    assert machine.kept_peaks(read_environment()) == known


def test_a_profile_gives_prices_and_peaks(tmp_path: Path) -> None:
    found = gather([keep_small(tmp_path, ONE)], profile="generic-cpu")
    (at,) = found.rooflines
    assert at is not None
    assert at.peaks.name == "generic-cpu"


def test_a_profile_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown hardware profile 'nope'"):
        gather([keep_small(tmp_path, ONE)], profile="nope")


def test_the_last_of_several_runs_is_compared_with_the_first(tmp_path: Path) -> None:
    found = gather([keep_small(tmp_path, ONE), keep_small(tmp_path, TWO, latency_us=100.0)])
    assert found.comparison is not None
    assert (found.comparison.before, found.comparison.after) == (ONE, TWO)
    assert [seen.label for seen in found.cases[::3]] == ["fp32 · aaaa", "fp32 · bbbb"]
    assert [seen.run for seen in found.cases] == [0, 0, 0, 1, 1, 1]


def test_a_baseline_is_named_as_for_bench_compare(tmp_path: Path) -> None:
    keep_small(tmp_path, ONE)
    found = gather([keep_small(tmp_path, TWO)], baseline="20260101", results=tmp_path)
    assert found.comparison is not None
    assert found.comparison.before == ONE
    with pytest.raises(UserError, match="unknown run, baseline or file"):
        gather([tmp_path / TWO], baseline="nothing", results=tmp_path)


def test_without_a_folder_there_is_nothing_to_gather() -> None:
    with pytest.raises(UserError, match="no run"):
        gather([])


def test_one_run_twice_keeps_its_labels_apart(tmp_path: Path) -> None:
    folder = keep_small(tmp_path, ONE)
    names = [seen.label for seen in gather([folder, folder]).cases]
    assert len(set(names)) == 6


def test_what_all_cases_share_is_left_out_of_labels() -> None:
    parts: dict[str, Any] = {"model": "m", "runtime": "onnxruntime", "provider": "cpu"}
    cases = [Case(variant="fp32", **parts), Case(variant="int8", **parts), Case(variant="int8", threads=2, **parts)]
    assert labels([("r", case) for case in cases], several=False) == ["fp32/t1", "int8/t1", "int8/t2"]
    assert labels([("r", cases[0])], several=False) == ["fp32"]


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), CASES), max_size=8), st.booleans())
def test_labels_are_unique_and_none_is_empty(cases: list[tuple[str, Case]], several: bool) -> None:
    made = labels(cases, several)
    assert len(set(made)) == len(made) == len(cases)
    assert all(made)


def test_a_failed_case_is_gathered_with_nothing_but_its_row(tmp_path: Path) -> None:
    (case,) = gather([keep(tmp_path, ONE, [failed("pruned")])]).cases
    assert (case.distribution, case.timeline, case.operators) == (None, None, None)
