"""The tool measured by itself: what it adds, how often it cries wolf, what it can see, whether watching disturbs."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from bench.errors import UserError
from bench.machine.cores import share_out
from bench.machine.cpu import usable_cores
from bench.optional import need
from bench.record.case import Case
from bench.record.observation import Observation, Plan
from bench.runner.trial import Trial
from bench.runner.unwatched import Unwatched
from bench.sensors.sampler import Sampler
from bench.stats.estimate import Estimate, TooFew
from bench.stats.ratio import ratio_of_medians
from bench.worker.measure import Watcher, measure
from bench.worker.messages import Job

MAX_OVERHEAD_S = 1e-6
MAX_FALSE_ALARMS = 0.08
"""A 95 % interval leaves out the truth in 5 %; 8 % is the upper end of what 400 correlated splits scatter to."""
MAX_PROBE_EFFECT = 1.01
SLOWDOWNS = (0.02, 0.05, 0.10)
SURE_SLOWDOWN = 0.05
"""From here on a slow-down that is not seen fails the test; below, what is seen is told."""
_SPLITS = 400
_PLAN = Plan(warmup_min_s=0.1, warmup_max_s=1.0, min_s=0.25, max_s=0.5, evaluate=False, timeout_s=60)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the self-test. `passed` is None where nothing is asked, only told."""

    name: str
    measured: str
    bound: str
    passed: bool | None


def selftest(rounds: int, progress: Callable[[str], None]) -> tuple[Check, ...]:
    """Run every check with `rounds` process invocations a side; some two seconds each round.

    Raises:
        UserError: a trial case cannot be measured at all on this machine.
    """
    need("scipy")
    if rounds < 4:
        raise UserError("too few rounds to tell anything", where="--rounds", remedy="give 4 or more")
    with tempfile.TemporaryDirectory(prefix="bench-selftest-") as scratch:
        bench = _Bench(Trial(Path(scratch)), progress)
        with Sampler(affinity=share_out(usable_cores(), 1).harness) as sampler:
            overhead = _overhead(bench, sampler)
            medians = _interleaved(bench, sampler, rounds)
    alone, watched = medians.pop("unwatched"), medians.pop("watched")
    base, again = medians["0%"], medians["0% again"]
    return (
        overhead,
        _false_alarms(base + again),
        _same(base, again),
        *(_power(base, medians[f"{share:.0%}"], share) for share in SLOWDOWNS),
        _probe_effect(alone, watched),
    )


def repeatability(invocations: int = 6) -> tuple[float, ...]:
    """Medians (s) of the same trial case in fresh processes, one after the other: the A/A spread of this machine.

    Raises:
        UserError: the trial case cannot be measured at all on this machine.
    """
    with tempfile.TemporaryDirectory(prefix="bench-doctor-") as scratch:
        bench = _Bench(Trial(Path(scratch)), lambda text: None)
        return tuple(bench.median_s("", Unwatched()) for _ in range(invocations))


class _Bench:
    """Measures the trial model in fresh processes."""

    def __init__(self, trial: Trial, progress: Callable[[str], None]) -> None:
        self._trial, self._progress = trial, progress

    def median_s(self, label: str, watcher: Watcher, runtime: str = "slowed", slowdown: float | None = 0.0) -> float:
        """The median latency of one invocation, s."""
        self._progress(f"self-test: {label}")
        case = Case(
            model="trial",
            variant="fp32",
            runtime=runtime,
            provider="none" if runtime == "null" else "cpu",
            options={} if slowdown is None else {"slowdown": slowdown},
        )
        job = Job(
            case=case,
            artifact=self._trial.artifact,
            artifact_path=str(self._trial.path),
            inputs=str(self._trial.inputs),
            outputs=None,
            plan=_PLAN,
            cores=share_out(usable_cores(), 1).measuring,
        )
        return _median(measure(job, 0, watcher))


def _median(seen: Observation) -> float:
    if seen.samples is None:
        reason = seen.failure.reason if seen.failure else "no samples"
        raise UserError(
            f"the self-test cannot measure: {reason}",
            where=seen.case.name,
            remedy="see `bench doctor` and mend that first",
        )
    return float(np.median(seen.samples.latency_ns)) * 1e-9


def _overhead(bench: _Bench, sampler: Sampler) -> Check:
    """What the loop itself adds to a latency: an empty call, timed."""
    values = [bench.median_s(f"overhead {at + 1}/3", sampler, "null", None) for at in range(3)]
    middle = float(np.median(values))
    return Check(
        name="overhead of one timed call (null runtime)",
        measured=f"{middle * 1e9:.0f} ns",
        bound=f"at most {MAX_OVERHEAD_S * 1e9:.0f} ns",
        passed=middle <= MAX_OVERHEAD_S,
    )


def _interleaved(bench: _Bench, sampler: Sampler, rounds: int) -> dict[str, list[float]]:
    """Medians (s) of every side, measured in rounds of shuffled order, so that drift meets all alike."""
    sides: dict[str, tuple[Watcher, float]] = {
        "0%": (sampler, 0.0),
        "0% again": (sampler, 0.0),
        **{f"{share:.0%}": (sampler, share) for share in SLOWDOWNS},
        "watched": (sampler, 0.0),
        "unwatched": (Unwatched(), 0.0),
    }
    order = random.Random(0)
    medians: dict[str, list[float]] = {name: [] for name in sides}
    for at in range(rounds):
        names = list(sides)
        order.shuffle(names)
        for name in names:
            watcher, slowdown = sides[name]
            medians[name].append(bench.median_s(f"round {at + 1}/{rounds}, {name}", watcher, slowdown=slowdown))
    return medians


def _same(base: Sequence[float], again: Sequence[float]) -> Check:
    """A/A as it was measured, pair by pair: a difference between equal sides is a fault of the harness or its order."""
    found = ratio_of_medians(list(base), list(again), confidence=0.99)
    return Check(
        name="A/A as measured: the same side again over itself, 99% interval",
        measured=_told(found),
        bound="interval contains 1",
        passed=isinstance(found, Estimate) and found.low <= 1 <= found.high,
    )


def _false_alarms(medians: Sequence[float]) -> Check:
    """Whether the interval keeps its promise on this machine's noise: sides drawn at random from equal invocations."""
    rng = np.random.default_rng(0)
    half = len(medians) // 2
    alarms = 0
    for _ in range(_SPLITS):
        mixed = rng.permutation(medians)
        found = ratio_of_medians(mixed[:half].tolist(), mixed[half : 2 * half].tolist())
        alarms += isinstance(found, Estimate) and not found.low <= 1 <= found.high
    share = alarms / _SPLITS
    return Check(
        name=f"false alarms, A/A: {len(medians)} invocations in {_SPLITS} random splits, 95% intervals",
        measured=f"{share:.1%}",
        bound=f"at most {MAX_FALSE_ALARMS:.0%}",
        passed=share <= MAX_FALSE_ALARMS,
    )


def _power(base: Sequence[float], slowed: Sequence[float], share: float) -> Check:
    """A slow-down of known size: whether it is seen, and what size it is told to have."""
    found = ratio_of_medians(list(base), list(slowed))
    seen = isinstance(found, Estimate) and found.low > 1
    return Check(
        name=f"a slow-down of {share:.0%} injected into a real session",
        measured=f"{_told(found)}: {'seen' if seen else 'not seen'}",
        bound="seen (interval above 1)" if share >= SURE_SLOWDOWN else "told only",
        passed=seen if share >= SURE_SLOWDOWN else None,
    )


def _probe_effect(alone: Sequence[float], watched: Sequence[float]) -> Check:
    """With the sampler over without it."""
    found = ratio_of_medians(list(alone), list(watched))
    fine = isinstance(found, Estimate) and (found.low <= 1 <= found.high or found.high <= MAX_PROBE_EFFECT)
    return Check(
        name="probe effect: median with the sampler over without it",
        measured=_told(found),
        bound=f"interval contains 1 or lies within {MAX_PROBE_EFFECT:g}",
        passed=fine,
    )


def _told(found: Estimate | TooFew) -> str:
    if not isinstance(found, Estimate):
        return found.reason
    return f"×{found.value:.4f} [{found.low:.4f}, {found.high:.4f}] over {found.n} rounds"
