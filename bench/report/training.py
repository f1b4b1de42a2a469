"""What it took to train a model, in a line."""

from __future__ import annotations

from bench.record.artifact import Training
from bench.record.measurement import Measurement
from bench.report.units import text

_COSTS = {"training_time": "time", "training_peak_rss": "peak RSS", "training_energy": "energy"}


def trained(training: Training) -> str:
    """Examples, epochs, machine and every cost, or why one is not known."""
    epochs = len(training.epochs)
    # A model with a training of its own tells no epochs.
    passes = f" in {epochs} epoch{'' if epochs == 1 else 's'}" if epochs else ""
    told = f"trained on {training.examples:,} examples{passes} on {training.machine}"
    costs = [_cost(title, training.costs[name]) for name, title in _COSTS.items() if name in training.costs]
    return "; ".join([f"{told}: {', '.join(costs) or 'no cost is known'}", *training.notes])


def _cost(title: str, cost: Measurement) -> str:
    if cost.value is None:
        return f"{title} unavailable: {cost.reason}"
    shown = text(cost.value, cost.unit)
    return f"{title} ≈{shown} est." if cost.is_estimate else f"{title} {shown}"
