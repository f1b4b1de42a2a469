"""Corrupted inputs come last: by the same code as the clean ones, and at no cost to the case where they fail."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.record.artifact import Bundle
from bench.worker import inputs
from bench.worker.measure import CORRUPTED, measure
from bench.worker.messages import Errand, Job
from tests.quality.corrupted_bundle import EXAMPLES, SEVERITIES, with_corruption
from tests.worker.test_measure import SHORT, Watch, job_for


def errand(job: Job, given: Path, tmp_path: Path) -> Job:
    return msgspec.structs.replace(
        job, errands={CORRUPTED: Errand(inputs=str(given), outputs=str(tmp_path / "corrupted-outputs.npz"))}
    )


def outputs(path: Path) -> np.ndarray:
    with np.load(path) as archive:
        return np.asarray(archive["0"])


@pytest.fixture(scope="module")
def corrupted_bundle(
    digits_bundle: tuple[Path, Bundle], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Bundle]:
    return with_corruption(digits_bundle, tmp_path_factory.mktemp("corrupted") / "bundle")


@pytest.mark.parametrize(("target", "variant"), [("onnxruntime-cpu", "fp32"), ("litert-xnnpack", "int8")])
def test_every_example_of_every_cell_is_run(
    corrupted_bundle: tuple[Path, Bundle], tmp_path: Path, target: str, variant: str
) -> None:
    folder, bundle = corrupted_bundle
    assert bundle.data.corrupted is not None
    job = job_for(corrupted_bundle, target, variant, outputs=tmp_path / "clean.npz")
    seen = measure(errand(job, folder / bundle.data.corrupted.inputs, tmp_path), 0, Watch())
    assert seen.status == "ok", seen.failure
    assert seen.facts[CORRUPTED]["seconds"] > 0
    worse = outputs(tmp_path / "corrupted-outputs.npz")
    assert len(worse) == len(SEVERITIES) * 2 * EXAMPLES
    np.testing.assert_allclose(worse.sum(axis=1), 1, atol=0.05)


def test_the_same_inputs_give_the_same_outputs_also_when_they_are_kept_as_float16(
    digits_bundle: tuple[Path, Bundle], tmp_path: Path
) -> None:
    folder, bundle = digits_bundle
    with np.load(folder / bundle.data.inputs) as archive:
        half = archive["0"].astype(np.float16)
    np.savez(tmp_path / "half.npz", **{"0": half})
    np.savez(tmp_path / "single.npz", **{"0": half.astype(np.float32)})
    job = job_for(digits_bundle, "litert-xnnpack", "int8", outputs=tmp_path / "clean.npz")
    job = msgspec.structs.replace(job, inputs=str(tmp_path / "single.npz"))
    assert measure(errand(job, tmp_path / "half.npz", tmp_path), 0, Watch()).status == "ok"
    np.testing.assert_array_equal(outputs(tmp_path / "corrupted-outputs.npz"), outputs(tmp_path / "clean.npz"))


def test_inputs_kept_as_float16_are_quantised_as_float32(digits_bundle: tuple[Path, Bundle]) -> None:
    job = job_for(digits_bundle, "litert-xnnpack", "int8")
    spec = job.artifact.inputs[0]
    values = np.linspace(0, 1, 28 * 28, dtype=np.float16).reshape(1, 28, 28, 1)
    ((fed,),) = inputs.batches(job.artifact, [values], [(1, 28, 28, 1)])
    assert spec.scale is not None
    assert spec.zero_point is not None
    expected = np.round(values.astype(np.float64) / spec.scale) + spec.zero_point
    assert np.mean(fed != np.clip(expected, -128, 127)) < 0.01


@pytest.mark.parametrize("content", [None, b"no zip", "other shape"])
def test_inputs_that_cannot_be_run_cost_no_figure(
    digits_bundle: tuple[Path, Bundle], tmp_path: Path, content: bytes | str | None
) -> None:
    given = tmp_path / "given.npz"
    if isinstance(content, bytes):
        given.write_bytes(content)
    elif content:
        np.savez(given, **{"0": np.zeros((4, 3, 3, 1), np.float32)})
    seen = measure(errand(job_for(digits_bundle, outputs=tmp_path / "clean.npz"), given, tmp_path), 0, Watch())
    assert seen.status == "ok"
    assert seen.samples is not None
    assert len(outputs(tmp_path / "clean.npz"))
    assert seen.facts[CORRUPTED]["failed"]


def hold(given: Path) -> None:
    """A pipe in place of a file: whoever opens it to read waits."""
    os.mkfifo(given)


@pytest.mark.skipif(os.name != "posix", reason="pipes and signals are POSIX")
def test_a_process_that_hangs_over_them_is_ended_in_time_and_the_case_stays(
    digits_bundle: tuple[Path, Bundle], tmp_path: Path
) -> None:
    hold(tmp_path / "given.npz")
    plan = msgspec.structs.replace(SHORT, timeout_s=4)
    job = job_for(digits_bundle, plan=plan, outputs=tmp_path / "clean.npz")
    began = time.monotonic()
    seen = measure(errand(job, tmp_path / "given.npz", tmp_path), 0, Watch())
    assert time.monotonic() - began < 15
    assert seen.status == "ok"
    assert seen.samples is not None
    assert "no answer within 4 s" in seen.facts[CORRUPTED]["failed"]


@pytest.mark.skipif(os.name != "posix", reason="pipes and signals are POSIX")
def test_a_process_that_dies_of_them_leaves_the_case_as_it_was(
    digits_bundle: tuple[Path, Bundle], tmp_path: Path
) -> None:
    hold(tmp_path / "given.npz")

    def kill_later(pid: int) -> None:
        threading.Timer(1.0, os.kill, (pid, signal.SIGSEGV)).start()

    job = job_for(digits_bundle, outputs=tmp_path / "clean.npz")
    seen = measure(errand(job, tmp_path / "given.npz", tmp_path), 0, Watch("measure-end", kill_later))
    assert seen.status == "ok"
    assert "crashed with SIGSEGV" in seen.facts[CORRUPTED]["failed"]


def test_they_are_not_read_before_the_measuring_is_over(digits_bundle: tuple[Path, Bundle], tmp_path: Path) -> None:
    given = tmp_path / "given.npz"
    with np.load(digits_bundle[0] / digits_bundle[1].data.inputs) as archive:
        content = {"0": archive["0"][:5]}
    watch = Watch("measure-end", lambda pid: np.savez(given, **content))
    seen = measure(errand(job_for(digits_bundle, outputs=tmp_path / "clean.npz"), given, tmp_path), 0, watch)
    assert "seconds" in seen.facts[CORRUPTED], "the file is written at the last edge only"
    assert len(outputs(tmp_path / "corrupted-outputs.npz")) == 5
