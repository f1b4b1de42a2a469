"""What a suite file may say. Validated by pydantic; the JSON Schema is `Suite.model_json_schema()`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from bench.record.observation import Confinement, Plan
from bench.suite.tune import Tune

Names = Annotated[list[str], Field(min_length=1)]
Generator = Literal["normal", "uniform", "zeros", "ones", "integers", "constant"]
RANGED = ("uniform", "integers")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Matrix(_Strict):
    """Every combination of these lists is a case; combinations whose formats do not meet are left out."""

    models: list[str] = Field(default=[], description="zoo names or paths; empty: the models given on the command line")
    variants: Names = Field(description="see `bench list variants`")
    runtimes: Names = Field(description="runtime-provider, such as onnxruntime-cpu; see `bench list runtimes`")
    if_available: list[str] = Field(
        default=[], description="runtimes that become cases only where this machine has them"
    )
    threads: Annotated[list[PositiveInt], Field(min_length=1)] = [1]
    batch: Annotated[list[PositiveInt], Field(min_length=1)] = [1]
    scenarios: Names = ["single-stream"]
    options: dict[str, str | int | float | bool] = Field(
        default={}, description="options of the runtime or the scenario"
    )


class VariantDefinition(BaseModel):
    """A variant of one's own: a built-in one (`from`) and, as further keys, those of its options that differ."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)
    __pydantic_extra__: dict[str, str | int | float | bool]

    base: str = Field(alias="from", description="a built-in variant; see `bench list variants`")

    @property
    def options(self) -> dict[str, str | int | float | bool]:
        """What differs from the built-in variant."""
        return dict(self.__pydantic_extra__ or {})


class InputDefinition(_Strict):
    """How an input of a model that brings no data of its own is fed; see docs/own-model.md."""

    shape: list[PositiveInt] | None = Field(
        default=None, description="the input's shape for one example, its batch axis 1"
    )
    dtype: str | None = Field(default=None, description="a NumPy name; has to be the model's own")
    generator: Generator | None = Field(default=None, description="where the values come from")
    range: tuple[float, float] | None = Field(default=None, description="of uniform (half open) and integers (closed)")
    value: bool | int | float | None = Field(default=None, description="of the generator constant")
    state: str | None = Field(default=None, description="the output of the step before that this input is fed from")

    @model_validator(mode="after")
    def _consistent(self) -> InputDefinition:
        if self.state is not None and (self.generator, self.range, self.value) != (None, None, None):
            raise ValueError("an input with a state is fed from an output: leave generator, range and value out")
        if self.generator == "constant" and self.value is None:
            raise ValueError("the generator constant needs a value")
        if self.value is not None and self.generator not in (None, "constant"):
            raise ValueError(f"value is for the generator constant, not for {self.generator}")
        if self.range is not None and (self.value is not None or self.generator not in (None, *RANGED)):
            raise ValueError(f"range is for the generators {' and '.join(RANGED)}")
        if self.range is not None and self.range[0] > self.range[1]:
            raise ValueError(f"range begins ({self.range[0]:g}) above its end ({self.range[1]:g})")
        return self


class InputsFile(_Strict):
    """Descriptions of the inputs of a user's own models: what `--inputs` reads, and the same tables of a suite.

    A key `NAME` is for every own model of the run, `MODEL:NAME` for one of them.
    """

    axes: dict[str, PositiveInt] = Field(
        default={}, description="values of dynamic axes, by their name, or by INPUT.NUMBER"
    )
    inputs: dict[str, InputDefinition] = {}


class Measure(_Strict):
    """How long and how closely to measure; see `bench.record.observation.Plan`. Seconds."""

    warmup_min_s: float = Field(default=0.2, ge=0)
    warmup_max_s: PositiveFloat = 3.0
    min_s: PositiveFloat = 2.0
    max_s: PositiveFloat = 6.0
    min_samples: PositiveInt = 662
    precision: float = Field(default=0.01, gt=0, lt=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    block_s: PositiveFloat = 0.05
    timeout_s: PositiveFloat = 120.0
    memory_limit_mb: PositiveInt | None = None
    file_limit_mb: PositiveInt = Field(default=4096, description="the largest file that a measuring process may write")
    open_files: int = Field(default=1024, ge=64, description="how many files a measuring process may have open")
    network: bool = Field(
        default=True, description="false: models run without network, or not at all where the kernel does not allow it"
    )
    invocations: PositiveInt = 1
    idle_s: PositiveFloat = Field(default=1.0, description="rest before and after a case, where energy can be measured")
    tdp_w: PositiveFloat | None = Field(default=None, description="estimate CPU energy from load and this rated power")
    idle_w: float = Field(default=0.0, ge=0, description="power at rest, for the estimate")

    @model_validator(mode="after")
    def _ordered(self) -> Measure:
        if self.warmup_min_s > self.warmup_max_s:
            raise ValueError(f"warmup_min_s ({self.warmup_min_s}) is over warmup_max_s ({self.warmup_max_s})")
        if self.tdp_w is not None and self.idle_w > self.tdp_w:
            raise ValueError(f"idle_w ({self.idle_w}) is over tdp_w ({self.tdp_w})")
        if self.min_s > self.max_s:
            raise ValueError(f"min_s ({self.min_s}) is over max_s ({self.max_s})")
        if self.timeout_s <= self.warmup_max_s + self.max_s:
            raise ValueError(
                f"timeout_s ({self.timeout_s}) leaves no room for warmup_max_s + max_s "
                f"({self.warmup_max_s + self.max_s})"
            )
        return self

    def plan(self, seed: int) -> Plan:
        """The plan that the worker follows."""
        fields = self.model_dump(exclude={"memory_limit_mb", "file_limit_mb", "open_files", "network"})
        limit = None if self.memory_limit_mb is None else self.memory_limit_mb * 2**20
        confinement = Confinement(
            file_limit_bytes=self.file_limit_mb * 2**20, open_files=self.open_files, network=self.network
        )
        return Plan(**fields, memory_limit_bytes=limit, confinement=confinement, seed=seed)


class Suite(InputsFile):
    """A suite file."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    about: str = ""
    seed: int = 0
    floors: Literal["warn", "fail"] = Field(
        default="warn", description="what a figure below its model's floor does: warn in the row, or fail the row"
    )
    measure: Measure = Measure()
    variants: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")], VariantDefinition] = {}
    gate: dict[str, str | dict[str, str]] = Field(
        default={}, description="rules of `bench gate` by metric, and tables of them by a glob of case names"
    )
    tune: Tune | None = Field(default=None, description="the search of `bench tune`")
    matrix: Annotated[list[Matrix], Field(min_length=1)]

    def without_network(self) -> Suite:
        """The same with models that run without network."""
        return self.model_copy(update={"measure": self.measure.model_copy(update={"network": False})})
