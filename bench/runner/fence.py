"""Whether the fence of `bench.confine` can be put up here: asked before a run, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from bench.errors import UserError
from bench.process import child_environment

_PROBE_S = 60.0


def check_network(network: bool, where: str = "--no-network, or network in [measure]") -> None:
    """Where models are to run without `network`, try that in a process of its own.

    Raises:
        UserError: it cannot be done here; `where` is what asked for it.
    """
    if network:
        return
    command = [sys.executable, "-m", "bench.confine"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PROBE_S, check=False, env=child_environment({})
        )
    except subprocess.TimeoutExpired:
        why = f"it could not be found out within {_PROBE_S:g} s"
    else:
        if not done.returncode:
            return
        why = done.stderr.strip()[-300:]
    raise UserError(
        f"the network cannot be cut off here: {why}",
        where=where,
        remedy="leave it out, allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
        "user.max_user_namespaces), or run it all in a container without network",
    )
