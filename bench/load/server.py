"""Queries arrive at random (Poisson) whether or not the last is back (MLPerf Server).

Options: `rate` in queries/s, or `rate = "search"` for the highest rate that holds `p99_ms`, tried up to
`max_rate`; `workers`, the queries served at the same time.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec
import numpy as np

from bench.load import rules, search, stop
from bench.load.base import Measured, OptionError, Settings, Watch
from bench.load.crew import Crew
from bench.load.queueing import Patience, Served, poisson, serve
from bench.record.observation import Capacity, Plan, Probe, Samples

TOLERANCE = 0.02
"""How close the search brings the rate that holds to the one that does not."""
TRIES = 5
"""How often the measured run is made at a lower rate when it does not confirm the search."""
SURE_QUERIES = 5_000
"""Fewer queries give no sure verdict: they can lie within one burst of a busy queue (700 covered 5 of 10 times)."""
LEAST_TRIAL_S = 0.5
SPARE_S = 10.0
"""Loading, evaluating and answering take part of an invocation's time too."""
SERVICE_S = 0.2
_SEARCH = "search"


def measure(crew: Crew, plan: Plan, settings: Settings, watch: Watch) -> Measured:
    """Serve a seeded Poisson process for as long as the plan says, at the asked rate or at one found first.

    Latency counts from the scheduled arrival, whatever became of the query since.

    Raises:
        OptionError: `rate` is missing or out of range, or a search has no `p99_ms`.
    """
    rate, bound_s = options(settings)
    if rate is None:
        assert bound_s is not None
        return _searched(crew, plan, settings, watch, bound_s)
    watch.begin()
    return _measured(_run(crew, rate, plan, settings.seed, watch, bound_s), rate, plan, bound_s)


def options(settings: Settings) -> tuple[float | None, float | None]:
    """The asked rate (1/s; None: search) and the bound on p99 (s; None: none). Raises `OptionError`."""
    bound_ms = settings.positive("p99_ms")
    bound_s = None if bound_ms is None else bound_ms / 1e3
    settings.count("workers", 1)
    settings.positive("max_rate")
    given = settings.options.get("rate")
    if given is None or (isinstance(given, str) and given != _SEARCH):
        raise OptionError('the server scenario needs rate = queries a second, or rate = "search" together with p99_ms')
    if given != _SEARCH:
        return settings.positive("rate"), bound_s
    if bound_s is None:
        raise OptionError('rate = "search" needs p99_ms, the bound that the rate is to hold')
    return None, bound_s


def _searched(crew: Crew, plan: Plan, settings: Settings, watch: Watch, bound_s: float) -> Measured:
    """Search on one stream of luck, then measure on others, so that the figure is not what luck picked.

    What is measured is the rate that surely holds, or where nothing is sure the highest that seems to.
    """
    plan = msgspec.structs.replace(plan, min_samples=max(plan.min_samples, SURE_QUERIES))
    short = _short(plan)
    ceiling = _ceiling(crew, settings)

    def trial(rate: float) -> Probe:
        arrivals = poisson(rate, settings.seed, short)
        patience = Patience(int(bound_s * 1e9), rules.least_late(len(arrivals)))
        served = serve(crew, arrivals, cut_s=_drain(short, bound_s), watch=watch, patience=patience)
        watch.check()
        return _judge(served, rate, bound_s)

    found = search.capacity(trial, ceiling, bound_s=bound_s, tolerance=TOLERANCE)
    rate = found.low or found.rate or ceiling * search.LOWEST_SHARE
    confirmed: list[Probe] = []
    while True:
        watch.begin()
        served = _run(crew, rate, plan, settings.seed + 1 + len(confirmed), watch, bound_s)
        confirmed.append(_judge(served, rate, bound_s))
        if found.low is None or confirmed[-1].verdict == "held" or len(confirmed) == TRIES:
            break
        # By 2 %, then 4, 8 and 16 %: near at first, and not out of reach when the search was misled.
        rate /= (1 + TOLERANCE) ** 2 ** (len(confirmed) - 1)
    found = msgspec.structs.replace(
        found,
        low=rate if confirmed[-1].verdict == "held" else None,
        measured_rate=rate,
        probes=(*found.probes, *confirmed),
    )
    return _measured(served, rate, plan, bound_s, found)


def _short(plan: Plan) -> Plan:
    """The plan of one trial: its share of the time that the invocation has left beside the measured runs."""
    left = plan.timeout_s - plan.warmup_max_s - 2 * plan.max_s - SPARE_S
    most = max(LEAST_TRIAL_S, left / search.MOST_PROBES)
    return msgspec.structs.replace(plan, min_s=min(plan.min_s, most), max_s=min(plan.max_s, most))


def _ceiling(crew: Crew, settings: Settings) -> float:
    """The highest rate to try: `max_rate`, or twice that at which the lanes, called without a pause, are always busy.

    A trial that far over capacity fails at once; the margin is for a machine that was busy just then.
    """
    blocks = crew.block(SERVICE_S)
    busy = sum(len(starts) * 1e9 / max(ends[-1] - starts[0], 1) for starts, ends in blocks)
    limit = settings.positive("max_rate")
    return 2 * busy if limit is None else min(limit, 2 * busy)


def _run(crew: Crew, rate: float, plan: Plan, seed: int, watch: Watch, bound_s: float | None) -> Served:
    served = serve(crew, poisson(rate, seed, plan), cut_s=_drain(plan, bound_s), watch=watch)
    watch.check()
    return served


def _drain(plan: Plan, bound_s: float | None) -> float:
    """How long after the last arrival queries may still begin, s: a queue that needs longer is a pile.

    Over the bound in any case, so that what is left unserved is surely late.
    """
    return max(0.5, plan.min_s / 4, 2 * (bound_s or 0))


def _judge(served: Served, rate: float, bound_s: float) -> Probe:
    """What the arrivals of a trial say of the bound; unserved ones are late.

    LoadGen takes queries for independent. Here the verdict counts only as many as they are worth, or a burst of
    late ones would pass for proof.
    """
    series = np.concatenate([served.latency_ns > bound_s * 1e9, np.ones(served.unserved, dtype=bool)])
    queries, late = len(series), int(series.sum())
    worth = rules.independent(series)
    verdict: Literal["held", "failed", "open"] = "open"
    if queries < SURE_QUERIES and served.unserved == 0:
        pass
    elif rules.holds(int(queries * worth), math.ceil(late * worth)):
        verdict = "held"
    elif int(late * worth) >= rules.least_late(math.ceil(queries * worth)):
        verdict = "failed"
    within = served.unserved == 0 and _p99_s(served) <= bound_s
    return Probe(
        rate=rate,
        queries=queries,
        late=late,
        within=within,
        verdict=verdict,
        p99_s=None if served.unserved else _p99_s(served),
    )


def _measured(
    served: Served, rate: float, plan: Plan, bound_s: float | None, capacity: Capacity | None = None
) -> Measured:
    latency, lag = served.latency_ns, served.start_ns - served.ready_ns
    since = served.scheduled_ns - served.begin_ns
    validity = rules.server(
        queries=len(latency),
        late=0 if bound_s is None else int((latency > bound_s * 1e9).sum()),
        unserved=served.unserved,
        seconds=float(since[-1]) / 1e9,
        bound_s=bound_s,
        rate=rate,
        p99_s=_p99_s(served),
        lag_s=float(lag.mean()) / 1e9,
        mean_s=float(latency.mean()) / 1e9,
    )
    return Measured(
        samples=Samples(
            start_ns=served.start_ns,
            latency_ns=latency,
            block=since // int(plan.block_s * 1e9),
            stopped_by=stop.reached(len(latency), plan),
            scheduled_ns=served.scheduled_ns,
            stream=served.stream,
            span_ns=int(served.end_ns.max()) - int(served.scheduled_ns[0]),
        ),
        validity=validity,
        capacity=capacity,
        facts={
            "rate": rate,
            "workers": int(served.stream.max()) + 1,
            "unserved": served.unserved,
            "utilisation": _busy(served),
            "lag_mean_s": float(lag.mean()) / 1e9,
            "lag_p99_s": float(np.quantile(lag, 0.99)) / 1e9,
            "lag_max_s": float(lag.max()) / 1e9,
        },
    )


def _busy(served: Served) -> float:
    """The share of time that a lane was at work, over all lanes that were."""
    lanes = len(np.unique(served.stream))
    span = int(served.end_ns.max()) - served.begin_ns
    return float((served.end_ns - served.start_ns).sum()) / (span * lanes)


def _p99_s(served: Served) -> float:
    return float(np.quantile(served.latency_ns, rules.TAIL, method="inverted_cdf")) / 1e9
