"""What a worker keeps: bundles that heal, one at a time on a machine, and nothing for ever."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from bench.errors import UserError
from bench.fleet import identity, station
from bench.fleet.identity import announcement
from bench.fleet.messages import Announcement, Order
from bench.fleet.parcels import Parcel, pack_parcels
from bench.fleet.parent import Terms, start_fleet
from bench.fleet.planning import plan_fleet
from bench.fleet.record import create
from bench.hardware.load import readable_profiles
from bench.hardware.schema import Match
from bench.hardware.written import as_toml
from bench.record.codec import pack, unpack
from bench.record.profile import Profile
from bench.record.row import Row
from bench.runner.plan import Planned, Request, make_subjects, plan_run
from bench.store.manifest import read_manifest
from bench.store.runs import list_runs
from tests.conftest import bench
from tests.fleet.fleets import Quiet, fake_target, tiny_suite
from tests.fleet.simulated import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def store_of_its_own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was exported is kept, what was sent is not."""
    monkeypatch.setenv("BENCH_CACHE_DIR", str(cache))
    shutil.rmtree(station.store(), ignore_errors=True)


@pytest.fixture
def told(tmp_path: Path) -> Announcement:
    found = announcement(str(fake_target(tmp_path, "left")))
    station.stand_as(found)
    return found


@pytest.fixture
def parcel(tmp_path: Path) -> Parcel:
    planned = plan_run(Request(suite=str(tiny_suite(tmp_path))))
    (found,) = pack_parcels(make_subjects(planned, tmp_path / "made", Quiet()), tmp_path).values()
    return found


def sent(parcel: Parcel) -> Path:
    """Where the parcel lies once a worker was sent it."""
    station.take_piece("fleet-1", 0, parcel.piece(0))
    station.take_in("fleet-1", parcel.key)
    return station.store() / parcel.key


def test_a_bundle_that_was_damaged_in_the_cache_is_whole_when_it_was_sent_again(
    told: Announcement, parcel: Parcel
) -> None:
    place = sent(parcel)
    whole = {path.name: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    born = place.stat().st_ino
    assert sent(parcel).stat().st_ino == born
    for name in ("bundle.json", next(name for name in whole if name.endswith(".onnx"))):
        (damaged,) = place.rglob(name)
        damaged.write_bytes(damaged.read_bytes()[:-2] + b"??")
        sent(parcel)
        assert {path.name: path.read_bytes() for path in place.rglob("*") if path.is_file()} == whole
        damaged.unlink()
        sent(parcel)
        assert {path.name: path.read_bytes() for path in place.rglob("*") if path.is_file()} == whole
    assert [path.name for path in station.store().iterdir()] == [parcel.key]


def test_a_fleet_gets_over_a_bundle_that_was_damaged_in_a_cache(
    told: Announcement, parcel: Parcel, tmp_path: Path
) -> None:
    (model,) = sent(parcel).rglob("*.onnx")
    model.write_bytes(model.read_bytes()[:-2] + b"??")
    cluster = Cluster()
    cluster.join("w", told)
    request = Request(suite=str(tmp_path / "tiny.toml"), only=("*/b1/single-stream",))
    made = start_fleet(request, (), cluster, tmp_path / "results", Quiet(), Terms(wait_s=0.5, lost_after_s=1e9))
    assert (made.fleet.status, made.fleet.lost) == ("complete", ())
    assert (cluster.count("take_in"), cluster.count("measure")) == (1, 2)


def test_a_parcel_under_another_name_is_not_taken_in(told: Announcement, parcel: Parcel) -> None:
    station.take_piece("fleet-1", 0, parcel.piece(0))
    with pytest.raises(station.Broken, match="what came is not the bundle that was sent"):
        station.take_in("fleet-1", "0" * 64)
    assert list(station.store().iterdir()) == []


def order(parcel: Parcel, tmp_path: Path) -> tuple[Order, Planned]:
    planned = plan_run(Request(suite=str(tmp_path / "tiny.toml")))
    suite = planned.suite.model_dump(mode="json")
    return Order(case=planned.cases[0], plan=planned.plan, suite=suite, bundle=parcel.key), planned


def test_a_worker_profiles_a_row_of_its_bundle(told: Announcement, parcel: Parcel, tmp_path: Path) -> None:
    sent(parcel)
    asked, planned = order(parcel, tmp_path)
    subject = make_subjects(planned, tmp_path / "again", Quiet())[asked.case.model]
    row = Row(case=asked.case, status="ok", dataset=subject.entry.dataset, artifact=subject.artifact(asked.case))
    made = unpack(station.profile(pack(asked), pack(row)), Profile)
    assert made.reason is None
    assert [operator.type for operator in made.operators] == ["MatMul"]


def test_a_dask_worker_that_stands_for_none_of_a_fleet_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(station, "_here", [])
    with pytest.raises(station.Broken, match="was not started by `bench fleet worker`"):
        station.announce()


def test_a_model_of_which_nothing_can_be_measured_is_not_sent(tmp_path: Path) -> None:
    suite = tiny_suite(tmp_path)
    # A product of eight weights has none to spare.
    suite.write_text(suite.read_text().replace("fp32", "pruned"))
    subjects = make_subjects(plan_run(Request(suite=str(suite))), tmp_path / "made", Quiet())
    assert len(subjects) == 1
    assert pack_parcels(subjects, tmp_path) == {}


@pytest.mark.parametrize("lacks", [{}, {"openvino-cpu": "not installed"}])
def test_a_runtime_for_where_it_is_available_is_one_that_all_workers_of_a_target_have(
    told: Announcement, tmp_path: Path, lacks: dict[str, str]
) -> None:
    suite = tiny_suite(tmp_path)
    suite.write_text(suite.read_text() + 'if_available = ["openvino-cpu"]\n')
    workers = [msgspec.structs.replace(told, lacks={}), msgspec.structs.replace(told, lacks=lacks)]
    planned, scopes = plan_fleet(Request(suite=str(suite)), workers)
    runtimes = {"onnxruntime-cpu"} if lacks else {"onnxruntime-cpu", "openvino-cpu"}
    assert {case.target for case in planned.cases} == runtimes
    assert set(scopes["left"].runtimes) == set(scopes["left"].needed) == runtimes


def test_a_machine_that_no_profile_fits_has_to_be_told_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "hardware_profiles"
    own.mkdir()
    for name, profile in readable_profiles()[0].items():
        elsewhere = profile.model_copy(update={"match": Match(cpu_model="no such processor")})
        (own / f"{name}.toml").write_text(as_toml(elsewhere))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no hardware profile fits this machine") as refused:
        announcement()
    assert refused.value.where == "--target"


def test_a_fleet_has_its_folder_where_there_can_be_one(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("mine")
    with pytest.raises(UserError, match="cannot write there"):
        create(tmp_path / "results", "s")


def test_a_bundle_waits_until_nothing_is_measured_on_its_machine(
    told: Announcement, parcel: Parcel, monkeypatch: pytest.MonkeyPatch
) -> None:
    station.take_piece("fleet-1", 0, parcel.piece(0))
    monkeypatch.setattr(station, "_TAKING_S", 0.1)
    with station._alone(1):
        for taken in (lambda: station.take_in("fleet-1", parcel.key), lambda: station.take_piece("fleet-2", 0, b"")):
            with pytest.raises(station.Broken, match="another worker held the machine"):
                taken()
    assert list(station.store().iterdir()) == []
    assert sent(parcel).is_dir()


def test_the_place_of_a_machine_is_no_path(told: Announcement) -> None:
    assert unpack(pack(told), Announcement) == told
    for place in ("../../out", "0123456", "0123456g", "01234567\n", "/1234567"):
        with pytest.raises(msgspec.ValidationError, match="place"):
            unpack(pack(msgspec.structs.replace(told, place=place)), Announcement)


def test_machines_alike_and_profiles_alike_in_name_have_places_apart(
    told: Announcement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "machine-id").write_text("1d\n")
    monkeypatch.setattr(identity.uuid, "getnode", lambda: 0x02_42_AC_11_00_02)
    assert identity._marks(tmp_path) == ["1d", "0242ac110002"]
    monkeypatch.setattr(identity.uuid, "getnode", lambda: 0x01_00_00_00_00_00)
    assert identity._marks(tmp_path / "nowhere") == [None, None]

    places = {told.place}
    for marks in (["1d", None], ["1d", "0242ac110002"], [None, None]):
        monkeypatch.setattr(identity, "_marks", lambda marks=marks: marks)
        places.add(announcement(str(tmp_path / "left.toml")).place)
    assert len(places) == 4
    assert identity._place(told.environment, None, told.profile | {"price": None}) not in places


class Heard(Quiet):
    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, text: str, share: float | None = None, *, passing: bool = False) -> None:
        self.said.append(text)


def test_machines_by_name_alone_are_told_wherever_their_figures_are_and_a_second_profile_of_a_name_is_refused(
    tmp_path: Path,
) -> None:
    cluster, heard = Cluster(), Heard()
    one, two = (announcement(str(fake_target(tmp_path, f"t{number}")), f"local-{number}") for number in (1, 2))
    cluster.join("other", msgspec.structs.replace(one, profile={**one.profile, "price": None}, machine="other"))
    cluster.join("w1", one)
    cluster.join("w2", two)
    request = Request(suite=str(tiny_suite(tmp_path)), only=("*/b1/single-stream",))
    made = start_fleet(request, (), cluster, tmp_path / "results", heard, Terms(wait_s=0.5, lost_after_s=1e9))
    assert "its profile t1 is not what that of the fleet is" in str(heard.said)
    first, second = (folder.name for folder in list_runs(tmp_path / "results"))
    notes = [f"counted as the machine 'local-{number}' because it was told to" for number in (1, 2)]
    assert notes[0] in str(read_manifest(tmp_path / "results" / first).notes)
    assert notes[0] in bench("show", first, cwd=tmp_path).stdout
    for words in ((first, second), (made.fleet.fleet_id, "--by", "target")):
        done = bench("compare", *words, cwd=tmp_path)
        assert all(note in done.stdout + done.stderr for note in notes), done
