"""The sampler: a process of its own that reads sensors while another process is measured.

Run by `bench.sensors.sampler` as `python -m bench.sensors.sampler_process`. It ends when its standard
input closes, so it cannot outlive its parent. It keeps its priority: at a lower one it would miss its
deadlines just when the machine is busy, which is when it is wanted; its own CPU time is reported instead.
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import IO

import msgspec

from bench import orphans, wire
from bench.errors import UserError
from bench.record.codec import pack, unpack
from bench.sensors.messages import (
    STOOD_IN,
    VERSION,
    Call,
    Finish,
    Finished,
    Latest,
    Live,
    Ready,
    Refused,
    Reply,
    Setup,
    Snapshot,
    Started,
    Taken,
    Watch,
)
from bench.sensors.recorder import Recorder
from bench.sensors.table import make

GRACE_S = 2.0


def main() -> int:
    """Serve one parent; 0 after a clean end, 2 where the setup was refused."""
    with contextlib.suppress(ValueError, OSError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    incoming, outgoing = wire.take_over()
    first = wire.receive(incoming)
    if not first:
        return 0
    try:
        setup = unpack(first, Setup)
        _check(setup.version)
        _pin(setup.affinity)
        recorder = Recorder(
            [make(choice.name, **choice.options) for choice in setup.sensors], max_readings=setup.max_readings
        )
    except (UserError, TypeError, ValueError, OSError, msgspec.MsgspecError) as error:
        _answer(outgoing, 0, Refused(str(error)))
        return 2
    # What start-up made lives on: the collector need not walk it while a measurement runs.
    gc.collect()
    gc.freeze()
    farewell = False
    with contextlib.suppress(BrokenPipeError, wire.WireError):
        _answer(outgoing, 0, Ready(VERSION, recorder.states()))
        farewell = _serve(recorder, incoming, outgoing)
    if not farewell:
        _clear_up(parent)
    recorder.close()
    return 0


def _clear_up(parent: int) -> None:
    """The parent was killed, or is being: a measuring process ends by itself, what that had started would go on."""
    deadline = time.monotonic() + GRACE_S / 2
    while os.getppid() == parent and time.monotonic() < deadline:
        time.sleep(0.01)
    if os.getppid() != parent:
        orphans.sweep_for_parent()


def _check(version: int) -> None:
    if version != VERSION:
        raise UserError(f"the sampler speaks version {VERSION}, its parent {version}")


def _pin(cores: Sequence[int] | None) -> None:
    if cores is None:
        return
    if not hasattr(os, "sched_setaffinity"):
        raise UserError("this system cannot pin a process to cores", where="affinity")
    os.sched_setaffinity(0, cores)


def _serve(recorder: Recorder, incoming: IO[bytes], outgoing: IO[bytes]) -> bool:
    """Answer calls until there are no more; whether the parent said farewell, which is an empty frame."""
    calls: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(incoming, calls, recorder), daemon=True).start()
    while True:
        try:
            frame = calls.get(timeout=recorder.wait_s())
        except queue.Empty:
            recorder.step()
            continue
        if not frame:
            return frame is not None
        call = unpack(frame, Call)
        _answer(outgoing, call.number, _reply(recorder, call.body))


def _reply(recorder: Recorder, body: Watch | Snapshot | Latest | Finish) -> Started | Taken | Live | Finished:
    match body:
        case Watch(pid):
            recorder.begin(pid)
            return Started()
        case Snapshot(edge):
            return Taken(recorder.snapshot(edge))
        case Latest():
            return Live(recorder.latest())
        case Finish():
            return Finished(recorder.finish())


def _listen(incoming: IO[bytes], calls: queue.SimpleQueue[bytes | None], recorder: Recorder) -> None:
    frame: bytes | None = b"-"
    while frame:
        try:
            frame = wire.receive(incoming)
        except (wire.WireError, OSError):
            frame = None
        calls.put(frame)
    if recorder.at is not None:
        print(f"{STOOD_IN}{recorder.at}", file=sys.stderr, flush=True)
    # A sensor may hang inside a driver; that must not leave an orphan behind.
    timer = threading.Timer(GRACE_S, os._exit, args=(1,))
    timer.daemon = True
    timer.start()


def _answer(outgoing: IO[bytes], number: int, body: Ready | Started | Taken | Live | Finished | Refused) -> None:
    wire.send(outgoing, pack(Reply(number, body)))


if __name__ == "__main__":
    raise SystemExit(main())
