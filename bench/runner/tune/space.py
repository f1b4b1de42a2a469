"""The space of a search: which settings exist, made one choice after the other ("define by run").

What is chosen first decides what there is to choose next: options of ONNX Runtime are asked for only where it runs the
model, a variant's options only for that variant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from bench.errors import UserError, unknown
from bench.export.variants import VARIANTS
from bench.machine.cpu import usable_cores
from bench.record.artifact import Recipe
from bench.record.case import Option
from bench.runner.sides import TARGETS
from bench.runner.tune.setup import Setup
from bench.runtimes.table import RUNTIMES, option_fault, targets, unavailable
from bench.suite.tune import Values
from bench.zoo.card import Hyper
from bench.zoo.find import with_hyper

Choose = Callable[[str, Values], Option]
"""Chooses one value of a dimension by its name."""

DEFAULT_VARIANT = "fp32"
MODEL = "model."
_NOT_THE_MODEL = ("null", "slowed")
_AXES = ("threads", "batch")
_CHANGES_THE_MEASURE = ("scope", "io_binding")
"""Options that change what is timed, not what is done."""
_USUAL_VARIANTS = ("fp32", "fp16", "int8", "int8-dynamic")
_USUAL: dict[str, list[Option]] = {
    "graph_optimization": ["basic", "extended", "all"],
    "arena": [True, False],
    "spinning": [True, False],
    "execution_mode": ["sequential", "parallel"],
    "int8.calibration": ["minmax", "entropy", "percentile"],
    "int8.per_channel": [True, False],
}
_USUAL_BATCH = [1, 4, 16, 64]
MANY = 5_000
"""Settings that are counted at most."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the space is checked against: the model by its word, its formats, what its card declares, variants."""

    model: str
    formats: frozenset[str]
    hyper: dict[str, Hyper]
    values: dict[str, Option | None]
    recipes: dict[str, Recipe]


class Space(msgspec.Struct, frozen=True, kw_only=True):
    """`forms` are the variants with the targets on which they exist; the rest are dimensions by name."""

    known: Known
    forms: tuple[tuple[str, str], ...]
    axes: dict[str, Values]
    runtime: dict[str, Values]
    variant: dict[str, dict[str, Values]]
    hyper: dict[str, Values]

    def walk(self, choose: Choose) -> Setup:
        """The setup that `choose` chooses."""
        hyper = {name: choose(MODEL + name, values) for name, values in self.hyper.items()}
        hyper = {name: value for name, value in hyper.items() if value != self.known.values[name]}
        forms = [f"{variant} on {target}" for variant, target in self.forms]
        chosen = choose("form", Values(values=list(forms))) if len(forms) > 1 else forms[0]
        variant, target = self.forms[forms.index(str(chosen))]
        own = {
            name: choose(f"{variant}.{name}", values)
            for name, values in self.variant[variant].items()
            if _has_option(self.known.recipes[variant].base, name, target)
        }
        axes = {name: choose(name, values) for name, values in self.axes.items()}
        threads = int(axes.get("threads", 1))
        options = {}
        for name, values in self.runtime.items():
            if name in RUNTIMES[_runtime(target)].options and not (name == "execution_mode" and threads == 1):
                options[name] = choose(name, values)
        return self._setup(hyper, variant, own, target, threads, int(axes.get("batch", 1)), options)

    def default(self) -> Setup:
        """What is measured without a search: the model as it is on the first target, with every option at its default.

        It exists in every format, and so wherever a variant does.
        """
        _, target = self.forms[0]
        return Setup(model=self.known.model, variant=DEFAULT_VARIANT, base=DEFAULT_VARIANT, target=target)

    def combinations(self) -> Iterator[tuple[dict[str, Option], Setup]]:
        """Every setup with the choices that lead to it, in order.

        Raises:
            UserError: a range has no steps.
        """
        todo: list[dict[str, Option]] = [{}]
        while todo:
            made = todo.pop()
            try:
                yield made, self.walk(lambda name, values, made=made: _scripted(made, name, values))  # type: ignore[misc]
            except _Open as still:
                listed = still.values.listed()
                if listed is None:
                    raise UserError(
                        "a grid needs steps", where=f"tune.space.{still.name}", remedy="add a step, or a list of values"
                    ) from None
                todo += [{**made, still.name: value} for value in reversed(listed)]

    def count(self) -> int | None:
        """How many different setups there are, `MANY` at most; None where a range has no steps."""
        seen: set[str] = set()
        try:
            for _, setup in self.combinations():
                seen.add(setup.key)
                if len(seen) >= MANY:
                    break
        except UserError:
            return None
        return len(seen)

    def _setup(
        self,
        hyper: Mapping[str, Option],
        variant: str,
        own: Mapping[str, Option],
        target: str,
        threads: int,
        batch: int,
        options: Mapping[str, Option],
    ) -> Setup:
        recipe = self.known.recipes[variant]
        defaults = RUNTIMES[_runtime(target)].defaults
        differing = {key: value for key, value in own.items() if value != recipe.options[key]}
        plain = {key: option.default for key, option in VARIANTS[recipe.base].options.items()}
        merged = {**recipe.options, **differing}
        return Setup(
            model=with_hyper(self.known.model, hyper),
            hyper=",".join(f"{key}={value}" for key, value in sorted(hyper.items())),
            variant="-".join([variant, *(_tidy(f"{key}-{value}") for key, value in sorted(differing.items()))]),
            base=recipe.base,
            target=target,
            variant_options={key: value for key, value in merged.items() if value != plain[key]},
            threads=threads,
            batch=batch,
            options={key: value for key, value in sorted(options.items()) if value != defaults.get(key)},
        )


def make_space(given: Mapping[str, Values], known: Known, where: str) -> Space:
    """The space that a table `[tune.space]` describes; what it does not name stays at its default.

    `where` names the file.

    Raises:
        UserError: a dimension or a value does not exist, or nothing is left to measure.
    """
    place = f"{where}: tune.space"
    axes, runtime, hyper = {}, {}, {}
    variants = _listed(given, "variant", [DEFAULT_VARIANT], known.recipes, place)
    wanted = _listed(given, "runtime", _usual_targets(known)[:1], targets(), place)
    own: dict[str, dict[str, Values]] = {name: {} for name in variants}
    for name, values in given.items():
        spot = f"{place}.{name}"
        base, dot, option = name.partition(".")
        if name in ("variant", "runtime"):
            continue
        if name in _AXES:
            axes[name] = _positive(values, spot)
        elif name.startswith(MODEL):
            hyper[option] = _declared(option, values, known, spot)
        elif dot:
            if base not in variants:
                raise unknown("variant", base, variants, where=spot)
            own[base][option] = _variant_option(known.recipes[base], option, values, spot)
        elif any(name in RUNTIMES[_runtime(target)].options for target in wanted):
            runtime[name] = _runtime_option(name, values, wanted, spot)
        else:
            for variant in (v for v in variants if name in known.recipes[v].options):
                own[variant].setdefault(name, _variant_option(known.recipes[variant], name, values, spot))
            if not any(name in options for options in own.values()):
                raise unknown("dimension", name, _dimensions(variants, wanted, known), where=spot)
    forms = [(variant, target) for target in wanted for variant in variants if _exists(variant, target, known)]
    if not forms:
        raise UserError(
            f"none of {', '.join(variants)} exists for {known.model} on {', '.join(wanted)}",
            where=place,
            remedy="see `bench list variants` and `bench list runtimes`",
        )
    return Space(known=known, forms=tuple(forms), axes=axes, runtime=runtime, variant=own, hyper=hyper)


def default_space(known: Known, *, calibrates: bool, batches: bool, retrain: bool) -> dict[str, Values]:
    """A space from the table of runtimes and this machine, for a model without one.

    `calibrates` says whether there are data for static int8, `batches` whether larger batches serve the objective,
    `retrain` whether the hyper-parameters that the model's card declares belong in it.
    """
    variants = [name for name in _USUAL_VARIANTS if calibrates or not VARIANTS[name].needs]
    cores = len(usable_cores())
    lists: dict[str, list[Option]] = {
        "variant": list(variants),
        "runtime": list(_usual_targets(known)),
        "threads": [count for count in (1, 2, 4, 8, 16, 32) if count <= cores],
    }
    if batches:
        lists["batch"] = list(_USUAL_BATCH)
    runtimes = {_runtime(str(target)) for target in lists["runtime"]}
    for name, values in _USUAL.items():
        base, dot, _ = name.partition(".")
        if (base in variants) if dot else any(name in RUNTIMES[runtime].options for runtime in runtimes):
            lists[name] = values
    found = {name: Values(values=values) for name, values in lists.items()}
    return found | ({MODEL + name: declared for name, declared in known.hyper.items()} if retrain else {})


class _Open(Exception):
    """A choice that is still to be made."""

    def __init__(self, name: str, values: Values) -> None:
        super().__init__(name)
        self.name, self.values = name, values


def _scripted(made: Mapping[str, Option], name: str, values: Values) -> Option:
    if name not in made:
        raise _Open(name, values)
    return made[name]


def _has_option(variant: str, option: str, target: str) -> bool:
    """Whether a variant has the option in the format that the target reads; those of ONNX alone say so."""
    about = VARIANTS[variant].options[option].about
    return "onnx" in RUNTIMES[_runtime(target)].formats or not ("(ONNX)" in about or about.startswith("ONNX:"))


def _runtime(target: str) -> str:
    return target.partition("-")[0]


def _exists(variant: str, target: str, known: Known) -> bool:
    return bool(
        RUNTIMES[_runtime(target)].formats & known.formats & VARIANTS[known.recipes[variant].base].makers.keys()
    )


def _usual_targets(known: Known) -> list[str]:
    """The usual targets first, then all others of this machine that run the model."""
    there = [
        target
        for target, formats in targets().items()
        if formats & known.formats and _runtime(target) not in _NOT_THE_MODEL and unavailable(target) is None
    ]
    return sorted(there, key=lambda target: target not in TARGETS)


def _listed(
    given: Mapping[str, Values], name: str, otherwise: Sequence[str], valid: Mapping[str, object], place: str
) -> list[str]:
    """Names from a list; each has to be valid and, of runtimes, here."""
    spot = f"{place}.{name}"
    if name not in given:
        return list(otherwise)
    for value in given[name].values or ():
        if value not in valid:
            raise unknown(name, str(value), valid, where=spot)
        reason = unavailable(str(value)) if name == "runtime" else None
        if reason:
            raise UserError(reason, where=spot, remedy="leave it out, see `bench list runtimes`")
    if given[name].ends is not None:
        raise UserError("this is a list of names", where=spot, remedy=f"see `bench list {name}s`")
    return [str(value) for value in given[name].values or ()]


def _positive(values: Values, spot: str) -> Values:
    """Threads and batches are whole numbers of one at least."""
    listed = values.listed()
    if listed is None or not all(type(value) is int and value >= 1 for value in listed):
        raise UserError("whole numbers of one at least are needed", where=spot, remedy="such as [1, 2]")
    return values


def _declared(name: str, values: Values, known: Known, spot: str) -> Values:
    if name not in known.hyper:
        raise unknown("hyper-parameter", name, known.hyper, where=spot)
    for value in values.ends or values.values or ():
        wrong = known.hyper[name].fault(value)
        if wrong:
            raise UserError(wrong, where=spot, remedy="keep to [tune] in the model's model.toml")
    return values


def _variant_option(recipe: Recipe, option: str, values: Values, spot: str) -> Values:
    """The values, checked as those of a variant of one's own are. Raises `UserError`."""
    from bench.export.recipes import Definition, recipes

    for value in values.ends or values.values or ():
        try:
            recipes({"checked": Definition(recipe.base, {option: value})})
        except UserError as error:
            raise UserError(error.what, where=spot, remedy=error.remedy) from None
    return values


def _runtime_option(name: str, values: Values, wanted: Sequence[str], spot: str) -> Values:
    if name in _CHANGES_THE_MEASURE:
        raise UserError(
            f"{name} changes what is timed, not what is done", where=spot, remedy="fix it under [tune] options"
        )
    for runtime in dict.fromkeys(_runtime(target) for target in wanted):
        for value in values.ends or values.values or ():
            wrong = option_fault(runtime, {name: value}) if name in RUNTIMES[runtime].options else None
            if wrong:
                raise UserError(f"{runtime}: {wrong}", where=spot, remedy="correct the value")
    return values


def _dimensions(variants: Sequence[str], wanted: Sequence[str], known: Known) -> list[str]:
    """Every name that a dimension may have here."""
    names = ["variant", "runtime", *_AXES, *(MODEL + name for name in known.hyper)]
    names += [name for target in wanted for name in RUNTIMES[_runtime(target)].options]
    names += [name for variant in variants for name in known.recipes[variant].options]
    return [name for name in dict.fromkeys(names) if name not in _CHANGES_THE_MEASURE]


def _tidy(text: str) -> str:
    """As a variant may be called."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)
