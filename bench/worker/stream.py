"""The memory bandwidth that NumPy reaches: the ADD of STREAM, in a process of its own.

c = a + b over arrays far larger than the last-level cache, `threads` parts of them side by side, since NumPy lets go
of the interpreter's lock in it. Bytes are counted as STREAM counts them (McCalpin, "Memory Bandwidth and Machine
Balance in Current High Performance Computers", 1995): two reads and one write of 8 B an element. That a cache
reads a line before it is written to is not counted, so that the memory itself moves up to a third more.

Run as `python -m bench.worker.stream`, with frames of JSON on standard input and output.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time

from bench import wire

BYTES_AN_ELEMENT = 24
_WARM_UP = 2
_FEWEST = 11
"""Passes that a median and its interval take."""


def main() -> None:
    """Answer one job: `threads` on `cores` (null: where the system likes) for `seconds`, `elements` in an array."""
    incoming, outgoing = wire.take_over()
    # Ctrl-C belongs to the parent, which ends this process itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    frame = wire.receive(incoming)
    if not frame:
        return
    wire.end_with_parent(incoming)
    job = json.loads(frame)
    if job["cores"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, job["cores"])
    passes = add(job["threads"], job["elements"], job["seconds"])
    wire.send(outgoing, json.dumps({"passes_ns": passes}).encode())


def add(threads: int, elements: int, seconds: float) -> list[int]:
    """How long each pass over all `elements` took until the last thread was through, ns, without the first ones."""
    import numpy as np

    edges: list[list[tuple[int, int]]] = [[] for _ in range(threads)]
    going = True
    end: float | None = None

    def decide() -> None:
        nonlocal going, end
        # To lay out the arrays takes its time too.
        end = end or time.monotonic() + seconds
        going = time.monotonic() < end or len(edges[0]) < _WARM_UP + _FEWEST

    gate = threading.Barrier(threads, action=decide)

    def work(place: int) -> None:
        # Each thread writes its part first, so that the system puts it near that thread's core.
        size = elements // threads
        a, b, c = np.full(size, 1.0), np.full(size, 2.0), np.zeros(size)
        while True:
            gate.wait()
            if not going:
                return
            begin = time.perf_counter_ns()
            np.add(a, b, out=c)
            edges[place].append((begin, time.perf_counter_ns()))

    def guarded(place: int) -> None:
        try:
            work(place)
        except BaseException:
            # The others would wait for this one for ever.
            gate.abort()
            raise

    workers = [threading.Thread(target=guarded, args=(place,)) for place in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    passes = zip(*edges, strict=True)
    return [max(end for _, end in one) - min(begin for begin, _ in one) for one in passes][_WARM_UP:]


if __name__ == "__main__":
    main()
