"""What the harness adds to a call: its loop against a bare loop over the same session, interleaved."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.load.base import Requests, quiet_collector
from bench.record.artifact import Bundle
from bench.runtimes.base import Opening, Session, declared_shape
from bench.runtimes.table import RUNTIMES, open_session
from bench.stats.estimate import Estimate
from bench.stats.ratio import ratio_of_medians
from bench.worker.inputs import Pool, read_inputs

ROUNDS = 20
BLOCK_S = 0.05


@pytest.fixture
def subject(digits_bundle: tuple[Path, Bundle], request: pytest.FixtureRequest) -> tuple[Session, Pool]:
    """A session and its pool, for `variant target` of the parametrised name."""
    folder, bundle = digits_bundle
    variant, target = request.param.split()
    runtime, _, provider = target.partition("-")
    artifact = next(a for a in bundle.artifacts if a.variant == variant and a.format in RUNTIMES[runtime].formats)
    shapes = [declared_shape(spec, 1) for spec in artifact.inputs]
    session = open_session(runtime, Opening(folder / artifact.path, artifact, provider, 1, shapes))
    return session, Pool(artifact, read_inputs(folder / bundle.data.inputs), shapes)


def bare(session: Session, pool: Pool) -> Callable[[float], np.ndarray]:
    """The loop that anybody would write by hand: one input after the other, two clock reads around the call."""
    requests = [session.prepare(pool[at]) for at in range(min(pool.count, 20_000))]
    clock = time.perf_counter_ns
    position = 0

    def block(seconds: float) -> np.ndarray:
        nonlocal position
        times = []
        deadline = clock() + int(seconds * 1e9)
        after = 0
        while after < deadline:
            request = requests[position]
            before = clock()
            session.call(request)
            after = clock()
            times.append(after - before)
            position = (position + 1) % len(requests)
        return np.array(times)

    return block


def harness(session: Session, pool: Pool) -> Callable[[float], np.ndarray]:
    """The harness's own block of calls."""
    requests = Requests(session.call, lambda at: session.prepare(pool[at]), pool.count)

    def block(seconds: float) -> np.ndarray:
        starts, ends = requests.block(seconds)
        return np.subtract(ends, starts)

    return block


@pytest.mark.parametrize("subject", ["fp32 onnxruntime-cpu", "int8 litert-xnnpack"], indirect=True, ids=str)
def test_the_loop_adds_less_than_a_microsecond_and_two_per_cent(
    subject: tuple[Session, Pool], benchmark: Callable[..., object]
) -> None:
    session, pool = subject
    sides = {"bare": bare(session, pool), "harness": harness(session, pool)}
    rounds: dict[str, list[np.ndarray]] = {name: [] for name in sides}

    def one_round(at: int) -> None:
        for name in list(sides) if at % 2 else list(sides)[::-1]:
            rounds[name].append(sides[name](BLOCK_S))

    with quiet_collector():
        for side in sides.values():
            side(0.2)
        for at in range(ROUNDS):
            one_round(at)
        benchmark(lambda: sides["harness"](0.01))
    medians = {name: float(np.median([np.median(block) for block in blocks])) for name, blocks in rounds.items()}
    added = medians["harness"] - medians["bare"]
    ratio = ratio_of_medians(rounds["bare"], rounds["harness"])
    assert isinstance(ratio, Estimate)
    benchmark.extra_info.update(medians, added_ns=added, ratio=ratio.value, low=ratio.low, high=ratio.high)  # type: ignore[attr-defined]
    assert added <= 1000, medians
    assert 0.98 <= ratio.value <= 1.02 or ratio.low <= 1 <= ratio.high, ratio
