"""Where the numbers come from: machine, command, plan, models and versions of each run, side by side."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from bench.record.codec import plain
from bench.record.environment import Environment
from bench.report.table import ABSENT, run_notes
from bench.report.training import trained
from bench.report.units import digits, text
from bench.runner.conduct import RunResult
from bench.runner.gather import CaseSeen, Gathered
from bench.store.manifest import Manifest

_FEW = 12


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One fact, a value a run. `differs`: the runs do not agree in it."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the runs have different values."""
        return len(set(self.values)) > 1


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of one kind, a column a run."""

    title: str
    lines: tuple[Line, ...]


def sheets(gathered: Gathered) -> list[Sheet]:
    """Run, machine, plan, models and versions."""
    runs = gathered.runs
    kinds: tuple[tuple[str, Callable[[RunResult], Mapping[str, str]]], ...] = (
        ("Run", _run),
        ("Machine", lambda run: _machine(run.manifest.environment)),
        ("Plan", lambda run: _plan(run.manifest)),
        ("Models and data", lambda run: _models(run.manifest)),
        ("Versions", lambda run: {"python": run.manifest.environment.python} | run.manifest.environment.packages),
    )
    return [Sheet(title=title, lines=tuple(_lines([of(run) for run in runs]))) for title, of in kinds]


def of_case(case: CaseSeen) -> list[tuple[str, str]]:
    """What is on record of one case beside its figures."""
    row = case.row
    told: list[tuple[str, str | None]] = [
        ("case", row.case.name),
        ("id", row.case.id),
        ("status", row.status),
        ("why", None if row.failure is None else f"{row.failure.phase}: {row.failure.reason}"),
        ("evaluated on", row.dataset),
        ("process invocations", f"{row.invocations:,}"),
    ]
    if row.placement is not None:
        nodes = ", ".join(f"{count:,} on {name}" for name, count in row.placement.nodes.items())
        told.append(("ran on", "; ".join(filter(None, (row.placement.provider, nodes, row.placement.device)))))
        told.append(("as told by", row.placement.evidence))
    if row.artifact is not None:
        artifact = row.artifact
        told += [
            ("artifact", f"{artifact.path}, {artifact.bytes:,} B"),
            ("SHA-256", artifact.sha256),
            ("parameters", None if artifact.parameters is None else f"{artifact.parameters:,}"),
            ("zero weights", None if artifact.sparsity is None else f"{artifact.sparsity:.1%}"),
            ("notes of the export", "; ".join(artifact.notes) or None),
        ]
    told += [(name.replace("_", " "), _fact(value)) for name, value in sorted(row.facts.items())]
    return [(name, value) for name, value in told if value]


def notes(gathered: Gathered) -> list[str]:
    """What holds for a whole run: machine, method and scope of the timed call; of several runs with their ids."""
    told = []
    for run in gathered.runs:
        before = f"{run.manifest.run_id}: " if len(gathered.runs) > 1 else ""
        # What was left out and what is not done stands first in the page already.
        notes = set(run.manifest.notes)
        told += [before + note for note in run_notes(run.manifest, run.rows) if note not in notes]
    return told


def _lines(columns: Sequence[Mapping[str, str]]) -> list[Line]:
    names = dict.fromkeys(name for column in columns for name in column)
    return [Line(name=name, values=tuple(column.get(name, ABSENT) for column in columns)) for name in names]


def _run(run: RunResult) -> dict[str, str]:
    manifest = run.manifest
    told = {
        "id": manifest.run_id,
        "made": manifest.created,
        "status": f"{manifest.status}, {len(run.rows)} of {len(manifest.cases)} cases",
        "command": shlex.join(["bench", *manifest.command[1:]]),
        "suite": str(manifest.suite.get("name", ABSENT)),
        "seed": str(manifest.plan.seed),
    }
    if manifest.profile is not None:
        told["hardware profile"] = str(manifest.profile.get("name", ABSENT))
    return told


def _machine(environment: Environment) -> dict[str, str]:
    told: dict[str, str | None] = {
        "CPU": environment.cpu_model,
        "instruction sets": " ".join(environment.cpu_features) or None,
        "architecture": environment.architecture,
        "cores used": f"{len(environment.cores_usable)} ({', '.join(map(str, environment.cores_usable[:_FEW]))})",
        "cores of the machine": _number(environment.cores_logical),
        "governor": environment.governor,
        "highest frequency": None
        if environment.frequency_max_hz is None
        else f"{digits(environment.frequency_max_hz / 1e9)} GHz",
        "last-level cache": _bytes(environment.cache_bytes),
        "memory": _bytes(environment.memory_bytes),
        "memory limit": _bytes(environment.memory_limit_bytes),
        "CPU quota": None if environment.cpu_quota_cores is None else f"{environment.cpu_quota_cores:g} cores",
        "GPUs": ", ".join(environment.gpus) or None,
        "GPU driver": environment.gpu_driver,
        "system": f"{environment.system} {environment.kernel}",
        "virtualisation": environment.virtualisation,
    }
    fields = {"governor": "governor", "highest frequency": "frequency_max_hz", "GPUs": "gpus", "CPU": "cpu_model"}
    fields |= {"last-level cache": "cache_bytes", "GPU driver": "gpu_driver", "CPU quota": "cpu_quota_cores"}
    return {
        name: value if value is not None else _unread(environment.unread, fields.get(name, ""))
        for name, value in told.items()
    }


def _unread(unread: Mapping[str, str], field: str) -> str:
    return f"{ABSENT} ({unread[field]})" if field in unread else ABSENT


def _plan(manifest: Manifest) -> dict[str, str]:
    times = {
        name.replace("_s", "").replace("_", " "): value
        for name, value in plain(manifest.plan).items()
        if name.endswith("_s")
    }
    plan = manifest.plan
    return {name: f"{value:g} s" for name, value in times.items()} | {
        "samples at least": f"{plan.min_samples:,}",
        "precision asked for": f"±{plan.precision:.1%} of the median",
        "confidence": f"{plan.confidence:.0%}",
        "process invocations": f"{plan.invocations:,}",
        "evaluation": "yes" if plan.evaluate else "no",
    }


def _models(manifest: Manifest) -> dict[str, str]:
    told = {}
    for model in manifest.models:
        parts = [model.given, f"evaluated on {model.dataset}"]
        if model.metric is not None:
            floor = "" if model.quality_floor is None else f", at least {model.quality_floor:g}"
            parts.append(f"judged by {model.metric}{floor}")
        if model.training is not None:
            parts.append(trained(model.training))
        parts.append(f"source {model.source_sha256[:12]}")
        told[model.name] = "; ".join(parts)
    return told


def _fact(value: Any) -> str | None:
    """A fact that fits on a line; tables of numbers are for `--json`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple) and all(isinstance(each, str | int | float) for each in value):
        return ", ".join(_fact(each) or "" for each in value[:_FEW]) or None
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, str | int) else None


def _number(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _bytes(value: int | None) -> str | None:
    return None if value is None else text(value, "B")
