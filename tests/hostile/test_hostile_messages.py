"""What processes and machines tell each other: garbage, short reads, huge lengths, another version, out of turn."""

from __future__ import annotations

import contextlib
import io
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import wire
from bench.export import messages as export
from bench.fleet.link import TARGET, Ended, Seen
from bench.fleet.messages import Announcement, Order, Outcome, Unreadable, outcome
from bench.fleet.record import read_fleet
from bench.fleet.roll import Roll
from bench.machine.environment import read_environment
from bench.process import ChildProcess
from bench.record.artifact import Artifact
from bench.record.codec import pack, unpack
from bench.record.observation import Failure, Observation, Plan
from bench.sensors.messages import Call, Ready, Reply, Setup, Snapshot
from bench.store import journal, transit
from bench.worker.measure import listen
from bench.worker.messages import VERSION, Finished, FromChild, Job
from tests.hostile.spoiled import ODD, damaged, few, spoiled
from tests.kept_runs import observed

pytestmark = pytest.mark.timeout(180)

KEPT = Path(__file__).parents[1] / "upgrade" / "v0.1.0"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, bytes]]:
    """A valid message of every kind, by name: how it is read, and its bytes."""
    folder = tmp_path_factory.mktemp("told")
    with zipfile.ZipFile(KEPT / "slim.zip") as packed:
        packed.extractall(folder)
    with zipfile.ZipFile(KEPT / "fleet.zip") as packed:
        packed.extractall(folder / "fleet")
    (run,) = (path.parent for path in folder.glob("*/transit.json"))
    seen = next(iter(journal.read(run)))
    row = transit.read_rows(run)[0]
    plan = read_fleet(next((folder / "fleet").glob("*/fleet.json")).parent).plan
    artifact = cast(Artifact, row.artifact)
    finished = {"type": "Finished", "placement": seen.placement, "phases": seen.phases, "warmup": seen.warmup}
    finished |= {"samples": seen.samples, "load_ns": 1, "first_ns": 1, "facts": seen.facts}
    job = Job(case=seen.case, artifact=artifact, artifact_path="x", inputs="x", outputs=None, plan=Plan(), cores=None)
    announcement = Announcement(
        version="0.1.0", target="t", profile={}, environment=read_environment(), machine="m", place="0" * 8, host="h",
        store="s",
    )  # fmt: skip
    return {
        "from the worker": (FromChild, pack(finished)),
        "to the worker": (Job, pack(job)),
        "to the sampler": (Setup, pack(Setup(version=1, sensors=(), max_readings=9))),
        "call of the sampler": (Call, pack(Call(1, Snapshot("before-load")))),
        "from the sampler": (Reply, pack(Reply(0, Ready(1, ())))),
        "from the export": (export.Message, pack(export.Made(artifact))),
        "who a worker of a fleet is": (Announcement, pack(announcement)),
        "order of a fleet": (Order, pack(Order(case=seen.case, plan=Plan(), suite=plan.suite, bundle="b"))),
        "outcome of a fleet": (Outcome, pack(Outcome(row=row, seen=(seen,)))),
    }


NAMES = [
    *("from the worker", "to the worker", "to the sampler", "call of the sampler", "from the sampler"),
    *("from the export", "who a worker of a fleet is", "order of a fleet", "outcome of a fleet"),
]


@pytest.mark.parametrize("name", NAMES)
@few(80)
@given(data=st.data())
def test_a_damaged_message_is_read_or_is_one_kind_of_error(
    name: str, told: dict[str, tuple[Any, bytes]], data: st.DataObject
) -> None:
    kind, whole = told[name]
    unpack(whole, kind)
    tree = msgspec.msgpack.decode(whole)
    spoilt = data.draw(damaged(whole) | spoiled(tree, odd=ODD).map(msgspec.msgpack.encode))
    with contextlib.suppress(msgspec.MsgspecError):
        unpack(spoilt, kind)


@pytest.mark.parametrize("name", NAMES)
def test_a_message_nested_without_end_is_an_error(name: str, told: dict[str, tuple[Any, bytes]]) -> None:
    kind, _ = told[name]
    for content in (b"\x91" * 100_000, b"\x81\xa4type" * 50_000, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff"):
        with pytest.raises(msgspec.MsgspecError):
            unpack(content, kind)


ARRAYS: dict[str, Any] = {
    "objects": {"dtype": "O", "shape": [1], "data": b"12345678"},
    "text": {"dtype": "<U2", "shape": [1], "data": b"12345678"},
    "of fields": {"dtype": "<f4,<f4", "shape": [1], "data": b"12345678"},
    "real numbers": {"dtype": "<f8", "shape": [1], "data": b"12345678"},
    "no such type": {"dtype": "zz", "shape": [1], "data": b"12345678"},
    "too short": {"dtype": "<i8", "shape": [3], "data": b"12345678"},
    "too large": {"dtype": "<i8", "shape": [2**40, 2**40], "data": b""},
    "beyond bounds": {"dtype": "<i8", "shape": [2**62, 0], "data": b""},
    "of two axes": {"dtype": "<i8", "shape": [1, 1], "data": b"12345678"},
    "without data": {"dtype": "<i8", "shape": [1]},
    "text for data": {"dtype": "<i8", "shape": [1], "data": "12345678"},
    "a list": [1, 2, 3],
    "another length": {"dtype": "<i8", "shape": [0], "data": b""},
}


@pytest.mark.parametrize("what", ARRAYS)
def test_an_array_that_cannot_be_samples_is_an_error(what: str) -> None:
    seen = msgspec.msgpack.decode(pack(observed("fp32", 80.0)))
    seen["samples"]["latency_ns"] = ARRAYS[what]
    with pytest.raises(msgspec.MsgspecError, match="samples"):
        unpack(msgspec.msgpack.encode(seen), Observation)


# Frames


@few(300)
@given(st.binary(max_size=40), st.integers(0, 2**32 - 1))
def test_a_stream_of_frames_ends_or_is_refused(noise: bytes, length: int) -> None:
    for content in (noise, wire.SIGN + struct.pack(">I", length) + noise, wire.SIGN + noise):
        stream = io.BytesIO(content)
        with contextlib.suppress(wire.WireError):
            while wire.receive(stream) is not None:
                pass


# Both sides, with real processes


SPEAKS = {
    "noise": b"hello\n" * 40,
    "nothing": b"",
    "half a frame": wire.SIGN + struct.pack(">I", 100) + b"short",
    "a huge frame": wire.SIGN + struct.pack(">I", 2**32 - 1),
    "a frame of noise": wire.SIGN + struct.pack(">I", 5) + b"\xff\xff\xff\xff\xff",
    "a number": wire.SIGN + struct.pack(">I", 1) + b"\x07",
    "no such message": wire.SIGN + struct.pack(">I", 13) + msgspec.msgpack.encode({"type": "Nobody"})[:13],
    "a word out of turn": wire.SIGN
    + struct.pack(">I", len(done := msgspec.msgpack.encode({"type": "Done", "seconds": 1.0})))
    + done,
}


@pytest.mark.parametrize("what", SPEAKS)
def test_the_parent_ends_a_child_that_speaks_nonsense(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "speaks.py").write_text(
        f"import sys\nsys.stdout.buffer.write({SPEAKS[what]!r})\nsys.stdout.buffer.flush()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with ChildProcess("speaks") as child:
        heard = listen(child, 60.0, time.monotonic() + 60.0, "start", Finished)
    assert isinstance(heard, Failure)
    assert heard.reason


@pytest.mark.parametrize("module", ["bench.worker.child", "bench.sensors.sampler_process"])
@pytest.mark.parametrize(
    "sent",
    [b"", b"\0" * 3, wire.SIGN + struct.pack(">I", 2**31), wire.SIGN + struct.pack(">I", 2) + b"\xff\x07"],
    ids=["nothing", "half a head", "a huge frame", "a frame of noise"],
)
def test_a_child_that_is_told_nonsense_ends(module: str, sent: bytes) -> None:
    done = subprocess.run([sys.executable, "-m", module], input=sent, capture_output=True, timeout=120, check=False)
    assert b"Fatal Python error" not in done.stderr


def test_a_child_of_another_version_says_so(told: dict[str, tuple[Any, bytes]]) -> None:
    job = msgspec.structs.replace(unpack(told["to the worker"][1], Job), version=VERSION + 1)
    with ChildProcess("bench.worker.child") as child:
        child.send(pack(job))
        heard = listen(child, 120.0, time.monotonic() + 120.0, "start", Finished)
    assert isinstance(heard, Failure)
    assert f"version {VERSION + 1}" in heard.reason


# A fleet


class _Line:
    """A cluster of one worker that answers what it likes; see `bench.fleet.link.Link`."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def members(self) -> dict[str, Seen]:
        return {"tcp://w": Seen("w", 1.0, {f"{TARGET}t": 1})}

    def submit(self, key: str, address: str, function: object, *given: object, needs: dict[str, int]) -> None:
        self.keys.append(key)

    def forget(self, key: str) -> None: ...

    def wait(self, seconds: float) -> list[Ended]:
        return []


@few(60)
@given(data=st.data())
def test_a_worker_that_answers_nonsense_is_given_nothing(
    told: dict[str, tuple[Any, bytes]], data: st.DataObject
) -> None:
    whole = told["who a worker of a fleet is"][1]
    tree = msgspec.msgpack.decode(whole)
    answer = data.draw(
        damaged(whole) | spoiled(tree, odd=ODD).map(msgspec.msgpack.encode) | st.sampled_from([b"", "text", 7, [b"x"]])
    )
    line = _Line()
    roll = Roll(line, lambda said: None)
    roll.look()
    assert roll.hear(Ended(line.keys[0], answer=answer))
    (member,) = roll.members.values()
    assert member.refused or member.told is not None


@few(80)
@given(data=st.data())
def test_an_outcome_is_of_the_case_that_was_asked_for_or_refused(
    told: dict[str, tuple[Any, bytes]], data: st.DataObject
) -> None:
    whole = told["outcome of a fleet"][1]
    asked = unpack(whole, Outcome).row.case.id
    assert outcome(whole, asked).seen
    with pytest.raises(Unreadable, match="another case"):
        outcome(whole, "0" * 12)
    tree = msgspec.msgpack.decode(whole)
    spoilt = data.draw(damaged(whole) | spoiled(tree, odd=ODD).map(msgspec.msgpack.encode))
    with contextlib.suppress(Unreadable):
        assert {seen.case.id for seen in outcome(spoilt, asked).seen} == {asked}
