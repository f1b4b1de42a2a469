"""What is told of an invocation while it goes on: its phases in order, and the blocks of the measured one."""

from __future__ import annotations

from pathlib import Path

from bench.record.artifact import Bundle
from bench.worker.measure import measure
from tests.worker.test_measure import Watch, job_for


def test_phases_are_told_as_they_begin_and_blocks_only_within_measuring(
    digits_bundle: tuple[Path, Bundle], tmp_path: Path
) -> None:
    told: list[tuple[str, int, float | None]] = []
    watch = Watch()
    seen = measure(job_for(digits_bundle, outputs=tmp_path / "outputs.npz"), 0, watch, lambda *one: told.append(one))
    assert seen.status == "ok", seen.failure
    assert [phase for phase, _, median in told if median is None] == ["start", "load", "warm-up", "measure", "evaluate"]
    blocks = [(samples, median) for phase, samples, median in told if median is not None and phase == "measure"]
    assert len(blocks) == sum(median is not None for _, _, median in told)
    assert [samples for samples, _ in blocks] == sorted({samples for samples, _ in blocks})
    assert seen.samples is not None
    middle = sorted(median for _, median in blocks)[len(blocks) // 2]
    assert min(seen.samples.latency_ns) <= middle * 1e9 <= max(seen.samples.latency_ns)


def test_an_edge_is_taken_before_anybody_is_told_of_it(digits_bundle: tuple[Path, Bundle]) -> None:
    edges: list[tuple[str, int]] = []
    watch = Watch()

    def on_progress(phase: str, samples: int, median_s: float | None) -> None:
        if median_s is None:
            edges.append((phase, len(watch.edges)))

    measure(job_for(digits_bundle), 0, watch, on_progress)
    assert edges == [("start", 0), ("load", 1), ("warm-up", 2), ("measure", 3), ("evaluate", 4)]
