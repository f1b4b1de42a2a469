"""From the name of a variant to its recipe: built in, or defined by the user on top of a built-in one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bench.errors import UserError, unknown
from bench.export.variants import SOURCE, VARIANTS, OptionSpec
from bench.record.artifact import Artifact, Bundle, Format, Recipe, Unavailable
from bench.record.case import Option

AS_GIVEN = Recipe(SOURCE)
"""The recipe of a file that is kept as it is."""


class Definition(msgspec.Struct, frozen=True):
    """A variant of the user's own: a built-in one with other options."""

    base: str
    options: dict[str, Option] = {}


class Wanted(msgspec.Struct, frozen=True):
    """A variant to make, in a format."""

    variant: str
    format: Format
    recipe: Recipe

    @property
    def key(self) -> tuple[str, Format, str]:
        """What tells it from every other."""
        return self.variant, self.format, digest(self.recipe)


def recipes(own: Mapping[str, Definition] | None = None, *, where: str = "variants") -> dict[str, Recipe]:
    """All variants by name, those of the user (`own`) after the built-in ones. `where` says who defined them.

    Raises:
        UserError: a name that is taken, an unknown base or option, or a value out of range.
    """
    known = {name: Recipe(name, _defaults(name)) for name in VARIANTS}
    for name, definition in (own or {}).items():
        place = f"{where}.{name}"
        if name in VARIANTS or name == SOURCE:
            raise UserError(f"{name!r} is a built-in variant", where=place, remedy="choose another name")
        if definition.base not in VARIANTS:
            raise unknown("variant", definition.base, VARIANTS, where=f"{place}.from")
        known[name] = Recipe(definition.base, _checked(definition, place))
    return known


def wanted(variant: str, fmt: Format, own: Mapping[str, Definition] | None = None) -> Wanted:
    """`variant` in `fmt`. Raises `UserError` for one that does not exist."""
    if variant == SOURCE:
        return Wanted(SOURCE, fmt, AS_GIVEN)
    known = recipes(own)
    if variant not in known:
        raise unknown("variant", variant, known)
    return Wanted(variant, fmt, known[variant])


def key_of(answer: Artifact | Unavailable) -> tuple[str, Format, str]:
    """The key of what was wanted when this was made, or not made."""
    return Wanted(answer.variant, answer.format, answer.recipe).key


def only(bundle: Bundle, asked: Sequence[Wanted]) -> Bundle:
    """The bundle with what answers `asked`; a file that is kept as it is answers for `fp32`."""
    keys = {each.key for each in asked}
    keys |= {wanted(SOURCE, each.format).key for each in asked if each.recipe.base == "fp32"}
    return msgspec.structs.replace(
        bundle,
        artifacts=tuple(a for a in bundle.artifacts if key_of(a) in keys),
        unavailable=tuple(u for u in bundle.unavailable if key_of(u) in keys),
    )


def digest(recipe: Recipe) -> str:
    """Eight hexadecimal digits that tell recipes apart."""
    return hashlib.sha256(msgspec.json.encode(recipe, order="sorted")).hexdigest()[:8]


def is_builtin(variant: str, recipe: Recipe) -> bool:
    """Whether `recipe` is what the built-in `variant` means."""
    return recipe == AS_GIVEN or (variant in VARIANTS and recipe == Recipe(variant, _defaults(variant)))


def parse_definitions(texts: Iterable[str]) -> dict[str, Definition]:
    """All that a command line defines. Raises `UserError`, also for a name that is given twice."""
    found: dict[str, Definition] = {}
    for name, definition in map(parse_definition, texts):
        if name in found:
            raise UserError(f"{name!r} is defined twice", where="--define", remedy="choose another name for one")
        found[name] = definition
    return found


def parse_definition(text: str) -> tuple[str, Definition]:
    """`NAME=BASE,option=value,…` as given on a command line. Raises `UserError`.

    A value may be a list with commas: a part without `=` goes on with the value before it.
    """
    # A byte of the command line that is not text arrives as half a character, which no record can hold.
    name, equals, rest = text.encode(errors="replace").decode().partition("=")
    base, *parts = [part.strip() for part in rest.split(",")]
    settings: list[str] = []
    for part in parts:
        if settings and part and "=" not in part:
            settings[-1] += f",{part}"
        else:
            settings.append(part)
    pairs = [setting.partition("=") for setting in settings]
    if not (name.strip() and equals and base) or any(not sign or not key.strip() for key, sign, _ in pairs):
        raise UserError(
            f"cannot read {text!r}",
            where="--define",
            remedy="write NAME=BASE,option=value, such as int8-entropy=int8,calibration=entropy",
        )
    return name.strip(), Definition(base, {key.strip(): _value(value.strip()) for key, _, value in pairs})


def _value(text: str) -> Option:
    try:
        found = msgspec.json.decode(text, type=bool | int | float)
    except msgspec.MsgspecError:
        return text
    return found


def _defaults(name: str) -> dict[str, Option]:
    return {key: option.default for key, option in VARIANTS[name].options.items()}


def _checked(definition: Definition, place: str) -> dict[str, Option]:
    specs = VARIANTS[definition.base].options
    chosen = _defaults(definition.base)
    for key, value in definition.options.items():
        if key not in specs:
            raise unknown(f"option of {definition.base}", key, specs, where=place)
        chosen[key] = _fitting(specs[key], value, f"{place}.{key}")
    return chosen


def _fitting(spec: OptionSpec, value: Option, place: str) -> Option:
    kind = type(spec.default)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise UserError(f"expected {_KINDS[kind]}, not {value!r}", where=place, remedy=spec.about)
    if spec.choices and value not in spec.choices:
        raise unknown("value", str(value), [str(choice) for choice in spec.choices], where=place)
    if spec.low is not None and not isinstance(value, str) and not spec.low <= value <= (spec.high or value):
        raise UserError(
            f"{value!r} is out of range",
            where=place,
            remedy=f"choose one of {spec.low:g} to {spec.high:g}" if spec.high else f"choose at least {spec.low:g}",
        )
    return value


_KINDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
