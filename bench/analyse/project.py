"""What a choice would do on a machine that is not here, through the roofline, and how wrong that may be.

The time of a call is taken as overhead + limit / efficiency, with the limit of `bench.analyse.limits`. Efficiency is
what the measured time here leaves for it; it and the work are taken to be the same there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import msgspec

from bench.analyse.cost.quantity import Unknown
from bench.analyse.device import device, strange
from bench.analyse.kinds import kind
from bench.analyse.limits import limits
from bench.analyse.traffic import cached, looks_up, work
from bench.hardware.schema import HardwareProfile
from bench.record.choice import Choice
from bench.record.environment import Environment
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.record.peaks import MachinePeaks, Peaks
from bench.record.roofline import Device

TIMES = ("p50_latency", "p90_latency", "p99_latency")
RATES = ("throughput", "capacity")
LEVEL = 0.9
_NOTABLE = 1.005
"""How much longer a call has to be for it to be told."""
NO_PAIRS = "no pair of thread settings, or of machines, could be compared"


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Choices as measured on one machine, and its peaks. Without `environment` its cache and CPU are not known."""

    choices: tuple[Choice, ...]
    peaks: MachinePeaks
    environment: Environment | None = None


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """How far projections were from what was measured: within `factor`, up or down, at `level` (0..1).

    `factor` is None where nothing could be compared, and `reason` says why. `groups` are the cases whose thread
    settings or machines were predicted from each other, `pairs` how many predictions that made (each both ways).
    `between` says what the pairs differ in.
    """

    factor: float | None
    level: float | None
    groups: int
    pairs: int
    between: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def told(self) -> str:
        """The bound, or why there is none, in words."""
        if self.factor is None or self.level is None:
            return f"its error is not known, so it has no interval: {self.reason}"
        shown = f"error within ×{self.factor:.3g} at {self.level:.0%}, by {_plural(self.groups, 'case')} measured with "
        shown += f"different {' and '.join(self.between)}"
        return shown if "machines" in self.between else f"{shown}, which says little of another machine"


def project(
    choices: Sequence[Choice],
    here: MachinePeaks,
    there: MachinePeaks,
    profile: HardwareProfile,
    *,
    environment: Environment | None = None,
    validation: Validation | None = None,
    of: Device = "cpu",
) -> tuple[Choice, ...]:
    """The choices, in their order, as they would be on `profile`.

    Latency (median, p90, p99), throughput and capacity are scaled by the ratio of the two times of a call that the
    roofline gives; each interval is widened by the validation's factor on either side, and there is none without it.
    A capacity holds under the bound on p99 that is scaled with it, where that is the wider one. Energy is an estimate
    from the rated power. Quality and size are as measured. All else is unavailable, and so is every projected
    figure, with the reason, of a choice that cannot be projected.

    Args:
        choices: as measured on the machine whose peaks `here` are.
        here: with the threads of every choice.
        there: of `profile`, with the threads of every choice. Where `profile` has no measured overheads (call and node)
            of a target, those of here are scaled by the fp32 peaks of one core, so one thread should be in both.
        profile: what is projected to.
        environment: of the machine here, for its cache and CPU. A file that fits the cache here is taken to do so
            there; the slow end of each interval is that without it, and a warning says how much longer that is.
        validation: the error; None: by `validate` on the choices themselves.
        of: the device whose peaks `here` are; a choice of another one is not projected.
    """
    if validation is None:
        validation = validate([Machine(choices=tuple(choices), peaks=here, environment=environment)])
    return tuple(_projected(choice, here, there, profile, environment, validation, of) for choice in choices)


def validate(machines: Iterable[Machine], level: float = LEVEL) -> Validation:
    """How wrong a projection is: every choice is predicted from each that differs in threads or machine alone.

    The score of a case (model, variant, target, batch and options) is the largest |log(predicted / measured)| of its
    median over all its pairs, both ways, as pairs of one case are no independent evidence. The bound is the
    split-conformal quantile of the scores: of n the ceil((n + 1) x level)-th smallest, which holds for a new case
    like these with at least `level` (Vovk, Gammerman, Shafer, Algorithmic learning in a random world, 2005). Fewer
    cases than that takes: the largest score, with the level that it has, n / (n + 1).
    """
    groups: dict[tuple[object, ...], list[tuple[Choice, Machine]]] = {}
    for machine in machines:
        for choice in machine.choices:
            if choice.projected is None and choice.failure is None:
                groups.setdefault(_case(choice), []).append((choice, machine))
    scores, pairs = [], 0
    between: dict[str, None] = {}
    for group in groups.values():
        errors = []
        for one, other in combinations(group, 2):
            differ = "machines" if one[1] is not other[1] else "threads"
            if differ == "machines" and one[0].threads != other[0].threads:
                continue
            found = [error for error in (_error(one, other), _error(other, one)) if error is not None]
            errors += found
            if found:
                between[differ] = None
        pairs += len(errors)
        if errors:
            scores.append(max(errors))
    if not scores:
        return Validation(factor=None, level=None, groups=0, pairs=0, reason=NO_PAIRS)
    n = len(scores)
    rank = math.ceil((n + 1) * level - 1e-9)
    score, covered = (sorted(scores)[rank - 1], level) if rank <= n else (max(scores), n / (n + 1))
    return Validation(factor=math.exp(score), level=covered, groups=n, pairs=pairs, between=tuple(sorted(between)))


def _case(choice: Choice) -> tuple[object, ...]:
    return choice.model, choice.variant, choice.target, choice.batch, tuple(sorted(choice.options.items()))


def _error(one: tuple[Choice, Machine], other: tuple[Choice, Machine]) -> float | None:
    """|log(predicted / measured)| of the median of `other` predicted from `one`; None where that cannot be."""
    (choice, machine), (goal, elsewhere) = one, other
    measured, known = goal.figures["p50_latency"].value, choice.figures["p50_latency"].value
    there = elsewhere.peaks.at(goal.threads)
    try:
        if not measured or not known or there is None:
            return None
        core = _Elsewhere(there, _core_ratio(machine.peaks, elsewhere.peaks), elsewhere.environment)
        ratio = _ratio(choice, machine.peaks, core, machine.environment).value
    except Unknown:
        return None
    return abs(math.log(known * ratio / measured))


def _projected(
    choice: Choice,
    here: MachinePeaks,
    there: MachinePeaks,
    profile: HardwareProfile,
    environment: Environment | None,
    validation: Validation,
    of: Device,
) -> Choice:
    try:
        _check_there(choice, profile, of)
        elsewhere = _elsewhere(choice, here, there, profile)
        found = _ratio(choice, here, elsewhere, environment)
    except Unknown as why:
        reason = f"not projected to {profile.name}: {why}"
        return msgspec.structs.replace(
            choice, figures=_figures(choice, lambda name: _absent(name, reason)), projected=profile.name
        )
    ratio, labels, slower = found.value, list(found.labels), found.uncached / found.value
    if not all(peak.how.startswith("measured:") for peak in elsewhere.peaks.compute.values() if peak.value is not None):
        labels.append("peaks there are stated, not measured")
    if profile.kind == "cpu" and choice.threads > profile.cores.value:
        labels.append(f"{choice.threads} threads there share {profile.cores.value:g} cores")
    how = f"projected:{'; '.join([f'from {here.name} by the roofline', *labels, validation.told])}"

    def scaled(name: str) -> Measurement:
        if name in TIMES:
            return _scaled(choice.figures[name], ratio, how, validation, slow=(1.0, slower))
        if name in RATES:
            return _scaled(choice.figures[name], 1 / ratio, how, validation, slow=(1 / slower, 1.0))
        if name == "energy":
            rate = _scaled(choice.figures["throughput"], 1 / ratio, how, validation, slow=(1 / slower, 1.0))
            return _energy(rate, profile)
        return _absent(name, f"not projected to {profile.name}: it does not follow from the roofline")

    bound, warnings = choice.capacity_bound_s, choice.warnings
    if slower > _NOTABLE:
        warnings = (
            *warnings,
            f"projected to {profile.name}: the file is taken to stay in the cache there, as it does here; where it "
            f"does not, a call takes up to ×{slower:.3g} as long",
        )
    if bound is not None and ratio > 1:
        warnings = (
            *warnings,
            f"projected to {profile.name}: it is slower, so the capacity there is one under p99 ≤ "
            f"{bound * ratio * 1e3:.3g} ms; for one under {bound * 1e3:.3g} ms, search here under "
            f"{bound / ratio * 1e3:.3g} ms",
        )
    return msgspec.structs.replace(
        choice,
        figures=_figures(choice, scaled),
        capacity_bound_s=None if bound is None else bound * max(1.0, ratio),
        warnings=warnings,
        projected=profile.name,
    )


def _check_there(choice: Choice, profile: HardwareProfile, of: Device) -> None:
    """Raises `Unknown` where the profile's machine is of another kind, or is not to be used by that target.

    And where the peaks of here are not those `of` the device that the target computed on.
    """
    if device(choice.target) not in (None, profile.kind):
        raise Unknown(
            f"{choice.target} was measured on a {str(device(choice.target)).upper()}, which does not tell how near "
            f"a {profile.kind.upper()} comes to its limit"
        )
    wrong = strange(choice.target, profile.kind) or strange(choice.target, of)
    if wrong is not None:
        raise Unknown(wrong)
    if choice.target not in profile.providers:
        raise Unknown(f"{choice.target} is not among what is used there ({', '.join(profile.providers)})")


@dataclass(frozen=True)
class _Elsewhere:
    """Peaks there, and `overhead`: how much longer one takes there that was not measured there, told by `label`.

    `environment` is where the cache there is known from; None: it is not known.
    """

    peaks: Peaks
    overhead: float | None
    environment: Environment | None = None
    label: str = "overhead not measured there, in proportion to one core's fp32 peak"


def _elsewhere(choice: Choice, here: MachinePeaks, there: MachinePeaks, profile: HardwareProfile) -> _Elsewhere:
    at = _at(there, choice.threads)
    if profile.kind == "gpu":
        return _Elsewhere(at, 1.0, label="overhead not measured there, taken to be that of here")
    return _Elsewhere(at, _core_ratio(here, there))


@dataclass(frozen=True)
class _Ratio:
    """The time of a call there over that here, and `uncached` that where the file would not stay in the cache there.

    `labels` are what has to be said of it.
    """

    value: float
    uncached: float
    labels: tuple[str, ...]


def _ratio(choice: Choice, here: MachinePeaks, there: _Elsewhere, environment: Environment | None) -> _Ratio:
    """The time of a call there over that here, and what has to be said of it. Raises `Unknown`.

    An overhead that would leave less than the limit is no larger than leaves it: efficiency is 1 at most.
    """
    measured = choice.figures["p50_latency"]
    if not measured.value:
        raise Unknown(measured.reason or "its median latency is 0")
    todo = work(choice.artifact, choice.target, choice.batch, choice.options, environment)
    before = limits(todo, _at(here, choice.threads), choice.target)
    again = todo
    if there.environment is not None:
        again = work(choice.artifact, choice.target, choice.batch, choice.options, there.environment)
    after = limits(again, there.peaks, choice.target, before.taken)
    for found in (before, after):
        if found.limit.value is None:
            raise Unknown(found.limit.reason)
    assert before.limit.value is not None
    assert after.limit.value is not None
    if before.limit.value <= 0:
        raise Unknown("it has nothing to compute and nothing to move")
    spent = min(before.overhead.value or 0.0, max(0.0, measured.value - before.limit.value))
    labels = []
    by_overhead = 0.0
    if before.overhead.value is None:
        labels.append("overhead not known here, so taken as work")
    elif spent:
        if after.overhead.value is not None:
            by_overhead = after.overhead.value / before.overhead.value
        elif there.overhead is not None:
            by_overhead = there.overhead
            labels.append(there.label)
        else:
            raise Unknown("neither the overhead there nor one core's fp32 peak is known")
    took, least = measured.value, before.limit.value

    def over(limit: float) -> float:
        return (spent * by_overhead + (took - spent) * limit / least) / took

    ratio = over(after.limit.value)
    if there.environment is not None or not _in_cache(choice, environment):
        return _Ratio(ratio, ratio, tuple(labels))
    without = work(choice.artifact, choice.target, choice.batch, choice.options, None)
    outside = limits(without, there.peaks, choice.target, before.taken).limit.value
    uncached = ratio if outside is None else over(outside)
    told = f", else up to ×{uncached / ratio:.3g}" if uncached > _NOTABLE * ratio else ""
    return _Ratio(ratio, uncached, (*labels, f"the file is taken to stay in the cache there as it does here{told}"))


def _in_cache(choice: Choice, environment: Environment | None) -> bool:
    """Whether its file was left out of the bytes as it stays in the cache here."""
    made = choice.artifact
    return made is not None and environment is not None and cached(made, environment.cache_bytes) and not looks_up(made)


def _at(peaks: MachinePeaks, threads: int) -> Peaks:
    found = peaks.at(threads)
    if found is None:
        raise Unknown(f"the peaks of {peaks.name} with {threads} threads are not known")
    return found


def _core_ratio(here: MachinePeaks, there: MachinePeaks) -> float | None:
    """How much longer one core takes there, by its fp32 peak; None where one of the two is not known."""
    mine, theirs = _core(here), _core(there)
    return mine / theirs if mine and theirs else None


def _core(peaks: MachinePeaks) -> float | None:
    """The fp32 peak of one core: of one thread, else the share of one in the fewest that are known."""
    known = [at for at in peaks.by_threads if "fp32" in at.compute and at.compute["fp32"].value]
    fewest = min(known, key=lambda at: at.threads, default=None)
    return None if fewest is None else (fewest.compute["fp32"].value or 0.0) / fewest.threads


def _figures(choice: Choice, felt: Callable[[str], Measurement]) -> dict[str, Measurement]:
    """Those of the file and its quality as they are, those of a machine by `felt`."""
    return {name: felt(name) if kind(name) == "felt" else figure for name, figure in choice.figures.items()}


def _absent(name: str, reason: str) -> Measurement:
    return Measurement.unavailable(METRICS[name].unit, reason)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _scaled(
    figure: Measurement, ratio: float, how: str, validation: Validation, slow: tuple[float, float] = (1.0, 1.0)
) -> Measurement:
    """Times `ratio`, each end of its interval widened by the error, and by its part of `slow`."""
    if figure.value is None:
        return figure
    value, factor, level = figure.value * ratio, validation.factor, validation.level
    if factor is None or level is None:
        return Measurement(value=value, unit=figure.unit, n=figure.n, how=how)
    low = figure.value if figure.low is None else figure.low
    high = figure.value if figure.high is None else figure.high
    # Either interval may miss (Bonferroni).
    sure = level if figure.confidence is None else max(0.0, level + figure.confidence - 1)
    return Measurement(
        value=value,
        unit=figure.unit,
        n=figure.n,
        how=how,
        low=low * ratio / factor * slow[0],
        high=high * ratio * factor * slow[1],
        confidence=sure,
    )


def _energy(rate: Measurement, profile: HardwareProfile) -> Measurement:
    """Of an example: the rated power for as long as it takes, an upper estimate."""
    tdp = profile.power.tdp
    if tdp is None:
        return Measurement.unavailable("J", f"not projected to {profile.name}: the profile states no rated power (tdp)")
    if not rate.value:
        return Measurement.unavailable("J", f"not projected to {profile.name}: {rate.reason or 'no throughput'}")
    known = rate.low is not None and rate.high is not None and rate.low > 0
    return Measurement(
        value=tdp.value / rate.value,
        unit="J",
        n=rate.n,
        how=f"{rate.how}; the rated power of {profile.name} for as long, an upper estimate",
        low=tdp.value / rate.high if known and rate.high else None,
        high=tdp.value / rate.low if known and rate.low else None,
        confidence=rate.confidence if known else None,
    )
