"""What came of holding figures against each other: changes, verdicts of rules, and a gate's report."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.record.metric import Direction

Outcome = Literal["pass", "regressed", "improved", "inconclusive", "missing"]
Basis = Literal["exact", "intervals", "paired rounds", "none"]

PASSED, REGRESSED, UNDECIDED, INTERRUPTED = 0, 1, 3, 130
"""Exit codes of a comparison."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one case, after (B, the candidate) against before (A, the baseline).

    `before` and `after` are in `unit`; `after_low` and `after_high` bound the candidate's own figure. `ratio` is
    after / before, bounded by `low` and `high` at `confidence` where `basis` is "intervals" (those of the two
    figures) or "paired rounds"; with "exact" the figures have no noise (an artifact's size; the quality of two
    artifacts on the same evaluation data). `n` counts what the ratio rests on: rounds, or the process invocations of
    the side that has fewer. `spread` is the standard error of log(ratio). Where there is no ratio, `absent` says why: a
    figure that is missing, or rows that may not be compared (`refused`). `better` is set where the metric's own table
    does not say which way is better for this case: an "accuracy" that is an error. `labels` qualify the figure
    wherever it is shown ("normalised by ...", "allowed: kernel"). `after_processes` counts the
    process invocations behind the candidate's figure. `broken` is why the candidate's case failed where the
    baseline's did not.
    """

    case: str
    metric: str
    unit: str
    before: float | None = None
    after: float | None = None
    after_low: float | None = None
    after_high: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    basis: Basis = "none"
    n: int = 0
    spread: float | None = None
    absent: str | None = None
    refused: bool = False
    labels: tuple[str, ...] = ()
    better: Direction | None = None
    after_processes: int | None = None
    broken: str | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule says of one case. `reason` is a sentence; `remedy` what would make an open verdict a clear one.

    `detectable` is the minimal detectable effect of the evidence (a share: 0.03 is 3 %). `p_value` is that of "no
    worse than the rule allows", adjusted over all cases. `again` is the change as it was re-measured.
    """

    case: str
    metric: str
    rule: str
    outcome: Outcome
    reason: str
    change: Change | None = None
    detectable: float | None = None
    p_value: float | None = None
    again: Change | None = None
    remedy: str | None = None


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """All verdicts, and what has to be known to read them. `notes` are sentences (allowed mismatches among them)."""

    baseline: str
    candidate: str
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def outcome(self) -> Outcome:
        """Regressed where one rule is, else inconclusive or missing where one is, else improved or pass."""
        seen = {verdict.outcome for verdict in self.verdicts}
        order: tuple[Outcome, ...] = ("regressed", "inconclusive", "missing", "improved")
        return next((outcome for outcome in order if outcome in seen), "pass" if seen else "missing")

    @property
    def exit_code(self) -> int:
        """0 pass or improved, 1 regressed, 3 inconclusive or missing, 130 interrupted."""
        if self.interrupted:
            return INTERRUPTED
        return {"regressed": REGRESSED, "inconclusive": UNDECIDED, "missing": UNDECIDED}.get(self.outcome, PASSED)


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one figure of one case in paired rounds: `a[i]` and `b[i]` were measured one after the other."""

    case: str
    metric: str
    unit: str
    a: tuple[float, ...]
    b: tuple[float, ...]


class AbReport(msgspec.Struct, frozen=True, kw_only=True):
    """Two sides measured in turns on this machine: every round's values, and what they say.

    `stopped_by` says why no further round was made ("decision", "budget", "rounds").
    """

    a: str
    b: str
    rounds: int
    seconds: float
    stopped_by: str
    series: tuple[Series, ...]
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()
