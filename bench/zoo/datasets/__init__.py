"""The data sets that zoo models are trained and judged on: one file a data set and one line in this table."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from bench.errors import unknown

if TYPE_CHECKING:
    from bench.zoo.datasets.base import Dataset


@dataclass(frozen=True)
class DatasetSpec:
    """A data set as pure data.

    `title` stands in every table; the versions of `packages` decide the content.
    """

    name: str
    title: str
    module: str
    licence: str
    packages: tuple[str, ...] = ()


DATASETS: dict[str, DatasetSpec] = {
    spec.name: spec
    for spec in (
        DatasetSpec(
            "digits-28x28",
            "digits-28x28 (scikit-learn)",
            "bench.zoo.datasets.digits",
            "CC BY 4.0 (UCI Optical Recognition of Handwritten Digits)",
            ("scikit-learn",),
        ),
        DatasetSpec("line-y-2x", "line y = 2x", "bench.zoo.datasets.line", "Apache-2.0"),
    )
}


def load(name: str, seed: int) -> Dataset:
    """The data set called `name`, split by `seed`. Raises `UserError` for a name that is not in the table."""
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    spec = DATASETS[name]
    return cast("Dataset", importlib.import_module(spec.module).load(spec.title, seed))
