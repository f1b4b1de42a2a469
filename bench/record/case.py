"""One measurement to make."""

from __future__ import annotations

import hashlib

import msgspec

Option = str | int | float | bool


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Model x variant x runtime and execution provider x threads x batch x scenario.

    `options` are further settings of the runtime or the scenario; they belong to the identity.
    """

    model: str
    variant: str
    runtime: str
    provider: str
    threads: int = 1
    batch: int = 1
    scenario: str = "single-stream"
    options: dict[str, Option] = {}

    @property
    def target(self) -> str:
        """Runtime and execution provider as one word, as in a suite: `onnxruntime-cpu`."""
        return f"{self.runtime}-{self.provider}"

    @property
    def name(self) -> str:
        """Readable name: `mnist_cnn/int8/onnxruntime-cpu/t1/b1/single-stream`."""
        parts = [self.model, self.variant, self.target, f"t{self.threads}", f"b{self.batch}", self.scenario]
        parts += [f"{key}={value}" for key, value in sorted(self.options.items())]
        return "/".join(parts)

    @property
    def id(self) -> str:
        """Stable id: the first 12 hexadecimal digits of the SHA-256 of the content."""
        content = msgspec.json.encode(self, order="sorted")
        return hashlib.sha256(content).hexdigest()[:12]
