"""Groups of the operators of a profile, whatever the runtime calls them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from bench.record.profile import OperatorTime, Profile

_PRODUCTS = re.compile(r"conv(?!ert)|gemm|mat_?mul|matrix.?multiply|fully.?connected|lstm|gru|attention", re.IGNORECASE)
# `Convert` is XNNPACK's name for both ways between float and integer.
_BETWEEN_FLOAT_AND_INTEGER = re.compile(r"^(dynamic)?quantize(linear)?$|^dequantize(linear)?$|^convert$", re.IGNORECASE)
_CASTS = re.compile(r"^cast$", re.IGNORECASE)
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_INTEGERS = ("int4", "int8", "int16")
# Where ONNX Runtime puts a node that the model has not, its name begins like this.
_INSERTED = "Inserted"


class TypeTime(msgspec.Struct, frozen=True, kw_only=True):
    """All operators of one type in a profile, and those of the same type in the one beside it.

    `ns` are of one inference, shares (0..1) of the time of all operators of the profile.
    """

    type: str
    count: int = 0
    ns: float = 0.0
    share: float = 0.0
    precisions: tuple[str, ...] = ()
    reference_count: int = 0
    reference_ns: float = 0.0
    reference_share: float = 0.0
    reference_precisions: tuple[str, ...] = ()


def by_type(profile: Profile, reference: Profile | None) -> list[TypeTime]:
    """The types of both profiles, the most time first; ties in order of the name."""
    mine, theirs = _types(profile), _types(reference) if reference is not None else {}
    times = []
    for name in {**mine, **theirs}:
        one, other = mine.get(name, Group(())), theirs.get(name, Group(()))
        times.append(
            TypeTime(
                type=name,
                count=len(one.operators),
                ns=one.ns,
                share=one.share,
                precisions=one.precisions,
                reference_count=len(other.operators),
                reference_ns=other.ns,
                reference_share=other.share,
                reference_precisions=other.precisions,
            )
        )
    return sorted(times, key=lambda time: (-time.ns, -time.reference_ns, time.type))


def _types(profile: Profile) -> dict[str, Group]:
    every = everything(profile)
    return {name: every.where(lambda operator, name=name: operator.type == name) for name in every.types}  # type: ignore[misc]


@dataclass(frozen=True)
class Group:
    """Some operators of one profile."""

    operators: tuple[OperatorTime, ...]

    @property
    def ns(self) -> float:
        """Their time in one inference, ns."""
        return sum(operator.ns for operator in self.operators)

    @property
    def share(self) -> float:
        """Their part (0..1) of the time of all operators of the profile."""
        return sum(operator.share for operator in self.operators)

    @property
    def precisions(self) -> tuple[str, ...]:
        """The data types that they compute in, as far as the profiler tells."""
        return tuple(dict.fromkeys(o.precision for o in self.operators if o.precision is not None))

    @property
    def types(self) -> Counter[str]:
        """How many there are of each type."""
        return Counter(operator.type for operator in self.operators)

    def __str__(self) -> str:
        """`3 Conv, 2 Gemm`, the most time first."""
        times: dict[str, float] = {}
        for operator in self.operators:
            times[operator.type] = times.get(operator.type, 0.0) + operator.ns
        counts = self.types
        return ", ".join(f"{counts[kind]} {kind}" for kind in sorted(times, key=lambda kind: -times[kind]))

    def __bool__(self) -> bool:
        return bool(self.operators)

    def where(self, holds: Callable[[OperatorTime], bool]) -> Group:
        """Those of them for which `holds` is true."""
        return Group(tuple(operator for operator in self.operators if holds(operator)))

    def of_precision(self, names: Sequence[str]) -> Group:
        """Those of them that compute in one of these data types."""
        return self.where(lambda operator: operator.precision in names)


def everything(profile: Profile) -> Group:
    """All operators of the profile."""
    return Group(profile.operators)


def products(profile: Profile) -> Group:
    """Matrix products and convolutions: what quantisation, pruning and half precision make cheaper."""
    return everything(profile).where(is_product)


def integer_products(profile: Profile) -> Group:
    """Those of the products that are known to compute with integers."""
    return products(profile).of_precision(_INTEGERS)


def conversions(profile: Profile) -> Group:
    """Operators that go between float and integer tensors."""
    return everything(profile).where(is_conversion)


def casts(profile: Profile) -> Group:
    """Operators that go between floating-point types."""
    return everything(profile).where(is_cast)


def is_product(operator: OperatorTime) -> bool:
    """Whether it is a matrix product or a convolution."""
    return bool(_PRODUCTS.search(operator.type))


def is_conversion(operator: OperatorTime) -> bool:
    """Whether it quantises or dequantises."""
    return bool(_BETWEEN_FLOAT_AND_INTEGER.search(operator.type))


def is_cast(operator: OperatorTime) -> bool:
    """Whether it goes from one floating-point type to another."""
    return bool(_CASTS.search(operator.type)) and operator.precision in _FLOATS


def is_at_run_time(operator: OperatorTime) -> bool:
    """Whether it finds the scale of what it quantises at run time, as dynamic quantisation has to."""
    return is_conversion(operator) and operator.type.lower().startswith("dynamic")


def is_inserted(operator: OperatorTime) -> bool:
    """Whether the runtime put it into the graph."""
    return operator.name.startswith(_INSERTED)
