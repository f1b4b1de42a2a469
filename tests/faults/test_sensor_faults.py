"""A sensor that dies or stalls in the middle: the case keeps its latencies, its energy is absent with the reason."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from bench.metrics import energy
from bench.record.artifact import Bundle
from bench.record.measurement import Measurement
from bench.record.observation import Observation
from bench.sensors.sampler import Sampler
from bench.worker.measure import measure
from tests.faults.marked import until
from tests.sensors.conftest import Gpus
from tests.worker.test_measure import SHORT, job_for

pytestmark = [pytest.mark.timeout(300), pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")]
PLAN = msgspec.structs.replace(SHORT, min_s=1.2, max_s=1.5, timeout_s=120)


class Watched:
    """Cases on a made-up GPU, and the one sampler that watches all of them."""

    def __init__(self, sampler: Sampler, bundle: tuple[Path, Bundle]) -> None:
        self.sampler, self.bundle = sampler, bundle

    def case(self, act: Callable[[], None] = lambda: None) -> tuple[Observation, dict[str, Measurement]]:
        """What is seen of a case in whose measured phase `act` is done, and its figures of energy."""
        acted: list[None] = []

        def on_progress(phase: str, samples: int, median_s: float | None) -> None:
            if phase == "measure" and median_s is not None and not acted:
                acted.append(None)
                act()

        seen = measure(job_for(self.bundle, plan=PLAN), 0, self.sampler, on_progress)
        assert seen.status == "ok", seen.failure
        assert seen.samples is not None
        assert len(seen.samples.latency_ns) >= PLAN.min_samples
        # There is no GPU here to run it on: as if it had run on the one that was watched.
        on_gpu = msgspec.structs.replace(seen, case=msgspec.structs.replace(seen.case, provider="cuda"))
        return seen, energy.figures([on_gpu])


@pytest.fixture
def watched(gpus: Gpus, line_bundle: tuple[Path, Bundle], monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    for key, value in gpus.env.items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus.device(0)
    with Sampler(["process", "nvml"], options={"nvml": {"period_s": 0.02}}, timeout_s=2.0) as sampler:
        yield Watched(sampler, line_bundle)
        last = sampler.pid
    assert last is None or until(lambda: not psutil.pid_exists(last)), "no sampler is left"


def reason_of(seen: Observation, sensor: str) -> str:
    assert seen.telemetry is not None
    return next(state.reason for state in seen.telemetry.sensors if state.sensor == sensor)


def test_a_sensor_that_goes_on_gives_energy_and_power(watched: Watched) -> None:
    _, figures = watched.case()
    assert figures["energy"].value is not None
    assert figures["power"].value == pytest.approx(80, rel=0.2)


def test_a_gpu_that_is_lost_in_mid_run_has_no_energy_and_says_when_it_was_read(watched: Watched, gpus: Gpus) -> None:
    seen, figures = watched.case(lambda: gpus.show(d0_lost=1))
    for name in ("energy", "energy_net", "power"):
        assert figures[name].value is None
        assert "s only" in str(figures[name].reason)
    assert "was lost" in reason_of(seen, "nvml")
    assert seen.telemetry is not None
    assert [state.sensor for state in seen.telemetry.sensors if state.available] == ["process", "nvml"]


def test_a_driver_that_answers_errors_from_the_middle_on_has_no_energy(watched: Watched, gpus: Gpus) -> None:
    seen, figures = watched.case(lambda: gpus.show(d0_energy="!999", d0_instant="!999", d0_average="!999"))
    assert figures["power"].value is None
    assert "s only" in str(figures["power"].reason)
    assert "energy" in reason_of(seen, "nvml")


def test_a_driver_that_hangs_costs_the_readings_and_the_next_case_has_them_again(watched: Watched, gpus: Gpus) -> None:
    first = watched.sampler.pid
    assert first is not None
    seen, figures = watched.case(lambda: gpus.show(d0_energy="hang"))
    assert figures["power"].value is None
    assert "did not answer within 2 s, as it hangs in reading nvml" in reason_of(seen, "nvml")
    assert not psutil.pid_exists(first), "a sampler that hangs is ended"
    gpus.show(d0_energy="rate 80000 20")
    _, figures = watched.case()
    assert figures["power"].value is not None


def test_a_sampler_that_is_killed_or_stopped_in_mid_run_costs_the_readings_only(watched: Watched) -> None:
    for number, told in ((signal.SIGKILL, "SIGKILL"), (signal.SIGSTOP, "did not answer")):
        ended: list[int] = []

        def act(number: signal.Signals = number, ended: list[int] = ended) -> None:
            assert watched.sampler.pid is not None
            ended.append(watched.sampler.pid)
            os.kill(ended[0], number)

        seen, figures = watched.case(act)
        assert figures["power"].value is None
        assert figures["power"].reason
        assert told in reason_of(seen, "nvml")
        assert not psutil.pid_exists(ended[0])
