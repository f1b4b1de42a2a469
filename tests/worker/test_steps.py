"""What a case is fed with: inputs without a batch axis, states from step to step, and lanes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.record.artifact import Artifact, Bundle, Recipe, TensorSpec
from bench.runtimes.base import SessionError
from bench.runtimes.table import RUNTIMES, open_session
from bench.worker.inputs import Memory, Pool, Steps, shapes
from bench.worker.lanes import open_crew
from tests.runtimes.test_runtimes import opening_for

KEEP = 0.5


def artifact(*inputs: tuple[int | None, ...]) -> Artifact:
    return Artifact(
        model="m",
        variant="fp32",
        format="onnx",
        recipe=Recipe("fp32"),
        path="p",
        sha256="",
        bytes=1,
        inputs=tuple(TensorSpec(name=f"i{at}", dtype="float32", shape=shape) for at, shape in enumerate(inputs)),
        outputs=(TensorSpec(name="y", dtype="float32", shape=(None, 1)),),
    )


def test_without_a_batch_axis_an_example_is_a_whole_feed_and_there_is_no_other_batch() -> None:
    examples = [np.zeros((7, 4, 3), np.float32)]
    assert shapes(artifact((4, 3)), examples, 1) == [(4, 3)]
    with pytest.raises(SessionError, match="an input has no batch axis; batch 2 cannot run"):
        shapes(artifact((4, 3)), examples, 2)
    assert shapes(artifact((None, 4, 3)), examples, 2) == [(2, 4, 3)]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("rows", [True, False])
def test_a_state_goes_from_step_to_step_and_starts_anew_with_a_sequence(batch: int, rows: bool) -> None:
    """h is kept and halved, and x is added: the recorded states are wrong but for those at the starts."""
    xs = np.arange(1, 7, dtype=np.float32).reshape(6, 1)
    recorded = np.full((6, 1), 100, np.float32)
    of = artifact((None, 1), (None, 1)) if rows else artifact((1,), (2,))
    if not rows:
        batch, recorded = 1, np.full((6, 2), 100, np.float32)
    wanted = shapes(of, [xs, recorded], batch)
    steps = Steps(of, [xs, recorded], wanted, Memory(((1, 1),), frozenset({0, 4})))
    given = []
    for x, h in steps:
        assert (x.shape, h.shape) == (wanted[0], wanted[1])
        assert len(np.unique(h)) == 1, "every row of a batch is the same example"
        now = x.ravel()[:1] + KEEP * h
        (y, _) = steps.gave([now, now])
        given.append(float(y.ravel()[0]))
    expected, state = [], 0.0
    for at, value in enumerate(xs.ravel()):
        state = float(value) + KEEP * (100.0 if at in (0, 4) else state)
        expected.append(state)
    assert given == pytest.approx(expected)


@pytest.mark.parametrize(("runtime", "sessions"), [("onnxruntime", 1), ("litert", 3)])
def test_lanes_share_a_session_where_calls_may_overlap_in_it_and_else_have_one_each(
    digits_bundle: tuple[Path, Bundle], runtime: str, sessions: int
) -> None:
    _, opening = opening_for(
        digits_bundle, {"onnxruntime": "onnxruntime-cpu", "litert": "litert-builtin"}[runtime], "fp32"
    )
    (wanted,) = opening.shapes
    pool = Pool(opening.artifact, [np.zeros((5, *wanted[1:]), np.float32)], opening.shapes)
    assert RUNTIMES[runtime].thread_safe is (sessions == 1)
    session = open_session(runtime, opening)
    with open_crew(session, opening, runtime, pool, 3) as crew:
        assert len({id(lane.call) for lane in crew.lanes}) == sessions
        answered = crew.together(lambda _, lane: lane.call(lane.take()))
        assert len(answered) == 3
    # The one that was given is still open, to be closed by who made it.
    session.call(session.prepare(pool[0]))
    session.close()
