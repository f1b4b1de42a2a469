"""From the name of a corruption and a severity to how strong it is."""

from __future__ import annotations

from collections.abc import Mapping

from bench.errors import unknown
from bench.zoo.datasets.base import SEVERITIES

Levels = Mapping[str, tuple[float, float, float, float, float]]
"""For each corruption its strength at the severities 1 to 5."""


def strength(levels: Levels, name: str, severity: int) -> float:
    """How strong the corruption `name` is at `severity` (1..5).

    Raises:
        UserError: a corruption that is not in the table.
        ValueError: a severity that is none of `SEVERITIES`.
    """
    if name not in levels:
        raise unknown("corruption", name, levels)
    return levels[name][SEVERITIES.index(severity)]
