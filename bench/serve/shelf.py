"""What a results folder holds, read anew when its files change: runs with what is wrong with them, and baselines."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import polars as pl

from bench.errors import UserError, unknown
from bench.record.environment import Environment
from bench.report.document import document
from bench.runner.reopen import reopen
from bench.store import baselines, journal, parquet, runs
from bench.store.manifest import NAME, read_manifest
from bench.store.open import PREFIX
from bench.store.snapshot import Snapshot, read_run
from bench.store.tables import CASES

REPORTS_KEPT = 8
"""Pages held in memory: each may have some megabytes."""

T = TypeVar("T")
_Stamp = tuple[Any, ...]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A run folder in the list. `name` is that of the folder, which is the id that commands take.

    `cases` counts those that were asked for, `failed` those that failed; both are None where they are not known, and
    `problem` says why the run has no report.
    """

    name: str
    created: str = ""
    suite: str = ""
    machine: str = ""
    status: str = ""
    cases: int | None = None
    failed: int | None = None
    problem: str | None = None


class Shelf:
    """The runs and baselines of one folder. Names that come from outside only ever choose among those listed."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self._lines: _Kept[Listed] = _Kept(most=None)
        self._reports: _Kept[str] = _Kept(most=REPORTS_KEPT)
        self._making = threading.Lock()

    def runs(self) -> list[Listed]:
        """Every run folder, oldest first; a run that goes on or is damaged has its problem."""
        folders = runs.list_runs(self.results)
        return [self._lines.get(folder, _stamp([folder / NAME, folder / CASES]), _line) for folder in folders]

    def baselines(self) -> list[baselines.Entry]:
        """Every saved snapshot, those of a baseline oldest first."""
        return baselines.entries(self.results)

    def folder(self, name: str) -> Path:
        """The folder of a listed run. Raises `UserError` where none has that name."""
        there = {folder.name: folder for folder in runs.list_runs(self.results)}
        if name not in there:
            raise unknown("run", name, there)
        return there[name]

    def report(self, name: str) -> str:
        """The HTML report of a run, made when it is first asked for. Raises `UserError` where it cannot be read."""
        folder = self.folder(name)
        with self._making:  # two requests for one report are made once
            return self._reports.get(folder, _stamp(_files(folder)), lambda found: _report(found, self.results))

    def document(self, name: str) -> dict[str, Any]:
        """What `bench show --json` prints of a run. Raises `UserError` where it cannot be read."""
        opened = reopen(self.folder(name))
        return document(Path(opened.folder), opened.manifest, opened.rows)

    def snapshot(self, word: str) -> Snapshot:
        """The figures of a listed run, or of `baseline:NAME` (see `bench.store.open`). Raises `UserError`."""
        if not word.startswith(PREFIX):
            return read_run(self.folder(word))
        name, there = word.removeprefix(PREFIX), baselines.names(self.results)
        if name not in there:
            raise unknown("baseline", name, there)
        return baselines.current(self.results, name)


class _Kept(Generic[T]):
    """Values by folder, made again when the folder's stamp is another one. The longest unused are dropped."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._values: OrderedDict[Path, tuple[_Stamp, T]] = OrderedDict()

    def get(self, folder: Path, stamp: _Stamp, make: Callable[[Path], T]) -> T:
        kept = self._values.get(folder)
        value = kept[1] if kept is not None and kept[0] == stamp else make(folder)
        self._values[folder] = (stamp, value)
        self._values.move_to_end(folder)
        while self._most is not None and len(self._values) > self._most:
            self._values.popitem(last=False)
        return value


def _files(folder: Path) -> list[Path]:
    """All files of a run but its journal, which grows with every case in flight."""
    found = []
    for at, below, names in os.walk(folder):
        below[:] = sorted(each for each in below if each != journal.FOLDER)
        found += [Path(at) / name for name in sorted(names)]
    return found


def _stamp(paths: list[Path]) -> _Stamp:
    return tuple((path, *_state(path)) for path in paths)


def _state(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError:
        return (0, 0)
    return (state.st_mtime_ns, state.st_size)


def _line(folder: Path) -> Listed:
    try:
        manifest = read_manifest(folder)
    except UserError as error:
        return Listed(name=folder.name, status="unreadable", problem=error.what)
    line = Listed(
        name=folder.name,
        created=manifest.created,
        suite=str(manifest.suite.get("name", "")),
        machine=_machine(manifest.environment),
        status=manifest.status,
        cases=len(manifest.cases),
    )
    path = folder / CASES
    if not path.exists():
        return msgspec.structs.replace(line, problem="no tables yet: it is going on, or was killed")
    try:
        failed = parquet.scan(path).select((pl.col("status") == "failed").sum()).collect().item()
    except parquet.DAMAGED as error:
        return msgspec.structs.replace(line, problem=f"cannot read the table: {parquet.first_line(error)}")
    return msgspec.structs.replace(line, failed=int(failed))


def _machine(environment: Environment) -> str:
    cpu = environment.cpu_model or environment.architecture
    return ", ".join([cpu, f"{len(environment.cores_usable)} cores", *environment.gpus])


def _report(folder: Path, results: Path) -> str:
    # The page draws in many libraries: who only looks at the list does not wait for them.
    from bench.report.page.write import html
    from bench.runner.gather import gather

    return html(gather([folder], results=results))
