"""Where the time of one inference goes, operator by operator, as the runtime's own profiler tells."""

from __future__ import annotations

import msgspec


class OperatorTime(msgspec.Struct, frozen=True, kw_only=True):
    """One operator of the graph as the runtime executes it, after its own fusions and insertions.

    `ns` is its time in one inference, `calls` how often it ran in it, `share` its part (0..1) of the time of
    all operators. `precision` is the data type that it computes in (`float32`, `float16`, `bfloat16`, `int8`, …),
    None where the profiler does not tell.
    """

    name: str
    type: str
    provider: str
    ns: float
    calls: float
    share: float
    precision: str | None = None


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The operators of one case in the order in which they run, from `runs` inferences in a process of its own.

    `inference_ns` is one whole inference there, without the profiler where that can be switched off. `profiler_ns` is
    what the profiler itself added to the operators of one inference; it is not in their times. `evidence` names
    the interface that told, `limits` what it cannot show. `reason` says why there are no operators, and is None where
    there are.
    """

    target: str
    operators: tuple[OperatorTime, ...] = ()
    inference_ns: float | None = None
    profiler_ns: float = 0.0
    runs: int = 0
    evidence: str = ""
    limits: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def total_ns(self) -> float:
        """The time of all operators in one inference, ns."""
        return sum(operator.ns for operator in self.operators)
