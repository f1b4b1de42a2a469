"""How a fleet grows: the real parent, book, roll, shelf and store, with simulated workers.

    python -m tests.fleet.scale 10x100 100x1000/10 1000x10000/10/100000
    python -m tests.fleet.scale --book 1000x10000

prints a line of docs/scale.md for each TARGETSxCASES. Where the disk or the time does not allow more, `/N`
stores the results of N targets only (all others are planned, handed out, answered and put on record as ever, and not
written), and `/N/M` stops the fleet after M results. Each size has a process of its own, and a folder in the temporary
folder (TMPDIR).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal
from unittest import mock

import msgspec
import numpy as np
import psutil

from bench.fleet import parent, shelf
from bench.fleet.identity import announcement
from bench.fleet.messages import Outcome
from bench.fleet.planning import book_of
from bench.record.case import Case
from bench.record.codec import pack
from bench.record.observation import Observation
from bench.runner.conduct import RunResult, step_by_step
from bench.runner.plan import Request, plan_run
from tests.fleet.fleets import Quiet, fake_target, tiny_suite
from tests.fleet.simulated import Crowd

SAMPLES = 128
"""Raw samples of a simulated result, enough for the interval of its median; a real one has hundreds or thousands."""
VARIANTS = ("fp32", "fp16")
_THREADS = 50
_TRIES = 500


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one fleet took: times in s without the workers' own, sizes in B.

    `plan_s` is from the request to a fleet that can begin, with the export of a tiny model. `folders_s` is until each
    target has its first result, and with it its run folder. `record_s` is what each later one of the `results` takes
    until it is on record, `record_cpu_s` what of it is the processor's. `tables_s` is what follows for the tables of
    `stored` results. `record_file` is `fleet.json`; `journal` is what lies there before the tables are written, and
    `store` what stays, both of the stored results' run folders. Of the memory of the process, `before` is that without
    a plan; `planned`, `recorded` and `peak` are what is added with the plan, with all results, and at most.
    """

    targets: int
    cases: int
    results: int
    stored: int
    plan_s: float
    folders_s: float
    record_s: float
    record_cpu_s: float
    tables_s: float
    tables_cpu_s: float
    record_file: int
    journal: int
    journal_files: int
    store: int
    store_files: int
    before: int
    planned: int
    recorded: int
    peak: int


def suite_of(folder: Path, cases: int) -> Path:
    """A suite of so many cases of the tiny model: an even number up to 100, else a multiple of 100."""
    path = tiny_suite(folder)
    threads = min(cases // len(VARIANTS), _THREADS)
    batches = cases // len(VARIANTS) // threads
    axes = {
        'variants = ["fp32"]': f"variants = {json.dumps(VARIANTS)}",
        "batch = [1, 2]": f"batch = {list(range(1, batches + 1))}\nthreads = {list(range(1, threads + 1))}",
        'scenarios = ["single-stream", "offline"]': 'scenarios = ["single-stream"]',
    }
    text = path.read_text()
    for old, new in axes.items():
        text = text.replace(old, new)
    path.write_text(text)
    return path


class Answers:
    """What a worker answers for any case, made from one that was really measured."""

    def __init__(self, folder: Path, *, faster: bool = True) -> None:
        self._faster = faster
        planned = plan_run(Request(suite=str(suite_of(folder, len(VARIANTS)))))
        with step_by_step(planned, Quiet()) as steps:
            step = steps.measure(planned.cases[0])
        (seen,) = step.seen
        assert seen.samples is not None, step.row.failure
        # Those nearest the median, so that a busy machine does not decide what is faster than what.
        latency = seen.samples.latency_ns
        usual = np.sort(np.argsort(np.abs(latency - np.median(latency)), kind="stable")[:SAMPLES])
        arrays = {name: getattr(seen.samples, name)[usual] for name in ("start_ns", "latency_ns", "block")}
        self._row = step.row
        self._seen = msgspec.structs.replace(seen, samples=msgspec.structs.replace(seen.samples, **arrays))

        began = time.process_time()
        for _ in range(_TRIES):
            self.outcome(step.row.case)
        self.cpu_s = (time.process_time() - began) / _TRIES
        """What an answer takes of the processor, s."""

    def outcome(self, case: Case) -> bytes:
        """That of `case`; what should be faster than fp32 is twice as fast, or just as fast."""
        samples = self._seen.samples
        if self._faster and case.variant != VARIANTS[0] and samples is not None:
            samples = msgspec.structs.replace(samples, latency_ns=samples.latency_ns // 2)
        seen = msgspec.structs.replace(self._seen, case=case, samples=samples)
        return pack(Outcome(row=msgspec.structs.replace(self._row, case=case), seen=(seen,)))


def crowd(folder: Path, targets: int, answers: Answers) -> Crowd:
    """A worker for each of so many targets, on a machine of its own."""
    one = announcement(str(fake_target(folder, "target")))
    told = {}
    for number in range(targets):
        changed = dict.fromkeys(("machine", "place", "store"), f"{number:08x}")
        profile = {**one.profile, "name": f"target-{number:04}"}
        told[f"w{number}"] = msgspec.structs.replace(one, target=profile["name"], profile=profile, **changed)
    return Crowd(told, answers.outcome)


class _Watch(Quiet):
    """Follows a fleet: `at` and `memory` when it is planned and when all is on record."""

    def __init__(self, workers: Crowd, results: Path, answer_cpu_s: float, most: int | None) -> None:
        self._workers, self._results, self._answer_cpu_s, self._most = workers, results, answer_cpu_s, most
        self._done = self._wanted = 0
        self._sizing = (0.0, 0.0)
        self.at: dict[str, tuple[float, float]] = {}
        self.memory: dict[str, int] = {}
        self.journal = (0, 0)

    def mark(self, name: str) -> None:
        """Time and memory now. Neither the workers' time is in it, nor that of looking at the folder."""
        wall, cpu = self._now()
        self.at[name] = wall - self._sizing[0], cpu - self._sizing[1]
        self.memory[name] = psutil.Process().memory_info().rss

    def _now(self) -> tuple[float, float]:
        # To ask for the processor's time takes longer than to make an answer: what those take was found beforehand.
        answers = self._workers.asked["measure"] * self._answer_cpu_s
        return time.perf_counter() - self._workers.spent_s, time.process_time() - answers

    def begin(self, total: int, done: int) -> None:
        self._wanted = total if self._most is None else self._most
        self.mark("planned")

    def done(self, row: object) -> None:
        self._done += 1
        if self._done == len(self._workers.there):
            self.mark("opened")
        if self._done == self._wanted:
            self.mark("recorded")
            self.journal = _journals(self._results)
            # What follows is as if the looking had not been.
            wall, cpu = self._now()
            self._sizing = wall - self.at["recorded"][0], cpu - self.at["recorded"][1]
            if self._most is not None:
                raise KeyboardInterrupt


def carry_out(
    targets: int, cases: int, folder: Path, answers: Answers, stored: int | None = None, most: int | None = None
) -> Figures:
    """Carry out a fleet of that size in this process, in `folder`, which holds none.

    Only the results of `stored` targets are stored, and after the first `most` results the fleet is stopped.
    """
    workers = crowd(folder, targets, answers)
    watch = _Watch(workers, folder / "results", answers.cpu_s, most)
    suite = suite_of(folder, cases)
    watch.mark("before")
    with _storing(stored):
        terms = parent.Terms(wait_s=60.0, lost_after_s=1e9)
        made = parent.start_fleet(Request(suite=str(suite)), (), workers, folder / "results", watch, terms)
    watch.mark("end")
    results = targets * cases if most is None else most
    assert (made.stopped, made.failed) == (most is not None, 0), made.fleet.why
    assert sum(made.fleet.done.values()) == workers.asked["measure"] == results
    runs = made.runs if stored is None else made.runs[:stored]
    sizes = [_size(Path(run)) for run in runs]
    (before, _), (planned, _), (opened, opened_cpu), (recorded, recorded_cpu), (end, end_cpu) = (
        watch.at[name] for name in ("before", "planned", "opened", "recorded", "end")
    )
    added = {name: watch.memory[name] - watch.memory["before"] for name in ("planned", "recorded")}
    return Figures(
        targets=targets,
        cases=cases,
        results=results,
        stored=results if stored is None else results * stored // targets,
        plan_s=planned - before,
        folders_s=opened - planned,
        record_s=(recorded - opened) / (results - targets),
        record_cpu_s=(recorded_cpu - opened_cpu) / (results - targets),
        tables_s=end - recorded,
        tables_cpu_s=end_cpu - recorded_cpu,
        record_file=(Path(made.folder) / "fleet.json").stat().st_size,
        journal=watch.journal[0],
        journal_files=watch.journal[1],
        store=sum(size for size, _ in sizes),
        store_files=sum(files for _, files in sizes),
        before=watch.memory["before"],
        peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - watch.memory["before"],
        **added,
    )


@contextlib.contextmanager
def _storing(targets: int | None) -> Iterator[None]:
    """Inside, the results of so many targets go to the disk, and those of the others are only noted; None: all do."""
    if targets is None:
        yield
        return
    stored = {f"target-{number:04}" for number in range(targets)}

    class Sample(shelf.Shelf):
        def put(self, place: shelf.Place, seen: Sequence[Observation]) -> None:
            if place.target in stored:
                super().put(place, seen)

        def keep(self, place: shelf.Place, status: Literal["interrupted", "complete"]) -> tuple[RunResult, list[str]]:
            if place.target in stored:
                return super().keep(place, status)
            return RunResult(folder=str(place.folder), manifest=place.manifest, rows=()), []

    with mock.patch.object(parent, "Shelf", Sample):
        yield


def _journals(results: Path) -> tuple[int, int]:
    sizes = [_size(folder) for folder in results.glob("*/journal")]
    return sum(size for size, _ in sizes), sum(files for _, files in sizes)


def _size(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files below `folder`."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)


def in_a_process(size: str) -> Figures:
    """The figures of a fleet of that size, in a process and a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fleet.scale", size, "--into", folder],
            stdout=subprocess.PIPE,
            check=True,
            env={**os.environ, "BENCH_CACHE_DIR": str(Path(folder) / "cache")},
        )
        return msgspec.json.decode(done.stdout, type=Figures)


def kept_in_mind(targets: int, cases: int) -> tuple[float, float, int]:
    """The book of a fleet of that size alone, every cell taken and recorded: s to make it, s a cell, B of memory."""
    own = psutil.Process()
    plan = [
        Case(model="m", variant="fp32", runtime="onnxruntime", provider="cpu", batch=1 + number)
        for number in range(cases)
    ]
    before, began = own.memory_info().rss, time.perf_counter()
    book = book_of({f"target-{number:04}": plan for number in range(targets)}, 0)
    made = time.perf_counter()
    while book.left:
        for target in book.open_targets():
            case = book.take(target, "worker")
            assert case is not None
            book.record(target, case)
    return made - began, (time.perf_counter() - made) / book.total, own.memory_info().rss - before


def told(found: Figures) -> str:
    """A line of the table in docs/scale.md. A fleet that was stopped says nothing of what a stored result takes."""
    stored = 1e3 / found.stored if found.stored and found.results == found.targets * found.cases else float("nan")
    cells = [
        f"{found.targets:,} × {found.cases:,}",
        f"{found.plan_s:.2f} s",
        f"{found.folders_s:.2f} s",
        f"{found.record_cpu_s * 1e3:.2f} ms",
        f"{found.record_s * 1e3:.2f} ms",
        f"{found.tables_cpu_s * stored:.2f} ms",
        f"{found.planned / 2**20:.0f} MiB",
        f"{found.recorded / 2**20:.0f} MiB",
        f"{found.peak / 2**20:.0f} MiB",
        f"{found.record_file / 1e6:.2f} MB",
        f"{found.journal * stored / 1e6:.1f} kB",
        f"{found.store * stored / 1e6:.2f} kB",
        f"{found.store_files:,}",
    ]
    return f"| {' | '.join('–' if cell.startswith('nan') else cell for cell in cells)} |"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="+", metavar="TARGETSxCASES[/STORED[/MOST]]")
    parser.add_argument("--book", action="store_true", help="the book alone, with every cell taken and recorded")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    for word in asked.sizes:
        size, *parts = word.split("/")
        targets, cases = map(int, size.split("x"))
        if asked.book:
            made, each, memory = kept_in_mind(targets, cases)
            print(f"{size}: made in {made:.2f} s, {each * 1e6:.2f} µs a cell, {memory / 2**20:.0f} MiB", flush=True)
        elif asked.into is not None:
            found = carry_out(targets, cases, asked.into, Answers(asked.into), *map(int, parts))
            sys.stdout.buffer.write(msgspec.json.encode(found))
        else:
            print(told(in_a_process(word)), flush=True)


if __name__ == "__main__":
    main()
