"""The address of trained weights in the cache: same model, data, seed and code of training, same folder."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from bench.zoo.card import ModelCard
from bench.zoo.code import code_sha256
from bench.zoo.ingredients import contents
from bench.zoo.versions import installed

_DECIDES = {"name", "task", "dataset", "weights", "options", "training", "augmentation"}
"""Of the card; floors and titles train nothing."""
_TOOLS = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "scipy", "scikit-learn")
_CODE = (
    "training",
    "zoo/datasets",
    "zoo/augment",
    "zoo/audio.py",
    "zoo/clean.py",
    "zoo/ingredients.py",
    "zoo/userdata.py",
)
_NOT_DECIDING = {"training/key.py", "training/report.py"}


def training_key(folder: Path, card: ModelCard, seed: int) -> str:
    """24 hexadecimal digits for the weights of the model in `folder`. Imports nothing heavy.

    Raises:
        UserError: a file of the data is missing.
    """
    content: dict[str, Any] = {
        "card": card.model_dump(mode="json", include=_DECIDES),
        "model": {file.relative_to(folder).as_posix(): _sha256(file) for file in sorted(folder.rglob("*.py"))},
        "data": contents(folder, card),
        "seed": seed,
        "tools": installed(_TOOLS),
        "code": _code(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


@cache
def _code() -> str:
    return code_sha256(_CODE, _NOT_DECIDING)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
