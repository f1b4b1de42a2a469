"""One setting of everything that is tuned, and the suite that measures it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

from bench.record.case import Option
from bench.suite.schema import Matrix, Suite, VariantDefinition


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial measures.

    `model` is a word that `bench.zoo.find.find` reads, with `hyper` in it: hyper-parameters, `width=16`. `base` is the
    built-in variant that `variant` is made of with `variant_options`, where there are any. Runtime options at their
    default are left out, so that two setups that mean the same are equal.
    """

    model: str
    variant: str
    base: str
    target: str
    hyper: str = ""
    variant_options: dict[str, Option] = {}
    threads: int = 1
    batch: int = 1
    options: dict[str, Option] = {}

    @property
    def key(self) -> str:
        """What tells it from every other setup."""
        return msgspec.json.encode(self, order="sorted").decode()

    @property
    def name(self) -> str:
        """For people: variant, target, threads and batch, and what differs from the defaults."""
        parts = [self.variant, self.target, f"t{self.threads}", f"b{self.batch}"]
        parts += [f"{key}={value}" for key, value in sorted(self.options.items())]
        return "/".join(parts + ([self.hyper] if self.hyper else []))

    def suite(self, like: Suite, scenario: str, fixed: Mapping[str, Option], *, name: str = "tune") -> Suite:
        """A suite of this one case, with the seed, measuring and inputs of the suite `like`."""
        own = {} if self.variant == self.base else {self.variant: self._definition()}
        matrix = Matrix(
            models=[self.model],
            variants=[self.variant],
            runtimes=[self.target],
            threads=[self.threads],
            batch=[self.batch],
            scenarios=[scenario],
            options={**fixed, **self.options},
        )
        return like.model_copy(
            update={"name": name, "variants": own, "matrix": [matrix], "gate": {}, "tune": None, "floors": "warn"}
        )

    def _definition(self) -> VariantDefinition:
        return VariantDefinition.model_validate({"from": self.base, **self.variant_options})


def snippet(setup: Setup, scenario: str, fixed: Mapping[str, Option]) -> str:
    """The TOML of a suite whose one case is this setup."""
    options = {**fixed, **setup.options}
    lines = ['name = "tuned"', ""]
    if setup.variant != setup.base:
        lines += [f"[variants.{json.dumps(setup.variant)}]", f"from = {_toml(setup.base)}"]
        lines += [*(f"{key} = {_toml(value)}" for key, value in setup.variant_options.items()), ""]
    lines += [
        "[[matrix]]",
        f"models = [{_toml(setup.model)}]",
        f"variants = [{_toml(setup.variant)}]",
        f"runtimes = [{_toml(setup.target)}]",
        f"threads = [{setup.threads}]",
        f"batch = [{setup.batch}]",
        f"scenarios = [{_toml(scenario)}]",
    ]
    if options:
        given = ", ".join(f"{key} = {_toml(value)}" for key, value in sorted(options.items()))
        lines.append(f"options = {{ {given} }}")
    return "\n".join(lines) + "\n"


def _toml(value: Option) -> str:
    """A scalar as TOML writes it: JSON does the same for text and truth values."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | str) else repr(value)
