"""SIGKILL of the parent at any moment, then `--resume`: what was finished is there once, as it was, to the bit."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from rich.console import Console

from bench.errors import UserError
from bench.record.codec import json_bytes, pack
from bench.report.live import Live
from bench.runner import conduct
from bench.runner.rows import Key, row_of
from bench.store import journal, runs, tables, transit
from bench.store.manifest import NAME, read_manifest
from tests.conftest import bench
from tests.faults.marked import Marked, in_steps, until
from tests.kept_runs import keep, observed
from tests.kept_runs import row_of as row_of_observed

pytestmark = [pytest.mark.timeout(1200)]
SEED = 20_261_127
START_S = 0.3
"""Sooner than this a process has not got beyond its imports anywhere."""


class Story:
    """One run that is killed again and again until it is complete: what was on record at each kill must stay."""

    def __init__(self, cwd: Path, suite: str) -> None:
        self.cwd, self.suite = cwd, suite
        self.folder: Path | None = None
        self.known: dict[Key, bytes] = {}
        self.told: list[str] = []

    def arguments(self) -> list[str]:
        return ["run", self.suite] if self.folder is None else ["run", "--resume", self.folder.name]

    def look(self) -> None:
        """Every invocation on record before is there and unchanged; those that are new are noted."""
        found = runs.list_runs(self.cwd / "results")
        if self.folder is None and found:
            (self.folder,) = found
        if self.folder is None:
            return
        for name in (tables.CASES, tables.LATENCIES, tables.TELEMETRY):
            if (self.folder / name).exists():
                pl.read_parquet(self.folder / name)
        manifest = read_manifest(self.folder)
        there = {(o.case.id, o.invocation): pack(o) for o in journal.read(self.folder)}
        if manifest.status != "complete":
            assert self.known.items() <= there.items(), "what was on record is there, bit for bit"
        self.known = there | self.known

    def check(self) -> None:
        """The complete run holds every case once, with the samples and the figures that were on record."""
        assert self.folder is not None
        manifest = read_manifest(self.folder)
        assert manifest.status == "complete"
        rows = tables.read_cases(self.folder)
        assert sorted(row.case.id for row in rows) == sorted({case.id for case in manifest.cases})
        latencies = pl.read_parquet(self.folder / tables.LATENCIES)
        pl.read_parquet(self.folder / tables.TELEMETRY)
        for (case_id, invocation), packed in self.known.items():
            seen = msgspec.msgpack.decode(packed, type=dict)
            here = latencies.filter((pl.col("case_id") == case_id) & (pl.col("invocation") == invocation))
            for name in ("start_ns", "latency_ns", "block"):
                np.testing.assert_array_equal(
                    here[name].to_numpy(), np.frombuffer(seen["samples"][name]["data"], "<i8")
                )
        measured = latencies.group_by("case_id", "invocation").len().select("case_id", "invocation").rows()
        assert sorted(measured) == sorted((c.id, i) for c in manifest.cases for i in range(manifest.plan.invocations))
        self._check_rows()
        # A draft of the summary may stay, as the run was complete before it was begun.
        hidden = [path.name for path in self.folder.rglob(".*") if ".summary." not in path.name]
        assert not hidden, "nothing half written is left"
        assert not (self.folder / journal.FOLDER).exists()
        assert (self.folder / "summary.csv").exists()

    def _check_rows(self) -> None:
        """A case whose every invocation was on record at a kill has exactly the figures of that record."""
        assert self.folder is not None
        manifest = read_manifest(self.folder)
        (entry,) = manifest.models
        for row in tables.read_cases(self.folder):
            keys = [(row.case.id, at) for at in range(manifest.plan.invocations)]
            if all(key in self.known for key in keys):
                seen = {key: journal.decode(self.known[key]) for key in keys}
                again = row_of(row.case, seen, manifest=manifest, entry=entry, artifact=row.artifact)
                assert again.metrics == row.metrics
                assert json_bytes(again.facts) == json_bytes(row.facts)


def kill_many(tmp_path: Path, suite: str, kills: int, seed: int) -> str:
    """`kills` kills over as many runs as that takes, each run then gone on with to its end; how it went."""
    luck = random.Random(seed)
    # The model is exported first, and once: the time that is drawn from is that of measuring.
    assert bench("run", suite, cwd=_folder(tmp_path, "exported")).returncode == 0
    begin = time.monotonic()
    command = Marked("run", suite, cwd=_folder(tmp_path, "whole"))
    assert command.wait() == 0, command.told()
    command.close()
    whole_s = time.monotonic() - begin
    done, stories, phases = 0, 0, [0, 0, 0]
    while done < kills:
        assert stories < 3 * kills, f"only {done} of {kills} kills came before the end of a run"
        story = Story(_folder(tmp_path, f"story-{stories}"), suite)
        stories += 1
        ended = False
        while not ended and done < kills:
            moment = luck.uniform(START_S, max(whole_s, 2 * START_S))
            story.told.append(f"{' '.join(story.arguments()[:2])}: kill at {moment:.3f} s")
            command = Marked(*story.arguments(), cwd=story.cwd)
            ended = command.wait(moment) is not None
            try:
                if ended:
                    assert command.process.returncode == 0, command.told()
                else:
                    done += 1
                    command.kill()
                    assert until(lambda command=command: not command.left()), f"left running: {command.left()}"  # type: ignore[misc]
                story.look()
                phases[0 if story.folder is None else 2 if (story.folder / tables.CASES).exists() else 1] += not ended
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, story {stories}: {story.told}: {error}") from error
            finally:
                command.close()
        if story.folder is None:
            continue
        last = bench("run", "--resume", story.folder.name, cwd=story.cwd)
        assert last.returncode == 0, last.stderr
        story.check()
    return f"{done} kills of {stories} runs: {phases} before the manifest, while measuring, after the first table"


def _folder(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


def test_runs_killed_at_random_moments_lose_nothing_that_was_finished(
    tmp_path: Path, line_suite: Callable[..., str]
) -> None:
    print(kill_many(tmp_path, line_suite("null-none", more="invocations = 3"), kills=12, seed=SEED))


def kill_at_steps(tmp_path: Path, suite: str, choose: Callable[[list[str]], list[int]]) -> None:
    """Ends a run that has all its invocations on record, killed at some of the steps which that takes."""
    ready = _folder(tmp_path, "ready")
    command = Marked("run", suite, cwd=ready, env=in_steps(ready, f"/{tables.CASES}"))
    assert command.wait() == -signal.SIGKILL, command.told()
    assert until(lambda: not command.left())
    command.close()
    story = Story(ready, suite)
    story.look()
    assert story.known

    def end(name: str, kill_at: str) -> tuple[Path, Marked]:
        folder = tmp_path / name
        shutil.copytree(ready, folder, ignore=shutil.ignore_patterns("*.txt"))
        command = Marked("run", "--resume", "latest", cwd=folder, env=in_steps(folder, kill_at))
        code = command.wait()
        assert code == (-signal.SIGKILL if kill_at else 0), command.told()
        assert until(lambda: not command.left())
        return folder, command

    whole, command = end("undisturbed", "")
    command.close()
    steps = (whole / "steps.txt").read_text().splitlines()
    for at in choose(steps):
        folder, command = end(f"killed-{at}", str(at))
        command.close()
        again = Story(folder, suite)
        again.known = dict(story.known)
        again.look()
        assert again.folder is not None
        last = bench("run", "--resume", "latest", cwd=folder)
        assert last.returncode == 0, (steps[at - 1], last.stderr)
        again.check()


def test_a_run_killed_while_its_tables_are_written_is_complete_after_resume(
    tmp_path: Path, line_suite: Callable[..., str]
) -> None:
    def some(steps: list[str]) -> list[int]:
        named = [at for at, step in enumerate(steps, 1) if step.endswith((f"/{tables.LATENCIES}", f"/{NAME}"))]
        removed = [at for at, step in enumerate(steps, 1) if step.startswith("os.remove") and journal.FOLDER in step]
        # After the first table, before the run is complete, and in the middle of dropping the journal.
        return [named[0], named[-1], removed[-1]]

    kill_at_steps(tmp_path, line_suite("null-none"), some)


def test_a_run_without_tables_that_was_killed_before_its_list_was_written_gets_it_by_resume(tmp_path: Path) -> None:
    seen = observed("fp32", 80.0)
    folder = keep(tmp_path, "20260101-000000-s-0001", [row_of_observed(seen)])
    for name in (tables.CASES, tables.LATENCIES, tables.TELEMETRY):
        (folder / name).unlink()
    transit.keep_rows(folder, [row_of_observed(seen)])
    journal.append(folder, seen)
    (path,) = journal.files(folder)
    path.with_name(f".{'0a' * 16}.{path.name}").write_bytes(b"half")
    with pytest.raises(UserError, match=r"there is no transit\.json"):
        transit.check(folder, folder)
    conduct.resume(folder, Live(Console(quiet=True)))
    assert set(transit.check(folder, folder).files) == {NAME, transit.ROWS, f"{journal.FOLDER}/{path.name}"}


@pytest.mark.trials
def test_a_run_killed_at_any_step_of_its_end_is_complete_after_resume(
    tmp_path: Path, line_suite: Callable[..., str]
) -> None:
    kill_at_steps(tmp_path, line_suite("null-none"), lambda steps: list(range(1, len(steps) + 1)))


@pytest.mark.trials
def test_fifty_kills_at_random_moments_lose_nothing_that_was_finished(
    tmp_path: Path, line_suite: Callable[..., str]
) -> None:
    suite = line_suite("null-none", "onnxruntime-cpu", "litert-xnnpack", more="invocations = 2")
    print(kill_many(tmp_path, suite, kills=50, seed=SEED + 1))
