"""A run of another machine is taken in whole and once, or refused with what is wrong and where."""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.record.artifact import Artifact, TensorSpec
from bench.record.codec import pack
from bench.record.measurement import Measurement
from bench.record.observation import Observation, Phase, Placement, Samples
from bench.record.profile import Profile
from bench.record.row import Row
from bench.report.files import write_summaries
from bench.runner import doubt
from bench.runner.adopt import Adopted, adopt
from bench.runner.rows import row_of
from bench.store import journal, kept, profiles, tables, transit
from bench.store.manifest import Manifest, ModelEntry, read_manifest, write_manifest
from bench.store.runs import list_runs
from tests.analyse.machines import artifact
from tests.conftest import bench
from tests.kept_runs import keep, keep_small, observed
from tests.kept_runs import row_of as ordinary_row_of

ID = "20261127-100000-quick-ab12"
NOT_FINITE = Measurement(value=float("nan"), unit="1", n=1, how="measured:by hand")


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


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slim_run(tmp_path_factory.mktemp("intact"))


@pytest.fixture
def there(intact: Path, tmp_path: Path) -> Path:
    """A copy of its own, for harm."""
    return Path(shutil.copytree(intact, tmp_path / "target" / ID))


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
    transit.keep_rows(folder, [row for row in transit.read_rows(folder) if row.case.id != gone.id])
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


def _saw(change: Callable[[Observation], Observation]) -> Callable[[Path], None]:
    """Another observation in the place of each, and a list that knows of it."""

    def harm(folder: Path) -> None:
        for path in (folder / journal.FOLDER).glob("*.msgpack"):
            path.write_bytes(journal.encode(change(journal.decode(path.read_bytes()))))
        transit.seal(folder, read_manifest(folder))

    return harm


def _sampled(**columns: Callable[[Samples], object]) -> Callable[[Path], None]:
    def change(seen: Observation) -> Observation:
        assert seen.samples is not None
        changed = {name: make(seen.samples) for name, make in columns.items()}
        return msgspec.structs.replace(seen, samples=msgspec.structs.replace(seen.samples, **changed))

    return _saw(change)


def _unequal(folder: Path) -> None:
    """Fewer latencies than starts, which no record can be made of."""
    path = next((folder / journal.FOLDER).glob("*.msgpack"))
    told = msgspec.msgpack.decode(pack(journal.decode(path.read_bytes())))
    told["samples"]["latency_ns"] |= {"shape": [5], "data": told["samples"]["latency_ns"]["data"][:40]}
    path.write_bytes(msgspec.msgpack.encode(told))
    transit.seal(folder, read_manifest(folder))


def _said(**fields: object) -> Callable[[Path], None]:
    """A manifest that says something else, and a list that knows of it."""

    def harm(folder: Path) -> None:
        told = json.loads((folder / "manifest.json").read_bytes())
        for field, value in fields.items():
            *road, last = field.split("__")
            place = told
            for step in road:
                place = place[int(step) if step.isdigit() else step]
            place[last] = value
        (folder / "manifest.json").write_text(json.dumps(told))
        transit.seal(folder, Sealed(run_id=told["run_id"]))  # type: ignore[arg-type]

    return harm


def _rows(change: Callable[[Row], Row]) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        transit.keep_rows(folder, [change(row) for row in transit.read_rows(folder)])
        transit.seal(folder, read_manifest(folder))

    return harm


def _deep(folder: Path) -> None:
    (folder / transit.NAME).write_text('{"schema": 1, "x":' + "[" * 100_000 + "]" * 100_000 + "}")


def _deep_manifest(folder: Path) -> None:
    text = (folder / "manifest.json").read_text().rstrip()
    (folder / "manifest.json").write_text(text[:-1] + ', "x":' + "[" * 100_000 + "]" * 100_000 + "}")
    transit.seal(folder, Sealed(run_id=ID))  # type: ignore[arg-type]


def _twice(folder: Path) -> None:
    path = next((folder / "journal").glob("*.msgpack"))
    shutil.copy(path, path.with_name("again-0.msgpack"))
    transit.seal(folder, read_manifest(folder))


def _strange_artifact(row: Row) -> Row:
    spec = TensorSpec(name="x", dtype="float32", shape=(1,))
    artifact = Artifact(
        model="m", variant="fp16", format="onnx", path="a", sha256="0", bytes=1, inputs=(spec,), outputs=(spec,)
    )
    return msgspec.structs.replace(row, artifact=artifact)


class Sealed(msgspec.Struct):
    """So much of a manifest as a list of files is made from."""

    run_id: str


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
        (_sampled(latency_ns=lambda s: -s.latency_ns), "a latency is negative"),
        (_sampled(latency_ns=lambda s: s.latency_ns + np.nan), "float64"),
        (_unequal, "arrays of one axis and one length"),
        (_sampled(span_ns=lambda s: -1), "span_ns is negative"),
        (_saw(lambda o: msgspec.structs.replace(o, load_ns=-1)), "load_ns is negative"),
        (_saw(lambda o: msgspec.structs.replace(o, phases=(Phase("load", 2, 1),))), "the phase load is negative"),
        (_saw(lambda o: msgspec.structs.replace(o, invocation=o.invocation + 7)), "of invocation . of 3"),
        (_saw(lambda o: msgspec.structs.replace(o, samples=None)), "no rows can be made of what it saw"),
        (_saw(lambda o: msgspec.structs.replace(o, facts={"evaluation_warnings": 5})), "no rows can be made"),
        (_saw(lambda o: msgspec.structs.replace(o, quality={"accuracy": NOT_FINITE})), "accuracy is nan"),
        (_said(plan__invocations=10**9), "plans 1,000,000,000 invocations"),
        (_said(plan__confidence=7.0), "a confidence of 7.0"),
        (_said(models__0__metric="beauty"), "does not know: beauty"),
        (_said(models__0__name="other"), "does not say what m is"),
        (_said(cases__0__scenario="dance"), "does not know: dance"),
        (_said(schema=99), "written by a newer version"),
        (_said(environment={}), "the manifest is damaged"),
        (_said(run_id="latest"), "its manifest names the run 'latest'"),
        (_said(run_id="baselines"), "its manifest names the run 'baselines'"),
        (_said(run_id="99991231-235959-quick-ab12"), "the run is of the future: it is named '99991231-235959-quick"),
        (_said(run_id="20269999-000000-quick-ab12"), "the name of the run starts with no time: '20269999-"),
        (_rows(_strange_artifact), "the artifact of another variant: fp16"),
        (_rows(lambda row: msgspec.structs.replace(row, case=observed("fp16", 1.0).case)), "its rows are not of"),
        (_deep, "the list is damaged"),
        (_deep_manifest, "the manifest is damaged"),
        (_twice, "the second one of invocation"),
    ],
)
def test_what_is_damaged_is_refused_and_leaves_nothing(
    harm: Callable[[Path], None], told: str, there: Path, here: Path
) -> None:
    harm(there)
    for form in (there, zipped(there, there.parent / "run.zip", f"{there.name}/")):
        with pytest.raises(UserError, match=told) as refused:
            take(form, here)
        assert str(refused.value.where).startswith(str(form))
        assert refused.value.remedy
        assert list(here.iterdir()) == []


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


def test_a_full_run_without_its_table_is_refused(tmp_path: Path, here: Path) -> None:
    folder = keep_small(tmp_path / "target", ID)
    (folder / kept.CASES).unlink()
    with pytest.raises(UserError, match=r"it has no cases\.parquet: the copy is not whole"):
        take(folder, here)
    assert list_runs(here) == []


def test_a_full_run_whose_table_is_of_another_one_is_refused(tmp_path: Path, here: Path) -> None:
    folder = keep_small(tmp_path / "target", ID)
    other = keep(tmp_path / "other", ID, [ordinary_row_of(observed("fp16", 10.0))])
    shutil.copy(other / kept.CASES, folder / kept.CASES)
    with pytest.raises(UserError, match="disagree on m/fp16"):
        take(folder, here)


def test_a_full_run_with_figures_that_no_machine_gives_is_refused(tmp_path: Path, here: Path) -> None:
    folder = keep_small(tmp_path / "target", ID)
    latencies = pl.read_parquet(folder / kept.LATENCIES)
    latencies.with_columns(-pl.col("latency_ns")).write_parquet(folder / kept.LATENCIES)
    with pytest.raises(UserError, match="a latency is negative") as refused:
        take(folder, here)
    assert str(refused.value.where).endswith(kept.LATENCIES)
    latencies.write_parquet(folder / kept.LATENCIES)
    row = kept.read_rows(folder)[0]
    row = msgspec.structs.replace(row, metrics=row.metrics | {"accuracy": NOT_FINITE})
    tables.write_cases(folder, ID, [row, *kept.read_rows(folder)[1:]])
    with pytest.raises(UserError, match=f"the row of {row.case.name}: accuracy is nan"):
        take(folder, here)
    assert list(here.iterdir()) == []


def test_what_a_program_puts_beside_the_run_in_an_archive_does_not_matter(
    there: Path, here: Path, tmp_path: Path
) -> None:
    path = zipped(there, tmp_path / "run.zip", f"{ID}/")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/._" + ID, b"x")
    assert take(path, here).new
    # A folder with one run in it is as good.
    assert not take(there.parent, here).new
    slim_run(there.parent, "20261127-100001-quick-ab12")
    with pytest.raises(UserError, match="there are 2 in it"):
        take(there.parent, here)


def test_an_archive_with_a_link_or_a_bomb_is_refused(there: Path, here: Path, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("journal/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = zipped(there, tmp_path / "link.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match="a link or a device"):
        take(path, here)
    bomb = zipped(there, tmp_path / "bomb.zip")
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"x")
    content = bomb.read_bytes()
    at = content.rindex(b"PK\x01\x02") + 24  # the size that the directory gives for the last member
    bomb.write_bytes(content[:at] + (0xFFFFFFF0).to_bytes(4, "little") + content[at + 4 :])
    with pytest.raises(UserError, match=r"over the limit|times as many"):
        take(bomb, here)
    assert list(here.iterdir()) == []


def test_a_stopped_run_that_is_finished_by_another_kind_of_install_is_of_one_form(tmp_path: Path) -> None:
    folder = slim_run(tmp_path / "a", status="interrupted")
    seen, rows = seen_there(), rows_of(read_manifest(folder), seen_there())
    transit.unseal(folder)
    kept.keep(folder, msgspec.structs.replace(read_manifest(folder), status="complete"), rows, seen)
    assert not transit.is_transit(folder)
    assert take(folder, tmp_path / "here").made == "tables taken as they are"


@pytest.mark.parametrize(
    ("latencies", "told"),
    [
        (np.ones((2, 2), np.int64), "latencies are 2-dimensional int64, and not a row of whole nanoseconds"),
        (np.ones(2), "latencies are 1-dimensional float64"),
        (np.array([3, -1]), "a latency is negative: -1 ns"),
        (np.array([], np.int64), None),
    ],
)
def test_latencies_are_a_row_of_whole_nanoseconds(latencies: np.ndarray, told: str | None) -> None:
    found = doubt.of_latencies(latencies)
    assert found is None if told is None else told in str(found)


def test_no_artifact_has_fewer_than_no_bytes() -> None:
    row = ordinary_row_of(observed("fp32", 80.0))
    sound = msgspec.structs.replace(row, artifact=artifact())
    assert doubt.of_rows([sound]) is None
    strange = msgspec.structs.replace(row, artifact=artifact(bytes=-1))
    assert doubt.of_rows([strange]) == f"the row of {row.case.name} has an artifact of -1 bytes"


def test_what_is_no_run_is_refused(tmp_path: Path, here: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="this is not a run"):
        take(tmp_path / "empty", here)
    with pytest.raises(UserError, match="no such folder"):
        take(tmp_path / "nowhere", here)
    running = keep(tmp_path / "target", ID, [ordinary_row_of(observed("fp32", 10.0))], status="running")
    with pytest.raises(UserError, match="has not ended"):
        take(running, here)
