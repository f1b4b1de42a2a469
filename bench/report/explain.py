"""The operators of a case beside those of fp32, and why it is not faster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.analyse.explain import said
from bench.analyse.faster import BASELINE, SCENARIO, promise
from bench.analyse.operators import by_type
from bench.record.codec import plain
from bench.record.profile import Profile
from bench.report.table import ABSENT, Column, Table
from bench.report.terminal import fit
from bench.report.units import scale_for, text
from bench.runner.explain import Explanation


def draw(console: Console, found: Explanation) -> None:
    """Print the table of operators, the line why, and what the profiler can and cannot show."""
    if found.profile.operators:
        console.print(fit(_table(found), console))
    for line in _lines(found):
        console.print(Text(f"• {line}"), soft_wrap=not console.is_terminal)


def document(folder: Path, found: Explanation) -> dict[str, Any]:
    """The explanation as one JSON document: both profiles whole, and the operators by type under `types`."""
    reference = found.reference
    return {
        "run_id": found.run_id,
        "folder": str(folder),
        "name": found.row.case.name,
        "id": found.row.case.id,
        "reference": reference.case.name if reference is not None else None,
        "gain": plain(found.gain),
        "why_not_faster": found.why,
        "elsewhere": found.elsewhere,
        "types": plain(by_type(found.profile, found.reference_profile)),
        "profile": plain(found.profile),
        "reference_profile": plain(found.reference_profile),
    }


def _table(found: Explanation) -> Table:
    types = by_type(found.profile, found.reference_profile)
    factor, unit = scale_for("s", [max(max(t.ns, t.reference_ns) for t in types) * 1e-9])
    columns = [
        Column("operator", tuple(t.type for t in types)),
        *_side("", unit, [(t.count, t.ns * 1e-9 / factor, t.share, t.precisions) for t in types]),
    ]
    if found.reference_profile is not None and found.reference_profile.operators:
        beside = [
            (t.reference_count, t.reference_ns * 1e-9 / factor, t.reference_share, t.reference_precisions)
            for t in types
        ]
        columns += _side("fp32: ", unit, beside)
    return Table(found.row.case.name, tuple(columns))


def _side(of: str, unit: str, cells: Sequence[tuple[int, float, float, tuple[str, ...]]]) -> list[Column]:
    """The columns of one of the two profiles; a type that it has not is a dash."""
    return [
        Column(f"{of}count", tuple(str(count) if count else ABSENT for count, *_ in cells), numeric=True),
        Column(f"{of}{unit}", tuple(f"{time:,.2f}" if n else ABSENT for n, time, *_ in cells), numeric=True),
        Column(f"{of}share", tuple(f"{share:.1%}" if n else ABSENT for n, _, share, _ in cells), numeric=True),
        Column(f"{of}in", tuple(", ".join(kinds) or ABSENT for *_, kinds in cells), priority=1),
    ]


def _lines(found: Explanation) -> list[str]:
    row = found.row
    if found.why is not None:
        told = [f"why not faster: {found.why}"]
    elif found.gain is not None:
        told = [f"it is faster: {said(found.gain)}" if found.gain.sure else said(found.gain)]
    elif found.reference is None:
        told = [] if row.case.variant == BASELINE else ["there is no fp32 beside it in this run"]
    elif promise(row) is None:
        told = [f"{row.case.variant} does not promise to be faster"]
    else:
        told = [f"only {SCENARIO} rows are compared with fp32 for speed, and this one is {row.case.scenario}"]
    if found.elsewhere is not None:
        told.append(f"profiled where not all is as in the run ({found.elsewhere}): it explains nothing of the run")
    told.append(_whole(row.case.variant, found.profile, row.metrics["p50_latency"].value))
    if found.reference is not None and found.reference_profile is not None:
        latency = found.reference.metrics["p50_latency"].value
        told.append(_whole(found.reference.case.variant, found.reference_profile, latency))
    if found.profile.evidence:
        told.append(f"by {found.profile.evidence}; {found.profile.runs:,} inferences in a process of their own")
    return told + [f"limit: {limit}" for limit in found.profile.limits]


def _whole(variant: str, profile: Profile, latency_s: float | None) -> str:
    """The sum of the operators beside the inference as the profiler timed it and the latency that was measured."""
    if profile.reason is not None:
        return f"{variant}: no profile, {profile.reason}"
    count = len(profile.operators)
    many = "1 operator takes" if count == 1 else f"{count} operators take"
    told = f"{variant}: {many} {text(profile.total_ns * 1e-9, 's')}"
    if profile.inference_ns is not None:
        told += f", the whole inference beside them {text(profile.inference_ns * 1e-9, 's')}"
    if profile.profiler_ns:
        told += f" (without {text(profile.profiler_ns * 1e-9, 's')} of the profiler's own)"
    return told + (f", p50 as measured {text(latency_s, 's')}" if latency_s is not None else "")
