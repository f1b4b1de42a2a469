"""What the parent and the sampler process say to each other, one packed record a frame.

Every call carries a number and its reply repeats it, so that a reply that comes after the parent has
stopped waiting is not taken for the next one. The first frame is a `Setup`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bench.record.observation import Reading, SensorState, Telemetry

VERSION = 1
STOOD_IN = "the sampler was told to end while it read the sensor "
"""What it prints before the name of a sensor that it hangs in."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A sensor to open, with the options of its class (`period_s` and its own)."""

    name: str
    options: dict[str, Any] = {}


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """The parent's first word. `affinity` names the cores the sampler may use, None leaves them."""

    version: int
    sensors: tuple[Choice, ...]
    max_readings: int
    affinity: tuple[int, ...] | None = None


class Watch(msgspec.Struct, frozen=True, tag=True):
    """Start sampling the tree of `pid`, forgetting what was kept of an earlier one."""

    pid: int


class Snapshot(msgspec.Struct, frozen=True, tag=True):
    """Take all readings, the dear ones too, and file them under `edge`."""

    edge: str


class Latest(msgspec.Struct, frozen=True, tag=True):
    """Tell the newest value of everything, reading nothing anew."""


class Finish(msgspec.Struct, frozen=True, tag=True):
    """Stop sampling and hand over what was kept."""


class Call(msgspec.Struct, frozen=True):
    """A numbered request."""

    number: int
    body: Watch | Snapshot | Latest | Finish


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The sampler stands; the answer to `Setup`, under number 0."""

    version: int
    states: tuple[SensorState, ...]


class Started(msgspec.Struct, frozen=True, tag=True):
    """Every sensor has been read once for the watched process."""


class Taken(msgspec.Struct, frozen=True, tag=True):
    """The readings of a snapshot; the parent keeps them should the sampler die."""

    readings: tuple[Reading, ...]


class Live(msgspec.Struct, frozen=True, tag=True):
    """The newest readings."""

    readings: tuple[Reading, ...]


class Finished(msgspec.Struct, frozen=True, tag=True):
    """Everything kept of the watched process."""

    telemetry: Telemetry


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The request could not be met, and why."""

    reason: str


class Reply(msgspec.Struct, frozen=True):
    """The answer to the call of that number."""

    number: int
    body: Ready | Started | Taken | Live | Finished | Refused
