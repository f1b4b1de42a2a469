"""A suite becomes an ordered list of cases, each model with the formats it can reach."""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Callable, Mapping, Sequence

from bench.errors import UserError, unknown
from bench.record.case import Case, Option
from bench.suite.schema import Matrix, Suite

Formats = frozenset[str]
Options = dict[str, Option]


def expand(
    suite: Suite,
    *,
    models: Mapping[str, Formats],
    variants: Mapping[str, Formats],
    runtimes: Mapping[str, Formats],
    scenarios: Sequence[str],
    available: Callable[[str], str | None],
    relevant: Callable[[str, str, Options], Options] = lambda scenario, target, options: options,
    fault: Callable[[str, Options], str | None] = lambda scenario, options: None,
    given_models: Sequence[str] = (),
) -> tuple[list[Case], list[str]]:
    """Cases in the suite's order without repeats, and notes on what was left out and why.

    Args:
        suite: the validated suite.
        models: formats that each model can be exported to, by the name used in the suite.
        variants: formats in which each variant exists.
        runtimes: formats that each `runtime-provider` reads.
        scenarios: the load scenarios there are.
        available: why a runtime is not available here, or None.
        relevant: those of the options that concern a scenario or a `runtime-provider`.
        fault: what is wrong with the options of a scenario, or None.
        given_models: names from the command line, which take the place of the suite's models.

    Raises:
        UserError: a variant, runtime or scenario that does not exist, an option out of range, or no model.
    """
    cases: dict[str, Case] = {}
    left_out: dict[str, list[str]] = {}
    for index, matrix in enumerate(suite.matrix):
        where = f"suite {suite.name}: matrix[{index}]"
        _check(matrix, variants, runtimes, scenarios, where)
        for scenario in matrix.scenarios:
            wrong = fault(scenario, matrix.options)
            if wrong:
                raise UserError(f"{scenario}: {wrong}", where=f"{where}.options", remedy="see `bench list scenarios`")
        targets = list(matrix.runtimes)
        for target in matrix.if_available:
            reason = available(target)
            if reason is None:
                targets.append(target)
            else:
                left_out.setdefault(f"not run, {reason}", []).append(target)
        names = list(given_models or matrix.models)
        if not names:
            raise UserError("the suite names no model", where=f"{where}.models", remedy="add one, or give --model PATH")
        axes = (names, targets, matrix.variants, matrix.threads, matrix.batch, matrix.scenarios)
        for model, target, variant, threads, batch, scenario in itertools.product(*axes):
            if not runtimes[target] & models[model]:
                why = f"not run for {model}, which cannot become {' or '.join(sorted(runtimes[target]))}"
                left_out.setdefault(why, []).append(target)
                continue
            if not runtimes[target] & models[model] & variants[variant]:
                why = f"not run, it is a variant of {' and '.join(sorted(variants[variant]))}"
                left_out.setdefault(why, []).append(f"{variant} on {target}")
                continue
            runtime, _, provider = target.partition("-")
            case = Case(
                model=model,
                variant=variant,
                runtime=runtime,
                provider=provider,
                threads=threads,
                batch=batch,
                scenario=scenario,
                options=relevant(scenario, target, matrix.options),
            )
            cases.setdefault(case.id, case)
    notes = [f"{', '.join(dict.fromkeys(who))}: {why}" for why, who in left_out.items()]
    return list(cases.values()), notes


def only(cases: Sequence[Case], patterns: Sequence[str]) -> list[Case]:
    """The cases whose name matches a glob; a pattern without `*` or `?` matches as a part of the name.

    Raises:
        UserError: no case matches.
    """
    if not patterns:
        return list(cases)
    globs = [p if any(c in p for c in "*?[") else f"*{p}*" for p in patterns]
    kept = [case for case in cases if any(fnmatch.fnmatchcase(case.name, glob) for glob in globs)]
    if not kept:
        first = ", ".join(case.name for case in cases[:3])
        raise UserError(
            f"no case matches {' or '.join(patterns)}",
            where="--only",
            remedy=f"names look like {first} (bench run --dry-run)",
        )
    return kept


def _check(
    matrix: Matrix,
    variants: Mapping[str, Formats],
    runtimes: Mapping[str, Formats],
    scenarios: Sequence[str],
    where: str,
) -> None:
    for key, given, valid in (
        ("variants", matrix.variants, list(variants)),
        ("runtimes", matrix.runtimes, list(runtimes)),
        ("if_available", matrix.if_available, list(runtimes)),
        ("scenarios", matrix.scenarios, list(scenarios)),
    ):
        kind = "runtime" if key == "if_available" else key.removesuffix("s")
        for name in given:
            if name not in valid:
                raise unknown(kind, name, valid, where=f"{where}.{key}")
