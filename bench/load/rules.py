"""The rules that MLPerf Inference's LoadGen puts on a run, and which of them a run here did not meet.

Sources: `inference_rules.adoc` (scenarios: 600 s each, Offline 24,576 samples, percentiles 90 for
SingleStream and 99 for MultiStream and Server), `loadgen/results.cc` (EarlyStopping, MinDurationMet) and
`loadgen/early_stopping.cc` (the odds of t or fewer late queries in n). To meet these rules makes a run
no MLPerf result: that also takes MLPerf's models, data and review.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bench.record.observation import Validity

MIN_SECONDS = 600
OFFLINE_SAMPLES = 24_576
STREAM_BATCH = 8
"""Samples in a query of MLPerf's MultiStream."""
TAIL = 0.99
QUERIES = {"p90": 64, "p99": 662}
"""The fewest queries that tell a percentile, as `bench.stats.percentile.min_samples` has them (SciPy stays outside)."""
CONFIDENCE = 0.99
_BATCHES = (5, 10, 20, 40)
LAG_SHARE = 0.05
"""The harness's own lateness may be this share of the latency before a server run stops being valid."""


def single_stream(queries: int, seconds: float, batch: int) -> Validity:
    """SingleStream (one sample a query, p90), or with a batch of 8 MultiStream (8 samples a query, p99).

    `seconds` is from the first query to the issue of the last.
    """
    many = batch == STREAM_BATCH
    reasons = _lasted(seconds) + _counted(queries, "p99" if many else "p90")
    if batch not in (1, STREAM_BATCH):
        reasons.append(
            f"a query held {batch} samples, where MLPerf's SingleStream has 1 and its MultiStream {STREAM_BATCH}: "
            f"set batch = 1 or {STREAM_BATCH}"
        )
    return _verdict("MLPerf MultiStream" if many else "MLPerf SingleStream", reasons)


def multi_stream(queries: int, seconds: float, streams: int) -> Validity:
    """Streams that go on apart are not MLPerf's MultiStream, whose query is one of 8 samples together."""
    reasons = _lasted(seconds) + _counted(queries, "p99")
    reasons.append(
        f"{streams} streams went on apart, where a query of MLPerf's MultiStream is {STREAM_BATCH} samples that "
        f"come back together: for that figure run single-stream with batch = {STREAM_BATCH}"
    )
    return _verdict("MLPerf MultiStream", reasons)


def offline(samples: int, seconds: float, batch: int) -> Validity:
    """Offline: at least 24,576 samples and 600 s."""
    reasons = _lasted(seconds)
    if samples < OFFLINE_SAMPLES:
        calls = -(-OFFLINE_SAMPLES // batch)
        reasons.append(
            f"worked off {samples:,} samples of the {OFFLINE_SAMPLES:,} that MLPerf asks for: "
            f"set min_samples = {calls} (calls of {batch}), and max_s long enough for them"
        )
    return _verdict("MLPerf Offline", reasons)


def server(
    *,
    queries: int,
    late: int,
    unserved: int,
    seconds: float,
    bound_s: float | None,
    rate: float,
    p99_s: float,
    lag_s: float,
    mean_s: float,
) -> Validity:
    """Server: Poisson arrivals for 600 s, of which 99 % came back within the bound, at 99 % confidence.

    Args:
        queries: how many came back.
        late: how many of these came back later than the bound.
        unserved: how many arrived and were left when the run was cut.
        seconds: from the start to the last arrival.
        bound_s: the bound on p99, s.
        rate: the rate asked for, queries/s.
        p99_s: the measured p99, s.
        lag_s: mean time by which calls began after both their arrival and their worker were there.
        mean_s: mean latency.
    """
    reasons = _lasted(seconds)
    if unserved:
        reasons.append(
            f"{unserved:,} of {queries + unserved:,} queries were still waiting when the run was cut, so that the "
            f"latencies shown are too short: {rate:g} queries/s are more than this case can serve, lower rate"
        )
    if bound_s is None:
        reasons.append("there is no bound to hold: set p99_ms")
        reasons += _counted(queries, "p99")
    elif not holds(queries + unserved, late + unserved):
        reasons.append(_not_held(queries + unserved, late + unserved, bound_s, rate, p99_s))
    if lag_s > LAG_SHARE * mean_s:
        reasons.append(
            f"the harness began calls {lag_s * 1e6:.0f} us late on average, {lag_s / mean_s:.0%} of the mean latency: "
            f"give the case more cores than it has workers and threads, or quieten the machine"
        )
    return _verdict("MLPerf Server", reasons)


def cold_start() -> Validity:
    """MLPerf has no such scenario."""
    return _verdict("none", ["MLPerf has no cold-start scenario: compare it with other rows of this scenario only"])


def holds(queries: int, late: int) -> bool:
    """Whether p99 is within the bound at 99 % confidence when `late` of `queries` were over it (early stopping)."""
    return late <= most_late(queries)


def most_late(queries: int, q: float = TAIL, confidence: float = CONFIDENCE) -> int:
    """The most late queries with which percentile `q` is still shown to be in bound; -1 where none will do.

    The largest t with P(Binomial(queries, 1 - q) <= t) <= 1 - confidence, which is `odds` of LoadGen's
    early_stopping.cc. Queries are taken for independent there; queueing makes them less so.
    """
    odds = _odds(queries, 1 - q)
    return int(np.searchsorted(odds, (1 - confidence) * (1 + 1e-9), side="right")) - 1


def least_late(queries: int, q: float = TAIL, confidence: float = CONFIDENCE) -> int:
    """The fewest late queries that show percentile `q` to be over the bound: P(Binomial >= t) <= 1 - confidence."""
    odds = _odds(queries, 1 - q)
    return int(np.searchsorted(odds, confidence * (1 - 1e-12), side="left")) + 1


def independent(late: npt.NDArray[np.bool_]) -> float:
    """The share of the queries, in order of arrival, that are worth an independent one as to being late.

    One over the variance inflation: means of batches vary so many times more than those of independent
    queries would (batch means: Law, Simulation Modeling and Analysis, 9.5.3). In a queue the late come in
    bursts, and a batch shorter than a burst cannot see it: the largest inflation of several lengths counts.
    """
    return 1 / max(1.0, *(_inflation(late, count) for count in _BATCHES))


def _inflation(late: npt.NDArray[np.bool_], batches: int) -> float:
    size = late.size // batches
    part = late[late.size - size * batches :]
    single = float(part.var()) if size > 1 else 0.0
    if single == 0:
        return 1.0
    return size * float(part.reshape(batches, size).mean(axis=1).var(ddof=1)) / single


def _odds(n: int, p: float) -> npt.NDArray[np.float64]:
    """P(Binomial(n, p) <= k) for k = 0, 1, … up to where nothing is left, for p below one half."""
    k = np.arange(min(n, math.ceil(n * p + 10 * math.sqrt(n * p) + 20)) + 1)
    steps = np.log(n - k[:-1]) - np.log(k[1:]) + math.log(p) - math.log1p(-p)
    mass = np.exp(n * math.log1p(-p) + np.concatenate([[0.0], np.cumsum(steps)]))
    return np.cumsum(mass, dtype=np.float64)


def _not_held(queries: int, late: int, bound_s: float, rate: float, p99_s: float) -> str:
    bound = f"{bound_s * 1e3:g} ms"
    if most_late(queries) < 0:
        # With no late query at all, LoadGen is content with 459.
        needed = math.ceil(math.log(1 - CONFIDENCE) / math.log(TAIL))
        return (
            f"{queries} queries are too few to tell p99 ({needed} are the least): "
            f"set min_s and max_s = {math.ceil(QUERIES['p99'] / rate)}"
        )
    if p99_s > bound_s:
        return f"p99 was {p99_s * 1e3:.4g} ms, over the bound of {bound}: lower rate, or raise p99_ms"
    return (
        f"{late:,} of {queries:,} queries were later than {bound}, too many to be 99 % sure that p99 is within it: "
        f"raise min_s for more queries, or lower rate"
    )


def _lasted(seconds: float) -> list[str]:
    if seconds >= MIN_SECONDS:
        return []
    return [f"ran {seconds:.3g} s of the {MIN_SECONDS} s that MLPerf asks for: set min_s = {MIN_SECONDS}"]


def _counted(queries: int, what: str) -> list[str]:
    needed = QUERIES[what]
    if queries >= needed:
        return []
    return [f"{queries} queries are too few to tell {what}: set min_samples = {needed}, and max_s long enough for them"]


def _verdict(rules: str, reasons: list[str]) -> Validity:
    return Validity(rules=rules, valid=not reasons, reasons=tuple(reasons))
