"""A gate between two runs: what they hold, the rules in force, and a second look at what regressed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from bench.analyse.comparable import check_allowed
from bench.analyse.gate import Again, gate
from bench.analyse.rules import Rule, parse_word, rules_of
from bench.errors import Absent, UserError
from bench.record.comparison import GateReport
from bench.runner.again import measure_again
from bench.runner.events import Events
from bench.store.manifest import read_manifest
from bench.store.open import open_snapshot
from bench.store.snapshot import Snapshot, empty
from bench.suite.load import load_suite


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What `bench gate` was asked: two words for figures, rules in words, and how strictly to take them.

    `rules` come after those of the suite and win over them. `suite` is a file or name; None: the candidate's own.
    """

    baseline: str
    candidate: str
    results: Path
    rules: tuple[str, ...] = ()
    suite: str | None = None
    allow: tuple[str, ...] = ()
    normalise_by: str | None = None
    measure_again: bool = True


def gate_runs(asked: Asked, events: Events) -> GateReport:
    """The gate's report. A baseline that is not there makes every rule missing, not an error.

    Raises:
        UserError: the candidate cannot be read, a rule or key makes no sense, or there is no rule at all.
    """
    check_allowed(asked.allow)
    after = open_snapshot(asked.candidate, asked.results)
    rules = all_rules(asked.suite, asked.rules, after.folder)
    try:
        before = open_snapshot(asked.baseline, asked.results)
    except Absent as error:
        before = empty(asked.baseline)
        absent: tuple[str, ...] = (f"there is no baseline to hold against: {error.what}",)
    else:
        absent = ()
    report = gate(
        before,
        after,
        rules,
        allow=asked.allow,
        normalise_by=asked.normalise_by,
        again=_again(after, asked, events) if asked.measure_again else None,
    )
    return msgspec.structs.replace(report, notes=(*absent, *report.notes))


def all_rules(suite: str | None, words: Sequence[str], run: Path | None = None) -> list[Rule]:
    """Rules of a suite's `[gate]` table, or of the suite that the run in the folder `run` was made of; then `words`.

    Raises:
        UserError: one makes no sense, or there is none.
    """
    table, where = {}, "the candidate's suite: gate"
    if suite is not None:
        table, where = load_suite(suite).gate, f"suite {suite}: gate"
    elif run is not None:
        table = read_manifest(run).suite.get("gate", {})
    rules = rules_of(table, where) + [parse_word(word, "--max-regression or --rule") for word in words]
    if not rules:
        raise UserError(
            "there is no rule to hold the candidate to",
            where="--max-regression",
            remedy='give --max-regression p50_latency=5%, or write a table [gate] with p50_latency = "5%" in the suite',
        )
    return rules


def _again(after: Snapshot, asked: Asked, events: Events) -> Again | None:
    """Measures cases of the candidate anew, where it is a run."""
    folder = after.folder
    if folder is None:
        return None

    def again(cases: Collection[str]) -> Snapshot:
        events.stage(f"measuring {len(cases)} cases once more")
        return measure_again(folder, list(cases), events)

    return again
