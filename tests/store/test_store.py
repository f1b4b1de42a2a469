"""What is kept comes back as it was, and is either whole or absent."""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.machine.environment import read_environment
from bench.record.case import Case
from bench.record.codec import from_json, json_bytes, pack, unpack
from bench.record.environment import Environment
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.record.observation import (
    Cell,
    Failure,
    Observation,
    Plan,
    Reading,
    Robustness,
    Samples,
    SensorState,
    Telemetry,
)
from bench.record.row import Row
from bench.store import journal, manifest, runs, tables
from bench.store.atomic import write_bytes, write_with

CASE = Case(model="m", variant="v", runtime="r", provider="p", options={"streams": 2})


def observation(invocation: int = 0, n: int = 5) -> Observation:
    return Observation(
        case=CASE,
        invocation=invocation,
        status="ok",
        samples=Samples(
            start_ns=np.arange(n, dtype=np.int64) * 1000 + 2**60,
            latency_ns=np.arange(n, dtype=np.int64) + 7,
            block=np.zeros(n, dtype=np.int64),
            stopped_by="precision",
        ),
        telemetry=Telemetry(
            sensors=(SensorState(sensor="process", source="s", period_s=0.1, available=True, quantities={"rss": "B"}),),
            readings=(Reading(1, "process", "tree", "rss", 5.0),),
            snapshots={"measure-end": (Reading(2, "process", "tree", "rss", 6.0),)},
        ),
    )


floats = st.floats(allow_nan=False, allow_infinity=False)
measurements = st.builds(
    Measurement,
    value=floats,
    unit=st.sampled_from(["s", "B", "1"]),
    n=st.integers(0, 2**40),
    how=st.just("measured:x"),
    low=st.none() | floats,
    high=st.none() | floats,
    confidence=st.none() | st.floats(0, 1),
) | st.builds(Measurement.unavailable, st.sampled_from(["s", "B"]), st.text(max_size=20))
under_corruption = st.builds(
    Robustness,
    metric=st.just("accuracy"),
    clean=floats,
    cells=st.lists(
        st.builds(
            Cell,
            corruption=st.text(max_size=9),
            severity=st.integers(1, 5),
            value=floats,
            ratio=floats,
            low=floats,
            high=floats,
        ),
        max_size=4,
    ).map(tuple),
    examples=st.integers(1, 999),
    seed=st.integers(0, 2**32),
)
rows = st.builds(
    Row,
    case=st.builds(
        Case,
        model=st.text(max_size=8),
        variant=st.text(max_size=8),
        runtime=st.just("r"),
        provider=st.just("p"),
        threads=st.integers(1, 99),
        options=st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4) | st.booleans(), max_size=3),
    ),
    status=st.sampled_from(["ok", "failed", "unavailable"]),
    dataset=st.text(max_size=12),
    metrics=st.fixed_dictionaries(dict.fromkeys(METRICS, measurements)),
    failure=st.none() | st.builds(Failure, reason=st.text(), phase=st.just("load")),
    warnings=st.lists(st.text(max_size=9), max_size=3).map(tuple),
    under_corruption=st.none() | under_corruption,
    facts=st.dictionaries(st.text(max_size=4), st.integers(-(2**53), 2**53) | st.text(max_size=4), max_size=3),
)


@settings(deadline=None)
@given(st.lists(rows, min_size=1, max_size=4))
def test_rows_come_back_from_parquet_as_they_were(tmp_path_factory: pytest.TempPathFactory, made: list[Row]) -> None:
    folder = tmp_path_factory.mktemp("rows")
    tables.write_cases(folder, "run", made)
    assert tables.read_cases(folder) == made


def test_a_table_of_a_version_that_knew_less_is_read_and_says_so(tmp_path: Path) -> None:
    metrics = {name: Measurement(value=2.0, unit=m.unit, n=3, how="measured:x") for name, m in METRICS.items()}
    tables.write_cases(tmp_path, "run", [Row(case=CASE, status="ok", dataset="d", metrics=metrics)])
    newer = ["robustness", "robustness_worst", "calibration_error", "under_corruption"]
    pl.read_parquet(tmp_path / tables.CASES).drop(newer).write_parquet(tmp_path / tables.CASES)
    (row,) = tables.read_cases(tmp_path)
    assert row.under_corruption is None
    assert row.metrics["accuracy"] == metrics["accuracy"]
    assert "did not know this figure" in str(row.metrics["robustness"].reason)
    assert set(row.metrics) == set(METRICS)


def test_every_sample_and_reading_is_in_the_tables(tmp_path: Path) -> None:
    tables.write_samples(tmp_path, [observation(0, 5), observation(1, 3)])
    latencies = pl.read_parquet(tmp_path / tables.LATENCIES)
    assert latencies.height == 8
    assert latencies.filter(pl.col("invocation") == 0)["latency_ns"].to_list() == [7, 8, 9, 10, 11]
    assert latencies["start_ns"].min() == 2**60, "nanoseconds keep their last digit"
    telemetry = pl.read_parquet(tmp_path / tables.TELEMETRY)
    assert telemetry.select("edge", "value", "unit").rows() == [(None, 5.0, "B"), ("measure-end", 6.0, "B")] * 2


def test_the_figures_can_be_asked_for_in_sql(tmp_path: Path) -> None:
    metrics = {name: Measurement(value=2.0, unit=m.unit, n=3, how="measured:x") for name, m in METRICS.items()}
    tables.write_cases(tmp_path, "run", [Row(case=CASE, status="ok", dataset="d", metrics=metrics)])
    frame = pl.read_parquet(tmp_path / tables.CASES)
    found = frame.sql("SELECT model, p50_latency.value AS p50, p50_latency.n AS n FROM self")
    assert found.rows() == [("m", 2.0, 3)]


def test_the_journal_gives_back_what_was_appended_and_passes_over_damage(tmp_path: Path) -> None:
    (tmp_path / journal.FOLDER).mkdir()
    journal.append(tmp_path, observation(0))
    journal.append(tmp_path, observation(1))
    damaged = tmp_path / journal.FOLDER / f"{CASE.id}-1.msgpack"
    damaged.write_bytes(damaged.read_bytes()[:40])
    kept = list(journal.read(tmp_path))
    assert [seen.invocation for seen in kept] == [0]
    assert pack(kept[0]) == pack(observation(0))


@given(st.binary(max_size=200))
def test_any_bytes_in_the_journal_are_passed_over_or_read(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    (folder / journal.FOLDER).mkdir()
    (folder / journal.FOLDER / "x-0.msgpack").write_bytes(noise)
    list(journal.read(folder))


def test_arrays_keep_dtype_and_shape_on_the_wire() -> None:
    again = unpack(pack(observation()), Observation)
    assert again.samples is not None
    assert again.samples.latency_ns.dtype == np.int64
    np.testing.assert_array_equal(again.samples.latency_ns, [7, 8, 9, 10, 11])


def test_scalars_of_numpy_are_numbers_and_what_has_no_place_in_a_record_is_told() -> None:
    facts = {"count": np.int32(7), "share": np.float32(0.5), "ok": np.bool_(True)}
    assert unpack(pack(facts), dict[str, int | float | bool]) == {"count": 7, "share": 0.5, "ok": True}
    assert from_json(json_bytes(facts), dict[str, int | float | bool]) == {"count": 7, "share": 0.5, "ok": True}
    with pytest.raises(NotImplementedError, match="Path has no place in a record"):
        pack({"folder": type("Path", (), {})()})
    with pytest.raises(NotImplementedError, match="complex'> has no place in a record"):
        unpack(pack([1, 2]), complex)


def test_a_file_is_whole_or_absent_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_bytes(path, b"old")

    def half(part: Path) -> None:
        part.write_bytes(b"ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="the disk is full"):
        write_with(path, half)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def made_manifest(folder: Path) -> manifest.Manifest:
    return manifest.Manifest(
        run_id=folder.name,
        created="2026-01-01T00:00:00+00:00",
        command=("bench", "run"),
        status="complete",
        suite={"name": "s"},
        request={},
        plan=Plan(),
        cases=(CASE,),
        models=(),
        environment=read_environment(),
    )


def test_a_model_of_a_version_that_knew_less_has_no_floors_and_no_training() -> None:
    old = b'{"given": "g", "name": "m", "source_sha256": "0", "content": "0", "dataset": "d", "quality_floor": 0.9}'
    entry = from_json(old, manifest.ModelEntry)
    assert entry.quality_floor == 0.9
    assert (entry.agreement_floor, entry.floor_about, entry.training) == (None, None, None)


def test_a_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    made = made_manifest(tmp_path)
    manifest.write_manifest(tmp_path, made)
    assert manifest.read_manifest(tmp_path) == made
    assert from_json(json_bytes(made.environment), Environment) == made.environment


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"{", "damaged"),
        (b"[]", "damaged"),
        (b'{"schema": 99}', "newer version (schema 99"),
        (b'{"schema": 1}', "damaged"),
    ],
)
def test_a_manifest_that_is_not_one_is_refused(tmp_path: Path, content: bytes, wrong: str) -> None:
    (tmp_path / manifest.NAME).write_bytes(content)
    with pytest.raises(UserError) as refused:
        manifest.read_manifest(tmp_path)
    assert wrong in str(refused.value)


def test_a_folder_without_a_manifest_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run folder") as refused:
        manifest.read_manifest(tmp_path)
    assert refused.value.where == str(tmp_path / manifest.NAME)


class TestLots:
    """Runs of one second have names apart by lot."""

    def draw(self, monkeypatch: pytest.MonkeyPatch, *lots: str) -> None:
        left = list(lots)
        monkeypatch.setattr(secrets, "token_hex", lambda size: left.pop(0) if len(left) > 1 else left[0])
        monkeypatch.setattr(runs, "stamp", lambda results: "20260101-000000")

    def test_a_lot_that_was_drawn_before_is_drawn_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.draw(monkeypatch, "aa", "aa", "bb")
        made = [runs.create(tmp_path, "s").name for _ in range(2)]
        assert made == ["20260101-000000-s-aa", "20260101-000000-s-bb"]

    def test_it_is_not_drawn_for_ever(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.draw(monkeypatch, "aa")
        runs.create(tmp_path, "s")
        with pytest.raises(UserError, match="cannot write there: File exists"):
            runs.create(tmp_path, "s")

    def test_a_file_in_its_place_is_not_a_lot(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.draw(monkeypatch, "aa", "bb")
        (tmp_path / "20260101-000000-s-aa").write_text("mine")
        with pytest.raises(UserError, match="cannot write there"):
            runs.create(tmp_path, "s")
        assert (tmp_path / "20260101-000000-s-aa").read_text() == "mine"


def test_a_run_is_found_by_id_prefix_path_and_latest(tmp_path: Path) -> None:
    for name in ("20260101-a-11", "20260102-a-22", "20260102-b-33"):
        (tmp_path / name).mkdir()
        manifest.write_manifest(tmp_path / name, made_manifest(tmp_path / name))
    assert runs.find("latest", tmp_path).name == "20260102-b-33"
    assert runs.find("20260101", tmp_path).name == "20260101-a-11"
    assert runs.find("20260102-b-33", tmp_path).name == "20260102-b-33"
    assert runs.find(str(tmp_path / "20260102-a-22"), tmp_path / "nowhere").name == "20260102-a-22"
    with pytest.raises(UserError, match="is the start of 2 runs"):
        runs.find("20260102", tmp_path)
    with pytest.raises(UserError, match="unknown run") as refused:
        runs.find("20260102-c", tmp_path)
    assert "did you mean" in str(refused.value)
    with pytest.raises(UserError, match="there are no runs"):
        runs.find("latest", tmp_path / "empty")


def test_a_table_that_is_damaged_is_refused(tmp_path: Path) -> None:
    (tmp_path / tables.CASES).write_bytes(b"PAR1 nothing")
    with pytest.raises(UserError, match="cannot read the table"):
        tables.read_cases(tmp_path)


def test_a_measurement_without_a_value_has_a_reason_and_with_one_has_none() -> None:
    assert Measurement.unavailable("s", "no counter").reason == "no counter"
    with pytest.raises(ValueError, match="absent exactly when"):
        Measurement(value=None, unit="s", n=0, how="measured:x")
    with pytest.raises(ValueError, match="absent exactly when"):
        Measurement(value=0.0, unit="s", n=0, how="unavailable:no counter")
    assert msgspec.structs.replace(Measurement(value=1.0, unit="s", n=1, how="estimated:tdp"), n=2).is_estimate
