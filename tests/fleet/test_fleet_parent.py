"""What the parent does when workers go, on a simulated cluster whose workers measure for real."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.errors import UserError
from bench.fleet.identity import announcement
from bench.fleet.messages import Announcement
from bench.fleet.parent import FleetResult, Terms, resume_fleet, start_fleet
from bench.fleet.record import list_fleets, read_fleet, write_fleet
from bench.fleet.summary import lines, sentences
from bench.runner.plan import Request
from bench.store.manifest import read_manifest
from bench.store.tables import read_cases
from tests.fleet.fleets import Quiet, fake_target, tiny_suite
from tests.fleet.simulated import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
NOW = Terms(wait_s=0.0, lost_after_s=1e9)
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
    return start_fleet(request, targets, cluster, folder / "results", Quiet(), Terms(wait_s=0.5, lost_after_s=1e9))


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
