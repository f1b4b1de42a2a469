"""Makes a worker that something else starts one of a fleet: `dask worker … --preload bench.fleet.preload`.

The target may be named in the environment variable `BENCH_FLEET_TARGET`, the machine in `BENCH_FLEET_MACHINE`.
"""

from __future__ import annotations

import os
from typing import Any

from bench.fleet.identity import announcement
from bench.fleet.link import MACHINE, TARGET
from bench.fleet.station import stand_as


def dask_setup(worker: Any) -> None:
    """Called by Dask before the worker joins its scheduler."""
    told = announcement(os.environ.get("BENCH_FLEET_TARGET"), os.environ.get("BENCH_FLEET_MACHINE"))
    stand_as(told)
    own = {f"{TARGET}{told.target}": 1.0, MACHINE: 1.0}
    worker.state.total_resources.update(own)
    worker.state.available_resources.update(own)
