"""The model's own code, `model.py`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from bench.errors import UserError
from bench.zoo.card import CODE_FILE, ModelCard


class ModelCode:
    """`model.py` of the zoo folder, imported. What it raises becomes a `UserError` that names the file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / CODE_FILE
        self._module = self._blamed(lambda: _import(self.path))
        if not hasattr(self._module, "build"):
            raise UserError("the model's code has no build(card)", where=str(self.path), remedy="add it")

    def build(self, card: ModelCard) -> Any:
        """A new model, weights not trained, not compiled."""
        return self._blamed(lambda: self._module.build(card))

    def loss(self, card: ModelCard) -> Any | None:
        """The loss that the model asks for; None where the task's usual one serves."""
        own = getattr(self._module, "loss", None)
        return None if own is None else self._blamed(lambda: own(card))

    @property
    def train(self) -> Callable[..., None] | None:
        """The model's own way of training; None where the usual one serves."""
        own = getattr(self._module, "train", None)
        return None if own is None else lambda *arguments: self._blamed(lambda: own(*arguments))

    def _blamed(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except UserError:
            raise
        except Exception as error:  # whatever a model's own code raises
            raise UserError(
                f"the model's code failed with {type(error).__name__}: {error}",
                where=str(self.path),
                remedy="correct it",
            ) from error


def _import(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"zoo_{path.parent.name}", path)
    # A name that ends in .py has a loader.
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Any, module)
