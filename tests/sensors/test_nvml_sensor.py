"""NVML through the real pynvml and ctypes, on a stub of the driver's library."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.sensors.energy import agree, gpu_energy, gpu_energy_by_counter, gpu_energy_by_power
from bench.sensors.sampler import Sampler
from bench.sensors.throttle import is_throttled, names
from bench.sensors.visible import Gpu, visible

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the stub library is built for Linux")
READ = "out = [why, values(sensor.read()), sensor.state().reason, list(sensor.state().quantities)]"
ZERO, ONE = "GPU-0000-stub", "GPU-1111-stub"


def test_units_and_every_quantity(gpus: Any) -> None:
    gpus.device(0, processes="77:1048576 78:2097152")
    why, values, reason, quantities = gpus.run("sensor.watch(os.getpid())\n" + READ)
    assert why is None
    energy = values.pop(f"{ZERO} energy")
    assert energy > 1000  # the stub starts at 1e6 mJ
    assert values == {
        f"{ZERO} power_instant": 81.0,
        f"{ZERO} power_average": 79.0,
        f"{ZERO} memory_used": 3 << 30,
        f"{ZERO} utilisation": 0.37,
        f"{ZERO} sm_clock": 1.41e9,
        f"{ZERO} temperature": 55.0,
        f"{ZERO} throttle_reasons": 4.0,
        f"{ZERO} foreign_processes": 2.0,
    }
    assert "power" not in quantities
    assert "no power:" in reason


def test_power_usage_stands_in_where_the_fields_are_unknown(gpus: Any) -> None:
    gpus.device(0, instant=None, average=None)
    why, values, reason, quantities = gpus.run(READ)
    assert why is None
    assert values[f"{ZERO} power"] == 80.0
    assert not {"power_instant", "power_average"} & set(quantities)
    assert "power_instant, power_average" in reason


def test_refused_quantities_are_absent_with_a_reason_and_never_zero(gpus: Any) -> None:
    gpus.device(0, energy="!3", utilisation="!4", throttle=None)
    _, values, reason, quantities = gpus.run(READ)
    for quantity in ("energy", "utilisation", "throttle_reasons"):
        assert f"{ZERO} {quantity}" not in values
        assert quantity not in quantities
        assert quantity in reason
    assert "stub error 4" in reason or "Insufficient Permissions" in reason


def test_what_one_of_two_refuses_is_kept_for_the_other(gpus: Any) -> None:
    gpus.device(0)
    gpus.device(1, energy=None)
    _, values, reason, quantities = gpus.run(READ)
    assert f"{ZERO} energy" in values
    assert f"{ONE} energy" not in values
    assert "energy" in quantities
    assert f"no energy of {ONE}" in reason


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("1", {ONE}), ("1,0", {ZERO, ONE}), ("GPU-1111", {ONE}), ("0,-1,1", {ZERO}), ("GPU-", set()), ("", set())],
)
def test_visible_devices(gpus: Any, setting: str, expected: set[str]) -> None:
    gpus.device(0)
    gpus.device(1)
    why, values, *_ = gpus.run(READ, CUDA_VISIBLE_DEVICES=setting)
    assert {key.split()[0] for key in values} == expected
    assert (why is None) == bool(expected)
    if not expected:
        assert "CUDA_VISIBLE_DEVICES" in why


def test_indexes_of_unlike_gpus_are_not_guessed() -> None:
    unlike = [Gpu("GPU-a", "slow"), Gpu("GPU-b", "fast")]
    guess = visible(unlike, {"CUDA_VISIBLE_DEVICES": "0"})
    assert guess.uuids == ("GPU-a", "GPU-b")
    assert "PCI_BUS_ID" in guess.note
    assert visible(unlike, {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}).uuids == ("GPU-a",)
    assert visible(unlike, {"CUDA_VISIBLE_DEVICES": "GPU-b"}).uuids == ("GPU-b",)


def test_an_index_that_no_gpu_has_ends_the_list() -> None:
    gpus = [Gpu("GPU-a", "one"), Gpu("GPU-b", "one")]
    assert visible(gpus, {"CUDA_VISIBLE_DEVICES": "1,2,0"}).uuids == ("GPU-b",)


def test_mig_instances_have_their_memory_and_the_gpus_power(gpus: Any) -> None:
    gpus.device(0, mig=2, memory=None, utilisation=None)
    for n in (0, 1):
        gpus.show(**{f"d0_mig{n}_uuid": f"MIG-{n}{n}", f"d0_mig{n}_memory": 1000 + n, f"d0_mig{n}_processes": "9:5"})
    why, values, reason, _ = gpus.run(READ)
    assert why is None
    assert (values["MIG-00 memory_used"], values["MIG-11 memory_used"]) == (1000, 1001)
    assert values[f"{ZERO} power_instant"] == 81.0
    assert "MIG-00 power_instant" not in values
    assert f"{ZERO} memory_used" not in values
    assert "whole GPU" in reason
    _, one, *_ = gpus.run(READ, CUDA_VISIBLE_DEVICES="MIG-11")
    assert {key.split()[0] for key in one} == {"MIG-11", ZERO}


def test_a_gpu_that_could_be_split_and_is_not_stands_for_itself(gpus: Any) -> None:
    gpus.device(0, mig=0)
    gpus.show(d0_mig0_uuid="MIG-00")
    why, values, reason, _ = gpus.run(READ)
    assert why is None
    assert {key.split()[0] for key in values} == {ZERO}
    assert "MIG" not in reason


def test_power_in_a_type_that_is_not_known_is_no_figure(gpus: Any) -> None:
    gpus.device(0, kind=77)
    why, values, reason, _ = gpus.run(READ)
    assert why is None
    assert values[f"{ZERO} power"] == 80.0
    assert f"{ZERO} power_instant" not in values
    assert "no power_instant, power_average" in reason


NAMESPACE = """
    from pathlib import Path
    real = Path.stat
    def stat(path, **more):
        if str(path) == "/proc/self/ns/pid":
            {answer}
        return real(path, **more)
    Path.stat = stat
"""
OTHERS = """
    sensor.watch(os.getpid())
    out = [values(sensor.snapshot()).get("GPU-0000-stub foreign_processes"), sensor.state().reason]
"""


def test_processes_in_a_container_that_numbers_its_own_are_not_called_foreign(gpus: Any) -> None:
    gpus.device(0, processes="77:4096")
    foreign, reason = gpus.run(NAMESPACE.format(answer="return os.stat_result([0] * 10)") + OTHERS)
    assert foreign is None
    assert "--pid=host" in reason


@pytest.mark.parametrize(
    "elsewhere", [NAMESPACE.format(answer="raise PermissionError"), "\n    import sys; sys.platform = 'win32'\n"]
)
def test_processes_are_foreign_where_there_is_no_other_numbering(gpus: Any, elsewhere: str) -> None:
    gpus.device(0, processes="77:4096")
    foreign, reason = gpus.run(elsewhere + OTHERS)
    assert foreign == 1
    assert "namespace" not in reason


def test_a_second_probe_sees_what_has_changed(gpus: Any) -> None:
    gpus.device(0)
    code = """
        text = open(os.environ["STUB_NVML"]).read()
        first = list(sensor.state().quantities)
        open(os.environ["STUB_NVML"], "w").write(text.replace("0.energy ", "0.no_energy "))
        out = [sensor.probe(), first, list(sensor.state().quantities)]
    """
    again, first, second = gpus.run(code)
    assert again is None
    assert set(first) - set(second) == {"energy"}


def test_processes_of_the_tree_and_others(gpus: Any) -> None:
    gpus.device(0)
    code = f"""
        world = open(os.environ["STUB_NVML"]).read()
        def show(processes):
            text = "".join(line + "\\n" for line in world.splitlines() if not line.startswith("0.processes"))
            open(os.environ["STUB_NVML"], "w").write(text + "0.processes " + processes + "\\n")
        sensor.watch(os.getppid())
        seen = []
        for processes in ("{os.getpid()}:4096 1:8192", "{os.getpid()}:-", "{os.getpid()}:0"):
            show(processes)
            found = values(sensor.snapshot())
            seen.append([found.get("{ZERO} process_memory"), found.get("{ZERO} foreign_processes")])
        out = [seen, sensor.state().reason]
    """
    seen, reason = gpus.run(code)
    assert seen == [[4096, 1], [None, 0], [None, 0]]
    assert "does not tell how much" in reason


@pytest.mark.parametrize(
    ("error", "hint"), [(9, "not loaded"), (18, "differ in version"), (4, "permission"), (999, "NVML did not start: ")]
)
def test_why_nvml_does_not_start(gpus: Any, error: int, hint: str) -> None:
    gpus.show(init=f"!{error}")
    assert hint in gpus.run("out = why")


ENVIRONMENT = """
    from bench.machine.environment import read_environment
    found = read_environment()
    out = [found.gpus, found.gpu_driver, found.unread.get("gpus")]
"""


def test_the_fingerprint_names_the_gpus_and_their_driver(gpus: Any) -> None:
    gpus.device(0)
    gpus.device(1, name="Stub 200")
    gpus.show(driver="550.54.15")
    assert gpus.run(ENVIRONMENT) == [["Stub 100", "Stub 200"], "550.54.15", None]


@pytest.mark.parametrize("fault", [{"init": "!999"}, {"d0_name": "!999"}])
def test_the_fingerprint_says_why_it_names_no_gpu(gpus: Any, fault: dict[str, str]) -> None:
    gpus.device(0)
    gpus.show(driver="550.54.15", **fault)
    names, driver, why = gpus.run(ENVIRONMENT)
    assert (names, driver) == ([], None)
    assert why.startswith("NVML: ")


def test_no_device_and_no_driver(gpus: Any) -> None:
    gpus.show(devices=0)
    assert "shows no device" in gpus.run("out = why")
    gpus.env["LD_LIBRARY_PATH"] = ""
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has an NVIDIA driver")
    assert "no NVIDIA driver" in gpus.run("out = why")


def test_transient_failures_are_forgiven_twice_and_then_end_it(gpus: Any) -> None:
    gpus.device(0)
    code = f"""
        path = os.environ["STUB_NVML"]
        good = open(path).read()
        bad = good.replace("0.energy rate 80000 20", "0.energy !999")
        def take(text, times=1):
            open(path, "w").write(text)
            return ["{ZERO} energy" in values(sensor.read()) for _ in range(times)]
        out = [take(good), take(bad, 2), take(good), take(bad, 3), take(good), sensor.state().reason]
    """
    first, twice, again, thrice, after, reason = gpus.run(code)
    assert (first, twice, again, thrice, after) == ([True], [False] * 2, [True], [False] * 3, [False])
    assert "energy" in reason


def sampled(gpus: Any, monkeypatch: pytest.MonkeyPatch) -> Sampler:
    for key, value in gpus.env.items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return Sampler(["nvml"], options={"nvml": {"period_s": 0.01}})


def test_energy_by_counter_and_by_power_agree(gpus: Any, monkeypatch: pytest.MonkeyPatch, child: Any) -> None:
    gpus.device(0, instant=80000)
    sleeper = child("import time; time.sleep(60)")
    with sampled(gpus, monkeypatch) as sampler:
        sampler.watch(sleeper.pid)
        sampler.snapshot("measure-start")
        wait(0.6)
        sampler.snapshot("measure-end")
        wait(0.1)
        telemetry = sampler.finish()
    start, end = (telemetry.snapshots[edge][0].t_ns for edge in ("measure-start", "measure-end"))
    counter, power = (f(telemetry, start, end)[ZERO] for f in (gpu_energy_by_counter, gpu_energy_by_power))
    truth = 80.0 * (end - start) / 1e9
    for figure in (counter, power):
        assert (figure.low or 0) <= truth * 1.001
        assert (figure.high or 0) >= truth * 0.999
        assert figure.value == pytest.approx(truth, rel=0.1)
    assert agree(counter, power)
    assert gpu_energy(telemetry, start, end)[ZERO].how == "measured:nvml-energy-counter"


def test_stuck_counter_gives_way_to_power(gpus: Any, monkeypatch: pytest.MonkeyPatch, child: Any) -> None:
    gpus.device(0, energy=123456)
    sleeper = child("import time; time.sleep(60)")
    with sampled(gpus, monkeypatch) as sampler:
        sampler.watch(sleeper.pid)
        sampler.snapshot("a")
        wait(0.3)
        sampler.snapshot("b")
        telemetry = sampler.finish()
    start, end = (telemetry.snapshots[edge][0].t_ns for edge in "ab")
    assert gpu_energy_by_counter(telemetry, start, end)[ZERO].how == "unavailable:counter did not move"
    assert gpu_energy(telemetry, start, end)[ZERO].how == "measured:nvml-power-integrated"


def test_device_lost_in_mid_run_goes_quiet(gpus: Any, monkeypatch: pytest.MonkeyPatch, child: Any) -> None:
    gpus.device(0)
    gpus.device(1)
    sleeper = child("import time; time.sleep(60)")
    with sampled(gpus, monkeypatch) as sampler:
        sampler.watch(sleeper.pid)
        wait(0.2)
        gpus.show(d1_lost=1)
        wait(0.3)
        telemetry = sampler.finish()
    last = {device: max(r.t_ns for r in telemetry.readings if r.device == device) for device in (ZERO, ONE)}
    assert last[ZERO] - last[ONE] > 0.1e9
    (state,) = telemetry.sensors
    assert state.available
    assert f"{ONE} was lost" in state.reason


def wait(seconds: float) -> None:
    # Let the sampler, a process of its own, go on for a while.
    time.sleep(seconds)


def test_throttle_names() -> None:
    assert names(0) == ()
    assert names(0x44) == ("software power cap", "hardware thermal slowdown")
    assert names(0x8000) == ("reason 0x8000",)
    assert is_throttled(0x40)
    assert not is_throttled(0x01)
