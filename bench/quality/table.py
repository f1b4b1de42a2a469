"""The table of quality metrics by name, as `metric` in a `model.toml` gives it."""

from __future__ import annotations

from bench.quality.classification import accuracy, auc, macro_f1
from bench.quality.metric import QualityMetric
from bench.quality.ranking import hit_rate_at_10
from bench.quality.regression import mae, r2, rmse

METRICS: dict[str, QualityMetric] = {
    m.name: m
    for m in (
        QualityMetric("accuracy", "accuracy", "1", "higher", "classes", "share of right decisions", accuracy),
        QualityMetric("macro_f1", "macro F1", "1", "higher", "classes", "mean over classes of F1", macro_f1),
        QualityMetric("auc", "AUC", "1", "higher", "classes", "chance that a positive scores above a negative", auc),
        QualityMetric(
            "hit_rate_at_10",
            "hit rate @10",
            "1",
            "higher",
            "ranking",
            "share of examples whose right candidate is among the first ten",
            hit_rate_at_10,
        ),
        QualityMetric("mae", "MAE", "1", "lower", "values", "mean absolute error, in the labels' unit", mae),
        QualityMetric("rmse", "RMSE", "1", "lower", "values", "root mean squared error, in the labels' unit", rmse),
        QualityMetric("r2", "R²", "1", "higher", "values", "share of the labels' variance explained", r2),
    )
}
