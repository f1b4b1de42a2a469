"""What "pruned" means, as data: the kind of structure removed and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

from bench.export.errors import CannotMake
from bench.record.artifact import Recipe

Kind = Literal["magnitude", "n:m", "channels"]
Norm = Literal["l1", "l2"]

CARDS_SPARSITY = 0.0
CARDS_EPOCHS = -1
"""Values of options that mean: as the model's card says (without one: as `bench.zoo.card.Pruning`)."""


@dataclass(frozen=True)
class Pruned:
    """How a pruned model differs from its source. Hashable: caches use it as a key.

    `magnitude` sets the smallest `sparsity` (0..1; None: as the card says) of every kernel to zero. `n:m` leaves
    the `n` largest of every `m` consecutive weights along a kernel's reduction axis. `channels` removes whole
    channels and leaves the share `keep` of each group of layers, ranked by the `norm` of their filters. `epochs`
    of fine-tuning; None: as the card says.
    """

    kind: Kind
    sparsity: float | None = None
    n: int = 2
    m: int = 4
    keep: float = 0.5
    norm: Norm = "l2"
    epochs: int | None = None

    @property
    def label(self) -> str:
        """For file names: equal for equal prunings only."""
        match self.kind:
            case "magnitude":
                what = "magnitude" if self.sparsity is None else f"magnitude-{self.sparsity!r}"
            case "n:m":
                what = f"{self.n}of{self.m}"
            case "channels":
                what = f"channels-{self.keep!r}-{self.norm}"
        return what if self.epochs is None else f"{what}-e{self.epochs}"


def pruned_by(recipe: Recipe) -> Pruned | None:
    """The pruning that a variant starts with; None for one that prunes nothing.

    Raises:
        CannotMake: the options contradict each other.
    """
    base, options = recipe.base, cast(dict[str, Any], recipe.options)
    asked = int(options.get("epochs", CARDS_EPOCHS))
    epochs = None if asked == CARDS_EPOCHS else asked
    if base in ("pruned", "pruned-int8"):
        sparsity = float(options.get("sparsity", CARDS_SPARSITY))
        return Pruned("magnitude", None if sparsity == CARDS_SPARSITY else sparsity, epochs=epochs)
    if base == "pruned-nm":
        n, m = int(options.get("n", Pruned.n)), int(options.get("m", Pruned.m))
        if not 0 < n < m:
            raise CannotMake(f"{n} of every {m} weights cannot be kept: n has to be at least 1 and less than m")
        return Pruned("n:m", n=n, m=m, epochs=epochs)
    if base in ("pruned-channels", "pruned-channels-int8"):
        keep, norm = float(options.get("keep", Pruned.keep)), options.get("norm", Pruned.norm)
        return Pruned("channels", keep=keep, norm=norm, epochs=epochs)
    return None
