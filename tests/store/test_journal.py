"""The journal: compressed, told from older ones that were not, and never a way to fill the memory."""

from __future__ import annotations

import gzip
import shutil
import warnings
import zlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.files import sweep
from bench.record.codec import pack, unpack
from bench.record.observation import Observation, Samples
from bench.store import journal
from tests.kept_runs import keep, observed, row_of

PLAIN = Path(__file__).parent / "data" / "journal-of-0.msgpack"
"""Written by the version before journals were compressed."""


@pytest.fixture
def plain() -> bytes:
    return PLAIN.read_bytes()


def test_a_journal_of_before_there_was_compression_is_read(tmp_path: Path, plain: bytes) -> None:
    (tmp_path / journal.FOLDER).mkdir()
    shutil.copy(PLAIN, tmp_path / journal.FOLDER / "6d8605d5e584-0.msgpack")
    (seen,) = journal.read(tmp_path)
    assert pack(seen) == plain
    assert (seen.case.id, seen.case.scenario, seen.status) == ("6d8605d5e584", "multi-stream", "ok")
    assert seen.samples is not None
    assert seen.samples.latency_ns.tolist() == list(range(700, 740))
    assert seen.samples.start_ns[0] == 2**60
    assert seen.telemetry is not None
    assert seen.telemetry.snapshots["measure-end"][0].value == 6.0


def test_what_is_appended_is_small_and_comes_back_to_the_bit(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    latency = random.integers(90_000, 110_000, 50_000)
    start = np.cumsum(latency + 300) + 10**13
    seen = msgspec.structs.replace(
        observed("fp32", 80.0),
        samples=Samples(start_ns=start, latency_ns=latency, block=np.arange(50_000) // 500, stopped_by="precision"),
    )
    journal.append(tmp_path, seen)
    (path,) = journal.files(tmp_path)
    assert path.stat().st_size < len(pack(seen)) / 3
    (again,) = journal.read(tmp_path)
    assert pack(again) == pack(seen)
    assert journal.encode(again) == path.read_bytes(), "the same observation is the same file, so its checksum holds"


def test_a_file_that_is_damaged_anywhere_is_passed_over(tmp_path: Path) -> None:
    journal.append(tmp_path, observed("fp32", 80.0))
    (path,) = journal.files(tmp_path)
    whole = path.read_bytes()
    for harm in (whole[:-1], whole + b"\0", whole[:200] + b"\0" + whole[201:], whole[:12], b"\x1f\x8b", b""):
        path.write_bytes(harm)
        assert list(journal.read(tmp_path)) == []
    path.write_bytes(whole)
    assert len(list(journal.read(tmp_path))) == 1


def test_an_array_that_is_none_is_damage_too(plain: bytes) -> None:
    raw = msgspec.msgpack.decode(plain)
    other_shape = {**raw["samples"]["block"], "shape": [7]}
    other_type = [{**raw["samples"]["block"], "dtype": name} for name in ("no such", "O", "<f8", "<i4", ")5,{:c]", "")]
    for harm in ({"dtype": "<i8"}, 5, other_shape, *other_type):
        harmed = msgspec.msgpack.encode({**raw, "samples": {**raw["samples"], "block": harm}})
        for content in (harmed, gzip.compress(harmed)):
            with pytest.raises(msgspec.DecodeError):
                journal.decode(content)


@given(st.text(alphabet="iufOV<>=|0123456789,()[]{}':. é", max_size=8), st.lists(st.integers(), max_size=3))
def test_whatever_an_array_says_of_itself_is_an_array_or_damage(dtype: str, shape: list[int]) -> None:
    raw = msgspec.msgpack.decode(PLAIN.read_bytes())
    raw["samples"]["block"] |= {"dtype": dtype, "shape": shape[:2] if all(abs(n) < 2**63 for n in shape) else []}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of some spellings before it refuses them
        try:
            seen = journal.decode(msgspec.msgpack.encode(raw))
        except msgspec.DecodeError:
            return
    assert seen.samples is not None
    assert seen.samples.block.dtype == np.int64


@given(st.binary(max_size=300))
def test_any_bytes_after_the_mark_of_gzip_are_damage(noise: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        journal.decode(b"\x1f\x8b" + noise)


def test_a_file_that_unpacks_to_more_than_an_observation_can_be_is_refused_at_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal, "_MOST", 1 << 20)
    unzip = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join(unzip.compress(bytes(1 << 20)) for _ in range(64)) + unzip.flush()
    with pytest.raises(msgspec.DecodeError, match="too many"):
        journal.decode(bomb)


def test_what_a_killed_process_left_half_written_is_no_part_of_the_journal_and_is_swept(tmp_path: Path) -> None:
    seen = observed("fp32", 80.0)
    folder = keep(tmp_path, "20260101-000000-s-0001", [row_of(seen)])
    journal.append(folder, seen)
    (path,) = journal.files(folder)
    half = path.with_name(f".{'0a' * 16}.{path.name}")
    half.write_bytes(path.read_bytes()[:100])
    mine = folder / ".notes"
    mine.write_text("mine")
    named_alike = folder / f".{'0b' * 16}.folder"
    named_alike.mkdir()
    assert journal.files(folder) == [path]
    assert [pack(each) for each in journal.read(folder)] == [pack(unpack(pack(seen), Observation))]
    sweep(folder)
    assert not half.exists()
    assert mine.exists()
    assert named_alike.exists()
    assert path.exists()
