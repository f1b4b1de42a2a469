"""Record this machine's noise: medians of one case in fresh processes, one after the other, for the simulated trials.

`python -m tests.trials.record FILE [PROCESSES]`
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from bench.machine.environment import read_environment
from bench.sensors.sampler import Sampler
from tests.trials.sides import CASE, trial_side


def main() -> None:
    """Write `{"cpu_model", "load", "p50_latency_s": [...]}` with the medians in order of time."""
    to, processes = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 400
    load = Path("/proc/loadavg").read_text().split()[0]
    with tempfile.TemporaryDirectory() as folder, Sampler() as sampler:
        side = trial_side("recorded", Path(folder), 0.0, sampler)
        medians = []
        for at in range(processes):
            found = side.measure(CASE, at, lambda phase, samples, median_s: None)
            medians.append(found["p50_latency"])
    told = {"cpu_model": read_environment().cpu_model, "load": load, "p50_latency_s": medians}
    to.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
