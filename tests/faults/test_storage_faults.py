"""A disk that is full, slow, broken or gone, a folder that may not be written, and two processes at one run."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import psutil
import pytest

from bench.store import journal, runs, tables
from bench.store.manifest import NAME, read_manifest
from tests.conftest import bench
from tests.faults.conftest import Start, System
from tests.faults.marked import Marked, in_steps, until
from tests.kept_runs import keep_small

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="disks and signals of Linux"),
]
FULL = errno.ENOSPC


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.name != ".lock"]


def check_whole(folder: Path, invocations: int = 1) -> None:
    """A complete run: every case once in every table."""
    manifest = read_manifest(folder)
    assert manifest.status == "complete"
    assert sorted(row.case.id for row in tables.read_cases(folder)) == sorted(case.id for case in manifest.cases)
    latencies = pl.read_parquet(folder / tables.LATENCIES)
    assert sorted(latencies.group_by("case_id", "invocation").len().select("case_id", "invocation").rows()) == sorted(
        (case.id, at) for case in manifest.cases for at in range(invocations)
    )
    pl.read_parquet(folder / tables.TELEMETRY)
    assert (folder / "summary.md").exists()
    assert not hidden(folder)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, line_suite: Callable[..., str]) -> Path:
    """The folder above the results of a run that has every invocation on record and no table yet."""
    cwd = tmp_path_factory.mktemp("measured")
    command = Marked("run", line_suite("null-none"), cwd=cwd, env=in_steps(cwd, f"/{tables.CASES}"))
    assert command.wait() == -signal.SIGKILL, command.told()
    command.close()
    return cwd


@pytest.mark.parametrize("part", [".msgpack", NAME])
def test_a_disk_that_is_full_from_the_first_file_on_ends_the_run_and_leaves_nothing_half(
    tmp_path: Path, start: Start, system: System, line_suite: Callable[..., str], part: str
) -> None:
    system.rules(f"{FULL} {part}")
    command = start("run", line_suite("null-none"), env=system.env)
    assert command.wait() == 2, command.told()
    assert "error: the disk is full" in command.told()
    assert "Traceback" not in command.told()
    assert not command.left()
    assert not hidden(tmp_path / "results")
    if part == NAME:
        assert not list((tmp_path / "results").iterdir()), "a run without a manifest is none"
        return
    assert read_manifest(runs.find("latest", tmp_path / "results")).status == "interrupted"
    again = bench("run", "--resume", "latest", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    check_whole(runs.find("latest", tmp_path / "results"))


def test_a_disk_that_is_full_or_broken_at_any_file_of_the_end_is_told_and_gone_on_with(
    tmp_path: Path, start: Start, system: System, measured: Path
) -> None:
    shutil.copytree(measured / "results", tmp_path / "results")
    folder = runs.find("latest", tmp_path / "results")
    (kept,) = (path.read_bytes() for path in journal.files(folder))
    for number, part, told in (
        (FULL, tables.CASES, "the disk is full"),
        (errno.ESTALE, tables.TELEMETRY, "cannot write there: Stale file handle"),
        (FULL, NAME, "the disk is full"),
        (FULL, "summary.csv", "the disk is full"),
    ):
        system.rules(f"{number} {part}")
        command = start("run", "--resume", "latest", env=system.env)
        assert command.wait() == 2, command.told()
        assert told in command.told()
        assert "Traceback" not in command.told()
        assert not command.left()
        assert not hidden(folder)
        if not part.startswith("summary"):
            assert [path.read_bytes() for path in journal.files(folder)] == [kept]
    last = bench("run", "--resume", "latest", cwd=tmp_path)
    assert last.returncode == 0, last.stderr
    check_whole(folder)


def test_a_slow_disk_makes_the_run_longer_and_no_latency(
    tmp_path: Path, start: Start, system: System, line_suite: Callable[..., str]
) -> None:
    system.rules("slow 1000 .msgpack")
    command = start("run", line_suite("null-none", more="invocations = 2"), env=system.env)
    assert command.wait() == 0, command.told()
    folder = runs.find("latest", tmp_path / "results")
    check_whole(folder, invocations=2)
    assert pl.read_parquet(folder / tables.LATENCIES)["latency_ns"].max() < 1_000_000_000  # type: ignore[operator]


def measuring(start: Start, tmp_path: Path, suite: str) -> tuple[Marked, Path]:
    """A run with an invocation on record and others to come, and its folder."""
    command = start("run", suite)
    there = tmp_path / "results"
    assert until(lambda: any(journal.files(folder) for folder in runs.list_runs(there)), 120), command.told()
    return command, runs.find("latest", there)


LONG = "invocations = 3"


def test_a_folder_that_is_moved_away_ends_the_run_and_put_back_it_goes_on(
    tmp_path: Path, start: Start, line_suite: Callable[..., str]
) -> None:
    command, folder = measuring(start, tmp_path, line_suite("null-none", more=LONG))
    away = folder.rename(tmp_path / "away")
    assert command.wait() == 2, command.told()
    assert "the folder of the run has gone" in command.told()
    assert not command.left()
    assert not folder.exists(), "nothing is written in its old place"
    kept = {path.name: path.read_bytes() for path in journal.files(away)}
    away.rename(folder)
    last = start("run", "--resume", folder.name, env=in_steps(tmp_path, f"/{tables.CASES}"))
    assert last.wait() == -signal.SIGKILL, last.told()
    now = {path.name: path.read_bytes() for path in journal.files(folder)}
    assert kept.items() <= now.items()
    assert bench("run", "--resume", "latest", cwd=tmp_path).returncode == 0
    check_whole(folder, invocations=3)


def test_a_folder_that_is_removed_ends_the_run_and_is_not_made_again(
    tmp_path: Path, start: Start, line_suite: Callable[..., str]
) -> None:
    command, _ = measuring(start, tmp_path, line_suite("null-none", more=LONG))
    shutil.rmtree(tmp_path / "results")
    assert command.wait() == 2, command.told()
    assert "the folder of the run has gone" in command.told()
    assert not command.left()
    assert not (tmp_path / "results").exists()


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A results folder with a small run that nobody may write to, the administrator neither."""
    folder = tmp_path / "results"
    keep_small(folder, "20260101-000000-small-0001")
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield folder
        folder.chmod(0o700)
        return
    bound = ["mount", "--bind", str(folder), str(folder)], ["mount", "-o", "remount,ro,bind", str(folder)]
    for command in bound:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"a read-only folder needs the right to mount: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_read_only_folder_takes_no_run_and_its_runs_are_still_read(
    tmp_path: Path, read_only: Path, line_suite: Callable[..., str]
) -> None:
    before = sorted(read_only.rglob("*"))
    refused = bench("run", line_suite("null-none"), cwd=tmp_path)
    assert refused.returncode == 2
    assert "cannot write there" in refused.stderr
    assert bench("show", "latest", cwd=tmp_path).returncode == 0
    assert sorted(read_only.rglob("*")) == before


def test_an_interrupted_run_in_a_read_only_folder_is_refused_before_anything_is_measured(
    tmp_path: Path, measured: Path
) -> None:
    shutil.copytree(measured / "results", tmp_path / "results")
    folder = runs.find("latest", tmp_path / "results")
    # In the place of the journal's lock, so that this holds for the administrator too.
    (folder / journal.FOLDER / ".lock").unlink()
    (folder / journal.FOLDER / ".lock").mkdir()
    refused = bench("run", "--resume", "latest", cwd=tmp_path)
    assert refused.returncode == 2
    assert "cannot write there" in refused.stderr


def test_two_runs_in_one_results_folder_do_not_touch_each_other(
    tmp_path: Path, start: Start, line_suite: Callable[..., str]
) -> None:
    suite = line_suite("null-none")
    both = [start("run", suite) for _ in range(2)]
    for command in both:
        assert command.wait() == 0, command.told()
        assert not command.left()
    found = runs.list_runs(tmp_path / "results")
    assert len(found) == 2
    for folder in found:
        check_whole(folder)


def test_two_runs_that_draw_the_same_name_get_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lots = iter(["aaaa", "aaaa", "aaaa", "bbbb"])
    # The lot is the only thing that is not ours to choose.
    monkeypatch.setattr("secrets.token_hex", lambda size: next(lots))
    (tmp_path / "20990101-000000-x-0000").mkdir()
    first, second = runs.create(tmp_path, "s"), runs.create(tmp_path, "s")
    assert {first.name[-4:], second.name[-4:]} <= {"aaaa", "bbbb"}
    assert first != second


def test_a_run_is_gone_on_with_by_one_process_only_and_its_lock_ends_with_it(
    tmp_path: Path, start: Start, line_suite: Callable[..., str]
) -> None:
    command, folder = measuring(start, tmp_path, line_suite("null-none", more=LONG))
    command.kill()
    assert until(lambda: not command.left())
    first = start("run", "--resume", folder.name)
    assert until(lambda: bool(first.children("bench.worker.child")), 120), first.told()
    psutil.Process(first.pid).suspend()
    second = bench("run", "--resume", folder.name, cwd=tmp_path)
    assert second.returncode == 2
    assert "another process is measuring this run" in second.stderr
    first.kill()
    assert until(lambda: not first.left())
    third = bench("run", "--resume", folder.name, cwd=tmp_path)
    assert third.returncode == 0, third.stderr
    check_whole(folder, invocations=3)


def test_a_process_that_is_let_in_after_the_run_was_ended_leaves_it_as_it_is(
    tmp_path: Path, start: Start, measured: Path
) -> None:
    shutil.copytree(measured / "results", tmp_path / "results")
    folder = runs.find("latest", tmp_path / "results")
    # It has read that there is something left to do, and stops before it asks for the lock.
    late = start("run", "--resume", "latest", env=in_steps(tmp_path, "/.lock", "SIGSTOP"))
    assert until(lambda: psutil.Process(late.pid).status() == psutil.STATUS_STOPPED, 120), late.told()
    ended = bench("run", "--resume", "latest", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    before = {path: path.read_bytes() for path in folder.glob("*.parquet")}

    def over() -> bool:
        # It stops each time that it opens the lock.
        late.process.send_signal(signal.SIGCONT)
        return late.process.poll() is not None

    assert until(over, 120), late.told()
    assert late.wait() == 0, late.told()
    assert {path: path.read_bytes() for path in folder.glob("*.parquet")} == before
    check_whole(folder)
    assert not (folder / journal.FOLDER).exists()
