"""Makes a worker that something else starts one of a fleet: `dask worker … --preload bench.fleet.preload`.

The target may be named in the environment variable `BENCH_FLEET_TARGET`, the machine in `BENCH_FLEET_MACHINE`.

Dask listens wherever it is not told otherwise. Without TLS such a worker is ended before it joins, where it, its nanny
or its web page can be reached from beyond this machine.
"""

from __future__ import annotations

import os
from typing import Any

from bench.fleet.identity import announcement
from bench.fleet.link import MACHINE, TARGET
from bench.fleet.secure import open_doors
from bench.fleet.station import stand_as


def dask_setup(worker: Any) -> None:
    """Called by Dask before the worker joins its scheduler.

    Raises:
        SystemExit: it can be reached from beyond this machine. Dask goes on after any other exception.
    """
    doors = list(open_doors(worker))
    if doors:
        raise SystemExit(
            f"a worker of a fleet does not start: other machines could reach {' and '.join(doors)}, without TLS. "
            "Whoever reaches such a port can run code here: use tls:// or --host 127.0.0.1, and for the web page "
            "--dashboard-address 127.0.0.1:0"
        )
    told = announcement(os.environ.get("BENCH_FLEET_TARGET"), os.environ.get("BENCH_FLEET_MACHINE"))
    stand_as(told)
    own = {f"{TARGET}{told.target}": 1.0, MACHINE: 1.0}
    worker.state.total_resources.update(own)
    worker.state.available_resources.update(own)
