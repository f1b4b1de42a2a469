"""How good the answers are: pure functions from model outputs and labels to measurements. NumPy only."""

from bench.quality.calibration import calibration_error
from bench.quality.metric import QualityMetric
from bench.quality.parity import Parity, ParityBound, bound_for, clear_agreement, parity
from bench.quality.robustness import Worsened, worsened
from bench.quality.table import METRICS

__all__ = [
    "METRICS",
    "Parity",
    "ParityBound",
    "QualityMetric",
    "Worsened",
    "bound_for",
    "calibration_error",
    "clear_agreement",
    "parity",
    "worsened",
]
