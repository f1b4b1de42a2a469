"""How the inputs of a user's model are fed: descriptions, checked against the model, and the values they make."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from bench.errors import UserError, unknown
from bench.record.artifact import TensorSpec, one_row_an_example
from bench.zoo.userdata import Fill

Array = npt.NDArray[Any]
Generator = Literal["normal", "uniform", "zeros", "ones", "integers", "constant"]
AxisNames = Mapping[str, Sequence[str | None]]
"""The names of an input's axes, by the input's name."""

_UNIFORM = (0.0, 1.0)
_DIGITS = (0, 9)
_TRUTH = (0, 1)
_DEFAULT = "standard normal"


class InputDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What a user says of one input. `shape` is that of one example, its batch axis 1; None: as the model has it.

    `range` is half open for `uniform` and closed for `integers`; `value` is that of `constant`. `state` names the
    output of the step before that the input is fed from, beginning with zeros.
    """

    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    generator: Generator | None = None
    range: tuple[float, float] | None = None
    value: bool | int | float | None = None
    state: str | None = None

    @property
    def makes_values(self) -> bool:
        """Whether it says where the values come from."""
        return (self.generator, self.range, self.value) != (None, None, None)


class Descriptions(msgspec.Struct, frozen=True, kw_only=True):
    """The tables `[axes]` and `[inputs]`. `where` is the file or suite that they stand in, for messages."""

    axes: dict[str, int] = {}
    inputs: dict[str, InputDescription] = {}
    where: str = ""

    def of(self, model: str, others: Collection[str] = ()) -> Descriptions:
        """Those that concern `model`: keys `MODEL:NAME` of `others` are left out, its own lose the prefix.

        A key with its own prefix wins over the plain one.
        """
        return msgspec.structs.replace(
            self, axes=_concerning(self.axes, model, others), inputs=_concerning(self.inputs, model, others)
        )

    def key(self) -> dict[str, Any]:
        """What an export depends on."""
        return {"axes": self.axes, "inputs": msgspec.to_builtins(self.inputs)}

    def __bool__(self) -> bool:
        return bool(self.axes or self.inputs)


@dataclass(frozen=True)
class Feeding:
    """Descriptions that fit one model.

    `specs` are its inputs with the values of dynamic axes in place; the batch axis stays free. `described` and `axes`
    are what the user said, by name. `state` pairs inputs with the outputs that feed them.
    """

    specs: tuple[TensorSpec, ...]
    described: Mapping[str, InputDescription]
    axes: Mapping[str, int]
    state: tuple[tuple[str, str], ...]

    def generated(self, examples: int, seed: int) -> tuple[Array, ...]:
        """Arrays for all inputs, axis 0 the examples; free axes 1."""
        rng = np.random.default_rng(seed)
        return tuple(self._values(spec, rng, examples) for spec in self.specs)

    def fills(self, seed: int) -> dict[str, Fill]:
        """What makes the arrays of inputs that data may leave out, by name."""
        return {
            spec.name: partial(self._values, spec, np.random.default_rng([seed, at]))
            for at, spec in enumerate(self.specs)
            if self._of(spec).makes_values or self._of(spec).state is not None
        }

    def about(self, names: Collection[str], seed: int) -> str:
        """How the values of the inputs `names` come, such as "uniform 0..1, seed 0"."""
        said = {spec.name: _said(spec, self._of(spec)) for spec in self.specs if spec.name in names}
        random = any(not phrase.startswith(("constant", "zeros", "ones", "from ")) for phrase in said.values())
        # Where data are given, they have the sizes of the axes.
        sizes = [f"{axis} {size}" for axis, size in self.axes.items()] if len(said) == len(self.specs) else []
        seeded = sizes + ([f"seed {seed}"] if random else [])
        if set(said.values()) <= {_DEFAULT}:
            return ", ".join([_DEFAULT, *seeded])
        if len(self.specs) == 1:
            return ", ".join([*said.values(), *seeded])
        return ", ".join([f"{name} {said}" for name, said in said.items() if said != _DEFAULT] + seeded)

    def _of(self, spec: TensorSpec) -> InputDescription:
        return self.described.get(spec.name, InputDescription())

    def _values(self, spec: TensorSpec, rng: np.random.Generator, examples: int) -> Array:
        axes = spec.shape[1:] if one_row_an_example(self.specs) else spec.shape
        shape = (examples, *(1 if axis is None else axis for axis in axes))
        return draw(spec, self._of(spec), shape, rng)


def draw(spec: TensorSpec, said: InputDescription, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Values of one input: as described, else standard normal reals, integers 0..9, random booleans."""
    kind = np.dtype(spec.dtype)
    dtype = np.dtype(np.float32) if spec.scale is not None and kind.kind != "f" else kind
    low, high = said.range or _usual_range(spec, said)
    match _generator(spec, said):
        case "zeros":
            return np.zeros(shape, dtype)
        case "ones":
            return np.ones(shape, dtype)
        case "constant":
            return np.full(shape, said.value, dtype)
        case "normal":
            return rng.standard_normal(shape).astype(dtype)
        case "uniform":
            return rng.uniform(low, high, shape).astype(dtype)
        case "integers":
            wide = np.uint64 if dtype == np.uint64 else np.int64
            return rng.integers(int(low), int(high), shape, wide, endpoint=True).astype(dtype)


def resolve(
    given: Descriptions,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    names: AxisNames | None = None,
) -> Feeding:
    """The descriptions against a model's `inputs` and `outputs`; `names` are those of its axes, where it has any.

    Raises:
        UserError: an input, axis or output that the model does not have, or what does not fit it.
    """
    specs = {spec.name: spec for spec in inputs}
    for name, said in given.inputs.items():
        where = f"{given.where}: inputs.{name}"
        if name not in specs:
            raise unknown("input", name, specs, where=where)
        _check_values(specs[name], said, where)
    state = tuple((name, said.state) for name, said in given.inputs.items() if said.state is not None)
    for name, output in state:
        _check_state(specs[name], output, outputs, f"{given.where}: inputs.{name}.state")
    axes = _Axes(given, inputs, names or {})
    return Feeding(tuple(axes.fixed(spec) for spec in inputs), given.inputs, given.axes, state)


class _Axes:
    """The values of dynamic axes, by the input and the number of the axis."""

    def __init__(self, given: Descriptions, inputs: Sequence[TensorSpec], names: AxisNames) -> None:
        self._given, self._names = given, names
        rows = one_row_an_example(inputs)
        free = [(spec.name, axis) for spec in inputs for axis, size in enumerate(spec.shape) if size is None]
        self._batch = {place for place in free if rows and place[1] == 0}
        self._values: dict[tuple[str, int], int] = {}
        for spec in inputs:
            self._take_shape(spec)
        for key, value in given.axes.items():
            self._take_axis(key, value, free)

    def fixed(self, spec: TensorSpec) -> TensorSpec:
        """The input with what is known of its axes."""
        shape = tuple(self._values.get((spec.name, axis), size) for axis, size in enumerate(spec.shape))
        return msgspec.structs.replace(spec, shape=shape)

    def _take_shape(self, spec: TensorSpec) -> None:
        shape = self._given.inputs.get(spec.name, InputDescription()).shape
        if shape is None:
            return
        where = f"{self._given.where}: inputs.{spec.name}.shape"
        has = [1 if (spec.name, axis) in self._batch else size for axis, size in enumerate(spec.shape)]
        if len(shape) != len(has) or any(size not in (None, want) for size, want in zip(has, shape, strict=True)):
            shown = ", ".join("any" if size is None else str(size) for size in has)
            raise UserError(
                f"the input {spec.name!r} is given the shape {list(shape)}, the model's is [{shown}]",
                where=where,
                remedy="give the shape of one example; the batch is set in the suite's matrix",
            )
        for axis, size in enumerate(spec.shape):
            if size is None and (spec.name, axis) not in self._batch:
                self._set((spec.name, axis), shape[axis], where)

    def _take_axis(self, key: str, value: int, free: Sequence[tuple[str, int]]) -> None:
        where = f"{self._given.where}: axes.{key}"
        places = [place for place in free if key in (self._named(place), f"{place[0]}.{place[1]}")]
        if not places:
            valid = {self._named(place) or f"{place[0]}.{place[1]}" for place in free if place not in self._batch}
            raise unknown("dynamic axis", key, valid, where=where)
        if self._batch.intersection(places):
            raise UserError(
                f"the axis {key!r} counts the examples of a batch",
                where=where,
                remedy="leave it out; the batch is set in the suite's matrix",
            )
        for place in places:
            self._set(place, value, where)

    def _set(self, place: tuple[str, int], value: int, where: str) -> None:
        """Give the axis its value, and every axis of the same name with it."""
        name = self._named(place)
        same = [
            (other, axis)
            for other, axes in self._names.items()
            for axis, each in enumerate(axes)
            if name and each == name
        ]
        for each in {place, *same} - self._batch:
            known = self._values.setdefault(each, value)
            if known != value:
                raise UserError(
                    f"axis {each[1]} of {each[0]!r} is to be both {known} and {value}",
                    where=where,
                    remedy="give an axis, and those of the same name, one value",
                )

    def _named(self, place: tuple[str, int]) -> str | None:
        name, axis = place
        axes = self._names.get(name, ())
        return axes[axis] if axis < len(axes) else None


def _concerning(table: Mapping[str, Any], model: str, others: Collection[str]) -> dict[str, Any]:
    foreign = tuple(f"{other}:" for other in others if other != model)
    own = {key.removeprefix(f"{model}:"): value for key, value in table.items() if key.startswith(f"{model}:")}
    plain = {key: value for key, value in table.items() if not key.startswith((f"{model}:", *foreign))}
    return plain | own


def _generator(spec: TensorSpec, said: InputDescription) -> Generator:
    if said.generator is not None:
        return said.generator
    if said.state is not None:
        return "zeros"
    if said.value is not None:
        return "constant"
    if _is_real(spec):
        return "normal" if said.range is None else "uniform"
    return "integers"


def _usual_range(spec: TensorSpec, said: InputDescription) -> tuple[float, float]:
    if _generator(spec, said) == "uniform":
        return _UNIFORM
    return _TRUTH if np.dtype(spec.dtype).kind == "b" else _DIGITS


def _is_real(spec: TensorSpec) -> bool:
    """Whether the input takes real numbers, as a quantised one does too."""
    return spec.scale is not None or np.dtype(spec.dtype).kind == "f"


def _said(spec: TensorSpec, said: InputDescription) -> str:
    low, high = said.range or _usual_range(spec, said)
    generator = _generator(spec, said)
    if said.state is not None:
        return f"from {said.state}"
    if generator in ("uniform", "integers"):
        # Integers that nobody described are part of the default.
        return f"{generator} {low:g}..{high:g}" if said.makes_values else _DEFAULT
    return {"normal": _DEFAULT, "constant": f"constant {said.value}"}.get(generator, generator)


def _check_values(spec: TensorSpec, said: InputDescription, where: str) -> None:
    if said.dtype is not None and said.dtype != spec.dtype:
        raise UserError(
            f"the input {spec.name!r} is said to be {said.dtype}, the model's is {spec.dtype}",
            where=f"{where}.dtype",
            remedy=f"write {spec.dtype}, or leave it out",
        )
    generator = _generator(spec, said)
    if not _is_real(spec) and generator in ("normal", "uniform"):
        raise UserError(
            f"the input {spec.name!r} takes {spec.dtype}, and {generator} gives real numbers",
            where=f"{where}.generator",
            remedy="use the generator integers with a range",
        )
    limits = [("range", number) for number in said.range or ()]
    limits += [("value", said.value)] if said.value is not None else []
    for key, number in limits:
        _check_number(spec, float(number), f"{where}.{key}", whole=generator == "integers")


def _check_number(spec: TensorSpec, number: float, where: str, *, whole: bool) -> None:
    dtype = np.dtype(spec.dtype)
    if not np.isfinite(number):
        raise UserError(f"{number} is not finite", where=where, remedy="give a finite number")
    drawn = np.dtype(np.float32) if _is_real(spec) and dtype.kind != "f" else dtype
    with np.errstate(over="ignore"):
        if _is_real(spec) and not np.isfinite(drawn.type(number)):
            raise UserError(f"{number:g} does not fit {drawn}", where=where, remedy="give a smaller number")
    if (whole or not _is_real(spec)) and number != int(number):
        raise UserError(f"{number:g} is not a whole number", where=where, remedy="give whole numbers")
    if whole or not _is_real(spec):
        # Whole numbers for an input that takes real ones are drawn as int64.
        kind = np.dtype(np.int64) if _is_real(spec) else dtype
        low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
        if not low <= number <= high:
            raise UserError(f"{number:g} does not fit {kind}", where=where, remedy=f"stay within {low}..{high}")


def _check_state(spec: TensorSpec, output: str, outputs: Sequence[TensorSpec], where: str) -> None:
    by_name = {each.name: each for each in outputs}
    if output not in by_name:
        raise unknown("output", output, by_name, where=where)
    source = by_name[output]
    fits = source.dtype == spec.dtype and len(source.shape) == len(spec.shape)
    if not fits or any(
        None not in (have, want) and have != want for have, want in zip(source.shape, spec.shape, strict=True)
    ):
        raise UserError(
            f"the output {output!r} ({source.dtype} {_shape(source)}) does not fit the input {spec.name!r} "
            f"({spec.dtype} {_shape(spec)})",
            where=where,
            remedy="name the output that carries this state",
        )


def _shape(spec: TensorSpec) -> str:
    return f"[{', '.join('any' if axis is None else str(axis) for axis in spec.shape)}]"
