"""What lies in a results folder: manifests, journals, tables, baselines, fleets, and the files of other tools."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.compare import compare
from bench.fleet.record import read_fleet
from bench.report.document import document
from bench.runner.reopen import reopen
from bench.store import baselines, journal, profiles, transit
from bench.store.baseline_file import encode, read_baseline, read_summary
from bench.store.foreign import read_foreign
from bench.store.manifest import read_manifest
from bench.store.open import open_snapshot
from bench.store.query import ask
from bench.store.snapshot import read_run
from tests.conftest import bench
from tests.hostile.spoiled import ODD, as_json, damaged, few, spoiled, value_or_refusal

pytestmark = pytest.mark.timeout(120)

KEPT = Path(__file__).parents[1] / "upgrade" / "v0.1.0"
RUN = "20261127-135339-upgrade-b948"

Read = Callable[[Path], object]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with a run, a baseline, a fleet and a stopped run, all really made."""
    folder = tmp_path / "results"
    shutil.copytree(KEPT / RUN, folder / RUN)
    shutil.copytree(KEPT / "baselines", folder / "baselines")
    for name in ("fleet.zip", "stopped.zip"):
        with zipfile.ZipFile(KEPT / name) as packed:
            packed.extractall(folder)
    return folder


def read_whole_run(folder: Path) -> object:
    """As `bench show` and `bench compare` read a run."""
    opened = reopen(folder)
    document(folder, opened.manifest, opened.rows)
    seen = read_run(folder)
    return compare(seen, seen)


def foreign(folder: Path) -> Path:
    pytest_file = {
        "machine_info": {"node": "n", "cpu": {"brand_raw": "c", "flags": ["avx2"]}, "system": "Linux"},
        "benchmarks": [
            {
                "name": "a",
                "fullname": "t.py::a",
                "stats": {"median": 1e-3, "mean": 1e-3, "rounds": 9, "iterations": 1, "data": [1e-3] * 9},
            }
        ],
        "datetime": "2026-01-01T00:00:00",
        "version": "5.3.0",
    }
    (folder / "pytest.json").write_text(json.dumps(pytest_file))
    one = {"name": "BM/8", "run_type": "iteration", "repetitions": 1, "real_time": 5.0, "cpu_time": 4.0}
    mean = {**one, "name": "BM/9_median", "run_name": "BM/9", "run_type": "aggregate", "aggregate_name": "median"}
    google_file = {"context": {"date": "2026", "host_name": "h"}, "benchmarks": [one, mean]}
    (folder / "google.json").write_text(json.dumps(google_file))
    return folder


JSON_FILES: dict[str, tuple[str, Read]] = {
    "manifest": (f"{RUN}/manifest.json", lambda path: read_whole_run(path.parent)),
    "manifest, in a query": (f"{RUN}/manifest.json", lambda path: ask(path.parents[1], "SELECT * FROM runs").collect()),
    "baseline": (f"baselines/main/{RUN}.json", lambda path: encode(read_baseline(path))),
    "head of a baseline": (f"baselines/main/{RUN}.json", read_summary),
    "any snapshot": (f"baselines/main/{RUN}.json", lambda path: open_snapshot(str(path), path.parents[2])),
    "fleet": ("*-fleet-????/fleet.json", lambda path: [read_fleet(path.parent).cells(), list(path.parent.iterdir())]),
    "pytest-benchmark": ("pytest.json", read_foreign),
    "Google Benchmark": ("google.json", read_foreign),
}


@pytest.fixture(params=JSON_FILES)
def json_file(request: pytest.FixtureRequest, results: Path) -> tuple[Callable[[bytes], None], bytes]:
    """What reads such a file with a given content, and the content that it had."""
    pattern, read = JSON_FILES[request.param]
    foreign(results)
    (path,) = results.glob(pattern)
    content = path.read_bytes()

    def given_content(spoilt: bytes) -> None:
        path.write_bytes(spoilt)
        value_or_refusal(lambda: read(path), "manifest" if path.parent.name == RUN else path.name)

    read(path)
    return given_content, content


@few(60)
@given(data=st.data())
def test_a_json_file_with_wrong_keys_or_values_is_read_or_refused(
    json_file: tuple[Callable[[bytes], None], bytes], data: st.DataObject
) -> None:
    read, content = json_file
    read(as_json(data.draw(spoiled(json.loads(content)))))


@few(40)
@given(data=st.data())
def test_a_json_file_with_wrong_bytes_is_read_or_refused(
    json_file: tuple[Callable[[bytes], None], bytes], data: st.DataObject
) -> None:
    read, content = json_file
    read(data.draw(damaged(content)))


AWKWARD = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "lists without end": b"[" * 100_000,
    "objects without end": b'{"a":' * 100_000,
    "objects without end in a field": b'{"schema": 1, "suite": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001,
    "no text": b"\xff\xfe\x00",
    "half a character": b'{"schema": 1, "run_id": "\\ud800"}',
    "a schema that is none": b'{"schema": "x"}',
    "a schema without end": b'{"schema": ' + b"9" * 5_000 + b"}",
    "a schema of tomorrow": b'{"schema": 999, "cases": {}, "machine": {}}',
    "no schema": b"{}",
}


@pytest.mark.parametrize("what", AWKWARD)
def test_an_awkward_json_file_is_read_or_refused(json_file: tuple[Callable[[bytes], None], bytes], what: str) -> None:
    json_file[0](AWKWARD[what])


# The journal, and what a machine without tables leaves


@pytest.fixture
def slim(tmp_path: Path) -> Path:
    """A run of a slim install, unpacked."""
    with zipfile.ZipFile(KEPT / "slim.zip") as packed:
        packed.extractall(tmp_path / "slim")
    (folder,) = (tmp_path / "slim").iterdir()
    return folder


@few(150)
@given(data=st.data())
def test_a_damaged_entry_of_the_journal_is_read_or_passed_over(slim: Path, data: st.DataObject) -> None:
    path, other = sorted((slim / "journal").glob("*.msgpack"))
    content = (slim / "journal" / other.name).read_bytes()
    spoilt = data.draw(damaged(content) | spoiled(msgspec.msgpack.decode(content), odd=ODD).map(msgspec.msgpack.encode))
    path.write_bytes(spoilt)
    for seen in journal.read(slim):
        if seen.samples is not None:
            assert len(seen.samples.latency_ns) == len(seen.samples.start_ns) == len(seen.samples.block)


@few(60)
@given(data=st.data())
def test_damaged_rows_of_a_slim_install_are_read_or_refused(slim: Path, data: st.DataObject) -> None:
    path = slim / transit.ROWS
    if not (keep := path.with_suffix(".kept")).exists():
        shutil.copy(path, keep)
    content = keep.read_bytes()
    path.write_bytes(
        data.draw(damaged(content) | spoiled(msgspec.msgpack.decode(content), odd=ODD).map(msgspec.msgpack.encode))
    )
    rows = value_or_refusal(lambda: transit.read_rows(slim), path.name)
    if rows:
        document(slim, read_manifest(slim), rows)


@few(40)
@given(data=st.data())
def test_a_damaged_list_of_a_slim_install_is_refused_or_holds(slim: Path, data: st.DataObject) -> None:
    path = slim / transit.NAME
    if not (keep := path.with_suffix(".kept")).exists():
        shutil.copy(path, keep)
    content = keep.read_bytes()
    path.write_bytes(data.draw(damaged(content) | spoiled(json.loads(content)).map(as_json)))
    value_or_refusal(lambda: transit.check(slim, slim), slim.name)


@few(40)
@given(data=st.data())
def test_a_damaged_profile_of_a_case_is_read_or_passed_over(slim: Path, data: st.DataObject) -> None:
    path = sorted((slim / profiles.FOLDER).iterdir())[0]
    if not (keep := path.with_suffix(".kept")).exists():
        shutil.copy(path, keep)
    content = keep.read_bytes()
    path.write_bytes(data.draw(damaged(content) | spoiled(json.loads(content)).map(as_json)))
    profiles.kept(slim, path.stem)


@few(25)
@given(data=st.data())
def test_a_damaged_archive_of_a_run_is_taken_in_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "slim.zip"
    path.write_bytes(data.draw(damaged((KEPT / "slim.zip").read_bytes())))
    shutil.rmtree(tmp_path / "results", ignore_errors=True)
    done = bench("import", str(path), cwd=tmp_path)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 2)


# A stopped run goes on


@few(15)
@given(data=st.data())
def test_a_stopped_run_with_a_damaged_manifest_is_refused(results: Path, data: st.DataObject) -> None:
    (folder,) = (path.parent for path in results.glob("*/journal"))
    path = folder / "manifest.json"
    if not (keep := path.with_suffix(".kept")).exists():
        shutil.copy(path, keep)
    content: dict[str, Any] = json.loads(keep.read_bytes())
    content["request"]["suite"] = data.draw(st.sampled_from(["nothing.zip", "", "\0", "x" * 5_000, "/dev/null"]))
    content["suite"] = data.draw(spoiled(content["suite"]))
    path.write_bytes(as_json(content))
    done = bench("run", "--resume", folder.name, cwd=results.parent)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 2


def test_the_reading_commands_live_with_a_folder_full_of_rubbish(results: Path) -> None:
    for name, content in {"a/manifest.json": b"", "b/manifest.json": b"\xff", "c/fleet.json": b"[", "d/x": b""}.items():
        (results / name).parent.mkdir()
        (results / name).write_bytes(content)
    (results / "baselines" / "main" / "0.json").write_bytes(b"{")
    for words in (
        ("list", "runs"),
        ("baseline", "list"),
        ("fleet", "list"),
        ("query", "SELECT run_id FROM runs"),
        ("history", "p50_latency"),
        ("show", RUN),
    ):
        done = bench(*words, cwd=results.parent)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode in (0, 2), (words, done.stderr)


def test_a_baseline_that_names_a_file_elsewhere_has_none_in_force(results: Path) -> None:
    for told in ("../../x", "", "\0", "x" * 5_000, "current", "\xff"):
        (results / "baselines" / "main" / "current").write_bytes(told.encode("latin-1"))
        assert value_or_refusal(lambda: baselines.current(results, "main"), "current") is None
