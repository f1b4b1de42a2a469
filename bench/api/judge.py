"""Judge kept runs: what changed, whether it may pass, and which choice to put into service."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench.analyse.appraise import Asked
from bench.analyse.comparable import check_allowed, refuse_nothing_in_common
from bench.analyse.compare import METRICS, Comparison
from bench.analyse.compare import compare as compare_snapshots
from bench.analyse.cost import HEADROOM
from bench.analyse.kinds import check_metrics
from bench.api.answers import COMPARISON, GATE, RECOMMENDATION, Answer
from bench.api.given import Named, expanded, optional, results, several, word
from bench.api.kept import Run
from bench.api.measure import watching
from bench.errors import UserError
from bench.record.comparison import GateReport
from bench.record.recommendation import Objective, Recommendation
from bench.runner.advise import Means, advise
from bench.runner.events import Events
from bench.runner.gate import Asked as AskedOfGate
from bench.runner.gate import gate_runs
from bench.store.open import open_snapshot
from bench.store.runs import find


def compare(
    before: Run | Named,
    after: Run | Named = "latest",
    *,
    metric: str | Iterable[str] | None = None,
    only: str | Iterable[str] | None = None,
    allow: str | Iterable[str] | None = None,
    normalise_by: str | None = None,
    out: Named | None = None,
) -> Answer[Comparison]:
    """What changed between two runs, where they may be compared.

    Args:
        before: a run, "baseline:NAME", or a file of another tool.
        after: the same.
        metric: figures to compare, names of `bench.METRICS`; those that matter unless given.
        only: globs; only cases whose name fits one.
        allow: keys in which the runs may differ, such as "kernel"; every figure they touch says so.
        normalise_by: a case that both have; times, memory and energy are divided by its own.
        out: folder of the runs and baselines; that of a given `Run`, else "results".

    Raises:
        UserError: bad input, or the two have no case in common.

    Example:
        >>> changes = bench.compare("baseline:main", "latest").to_polars()  # doctest: +SKIP
        >>> changes.filter(polars.col("low") > 1.05)  # surely over 5 % more  # doctest: +SKIP
    """
    allowed, metrics, globs = several(allow), several(metric), several(only)
    check_allowed(allowed)
    check_metrics(metrics)
    folder = results(out, before, after)
    first, second = (open_snapshot(word(side), folder).only(globs) for side in (before, after))
    found = compare_snapshots(first, second, metrics or METRICS, allow=allowed, normalise_by=normalise_by)
    refuse_nothing_in_common(found.shared, found.before, found.after)
    return Answer(found, COMPARISON)


def gate(
    baseline: Run | Named,
    candidate: Run | Named = "latest",
    *,
    rules: str | Iterable[str] = (),
    suite: Named | None = None,
    allow: str | Iterable[str] | None = None,
    normalise_by: str | None = None,
    again: bool = True,
    out: Named | None = None,
    progress: bool | Events = True,
) -> Answer[GateReport]:
    """Hold a run against a baseline by rules. A baseline that is not there makes every rule "missing", not an error.

    Args:
        baseline: a run, "baseline:NAME", or a file of another tool.
        candidate: the same.
        rules: such as "p50_latency=5%", "p99_latency<=8ms" or "*/int8/*: accuracy=-0.5pt"; they win over the suite's.
        suite: a suite whose table `[gate]` has the rules; that of the candidate unless given.
        allow: keys in which the runs may differ.
        normalise_by: a case that both have; times, memory and energy are divided by its own.
        again: measure what regressed once more before it counts, where the candidate is a run.
        out: folder of the runs and baselines; that of a given `Run`, else "results".
        progress: as for `run`.

    Raises:
        UserError: bad input, or there is no rule.

    Example:
        >>> bench.gate("baseline:main", rules="p50_latency=5%").record.outcome  # doctest: +SKIP
        'pass'
    """
    asked = AskedOfGate(
        baseline=word(baseline),
        candidate=word(candidate),
        results=results(out, baseline, candidate),
        rules=tuple(several(rules)),
        suite=optional(suite),
        allow=tuple(several(allow)),
        normalise_by=normalise_by,
        measure_again=again,
    )
    with watching(progress) as events:
        return Answer(gate_runs(asked, events), GATE)


def recommend(
    run: Run | Named = "latest",
    *,
    objective: Objective | None = None,
    min_accuracy: float | None = None,
    metric: str = "accuracy",
    max_p99: float | None = None,
    max_memory: float | None = None,
    max_size: float | None = None,
    budget: float | None = None,
    traffic: float | None = None,
    headroom: float | None = None,
    model: str | None = None,
    only: str | Iterable[str] | None = None,
    profile: Named | None = None,
    costs: Named | None = None,
    slots: int | None = None,
    on: Named | None = None,
    accept_unsure: bool = False,
    out: Named | None = None,
    progress: Callable[[str], None] = lambda told: None,
) -> Answer[Recommendation]:
    """Which choice to put into service, what it gains, why its rivals lost, and how sure that is.

    Args:
        run: as `load` takes it.
        objective: what is to be best; "cost" where prices are asked for, else "latency".
        min_accuracy: the least quality (a share: 0.97); the most of a metric that is an error.
        metric: the quality that is meant, such as "robustness".
        max_p99: seconds within which 99 of 100 are answered.
        max_memory: bytes, peak resident memory of a process.
        max_size: bytes of the model's file.
        budget: most money a month; takes `traffic`.
        traffic: requests a second to serve.
        headroom: share of its capacity that a replica keeps free; goes with `traffic`.
        model: which, where the run has several.
        only: globs; only choices whose name fits one.
        profile: hardware profile for prices, by name or file; the run's own machine unless given.
        costs: a TOML file of your prices and work: cost is then that of the model's life.
        slots: processes on a machine.
        on: project every figure to the machine of this profile; every figure then says so.
        accept_unsure: hold limits against values where intervals do not decide.
        out: folder of the runs and baselines; that of a given `Run`, else "results".
        progress: told what is measured for a projection.

    Raises:
        UserError: bad input, or a limit has nothing to rest on.

    Example:
        >>> advice = bench.recommend(min_accuracy=0.97, max_p99=0.010)  # doctest: +SKIP
        >>> advice.record.chosen, advice.record.sure  # doctest: +SKIP
        ('mnist_cnn/int8/litert-xnnpack/t1/b1', True)
    """
    if traffic is None and headroom is not None:
        raise UserError("head-room is for a --traffic", where="--headroom", remedy="leave that out")
    asked = Asked(
        quality=metric,
        min_quality=min_accuracy,
        max_p99_s=max_p99,
        max_memory=max_memory,
        max_size=max_size,
        budget=budget,
        traffic=traffic,
        headroom=HEADROOM if headroom is None else headroom,
        accept_unsure=accept_unsure,
    )
    means = Means(
        model=model,
        only=tuple(several(only)),
        profile=optional(profile),
        costs=None if costs is None else expanded(costs),
        slots=slots,
        on=optional(on),
    )
    folder = find(word(run), results(out))
    return Answer(advise(folder, asked, objective, means, progress), RECOMMENDATION)
