"""Why a row that should be faster is not: one line, from evidence.

A rule is a function from the evidence to a cause with figures and its weight, the share of the row's median latency
that lies in it; the heaviest cause wins, of equals the first in the table `RULES`. A new rule is a function and a
line there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from bench.analyse.faster import SCENARIO, Gain, Pair, base, promise
from bench.analyse.operators import (
    casts,
    conversions,
    everything,
    integer_products,
    is_at_run_time,
    is_cast,
    is_conversion,
    is_inserted,
    is_product,
    products,
)
from bench.record.environment import Environment
from bench.record.profile import Profile
from bench.record.row import Row

NOTHING = "no cause found in the profile"
_WEIGHTY = 0.1
"""A cause in which less than this share of the latency lies is not the cause."""
_NO_FASTER = 0.9
"""Operators that take more than this share of the time of those of fp32 count as no faster."""
_ALIKE = 0.2
"""Times that differ by less than this share count as the same."""
_TOO_LONG = 1.2
"""Operators that take more than this times the latency that was measured are not those of what was measured."""

ON_CPU = frozenset({"cpu", "xnnpack", "builtin", "compiled-cpu"})
"""Providers that compute on the CPU alone, of which the environment tells the features."""

INTEGER_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
"""CPU features that multiply and add int8 in one instruction."""
HALF_ARITHMETIC = {
    "fp16": frozenset({"avx512_fp16", "asimdhp"}),
    "bf16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
}
"""CPU features that compute in the type itself, by base variant."""


@dataclass(frozen=True)
class Evidence:
    """All that a rule may look at.

    `null_s` is the median of the null runtime in the same run, what the harness itself takes for a call, and `fewer`
    the same case with fewer threads; each is None where there is none.
    """

    row: Row
    reference: Row
    gain: Gain
    profile: Profile
    reference_profile: Profile
    environment: Environment
    null_s: float | None = None
    fewer: Row | None = None

    @property
    def on_cpu(self) -> bool:
        """Whether the row is known to have run on the CPU."""
        return self.row.case.provider in ON_CPU

    @property
    def doubt(self) -> str | None:
        """Why the times of the operators carry no cause; None where they do."""
        return _doubt(self.profile, self.row) or _doubt(self.reference_profile, self.reference)

    def share(self, ns: float) -> float:
        """`ns` as a share (0..1) of the row's latency, which the sum of the operators may exceed a little."""
        whole = max(self.profile.total_ns, median_ns(self.row))
        return ns / whole if whole else 0.0


@dataclass(frozen=True)
class Cause:
    """A sentence with figures, and the share (0..1) of the row's latency that lies in what it names."""

    weight: float
    sentence: str


Rule = Callable[[Evidence], Cause | None]
_NAMED_ELSEWHERE = (is_product, is_conversion, is_cast)


def explain(evidence: Evidence) -> str:
    """The heaviest cause as a sentence, or that none was found."""
    doubt = evidence.doubt
    rules = RULES if doubt is None else WITHOUT_OPERATORS
    found = [cause for rule in rules if (cause := rule(evidence)) is not None and cause.weight >= _WEIGHTY]
    if found:
        return max(found, key=lambda cause: cause.weight).sentence
    return NOTHING if doubt is None else f"no cause found: {doubt}"


def line(gain: Gain, reason: str) -> str:
    """What stands in the row: the speed-up that there is, and why it is no more."""
    return f"{said(gain)}: {reason}"


def said(gain: Gain) -> str:
    """The speed-up with its interval, in words."""
    if gain.low is None or gain.high is None:
        return f"{gain.value:.2f} times as fast as fp32 (no interval)"
    return f"{gain.value:.2f} times as fast as fp32 ({gain.low:.2f} to {gain.high:.2f})"


def evidence_for(
    pair: Pair, profile: Profile, reference: Profile, environment: Environment, rows: Sequence[Row]
) -> Evidence:
    """The evidence on one pair; `rows` are all of the run."""
    nulls = [row for row in rows if row.case.runtime == "null" and row.measured and _called_alike(row, pair.row)]
    fewer = [row for row in rows if _with_fewer_threads(row, pair.row)]
    return Evidence(
        row=pair.row,
        reference=pair.reference,
        gain=pair.gain,
        profile=profile,
        reference_profile=reference,
        environment=environment,
        null_s=next((row.metrics["p50_latency"].value for row in nulls), None),
        fewer=min(fewer, key=lambda row: row.case.threads, default=None),
    )


def not_told_apart(evidence: Evidence) -> Cause | None:
    """A gain that the measurement is too coarse to be sure of: nothing is known to hold the row back."""
    gain = evidence.gain
    if gain.value * _NO_FASTER < 1 or gain.sure:
        return None
    if gain.low is None:
        return Cause(1.0, "it may be faster: the gain has no interval, so noise cannot be ruled out")
    sentence = "it may be faster: the interval is wider than the gain, and more invocations would make it narrower"
    return Cause(1.0, sentence)


def no_integer_instructions(evidence: Evidence) -> Cause | None:
    """Integer products without instructions for them, and no faster than those of fp32."""
    features = evidence.environment.cpu_features
    if promise(evidence.row) != "integer" or not evidence.on_cpu or not features or INTEGER_PRODUCTS & set(features):
        return None
    mine, theirs = integer_products(evidence.profile), products(evidence.reference_profile)
    if not mine or mine.ns < _NO_FASTER * theirs.ns:
        return None
    sentence = (
        f"this CPU has no instruction for int8 products (VNNI, AMX, dot product or I8MM): {mine} take "
        f"{_us(mine.ns)}, fp32's {theirs} {_us(theirs.ns)}"
    )
    return Cause(evidence.share(mine.ns), sentence)


def computed_in_float32(evidence: Evidence) -> Cause | None:
    """Half precision that is cast back, or is only how the weights are stored."""
    if promise(evidence.row) != "half":
        return None
    mine = products(evidence.profile)
    known = {operator.name for operator in casts(evidence.reference_profile).operators}
    wide, back = mine.of_precision(("float32",)), casts(evidence.profile).where(lambda cast: cast.name not in known)
    if not wide:
        return None
    told = [f"{wide} compute in float32 ({_us(wide.ns)}; fp32: {_us(products(evidence.reference_profile).ns)})"]
    if back:
        told.append(f"{back} take {_us(back.ns)}")
    arithmetic = HALF_ARITHMETIC[base(evidence.row)]
    features = evidence.environment.cpu_features
    if evidence.on_cpu and features and not arithmetic & set(features):
        told.append(f"this CPU has no {base(evidence.row)} arithmetic")
    by_runtime = back.where(is_inserted)
    kind = "cast back to float32 by the runtime" if by_runtime else "stored in half precision and computed in float32"
    return Cause(evidence.share(wide.ns + back.ns), f"{kind}: {'; '.join(told)}")


def reference_is_not_float32(evidence: Evidence) -> Cause | None:
    """The runtime computes fp32 in something shorter already, so that there is less to gain."""
    if promise(evidence.row) not in ("half", "integer"):
        return None
    theirs = products(evidence.reference_profile)
    short = theirs.where(lambda operator: operator.precision not in (None, "float32", "float64"))
    mine = products(evidence.profile)
    if not short or short.ns < _WEIGHTY * theirs.ns:
        return None
    kinds = ", ".join(dict.fromkeys(str(operator.precision) for operator in short.operators))
    sentence = (
        f"the runtime computes fp32 in {kinds} already: {short} take {_us(short.ns)} there, {mine} {_us(mine.ns)} here"
    )
    return Cause(evidence.share(mine.ns), sentence)


def not_fused(evidence: Evidence) -> Cause | None:
    """Quantise and dequantise operators that stayed in the graph, and products that stayed in float."""
    if promise(evidence.row) != "integer":
        return None
    between = conversions(evidence.profile).where(lambda operator: not is_at_run_time(operator))
    wide = products(evidence.profile).of_precision(("float32",))
    if not between:
        return None
    told = f"Q/DQ not fused: {between} take {_us(between.ns)}, {_percent(evidence.share(between.ns))} of the latency"
    if wide:
        told += f"; {wide} still compute in float32 ({_us(wide.ns)})"
    return Cause(evidence.share(between.ns + wide.ns), told)


def short_kernels_are_slow(evidence: Evidence) -> Cause | None:
    """Integer products that are no faster than fp32's, with what it takes to quantise their inputs at run time.

    Of short weights it is not known what they are multiplied in: then all products count.
    """
    if promise(evidence.row) not in ("integer", "weights"):
        return None
    integer = promise(evidence.row) == "integer"
    mine = integer_products(evidence.profile) if integer else products(evidence.profile)
    theirs = products(evidence.reference_profile)
    if not mine or not theirs or mine.ns < _NO_FASTER * theirs.ns:
        return None
    kernels = "integer kernels" if integer else "kernels for short weights"
    told = f"the {kernels} are no faster: {mine} take {_us(mine.ns)}, fp32's {theirs} {_us(theirs.ns)}"
    at_run_time = everything(evidence.profile).where(is_at_run_time)
    if at_run_time:
        told += f"; {at_run_time} at run time take {_us(at_run_time.ns)}"
    return Cause(evidence.share(mine.ns + at_run_time.ns), told)


def sparsity_unused(evidence: Evidence) -> Cause | None:
    """Zeros that are multiplied like any other weight: the same operators in the same time."""
    artifact, dense = evidence.row.artifact, evidence.reference.artifact
    if promise(evidence.row) != "sparse" or artifact is None or not artifact.sparsity:
        return None
    mine, theirs = products(evidence.profile), products(evidence.reference_profile)
    if not mine or mine.types != theirs.types or abs(mine.ns - theirs.ns) > _ALIKE * theirs.ns:
        return None
    told = (
        f"{_percent(artifact.sparsity)} of the weights are zero and the runtime makes no use of it: the same {mine} "
        f"take {_us(mine.ns)}, fp32's {_us(theirs.ns)}"
    )
    if dense is not None and artifact.bytes > _NO_FASTER * dense.bytes:
        told += f"; the file is stored dense ({artifact.bytes:,} B, fp32's {dense.bytes:,} B)"
    return Cause(evidence.share(mine.ns), told)


def operators_added(evidence: Evidence) -> Cause | None:
    """Operators that fp32 does not need: changes of layout, rescaling."""
    known = everything(evidence.reference_profile).types
    more = everything(evidence.profile).where(
        lambda operator: (
            operator.type not in known
            and (is_at_run_time(operator) or not any(is_it(operator) for is_it in _NAMED_ELSEWHERE))
        )
    )
    if not more or not evidence.reference_profile.operators:
        return None
    rest = everything(evidence.profile).ns - products(evidence.profile).ns
    gone = everything(evidence.reference_profile).ns - products(evidence.reference_profile).ns
    if rest <= gone:
        return None
    sentence = (
        f"operators that fp32 has not: {more} take {_us(more.ns)}; all that is no matrix product or convolution "
        f"takes {_us(rest)}, fp32's {_us(gone)}"
    )
    return Cause(evidence.share(min(more.ns, rest - gone)), sentence)


def overhead(evidence: Evidence) -> Cause | None:
    """Time of the call outside all operators, as far as the call took it when it was profiled too."""
    # What was taken out of the operators as the profiler's own may have been theirs.
    most = evidence.profile.total_ns + evidence.profile.profiler_ns
    whole, latency = evidence.profile.inference_ns, median_ns(evidence.row)
    if not evidence.profile.operators or whole is None or not latency:
        return None
    outside = min(whole, latency) - most
    if outside <= 0:
        return None
    told = f"overhead: the operators take {_us(most)} of {_us(latency)}, the call of the runtime {_us(outside)} more"
    if evidence.null_s:
        told += f" (an empty call takes {_us(evidence.null_s * 1e9)})"
    if latency - whole > _WEIGHTY * latency:
        told += f"; {_us(latency - whole)} are not explained"
    return Cause(outside / latency, told)


def little_to_gain(evidence: Evidence) -> Cause | None:
    """Most of fp32's time is in operators that the variant leaves as they are, which a smaller one does not."""
    whole = median_ns(evidence.reference)
    others = everything(evidence.reference_profile).where(lambda operator: not is_product(operator))
    if promise(evidence.row) == "smaller" or others.ns <= whole / 2:
        return None
    sentence = (
        f"little to gain: {_us(others.ns)} of fp32's {_us(whole)} are in no matrix product or convolution ({others})"
    )
    return Cause(min(1.0, others.ns / whole) if whole else 0.0, sentence)


def too_many_threads(evidence: Evidence) -> Cause | None:
    """More threads than cores, or no more speed than with fewer threads."""
    threads, cores = evidence.row.case.threads, len(evidence.environment.cores_usable)
    if evidence.on_cpu and cores and threads > cores:
        return Cause(1 - cores / threads, f"{threads} threads share {cores} cores")
    if evidence.fewer is None:
        return None
    mine, theirs = median_ns(evidence.row), median_ns(evidence.fewer)
    if mine < _NO_FASTER * theirs:
        return None
    fewer = evidence.fewer.case.threads
    sentence = f"too little work for {threads} threads: {_us(mine)} with {threads}, {_us(theirs)} with {fewer}"
    return Cause(max(0.0, 1 - theirs * fewer / threads / mine), sentence)


RULES: tuple[Rule, ...] = (
    not_told_apart,
    no_integer_instructions,
    computed_in_float32,
    reference_is_not_float32,
    short_kernels_are_slow,
    not_fused,
    sparsity_unused,
    too_many_threads,
    operators_added,
    overhead,
    little_to_gain,
)
WITHOUT_OPERATORS: tuple[Rule, ...] = (not_told_apart, too_many_threads)
"""Those that need no profile."""


def median_ns(row: Row) -> float:
    """The row's median latency, ns; 0 where it is not known."""
    return (row.metrics["p50_latency"].value or 0.0) * 1e9


def _with_fewer_threads(other: Row, row: Row) -> bool:
    same = msgspec.structs.replace(other.case, threads=row.case.threads) == row.case
    return other.measured and same and other.case.threads < row.case.threads


def _called_alike(null: Row, row: Row) -> bool:
    """Whether an empty call is one of the row's kind."""
    mine, other = row.case, null.case
    same = (other.model, other.batch, other.threads) == (mine.model, mine.batch, mine.threads)
    return same and other.scenario == SCENARIO


def _doubt(profile: Profile, row: Row) -> str | None:
    if profile.reason is not None:
        return profile.reason
    latency, total, added = median_ns(row), profile.total_ns, profile.profiler_ns
    if added > total:
        return f"the profiler adds {_us(added)} to the {_us(total)} of {row.case.variant}'s operators"
    if total > _TOO_LONG * latency:
        return f"{row.case.variant}'s operators take {_us(total)} under the profiler, all of it {_us(latency)} without"
    return None


def _us(ns: float) -> str:
    return f"{ns / 1e3:,.1f} µs" if ns < 1e6 else f"{ns / 1e6:,.2f} ms"


def _percent(share: float) -> str:
    return f"{share:.0%}"
