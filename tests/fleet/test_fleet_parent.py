"""What the parent does when workers go, on a simulated cluster whose workers measure for real."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import polars as pl
import pytest

from bench.errors import UserError
from bench.fleet.identity import announcement
from bench.fleet.link import _FETCHES, DaskLink, Ended, SchedulerLost, Seen
from bench.fleet.messages import Announcement, Order, Outcome
from bench.fleet.parent import FleetResult, Terms, resume_fleet, start_fleet
from bench.fleet.record import as_it_is, read_fleet, write_fleet
from bench.fleet.roll import Roll
from bench.fleet.station import NO_BUNDLE, Broken
from bench.fleet.summary import lines, sentences
from bench.record.codec import pack, unpack
from bench.record.observation import Failure, Observation, Placement, Reading, Telemetry
from bench.record.row import Row
from bench.runner.across import expand_runs
from bench.runner.plan import Request
from bench.store.counted import counted_as
from bench.store.fleets import list_fleets
from bench.store.lock import Busy
from bench.store.manifest import read_manifest, write_manifest
from bench.store.tables import read_cases, write_cases
from tests.fleet.fleets import Quiet, fake_target, tiny_suite
from tests.fleet.simulated import Cluster
from tests.kept_runs import observed, row_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
NOW = Terms(wait_s=0.0, lost_after_s=1e9)
SOON = Terms(wait_s=0.5, lost_after_s=1e9)
ONE = ("*/b1/single-stream",)


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def told(tmp_path: Path) -> Announcement:
    return announcement(str(fake_target(tmp_path, "left")))


@pytest.fixture
def other(tmp_path: Path) -> Announcement:
    return announcement(str(fake_target(tmp_path, "right")))


def run(cluster: Cluster, folder: Path, targets: tuple[str, ...] = (), only: tuple[str, ...] = ONE) -> FleetResult:
    request = Request(suite=str(tiny_suite(folder)), only=only)
    return start_fleet(request, targets, cluster, folder / "results", Quiet(), SOON)


def test_a_case_that_ends_its_workers_is_given_up_and_is_a_row_that_says_so(told: Announcement, tmp_path: Path) -> None:
    cluster = Cluster()
    for number in range(4):
        cluster.join(f"w{number}", msgspec.structs.replace(told, machine=f"m{number}"))

    def struck(address: str, function: str) -> None:
        if function == "measure":
            cluster.die(address)

    cluster.before = struck
    made = run(cluster, tmp_path)
    assert made.fleet.status == "complete"
    (lost,) = made.fleet.lost
    assert (lost.target, lost.tries) == ("left", 3)
    (row,) = read_cases(Path(made.runs[0]))
    assert row.status == "failed"
    assert row.failure is not None
    assert row.failure.reason.startswith("lost worker w")
    assert "given up after 3 tries" in row.failure.reason
    assert [line["lost"] for line in lines(made.fleet)] == ["1"]
    assert any(sentence.startswith("lost: tiny/fp32") for sentence in sentences(made.fleet))
    assert len(cluster.there) == 1


def test_a_bundle_is_sent_once_to_a_machine_where_one_case_goes_at_a_time(told: Announcement, tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.join("w1", told)
    cluster.join("w2", told)
    made = run(cluster, tmp_path, only=("*/b1/*",))
    assert made.fleet.status == "complete"
    assert (cluster.count("take_in"), cluster.count("measure")) == (1, 2)
    (only_run,) = map(Path, made.runs)
    assert [row.status for row in read_cases(only_run)] == ["ok", "ok"]
    manifest = read_manifest(only_run)
    assert (manifest.status, manifest.environment, manifest.profile) == ("complete", told.environment, told.profile)
    assert not (only_run / "journal").exists()


def test_the_work_of_one_that_falls_silent_goes_to_another(told: Announcement, tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.join("w1", msgspec.structs.replace(told, machine="m1"))
    cluster.join("w2", msgspec.structs.replace(told, machine="m2"))

    def frozen(address: str, function: str) -> None:
        if function == "measure" and not cluster.silent:
            cluster.silent.add(address)

    cluster.before = frozen
    request = Request(suite=str(tiny_suite(tmp_path)), only=ONE)
    made = start_fleet(request, (), cluster, tmp_path / "results", Quiet(), Terms(wait_s=5, lost_after_s=0.05))
    assert (made.fleet.status, made.fleet.lost) == ("complete", ())
    assert cluster.count("measure") == 1
    assert [row.status for each in made.runs for row in read_cases(Path(each))] == ["ok"]


def test_what_is_on_record_is_not_measured_again_even_where_the_parent_was_killed_before_it_noted_it(
    told: Announcement, other: Announcement, tmp_path: Path
) -> None:
    cluster = Cluster()
    cluster.join("w1", told)
    cluster.join("w2", other)

    def struck(address: str, function: str) -> None:
        if (address, function) == ("w2", "measure"):
            cluster.die(address)

    cluster.before = struck
    made = run(cluster, tmp_path)
    assert made.fleet.status == "interrupted"
    assert "no worker of target right (1 cases)" in str(made.fleet.why)
    folder = Path(made.folder)
    # What a kill leaves: the result in the run's folder, and a record that does not know of it.
    write_fleet(folder, msgspec.structs.replace(read_fleet(folder), status="running", runs=(), done={}, why=None))

    later = Cluster()
    later.join("w1", told)
    later.join("w3", other)
    whole = resume_fleet(folder, later, Quiet(), NOW)
    assert (whole.fleet.status, whole.fleet.lost) == ("complete", ())
    assert later.count("measure") == 1
    assert {line["target"]: line["measured"] for line in lines(whole.fleet)} == {"left": "1 of 1", "right": "1 of 1"}
    with pytest.raises(UserError, match="is complete"):
        resume_fleet(folder, later, Quiet(), NOW)


def test_without_a_worker_of_a_target_nothing_is_begun(told: Announcement, tmp_path: Path) -> None:
    cluster = Cluster()
    with pytest.raises(UserError, match="no worker has joined"):
        run(cluster, tmp_path)
    cluster.join("old", msgspec.structs.replace(told, version="0.0.1"))
    with pytest.raises(UserError, match=r"it has version 0\.0\.1"):
        run(cluster, tmp_path)
    cluster.join("w", told)
    with pytest.raises(UserError, match="no worker of target right: left"):
        run(cluster, tmp_path, targets=("left", "right"))
    assert list_fleets(tmp_path / "results") == []


def test_a_target_without_a_runtime_of_the_suite_is_said_so(told: Announcement, tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.join("w", msgspec.structs.replace(told, profile={**told.profile, "providers": ["openvino-npu"]}))
    with pytest.raises(UserError, match="no target has a runtime"):
        run(cluster, tmp_path)


def test_a_damaged_bundle_is_not_taken_in(told: Announcement, tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.join("w", told)

    def spoilt(address: str, function: str) -> None:
        if function == "take_in":
            (part,) = (tmp_path / "cache" / "fleet").glob(".*.zip")
            part.write_bytes(part.read_bytes()[:-100] + bytes(100))

    cluster.before = spoilt
    made = run(cluster, tmp_path)
    assert made.fleet.status == "interrupted"
    assert "it could not take a bundle in" in str(made.fleet.why)
    assert cluster.count("measure") == 0
    assert not list((tmp_path / "cache" / "fleet").iterdir())


# What comes back: held against what was asked for. Nothing is measured from here on.


def answered(order: bytes, **changed: Any) -> bytes:
    """What a worker brings of a case that did not come to figures, which takes no time."""
    case = unpack(order, Order).case
    seen = Observation(case=case, invocation=0, status="failed", failure=Failure(reason="simulated", phase="load"))
    whole = {"row": Row(case=case, status="failed", dataset="none", artifact=None, failure=seen.failure)}
    return pack(Outcome(**whole | {"seen": (seen,)} | changed))


def sampled(order: bytes) -> bytes:
    """What a worker brings of a case that came to figures."""
    seen = msgspec.structs.replace(
        observed("fp32", 50),
        case=unpack(order, Order).case,
        placement=Placement(provider="CPUExecutionProvider", nodes={}, evidence="by hand"),
        telemetry=Telemetry(readings=(Reading(t_ns=1, sensor="s", device="d", quantity="q", value=1.0),)),
    )
    return pack(Outcome(row=row_of(seen), seen=(seen,)))


class Quick(Cluster):
    """Workers that take no time for a case: `answers` makes what they say of an order."""

    def __init__(self, answers: Callable[[bytes], object] = answered) -> None:
        super().__init__()
        self.answers = answers
        self.by: list[tuple[str, str]] = []

    def submit(self, key: str, address: str, function: Callable[..., Any], *given: Any, needs: dict[str, int]) -> None:
        def measure(order: bytes) -> object:
            self.by.append((address, unpack(order, Order).case.model))
            return self.answers(order)

        super().submit(key, address, measure if function.__name__ == "measure" else function, *given, needs=needs)


def on_machines(told: Announcement, count: int) -> Iterator[Announcement]:
    for number in range(count):
        yield msgspec.structs.replace(told, machine=f"m{number}", place=f"{number:08x}")


def stopped_again(folder: Path) -> None:
    """The record of a fleet as a kill before the first note leaves it."""
    write_fleet(folder, msgspec.structs.replace(read_fleet(folder), status="running", runs=(), done={}, why=None))


def raised(message: str) -> Callable[[bytes], object]:
    def answers(order: bytes) -> object:
        raise RuntimeError(message)

    return answers


def twice(order: bytes) -> bytes:
    (seen,) = unpack(answered(order), Outcome).seen
    return answered(order, seen=(seen, seen))


def of_another(order: bytes) -> bytes:
    (seen,) = unpack(answered(order), Outcome).seen
    return answered(order, seen=(msgspec.structs.replace(seen, case=msgspec.structs.replace(seen.case, batch=9)),))


def test_an_answer_that_is_not_of_the_order_fails_the_work_which_a_later_fleet_does(
    told: Announcement, tmp_path: Path
) -> None:
    wrong: list[Callable[[bytes], object]] = [of_another, twice, lambda order: b"?", lambda order: None]
    wrong.append(lambda order: answered(order, seen=()))
    cluster = Quick()
    cluster.join("w", told)
    for number, answers in enumerate(wrong):
        (tmp_path / f"{number}").mkdir()
        cluster.answers = answers
        made = run(cluster, tmp_path / f"{number}")
        assert (made.fleet.status, made.fleet.lost, made.failed) == ("interrupted", (), 0)
        (failed,) = made.fleet.failed
        assert "worker w on" in failed.reason
        assert "it answered" in failed.reason
        assert any(sentence.startswith("failed: tiny/fp32") for sentence in sentences(made.fleet))
        assert "workers could not measure 1 cases" in str(made.fleet.why)
    cluster.answers = answered
    whole = resume_fleet(Path(made.folder), cluster, Quiet(), NOW)
    assert (whole.fleet.status, whole.fleet.failed, whole.failed) == ("complete", (), 1)


def test_a_worker_that_fails_with_one_case_after_another_is_given_nothing_more(
    told: Announcement, tmp_path: Path
) -> None:
    for number, message in enumerate(("no such module", f"{NO_BUNDLE}: it is damaged")):
        (tmp_path / f"{number}").mkdir()
        cluster = Quick(raised(message))
        bad, good = on_machines(told, 2)
        cluster.join("bad", bad)
        made = run(cluster, tmp_path / f"{number}", only=())
        assert (made.fleet.status, made.fleet.lost, made.fleet.failed) == ("interrupted", (), ())
        assert f"it failed 3 times in a row: {message}" in str(made.fleet.why)
        assert cluster.count("measure") == 3
        cluster.join("good", good)
        cluster.answers = answered
        cluster.die("bad")
        assert resume_fleet(Path(made.folder), cluster, Quiet(), NOW).fleet.status == "complete"


def test_a_worker_that_cannot_be_what_it_says_is_refused(told: Announcement, tmp_path: Path) -> None:
    for wrong, why in (
        ({"profile": {}}, "its hardware profile is none"),
        ({"profile": {**told.profile, "name": "right"}}, "its profile is of right"),
        ({"target": "right"}, "joined as another"),
    ):
        cluster = Cluster()
        cluster.join("w", told)
        line = cluster.members()
        cluster.there["w"] = msgspec.structs.replace(told, **wrong)
        cluster.members = lambda line=line: line  # type: ignore[method-assign]
        with pytest.raises(UserError, match=why):
            run(cluster, tmp_path)


def test_one_that_never_says_who_it_is_is_not_waited_for(told: Announcement) -> None:
    cluster, now = Cluster(), [0.0]
    cluster.join("w", told)
    roll = Roll(cluster, lambda said: None, lost_after_s=60, clock=lambda: now[0])
    roll.look()
    assert roll.asking
    now[0] = 61.0
    roll.look()
    assert not roll.asking
    assert roll.refusals() == ["worker w cannot be used: it has not said who it is"]
    (ended,) = cluster.wait(0)
    assert roll.hear(ended)
    assert roll.refusals() == []


def test_the_worker_that_lacks_what_another_has_is_given_nothing(told: Announcement, tmp_path: Path) -> None:
    cluster = Quick()
    lacking, having = on_machines(told, 2)
    cluster.join("lacking", msgspec.structs.replace(lacking, lacks={"onnxruntime-cpu": "not installed"}))
    cluster.join("having", having)
    made = run(cluster, tmp_path, only=())
    assert made.fleet.status == "complete"
    assert {address for address, _ in cluster.by} == {"having"}


def test_workers_that_are_none_of_the_fleet_are_given_nothing_and_told_why(
    told: Announcement, other: Announcement, tmp_path: Path
) -> None:
    class Mixed(Quick):
        def members(self) -> dict[str, Seen]:
            return {**super().members(), "plain": Seen("plain", 1.0, {})}

        def submit(self, key: str, address: str, function: Callable[..., Any], *given: Any, **more: Any) -> None:
            super().submit(key, address, nobody if address == "mute" else function, *given, **more)

    def nobody() -> bytes:
        raise Broken("this Dask worker was not started by `bench fleet worker`")

    cluster, heard = Mixed(), Heard()
    for address, each in (("w", told), ("mute", told), ("foreign", other)):
        cluster.join(address, each)
    request = Request(suite=str(tiny_suite(tmp_path)), only=ONE)
    made = start_fleet(request, ("left",), cluster, tmp_path / "results", heard, SOON)
    assert made.fleet.status == "complete"
    assert {address for address, _ in cluster.by} == {"w"}
    refusals = [said for said in heard.said if "is given nothing" in said]
    assert len(refusals) == 3
    for name, why in (
        ("plain", "it names no target: start it by `bench fleet worker`"),
        ("mute", "this Dask worker was not started by `bench fleet worker`"),
        ("foreign on", "this fleet has no target right"),
    ):
        assert any(said.startswith(f"worker {name}") and why in said for said in refusals), (name, refusals)


class Heard(Quiet):
    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, text: str, share: float | None = None, *, passing: bool = False) -> None:
        self.said.append(text)


def test_an_idle_worker_and_one_that_has_not_said_who_it_is_may_leave(told: Announcement, tmp_path: Path) -> None:
    class Shy(Quick):
        def submit(self, key: str, address: str, function: Callable[..., Any], *given: Any, **more: Any) -> None:
            if address != "shy":
                super().submit(key, address, function, *given, **more)

    cluster, heard = Shy(), Heard()
    one, two = on_machines(told, 2)
    cluster.join("w", one)
    cluster.join("idle", two)

    def leave(address: str, function: str) -> None:
        # All cases are of one model, so of one machine: the other worker has nothing to do.
        if function == "measure":
            for gone in {"w", "idle"} - {address} & cluster.there.keys():
                cluster.die(gone)
            if "shy" in cluster.there:
                cluster.die("shy")
            elif len(cluster.by) == 1:
                cluster.join("shy", msgspec.structs.replace(told, machine="m9"))

    cluster.before = leave
    request = Request(suite=str(tiny_suite(tmp_path)))
    made = start_fleet(request, (), cluster, tmp_path / "results", heard, SOON)
    assert (made.fleet.status, made.fleet.lost, len(cluster.by)) == ("complete", (), 4)
    gone = {said.partition(":")[0] for said in heard.said if "it left the cluster" in said}
    # Where looking takes long, the fleet may be done before it is seen that one has left.
    assert gone <= {"lost worker shy", "lost worker idle on vm", "lost worker w on vm"}


def test_an_answer_that_nobody_waits_for_any_more_is_passed_over(told: Announcement, tmp_path: Path) -> None:
    class Late(Quick):
        def forget(self, key: str) -> None:
            forgotten.append(key)

    forgotten: list[str] = []
    cluster, heard = Late(), Heard()
    one, two = on_machines(told, 2)
    cluster.join("w", one)

    def freeze(address: str, function: str) -> None:
        if function == "measure" and not forgotten:
            cluster.silent.add("w")
            cluster.join("v", two)
        elif address == "v":
            cluster.silent.clear()

    cluster.before = freeze
    request = Request(suite=str(tiny_suite(tmp_path)), only=ONE)
    made = start_fleet(request, (), cluster, tmp_path / "results", heard, Terms(wait_s=5, lost_after_s=0.05))
    assert (made.fleet.status, made.fleet.lost, sum(made.fleet.done.values())) == ("complete", (), 1)
    assert len(forgotten) == 1
    assert any("it gave no sign of life" in said for said in heard.said)


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("worker", "its machine has left the fleet"),
        ("scheduler", "its machine has left the fleet"),
        ("Ctrl-C", "it was stopped before it was profiled"),
    ],
)
def test_a_case_that_could_not_be_profiled_any_more_says_why(
    told: Announcement, tmp_path: Path, end: str, why: str
) -> None:
    class Ending(Quick):
        def members(self) -> dict[str, Seen]:
            if "scheduler" in ended:
                raise SchedulerLost("the connection broke")
            return super().members()

    ended: list[str] = []
    cluster = Ending(sampled)
    cluster.join("w", told)

    def strike(address: str, function: str) -> None:
        if function == "profile" and not ended:
            ended.append(end)
            cluster.silent.add(address)
            if end == "worker":
                cluster.die(address)
            elif end == "Ctrl-C":
                signal.raise_signal(signal.SIGINT)

    cluster.before = strike
    suite = tiny_suite(tmp_path)
    suite.write_text(suite.read_text().replace('["fp32"]', '["fp32", "fp16"]'))
    made = start_fleet(Request(suite=str(suite), only=ONE), (), cluster, tmp_path / "results", Quiet(), SOON)
    assert ended == [end]
    assert made.fleet.status == "complete"
    rows = {row.case.variant: row for row in read_cases(Path(made.runs[0]))}
    assert rows["fp32"].why_not_faster is None
    assert rows["fp16"].why_not_faster is not None
    assert why in str(rows["fp16"].why_not_faster)


def test_a_scheduler_that_is_gone_before_anything_is_begun_leaves_nothing(tmp_path: Path) -> None:
    class Gone(Cluster):
        def members(self) -> dict[str, Seen]:
            raise SchedulerLost("the connection broke")

    with pytest.raises(UserError, match="the scheduler is gone: the connection broke"):
        run(Gone(), tmp_path)
    assert list_fleets(tmp_path / "results") == []


def test_a_case_of_which_there_is_no_file_is_a_row_that_says_why_and_no_worker_is_asked(
    told: Announcement, tmp_path: Path
) -> None:
    suite = tiny_suite(tmp_path)
    suite.write_text(suite.read_text().replace('["fp32"]', '["fp32", "pruned"]'))
    cluster = Quick()
    cluster.join("w", told)
    made = start_fleet(Request(suite=str(suite), only=ONE), (), cluster, tmp_path / "results", Quiet(), SOON)
    assert (made.fleet.status, len(cluster.by)) == ("complete", 1)
    rows = {row.case.variant: row for row in read_cases(Path(made.runs[0]))}
    assert rows["pruned"].status == "unavailable"
    assert rows["pruned"].failure is not None
    assert rows["pruned"].failure.reason == "nothing to prune: no kernel has 32 weights or more"


# Which machine.


def test_all_cases_of_a_model_are_of_one_machine_of_a_target_unless_that_is_lost(
    told: Announcement, tmp_path: Path
) -> None:
    suite = tiny_suite(tmp_path)
    shutil.copy(tmp_path / "tiny.onnx", tmp_path / "small.onnx")
    suite.write_text(suite.read_text().replace('["tiny.onnx"]', '["tiny.onnx", "small.onnx"]'))
    cluster = Quick()
    for number, each in enumerate(on_machines(told, 3)):
        cluster.join(f"w{number}", each)

    def struck(address: str, function: str) -> None:
        if function == "measure" and len(cluster.by) == 5 and len(cluster.there) == 3:
            cluster.die(address)

    cluster.before = struck
    made = start_fleet(Request(suite=str(suite)), (), cluster, tmp_path / "results", Quiet(), SOON)
    assert (made.fleet.status, made.fleet.lost, len(cluster.there)) == ("complete", (), 2)
    assert len(cluster.by) == 8
    assert len({model for _, model in cluster.by}) == 2
    # One model was all on one machine, the other on one until that was struck.
    assert len(set(cluster.by)) == 3
    assert len({address for address, _ in cluster.by} - set(cluster.there)) == 1


# Nothing that is on record is lost.


def test_what_only_the_tables_hold_stays_through_a_resume_and_is_not_measured_again(
    told: Announcement, tmp_path: Path
) -> None:
    cluster = Quick(sampled)
    cluster.join("w", told)
    made = run(cluster, tmp_path, only=("*/b1/*",))
    folder, (only_run,) = Path(made.folder), map(Path, made.runs)
    rows, samples = read_cases(only_run), pl.read_parquet(only_run / "latencies.parquet")
    readings = pl.read_parquet(only_run / "telemetry.parquet")
    assert len(rows) == 2

    stopped_again(folder)
    assert as_it_is(folder).status == "interrupted"
    assert "its parent is gone without a word" in str(as_it_is(folder).why)
    whole = resume_fleet(folder, Cluster(), Quiet(), NOW)
    assert (whole.fleet.status, sum(whole.fleet.done.values())) == ("complete", 2)
    assert read_cases(only_run) == rows
    assert pl.read_parquet(only_run / "latencies.parquet").equals(samples)

    # As if the second had never been measured there.
    first, second = (row.case for row in rows)
    manifest = read_manifest(only_run)
    write_manifest(only_run, msgspec.structs.replace(manifest, status="interrupted", cases=(first,)))
    write_cases(only_run, only_run.name, rows[:1])
    for name, table in (("latencies", samples), ("telemetry", readings)):
        table.filter(pl.col("case_id") == first.id).write_parquet(only_run / f"{name}.parquet")
    stopped_again(folder)
    whole = resume_fleet(folder, cluster, Quiet(), NOW)
    assert whole.fleet.status == "complete"
    assert cluster.count("measure") == 3
    assert [row.case for row in read_cases(only_run)] == [first, second]
    assert read_cases(only_run)[0] == rows[0]
    for name, table in (("latencies", samples), ("telemetry", readings)):
        kept = pl.read_parquet(only_run / f"{name}.parquet")
        assert kept.filter(pl.col("case_id") == first.id).equals(table.filter(pl.col("case_id") == first.id))
        assert set(kept["case_id"]) == {first.id, second.id}


def test_a_case_that_was_given_up_stays_so_through_a_resume(
    told: Announcement, other: Announcement, tmp_path: Path
) -> None:
    cluster = Cluster()
    for number, each in enumerate([*on_machines(told, 3), other]):
        cluster.join(f"w{number}", each)

    def struck(address: str, function: str) -> None:
        if function == "measure":
            cluster.die(address)

    cluster.before = struck
    made = run(cluster, tmp_path)
    (lost,) = made.fleet.lost
    assert (made.fleet.status, lost.target, lost.tries) == ("interrupted", "left", 3)
    folder = Path(made.folder)

    # Once as it was noted, and once as the folder of the run alone tells it.
    for noted in (made.fleet.lost, ()):
        write_fleet(folder, msgspec.structs.replace(read_fleet(folder), status="interrupted", lost=noted))
        again = resume_fleet(folder, Cluster(), Quiet(), NOW)
        (still,) = again.fleet.lost
        assert (still.target, still.case, still.run) == (lost.target, lost.case, lost.run)
        assert lost.reason in still.reason
        assert still.tries == (3 if noted else 0)
        assert "no worker of target right" in str(again.fleet.why)


def both_invocations(order: bytes) -> bytes:
    (seen,) = unpack(answered(order), Outcome).seen
    return answered(order, seen=(seen, msgspec.structs.replace(seen, invocation=1)))


def test_a_case_is_on_record_when_its_first_invocation_is_which_is_written_last(
    told: Announcement, other: Announcement, tmp_path: Path
) -> None:
    suite = tiny_suite(tmp_path)
    suite.write_text(suite.read_text().replace("[measure]", "[measure]\ninvocations = 2"))
    cluster = Quick(both_invocations)
    cluster.join("w", told)
    cluster.join("v", other)

    def struck(address: str, function: str) -> None:
        if (address, function) == ("v", "measure"):
            cluster.die(address)

    cluster.before = struck
    made = start_fleet(Request(suite=str(suite), only=("*/b1/*",)), (), cluster, tmp_path / "results", Quiet(), SOON)
    assert (made.fleet.status, sum(made.fleet.done.values())) == ("interrupted", 2)
    folder, left = Path(made.folder), next(Path(each) for each in made.runs if "-left-" in each)
    first, second = sorted(path for path in (left / "journal").glob("*-0.msgpack"))
    assert len(list((left / "journal").glob("*-1.msgpack"))) == 2

    # A kill came between the two.
    second.unlink()
    for table in left.glob("*.parquet"):
        table.unlink()
    stopped_again(folder)
    again = resume_fleet(folder, Cluster(), Quiet(), NOW)
    assert sum(again.fleet.done.values()) == 1
    assert [row.case.id for row in read_cases(left)] == [first.name.partition("-")[0]]


def test_a_disk_that_refuses_stops_a_fleet_which_says_so_and_goes_on_later(told: Announcement, tmp_path: Path) -> None:
    cluster = Quick()
    cluster.join("w", told)
    in_the_way: list[Path] = []

    def refuse(address: str, function: str) -> None:
        if function == "take_in" and not in_the_way:
            (folder,) = list_fleets(tmp_path / "results")
            in_the_way.append(folder.parent / f"{folder.name}-left-{told.place}")
            in_the_way[0].write_text("mine")

    cluster.before = refuse
    with pytest.raises(UserError, match="cannot write there"):
        run(cluster, tmp_path)
    (folder,) = list_fleets(tmp_path / "results")
    assert read_fleet(folder).status == "interrupted"
    assert "cannot write there" in str(read_fleet(folder).why)
    in_the_way[0].unlink()
    whole = resume_fleet(folder, cluster, Quiet(), NOW)
    assert (whole.fleet.status, sum(whole.fleet.done.values())) == ("complete", 1)


def test_a_fleet_has_one_parent_at_a_time(told: Announcement, tmp_path: Path) -> None:
    cluster = Quick()
    cluster.join("w", told)
    seen = []

    def look(address: str, function: str) -> None:
        if function == "measure":
            (folder,) = list_fleets(tmp_path / "results")
            with pytest.raises(Busy):
                resume_fleet(folder, Cluster(), Quiet(), NOW)
            seen.append(as_it_is(folder).status)

    cluster.before = look
    made = run(cluster, tmp_path)
    assert seen == ["running"]
    assert [path.name for path in Path(made.folder).iterdir()] == ["fleet.json"]


def test_a_run_that_was_taken_away_is_measured_again_and_one_that_is_there_twice_is_told(
    told: Announcement, tmp_path: Path
) -> None:
    one, two = on_machines(msgspec.structs.replace(told, notes=(counted_as("me"),)), 2)
    cluster = Quick()
    cluster.join("w", one)
    made = run(cluster, tmp_path, only=("*/b1/*",))
    folder, (first,) = Path(made.folder), map(Path, made.runs)
    assert f"{first.name}: {counted_as('me')}" in sentences(made.fleet)
    assert expand_runs(["latest"], tmp_path / "results") == expand_runs([folder.name[:-2]], tmp_path / "results")

    stopped_again(folder)
    kept = tmp_path / "kept"
    first.rename(kept)
    write_fleet(folder, msgspec.structs.replace(made.fleet, status="interrupted"))
    with pytest.raises(UserError, match="are not beside it"):
        expand_runs([folder.name], tmp_path / "results")
    cluster.join("v", two)
    cluster.die("w")
    whole = resume_fleet(folder, cluster, Quiet(), NOW)
    assert (whole.fleet.status, len(cluster.by)) == ("complete", 4)

    kept.rename(first)
    stopped_again(folder)
    whole = resume_fleet(folder, Cluster(), Quiet(), NOW)
    assert (whole.fleet.status, sum(whole.fleet.done.values())) == ("complete", 2)
    assert any("2 of its cases were measured on another machine" in sentence for sentence in sentences(whole.fleet))


# The line to the cluster.


class Future:
    """What Dask has of a piece of work."""

    def __init__(self, status: str, error: BaseException) -> None:
        self.status, self._error = status, error

    def exception(self, timeout: float) -> BaseException:
        return self._error

    def result(self, timeout: float) -> bytes:
        raise self._error


def test_a_time_out_of_the_work_is_its_error_and_one_of_the_fetching_is_tried_again() -> None:
    link = DaskLink("tcp://127.0.0.1:1")
    link._futures = dict.fromkeys("abc")
    link._gather("a", Future("error", TimeoutError("a disk far away")))
    assert link._ended.get(timeout=10) == Ended("a", error="TimeoutError: a disk far away")
    link._gather("b", Future("finished", TimeoutError()))
    assert re.search(f"could not be fetched in {_FETCHES} tries", str(link._ended.get(timeout=10).error))
    link._gather("c", Future("cancelled", TimeoutError()))
    link._gather("forgotten", Future("error", ValueError()))
    assert link._ended.empty()
    link._gather("c", Future("finished", ValueError("no  such\ntype")))
    assert link._ended.get(timeout=10) == Ended("c", error="ValueError: no such type")


class Client:
    """What Dask has of a connection."""

    scheduler = SimpleNamespace(identity=None)

    def __init__(self) -> None:
        self.status = "running"
        self.closed = False

    def sync(self, function: object, *, callback_timeout: float) -> object:
        raise OSError("Timed out during handshake")

    def close(self, timeout: float) -> None:
        self.closed = True


def test_nothing_is_heard_of_what_was_forgotten_and_all_is_forgotten_in_the_end() -> None:
    link, client = DaskLink("tcp://127.0.0.1:1"), Client()
    link._client = client
    cancelled: list[str] = []
    link._futures = {name: SimpleNamespace(cancel=partial(cancelled.append, name)) for name in "abc"}
    link.forget("a")
    for key in "ab":
        link._ended.put(Ended(key, answer=b""))
    assert [ended.key for ended in link.wait(0)] == ["b"]
    with pytest.raises(SchedulerLost, match="Timed out during handshake"):
        link.members()
    link.__exit__(None, None, None)
    assert (cancelled, client.closed) == (["a", "c"], True)
    client.status = "closed"
    for asked in (link.members, partial(link.wait, 0)):
        with pytest.raises(SchedulerLost, match="the connection to the scheduler broke"):
            asked()
