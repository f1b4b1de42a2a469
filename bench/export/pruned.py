"""What "pruned" means, as data: the kind of structure removed and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["magnitude", "n:m", "channels"]


@dataclass(frozen=True)
class Pruned:
    """How a pruned model differs from its source. Hashable: caches use it as a key.

    `magnitude` sets the smallest `sparsity` (0..1; None: as the card says) of every kernel to zero; `n:m` leaves
    `n` of every `m` consecutive weights along a kernel's reduction axis; `channels` removes whole channels and
    leaves the share `keep` of each group. `epochs` of fine-tuning; None: as the card says.
    """

    kind: Kind
    sparsity: float | None = None
    n: int = 2
    m: int = 4
    keep: float = 0.5
    epochs: int | None = None

    @property
    def label(self) -> str:
        """For file names: equal for equal prunings only."""
        match self.kind:
            case "magnitude":
                what = "" if self.sparsity is None else f"-{self.sparsity:g}"
            case "n:m":
                what = f"-{self.n}of{self.m}"
            case "channels":
                what = f"-{self.keep:g}"
        tuned = "" if self.epochs is None else f"-e{self.epochs}"
        return f"{self.kind.replace(':', '')}{what}{tuned}"
