"""The table of figures a row may hold: name, unit and which way is better."""

from __future__ import annotations

from typing import Literal

import msgspec

Direction = Literal["lower", "higher", "neither"]


class Metric(msgspec.Struct, frozen=True):
    """What a column means. `better` says which direction is an improvement."""

    name: str
    title: str
    unit: str
    better: Direction
    about: str


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("accuracy", "accuracy", "1", "higher", "task metric on the held-out data"),
        Metric("robustness", "robust", "1", "higher", "share of the task metric left under corruption, the mean"),
        Metric("robustness_worst", "worst", "1", "higher", "share of the task metric left under the worst corruption"),
        Metric(
            "calibration_error", "ECE", "1", "lower", "gap between confidence and share of right decisions, in 15 bins"
        ),
        Metric("parity_max_abs", "max |Δ|", "1", "lower", "largest absolute difference to the source model"),
        Metric("parity_mean_abs", "mean |Δ|", "1", "lower", "mean absolute difference to the source model"),
        Metric("parity_cosine", "cosine", "1", "higher", "smallest per-example cosine similarity to the source model"),
        Metric(
            "parity_sqnr", "SQNR", "dB", "higher", "signal of the source model's outputs over the difference to them"
        ),
        Metric("parity_agreement", "agree", "1", "higher", "share of examples decided as the source model decides"),
        Metric(
            "clear_agreement",
            "agree clearly",
            "1",
            "higher",
            "the same share, of the examples that the source decides by the margin that the model's card states",
        ),
        Metric(
            "edge_max_abs", "max |Δ| at edges", "1", "lower", "the largest difference on edge inputs, over all kinds"
        ),
        Metric("p50_latency", "p50", "s", "lower", "median latency of one inference call"),
        Metric("p90_latency", "p90", "s", "lower", "90th percentile of latency"),
        Metric("p99_latency", "p99", "s", "lower", "99th percentile of latency"),
        Metric("p999_latency", "p99.9", "s", "lower", "99.9th percentile of latency"),
        Metric("mean_latency", "mean", "s", "lower", "mean latency of one inference call"),
        Metric("outlier_share", "outliers", "1", "lower", "share of samples over 10 modified z-scores from the median"),
        Metric("throughput", "throughput", "1/s", "higher", "examples a second within the measured blocks"),
        Metric(
            "capacity", "capacity", "1/s", "higher", "highest rate of arrivals whose p99 latency is within the bound"
        ),
        Metric("cold_start", "cold start", "s", "lower", "process start, import, load and first inference together"),
        Metric("process_start", "process", "s", "lower", "from the start of the process to its first line"),
        Metric("import_time", "import", "s", "lower", "import of the runtime's library"),
        Metric("load_time", "load", "s", "lower", "time to load and prepare the artifact in a session"),
        Metric("first_inference", "first", "s", "lower", "latency of the first call after loading"),
        Metric("rss_before_load", "RSS before", "B", "lower", "resident set before the artifact is loaded"),
        Metric("rss_after_load", "RSS loaded", "B", "lower", "resident set after the artifact is loaded"),
        Metric("rss_steady", "RSS steady", "B", "lower", "resident set after the warm-up"),
        Metric(
            "rss_added",
            "RSS added",
            "B",
            "lower",
            "resident set after the warm-up less that before the artifact was loaded",
        ),
        Metric(
            "peak_rss",
            "peak RSS",
            "B",
            "lower",
            "kernel high-water mark of the resident set, from loading to the end of the warm-up",
        ),
        Metric("pss_before_load", "PSS before", "B", "lower", "proportional set before the artifact is loaded"),
        Metric("pss_after_load", "PSS loaded", "B", "lower", "proportional set after the artifact is loaded"),
        Metric("pss_steady", "PSS", "B", "lower", "proportional set after the warm-up"),
        Metric("cpu_utilisation", "CPU", "1", "neither", "CPU time of the process over wall time, in cores"),
        Metric("energy", "energy", "J", "lower", "energy of one inference, whole device, idle included"),
        Metric("energy_net", "net energy", "J", "lower", "energy of one inference less that of the device at rest"),
        Metric("idle_power", "idle", "W", "neither", "mean power at rest before and after the case"),
        Metric("power", "power", "W", "lower", "mean power over the measured phase"),
        Metric("size", "size", "B", "lower", "bytes of the artifact on disk"),
        Metric("macs", "MACs", "1", "lower", "multiply-accumulates of the artifact for one example"),
    )
}
