"""A run of another machine is taken in whole and once, or refused with what is wrong and where."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.record.observation import Observation, Placement
from bench.record.profile import Profile
from bench.record.row import Row
from bench.report.files import write_summaries
from bench.runner.adopt import Adopted, adopt
from bench.runner.rows import row_of
from bench.store import journal, kept, profiles, transit
from bench.store.manifest import Manifest, ModelEntry, read_manifest, write_manifest
from bench.store.runs import list_runs
from tests.conftest import bench
from tests.kept_runs import keep, keep_small, observed
from tests.kept_runs import row_of as ordinary_row_of

ID = "20261127-100000-quick-ab12"


def seen_there() -> list[Observation]:
    """Three invocations of fp32 and one of int8, as their workers tell of them."""
    placement = Placement(provider="CPUExecutionProvider", nodes={"CPUExecutionProvider": 2}, evidence="by hand")
    made = [*((at, observed("fp32", 80.0, at)) for at in range(3)), (0, observed("int8", 95.0, 7))]
    facts = {"scope": "session.run"}
    return [msgspec.structs.replace(o, invocation=at, placement=placement, facts=facts) for at, o in made]


def rows_of(manifest: Manifest, seen: list[Observation]) -> list[Row]:
    by_key = {(o.case.id, o.invocation): o for o in seen}
    entry = manifest.models[0]
    return [row_of(case, by_key, manifest=manifest, entry=entry, artifact=None) for case in manifest.cases]


def slim_run(results: Path, run_id: str = ID, status: str = "complete") -> Path:
    """A run as a machine without tables and without SciPy leaves it."""
    seen = seen_there()
    folder = keep(results, run_id, [ordinary_row_of(seen[0]), ordinary_row_of(seen[3])], status=status)
    for table in folder.glob("*.parquet"):
        table.unlink()
    manifest = read_manifest(folder)
    entry = ModelEntry(given="m.zip", name="m", source_sha256="0" * 64, content="c", dataset="digits")
    plan = msgspec.structs.replace(manifest.plan, invocations=3)
    manifest = msgspec.structs.replace(manifest, models=(entry,), plan=plan)
    write_manifest(folder, manifest)
    for each in seen:
        journal.append(folder, each)
    for case in manifest.cases:
        profiles.keep(folder, case.id, Profile(target=case.target, reason="the profiler crashed"))
    transit.keep_rows(folder, [without_intervals(row) for row in rows_of(manifest, seen)])
    transit.seal(folder, manifest)
    return folder


def without_intervals(row: Row) -> Row:
    bare = {
        name: msgspec.structs.replace(figure, low=None, high=None, confidence=None)
        for name, figure in row.metrics.items()
    }
    return msgspec.structs.replace(row, metrics=bare)


def take(given: Path, results: Path) -> Adopted:
    return adopt(given, results, write_summaries)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def zipped(folder: Path, to: Path, below: str = "") -> Path:
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents(folder).items():
            archive.writestr(below + name, content)
    return to


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return slim_run(tmp_path / "target")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


def test_the_rows_are_those_that_the_observations_give_here(there: Path, here: Path) -> None:
    found = take(there, here)
    manifest = read_manifest(there)
    made = rows_of(manifest, seen_there())
    assert [row.metrics for row in found.run.rows] == [row.metrics for row in made]
    assert found.new
    assert found.checked == len(json.loads((there / transit.NAME).read_bytes())["files"])
    assert all(row.metrics["p50_latency"].low is not None for row in found.run.rows)
    assert all(row.metrics["p50_latency"].low is None for row in transit.read_rows(there))


def test_the_folder_is_an_ordinary_run_with_the_machine_that_it_was_made_on(there: Path, here: Path) -> None:
    folder = Path(take(there, here).run.folder)
    ordinary = keep_small(here / "ordinary", "20261127-110000-other")
    for table in ("cases.parquet", "latencies.parquet", "telemetry.parquet"):
        assert pl.read_parquet_schema(folder / table) == pl.read_parquet_schema(ordinary / table)
    assert (folder / "manifest.json").read_bytes() == (there / "manifest.json").read_bytes()
    assert pl.read_parquet(folder / "latencies.parquet").height == sum(
        len(o.samples.latency_ns) for o in seen_there() if o.samples
    )
    assert {"summary.md", "summary.csv", "imported.json"} <= set(contents(folder))
    assert not (folder / "journal").exists()
    assert bench("show", ID, "--out", str(here), cwd=here).returncode == 0


def test_why_a_variant_is_not_faster_is_said_here_from_the_profiles_of_there(there: Path, here: Path) -> None:
    fp32, int8 = take(there, here).run.rows
    assert fp32.why_not_faster is None
    assert int8.why_not_faster is not None
    assert "the profiler crashed" in int8.why_not_faster


def test_to_import_it_again_changes_nothing(there: Path, here: Path) -> None:
    take(there, here)
    before = contents(here)
    assert not take(there, here).new
    assert not take(zipped(there, there.parent / "run.zip"), here).new
    assert contents(here) == before


@pytest.mark.parametrize("below", ["", f"{ID}/"])
def test_a_zip_is_as_good_as_a_folder(below: str, there: Path, here: Path, tmp_path: Path) -> None:
    found = take(zipped(there, tmp_path / "run.zip", below), here / "zip")
    assert found.new
    direct = take(there, here / "folder")
    assert contents(Path(found.run.folder)) == contents(Path(direct.run.folder))


def test_an_interrupted_run_is_taken_in_as_far_as_it_went(tmp_path: Path, here: Path) -> None:
    folder = slim_run(tmp_path / "target", status="interrupted")
    gone = seen_there()[3].case
    (folder / journal.FOLDER / f"{gone.id}-0.msgpack").unlink()
    transit.seal(folder, read_manifest(folder))
    assert [row.case.variant for row in take(folder, here).run.rows] == ["fp32"]


def _cut(folder: Path) -> None:
    path = next((folder / "journal").glob("*.msgpack"))
    path.write_bytes(path.read_bytes()[:-100])


def _lose(folder: Path) -> None:
    next((folder / "journal").glob("*.msgpack")).unlink()


def _unended(folder: Path) -> None:
    (folder / transit.NAME).unlink()


def _newer(folder: Path) -> None:
    _relist(folder, schema=2)


def _outside(folder: Path) -> None:
    _relist(folder, files={"../../secret": {"bytes": 1, "sha256": "0" * 64}})


def _windows(folder: Path) -> None:
    _relist(folder, files={"..\\secret": {"bytes": 1, "sha256": "0" * 64}})


def _unlisted(folder: Path) -> None:
    listed = json.loads((folder / transit.NAME).read_bytes())["files"]
    del listed["manifest.json"]
    (folder / transit.NAME).write_text(json.dumps({"run_id": ID, "schema": 1, "files": listed}))


def _no_list(folder: Path) -> None:
    (folder / transit.NAME).write_text("{ not JSON")


def _other_name(folder: Path) -> None:
    transit.seal(folder, msgspec.structs.replace(read_manifest(folder), run_id="20261127-100000-other"))


def _climbing_name(folder: Path) -> None:
    manifest = msgspec.structs.replace(read_manifest(folder), run_id="../elsewhere")
    write_manifest(folder, manifest)
    transit.seal(folder, manifest)


def _strange_case(folder: Path) -> None:
    journal.append(folder, observed("fp16", 50.0))
    transit.seal(folder, read_manifest(folder))


def _incomplete(folder: Path) -> None:
    (folder / "journal" / f"{seen_there()[3].case.id}-0.msgpack").unlink()
    transit.seal(folder, read_manifest(folder))


def _no_observation(folder: Path) -> None:
    next((folder / "journal").glob("*.msgpack")).write_bytes(b"\x81\xa1a\x01")
    transit.seal(folder, read_manifest(folder))


def _relist(folder: Path, schema: int = 1, files: dict[str, object] | None = None) -> None:
    told = json.loads((folder / transit.NAME).read_bytes())
    told["schema"] = schema
    told["files"] |= files or {}
    (folder / transit.NAME).write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_cut, "of .* bytes: the copy is not whole"),
        (_lose, "the file journal/.*msgpack is missing"),
        (_unended, "there is no transit.json: the run has not ended"),
        (_newer, "written by a newer version"),
        (_outside, "outside its own folder"),
        (_windows, "outside its own folder"),
        (_unlisted, "its list does not name manifest.json"),
        (_no_list, "the list is damaged"),
        (_other_name, "its manifest names the run"),
        (_climbing_name, "its manifest names the run '../elsewhere'"),
        (_strange_case, "a case that the run does not name: m/fp16"),
        (_incomplete, "said to be complete, and has no observation of m/int8"),
        (_no_observation, "not one that this version can read"),
    ],
)
def test_what_is_damaged_is_refused_and_leaves_nothing(
    harm: Callable[[Path], None], told: str, there: Path, here: Path
) -> None:
    harm(there)
    with pytest.raises(UserError, match=told) as refused:
        take(there, here)
    assert refused.value.where
    assert refused.value.remedy
    assert contents(here) == {}


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slim_run(tmp_path_factory.mktemp("intact"))


@settings(max_examples=60)
@given(data=st.data())
def test_no_bit_may_differ(intact: Path, data: st.DataObject) -> None:
    folder = intact
    name = data.draw(st.sampled_from(sorted(json.loads((folder / transit.NAME).read_bytes())["files"])))
    before = (folder / name).read_bytes()
    content = bytearray(before)
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (folder / name).write_bytes(content)
    try:
        with pytest.raises(UserError, match="not what was written") as refused:
            transit.check(folder, folder)
    finally:
        (folder / name).write_bytes(before)
    assert refused.value.where == str(folder / name)


def test_another_run_of_that_name_is_never_written_over(there: Path, here: Path, tmp_path: Path) -> None:
    keep_small(here, ID)
    before = contents(here)
    with pytest.raises(UserError, match="another one"):
        take(there, here)
    other = slim_run(tmp_path / "second")
    journal.append(other, msgspec.structs.replace(seen_there()[3], facts={"scope": "other"}))
    transit.seal(other, read_manifest(other))
    take(there, here / "clean")
    with pytest.raises(UserError, match="another one"):
        take(other, here / "clean")
    assert {name: content for name, content in contents(here).items() if not name.startswith("clean/")} == before


def test_a_run_that_lies_among_the_runs_already_is_to_be_moved_first(tmp_path: Path) -> None:
    folder = slim_run(tmp_path)
    with pytest.raises(UserError, match="under its own name") as refused:
        take(folder, tmp_path)
    assert "move it" in str(refused.value.remedy)
    done = bench("compare", ID, ID, "--out", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 2
    assert "bench import" in done.stderr


@pytest.mark.parametrize("name", ["../escaped", "/absolute", "a/../../escaped", "C:\\escaped"])
def test_an_archive_that_climbs_out_is_refused(name: str, there: Path, here: Path, tmp_path: Path) -> None:
    path = zipped(there, tmp_path / "evil.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(UserError, match="outside its own folder"):
        take(path, here)
    assert contents(here) == {}
    assert not list(tmp_path.rglob("*escaped*"))


def test_an_archive_cut_short_is_refused(there: Path, here: Path, tmp_path: Path) -> None:
    path = zipped(there, tmp_path / "run.zip")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="not a whole zip archive"):
        take(path, here)


def test_a_link_that_leads_out_is_refused(there: Path, here: Path, tmp_path: Path) -> None:
    path = next((there / "journal").glob("*.msgpack"))
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="outside its own folder"):
        take(there, here)


def test_a_run_of_a_full_install_is_checked_and_copied(tmp_path: Path, here: Path) -> None:
    folder = keep_small(tmp_path / "target", ID)
    found = take(folder, here)
    assert (found.new, found.checked) == (True, 0)
    assert contents(here / ID) == contents(folder)
    assert not take(zipped(folder, tmp_path / "run.zip", f"{ID}/"), here).new
    assert [path.name for path in list_runs(here)] == [ID]


@pytest.mark.parametrize("table", ["cases.parquet", "latencies.parquet", "telemetry.parquet"])
def test_a_full_run_with_a_table_cut_short_is_refused(table: str, tmp_path: Path, here: Path) -> None:
    folder = keep_small(tmp_path / "target", ID)
    (folder / table).write_bytes((folder / table).read_bytes()[:-40])
    with pytest.raises(UserError, match="cannot read the table") as refused:
        take(folder, here)
    assert str(refused.value.where).endswith(table)
    assert contents(here) == {}


def test_a_full_run_whose_table_is_of_another_one_is_refused(tmp_path: Path, here: Path) -> None:
    folder = keep_small(tmp_path / "target", ID)
    other = keep(tmp_path / "other", ID, [ordinary_row_of(observed("fp16", 10.0))])
    shutil.copy(other / kept.CASES, folder / kept.CASES)
    with pytest.raises(UserError, match="disagree on m/fp16"):
        take(folder, here)


def test_what_is_no_run_is_refused(tmp_path: Path, here: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="this is not a run"):
        take(tmp_path / "empty", here)
    with pytest.raises(UserError, match="no such folder"):
        take(tmp_path / "nowhere", here)
    running = keep(tmp_path / "target", ID, [ordinary_row_of(observed("fp32", 10.0))], status="running")
    with pytest.raises(UserError, match="has not ended"):
        take(running, here)
