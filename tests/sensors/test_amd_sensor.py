"""AMD SMI: the real Python package on a stub of AMD's library where it is installed, else a stand-in for it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from bench.record.observation import Reading, Telemetry
from bench.sensors.energy import AMD_COUNTER, AMD_POWER, agree, gpu_energy, gpu_energy_by_counter, gpu_energy_by_power
from bench.sensors.sampler import Sampler

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ZERO, ONE = "00ff-0", "00ff-1"
MS = 1_000_000

# The API as amdsmi_interface.py of ROCm 5.7 to 7.0 has it. The world is a JSON file, read anew at each call.
STAND_IN = """
import enum, json, os, time

def _world():
    with open(os.environ["STUB_AMD"]) as file:
        return json.load(file)

if _world().get("no_library"):
    print("Unable to find libamd_smi.so library try installing amd-smi-lib from your package manager")
    {}["libamd_smi.so"]

class AmdSmiException(Exception):
    pass

class AmdSmiLibraryException(AmdSmiException):
    def __init__(self, name):
        super().__init__(name)
        self.err_info = f"AMDSMI_STATUS_{name} - as the test wants it"
    def get_error_info(self, detailed=True):
        return self.err_info

AmdSmiClkType = enum.IntEnum("AmdSmiClkType", {"GFX": 0})
AmdSmiMemoryType = enum.IntEnum("AmdSmiMemoryType", {"VRAM": 0})
AmdSmiTemperatureType = enum.IntEnum("AmdSmiTemperatureType", {"EDGE": 0, "HOTSPOT": 1})
AmdSmiTemperatureMetric = enum.IntEnum("AmdSmiTemperatureMetric", {"CURRENT": 0})

def _told(handle, question):
    device = _world()["devices"][handle]
    value = device.get("lost") or device.get(question, "!NOT_SUPPORTED")
    if isinstance(value, str) and value.startswith("!"):
        raise AmdSmiLibraryException(value[1:])
    return value

def amdsmi_init(flag=2):
    if "init" in _world():
        raise AmdSmiLibraryException(_world()["init"])

def amdsmi_shut_down():
    pass

def amdsmi_get_processor_handles():
    return list(range(len(_world()["devices"])))

def amdsmi_get_energy_count(handle):
    told = dict(_told(handle, "energy"))
    rate = told.pop("watts", None)
    if rate is not None:
        told["energy_accumulator"] = int(rate * (time.monotonic() // 0.01) * 0.01 * 1e6 / told["counter_resolution"])
    return told

def amdsmi_get_temp_metric(handle, place, metric):
    return _told(handle, place.name.lower())

def amdsmi_get_gpu_memory_usage(handle, kind):
    return _told(handle, "memory_usage")

def amdsmi_get_clock_info(handle, kind):
    return _told(handle, "clock")

def _asker(question):
    return lambda handle: _told(handle, question)

amdsmi_get_gpu_device_uuid = _asker("uuid")
amdsmi_get_power_info = _asker("power")
amdsmi_get_gpu_vram_usage = _asker("vram_usage")
amdsmi_get_gpu_vram_info = _asker("vram_info")
amdsmi_get_gpu_asic_info = _asker("asic")
amdsmi_get_gpu_activity = _asker("activity")
amdsmi_get_gpu_process_list = _asker("processes")
if not _world().get("old"):
    amdsmi_get_gpu_enumeration_info = _asker("enumeration")
"""


class Gpus:
    """The world that the stand-in shows, and Python run in it."""

    def __init__(self, folder: Path) -> None:
        (folder / "amdsmi.py").write_text(STAND_IN)
        self.file = folder / "world.json"
        self.world: dict[str, Any] = {"devices": []}
        self.env = {"STUB_AMD": str(self.file), "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}

    def write(self) -> None:
        """Replaced at once, as the stand-in may be reading."""
        draft = self.file.with_suffix(".new")
        draft.write_text(json.dumps(self.world))
        draft.replace(self.file)

    def device(self, **answers: Any) -> None:
        """A GPU that answers everything, but for what is given (`!NAME`: that status)."""
        index = len(self.world["devices"])
        usual = {
            "uuid": f"00ff-{index}",
            "energy": {"watts": 80, "counter_resolution": 15.300000190734863, "timestamp": 1},
            "power": {"current_socket_power": 80, "average_socket_power": "N/A", "socket_power": 80},
            "memory_usage": 3 << 30,
            "activity": {"gfx_activity": 37, "umc_activity": "N/A", "mm_activity": "N/A"},
            "clock": {"clk": 2100, "min_clk": 500, "max_clk": 2500},
            "hotspot": 61,
            "edge": 48,
            "vram_info": {"vram_type": 4},
            "asic": {"market_name": "AMD Instinct MI300X"},
            "enumeration": {"hip_id": index, "hip_uuid": f"GPU-{index}"},
            "processes": [],
        }
        self.world["devices"].append(usual | answers)

    def run(self, code: str, **env: str) -> Any:
        self.write()
        return run(code, self.env | env)

    def run_each(self, worlds: list[list[dict[str, Any]]]) -> list[Any]:
        """What `READ` leaves, for one list of devices after the other, in one process."""
        self.world["devices"] = []
        code = f"""
            found = []
            world = json.load(open(os.environ["STUB_AMD"]))
            for devices in json.loads({json.dumps(worlds)!r}):
                json.dump(world | {{"devices": devices}}, open(os.environ["STUB_AMD"], "w"))
                sensor = AmdSensor()
                why = sensor.probe()
                {READ}
                found.append(out)
            out = found
        """
        found: list[Any] = self.run(code)
        return found


READ = "out = [why, values(sensor.read()), sensor.state().reason, list(sensor.state().quantities)]"


def run(code: str, env: dict[str, str]) -> Any:
    """What `code` leaves in `out`, run with `sensor` (a probed one, `why` its reason) and `values(readings)`."""
    script = """
        import json, os
        from bench.sensors.amd import AmdSensor
        sensor = AmdSensor()
        why = sensor.probe()
        def values(readings):
            return {f"{r.device} {r.quantity}": r.value for r in readings}
    """
    whole = textwrap.dedent(script) + textwrap.dedent(code) + "\nprint(json.dumps(out))\n"
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_VISIBLE_DEVICES")}
    done = subprocess.run(
        [sys.executable, "-c", whole], env=clean | env, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def gpus(tmp_path: Path) -> Gpus:
    return Gpus(tmp_path)


def test_units_and_every_quantity(gpus: Gpus) -> None:
    code = """
        sensor.watch(os.getpid())
        world = json.load(open(os.environ["STUB_AMD"]))
        held = {os.getpid(): 4096, 1: 8192, 2: 0}
        world["devices"][0]["processes"] = [{"pid": p, "memory_usage": {"vram_mem": m}} for p, m in held.items()]
        json.dump(world, open(os.environ["STUB_AMD"], "w"))
        out = [why, values(sensor.snapshot()), sensor.state().reason, list(sensor.state().quantities)]
    """
    gpus.device()
    why, values, reason, quantities = gpus.run(code)
    assert why is None
    assert values.pop(f"{ZERO} energy") > 0
    assert values == {
        f"{ZERO} power_instant": 80.0,
        f"{ZERO} memory_used": 3 << 30,
        f"{ZERO} utilisation": 0.37,
        f"{ZERO} clock": 2.1e9,
        f"{ZERO} temperature": 61.0,
        f"{ZERO} process_memory": 4096,
        f"{ZERO} foreign_processes": 1,
    }
    assert not {"power_average", "power", "socket_power"} & set(quantities)
    assert "no power_average, power: AMD SMI tells" in reason


def test_the_names_of_older_versions(gpus: Gpus) -> None:
    gpus.world["old"] = True
    gpus.device(
        energy={"power": 2_000_000, "counter_resolution": 15.25, "timestamp": 1},
        power={"average_socket_power": 93},
        memory_usage="!NOT_SUPPORTED",
        vram_usage={"vram_total": 16384, "vram_used": 512},
        clock={"cur_clk": 1400},
        hotspot=61000,
    )
    why, values, *_ = gpus.run(READ)
    assert why is None
    assert values == {
        f"{ZERO} energy": pytest.approx(30.5),
        f"{ZERO} power_average": 93.0,
        f"{ZERO} memory_used": 512 << 20,
        f"{ZERO} utilisation": 0.37,
        f"{ZERO} clock": 1.4e9,
        f"{ZERO} temperature": 61.0,
    }


REFUSALS: list[tuple[str, dict[str, Any]]] = [
    ("energy", {"energy": "!NOT_SUPPORTED"}),
    ("energy", {"energy": {"energy_accumulator": 2**64 - 1, "counter_resolution": 15.3}}),
    ("energy", {"energy": {"energy_accumulator": 5, "counter_resolution": 0.0}}),
    ("energy", {"energy": {}}),
    ("power_instant", {"power": {"current_socket_power": "N/A", "average_socket_power": "N/A"}}),
    ("power_instant", {"power": {"current_socket_power": 0xFFFFFFFF, "socket_power": 0xFFFF}}),
    ("power_instant", {"power": "!NO_PERM"}),
    ("utilisation", {"activity": {"gfx_activity": "N/A"}}),
    ("utilisation", {"activity": {"gfx_activity": 0xFFFFFFFF}}),
    ("clock", {"clock": {"clk": "N/A"}}),
    ("temperature", {"hotspot": "!NOT_SUPPORTED", "edge": "!NOT_SUPPORTED"}),
    ("temperature", {"hotspot": "N/A"}),
    ("memory_used", {"memory_usage": "!NOT_SUPPORTED"}),
]


def test_what_a_device_refuses_is_absent_with_a_reason_and_never_zero(gpus: Gpus) -> None:
    gpus.device()
    gpus.device()
    whole, other = gpus.world["devices"]
    refusing = [whole | answers for _, answers in REFUSALS]
    both = gpus.run_each([[device, other] for device in refusing])
    alone = gpus.run_each([[device] for device in refusing])
    for (quantity, _), (why, values, reason, quantities) in zip(REFUSALS, both, strict=True):
        assert why is None
        assert f"{ZERO} {quantity}" not in values
        assert f"{ONE} {quantity}" in values
        assert quantity in quantities
        assert f"no {quantity.removesuffix('_instant')} of {ZERO}" in reason
    for (quantity, _), (why, values, reason, quantities) in zip(REFUSALS, alone, strict=True):
        assert why is None
        assert f"{ZERO} {quantity}" not in values
        assert quantity not in quantities
        assert quantity in reason
        assert 0 not in values.values()


def test_edge_temperature_stands_in_for_the_hottest_spot(gpus: Gpus) -> None:
    gpus.device(hotspot="!NOT_SUPPORTED")
    assert gpus.run(READ)[1][f"{ZERO} temperature"] == 48.0


def test_no_watts_is_no_reading(gpus: Gpus) -> None:
    gpus.device(power={"average_socket_power": 0, "current_socket_power": "N/A"})
    code = "seen = [values(sensor.read()) for _ in range(4)]\nout = [seen, sensor.state().reason]"
    seen, reason = gpus.run(code)
    assert not any("power" in key for values in seen for key in values)
    assert "tells 0 W" in reason


def test_a_gpu_within_a_cpu_is_left_to_rapl(gpus: Gpus) -> None:
    gpus.device()
    (usual,) = gpus.world["devices"]
    signs = [
        {"vram_info": {"vram_type": 12}},
        {"vram_info": {"vram_type": "LPDDR5"}},
        {"asic": {"market_name": "AMD Instinct MI300A"}},
    ]
    for _, values, reason, quantities in gpus.run_each([[usual | sign] for sign in signs]):
        assert values[f"{ZERO} socket_power"] == 80.0
        assert not {"energy", "power_instant", "power_average", "power"} & set(quantities)
        assert not any(key.endswith((" energy", " power_instant")) for key in values)
        assert "RAPL counter of the CPU package holds it" in reason


def test_visible_devices(gpus: Gpus) -> None:
    # HIP counts the other way round here.
    gpus.device(enumeration={"hip_id": 1, "hip_uuid": "GPU-a"})
    gpus.device(enumeration={"hip_id": 0, "hip_uuid": "GPU-b"})
    cases: list[tuple[dict[str, str], set[str]]] = [
        ({}, {ZERO, ONE}),
        ({"HIP_VISIBLE_DEVICES": "0"}, {ONE}),
        ({"HIP_VISIBLE_DEVICES": "1,0"}, {ZERO, ONE}),
        ({"CUDA_VISIBLE_DEVICES": "1"}, {ZERO}),
        ({"CUDA_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": "0"}, {ONE}),
        ({"ROCR_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": "0"}, {ZERO}),
        ({"ROCR_VISIBLE_DEVICES": "GPU-b"}, {ONE}),
        ({"HIP_VISIBLE_DEVICES": "0,-1,1"}, {ONE}),
        ({"HIP_VISIBLE_DEVICES": ""}, set()),
    ]
    code = f"""
        out = []
        for environ in {[env for env, _ in cases]}:
            sensor = AmdSensor(environ=environ)
            why = sensor.probe()
            out.append([why, sorted({{r.device for r in sensor.read()}})])
    """
    found = gpus.run(code)
    assert [set(devices) for _, devices in found] == [expected for _, expected in cases]
    assert [why for why, _ in found[:-1]] == [None] * (len(cases) - 1)
    assert "HIP_VISIBLE_DEVICES='' leaves no AMD GPU" in found[-1][0]


def test_an_order_that_is_not_known_is_not_guessed(gpus: Gpus) -> None:
    gpus.world["old"] = True
    gpus.device()
    gpus.device()
    why, values, reason, _ = gpus.run(READ, HIP_VISIBLE_DEVICES="1")
    assert why is None
    assert {key.split()[0] for key in values} == {ZERO, ONE}
    assert "all AMD GPUs are watched" in reason


def test_the_order_of_a_single_gpu_is_known(gpus: Gpus) -> None:
    gpus.world["old"] = True
    gpus.device()
    why, values, *_ = gpus.run(READ, HIP_VISIBLE_DEVICES="0")
    assert why is None
    assert {key.split()[0] for key in values} == {ZERO}
    why, *_ = gpus.run(READ, HIP_VISIBLE_DEVICES="1")
    assert why == "HIP_VISIBLE_DEVICES='1' leaves no AMD GPU visible"


@pytest.mark.parametrize(
    ("world", "hint"),
    [
        ({"init": "DRIVER_NOT_LOADED"}, "sudo modprobe amdgpu"),
        ({"init": "NO_PERM"}, "groups render and video"),
        ({"init": "INIT_ERROR"}, "did not start: AMDSMI_STATUS_INIT_ERROR"),
        ({"no_library": True}, "install ROCm's package amd-smi-lib"),
        ({}, "shows no GPU"),
    ],
)
def test_why_it_cannot_be_read(gpus: Gpus, world: dict[str, Any], hint: str) -> None:
    # What the module prints when it is imported would otherwise spoil the JSON on standard output.
    gpus.world |= world
    assert hint in gpus.run("out = why")


def test_no_module(tmp_path: Path) -> None:
    # It may be installed here: this hides it.
    (tmp_path / "amdsmi.py").write_text("raise ModuleNotFoundError('No module named amdsmi', name='amdsmi')\n")
    assert "pip install" in run("out = why", {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"})


def test_a_second_probe_sees_what_has_changed(gpus: Gpus) -> None:
    gpus.device()
    code = """
        first = list(sensor.state().quantities)
        world = json.load(open(os.environ["STUB_AMD"]))
        world["devices"][0]["energy"] = "!NOT_SUPPORTED"
        json.dump(world, open(os.environ["STUB_AMD"], "w"))
        out = [sensor.probe(), first, list(sensor.state().quantities)]
    """
    again, first, second = gpus.run(code)
    assert again is None
    assert set(first) - set(second) == {"energy"}


def test_failures_are_forgiven_twice_and_a_lost_device_is_told(gpus: Gpus) -> None:
    gpus.device()
    gpus.device()
    code = f"""
        path = os.environ["STUB_AMD"]
        good = json.load(open(path))
        def take(times, **change):
            world = json.loads(json.dumps(good))
            world["devices"][1].update(change)
            json.dump(world, open(path, "w"))
            return ["{ONE} energy" in values(sensor.read()) for _ in range(times)]
        out = [take(1), take(2, energy="!BUSY"), take(1), take(16, lost="!NOT_FOUND"), take(2)]
        out += [values(sensor.snapshot()), sensor.state().reason]
    """
    first, twice, again, lost, after, values, reason = gpus.run(code)
    assert (first, twice, again) == ([True], [False] * 2, [True])
    assert not any(lost + after)
    assert {key.split()[0] for key in values} == {ZERO}
    assert f"GPU {ONE} answers no more: AMDSMI_STATUS_NOT_FOUND" in reason


def test_sampled_counter_and_power_agree_and_a_bad_counter_gives_way(
    gpus: Gpus, monkeypatch: pytest.MonkeyPatch, child: Any
) -> None:
    gpus.device()
    gpus.device(energy={"energy_accumulator": 8152136, "counter_resolution": 15.3, "timestamp": 1})  # stuck
    gpus.device(energy={"watts": 2, "counter_resolution": 15.3, "timestamp": 1})  # far off
    gpus.write()
    for key, value in gpus.env.items():
        monkeypatch.setenv(key, value)
    for name in ("ROCR", "HIP", "CUDA"):
        monkeypatch.delenv(f"{name}_VISIBLE_DEVICES", raising=False)
    sleeper = child("import time; time.sleep(60)")
    with Sampler(["amd"], options={"amd": {"period_s": 0.02}}) as sampler:
        sampler.watch(sleeper.pid)
        time.sleep(0.1)
        sampler.snapshot("a")
        time.sleep(0.8)
        sampler.snapshot("b")
        time.sleep(0.1)
        telemetry = sampler.finish()
    assert all(telemetry.snapshots.values()), telemetry.sensors
    start, end = (telemetry.snapshots[edge][0].t_ns for edge in "ab")
    truth = 80.0 * (end - start) / 1e9
    counters, powers = (f(telemetry, start, end) for f in (gpu_energy_by_counter, gpu_energy_by_power))
    for figure in (counters[ZERO], powers[ZERO]):
        assert (figure.low or 0) <= truth * 1.001
        assert (figure.high or 0) >= truth * 0.999
        assert figure.value == pytest.approx(truth, rel=0.1)
    assert agree(counters[ZERO], powers[ZERO]) is not False
    assert counters[ONE].how == "unavailable:counter did not move"
    chosen = gpu_energy(telemetry, start, end)
    assert [chosen[f"00ff-{n}"].how for n in range(3)] == [AMD_COUNTER, AMD_POWER, AMD_POWER]
    assert sum(m.value or 0 for m in chosen.values()) == pytest.approx(3 * truth, rel=0.1)


def test_a_counter_that_no_power_contradicts_stands() -> None:
    counted = tuple(Reading(i * 20 * MS, "amd", ZERO, "energy", 2.0 * i) for i in range(101))
    polled = (Reading(0, "amd", ZERO, "power_instant", 100.0),)  # refused ever after
    chosen = gpu_energy(Telemetry(readings=counted + polled), 500 * MS, 1500 * MS)[ZERO]
    assert (chosen.how, chosen.value) == (AMD_COUNTER, pytest.approx(100, rel=0.1))


def test_known_integral_of_a_ramp_and_the_lag_of_an_average() -> None:
    def told(quantity: str) -> Telemetry:
        return Telemetry(readings=tuple(Reading(i * 20 * MS, "amd", ZERO, quantity, 50.0 + i) for i in range(101)))

    window = 500 * MS, 1500 * MS
    now, late = (gpu_energy(told(quantity), *window)[ZERO] for quantity in ("power_instant", "power_average"))
    assert now.value == late.value == pytest.approx(100.0)
    assert (now.how, now.unit) == (AMD_POWER, "J")
    assert (late.high or 0) - (late.low or 0) > (now.high or 0) - (now.low or 0)


@pytest.fixture(scope="session")
def amd_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a libamd_smi.so that has every function which the installed package looks for."""
    spec = importlib.util.find_spec("amdsmi")
    compiler = shutil.which("gcc") or shutil.which("cc")
    if spec is None or spec.origin is None:
        pytest.skip("the Python package amdsmi is not installed")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler on Linux to build the stub library with")
    wrapper = (Path(spec.origin).parent / "amdsmi_wrapper.py").read_text()
    source = (HERE / "stub_amdsmi.c").read_text()
    wanted = set(re.findall(r"_libraries\['libamd_smi\.so'\]\.(\w+)", wrapper))
    own = set(re.findall(r"^int (\w+)\(", source, re.MULTILINE))
    folder = tmp_path_factory.mktemp("amdsmi")
    (folder / "stub.c").write_text(source + "".join(f"int {name}(void) {{ return 2; }}\n" for name in wanted - own))
    (folder / "lib").mkdir()
    out = folder / "lib" / "libamd_smi.so"
    subprocess.run([compiler, "-w", "-shared", "-fPIC", "-O1", "-o", str(out), str(folder / "stub.c")], check=True)
    return folder


def real(library: Path, code: str, **answers: object) -> Any:
    """`code` with the real package on the stub library."""
    usual = {"WATTS": 80, "POWER": 81, "MEMORY": 3 << 30, "LOAD": 37, "CLOCK": 2100, "HOTSPOT": 61, "VRAM_TYPE": 22}
    env = {f"AMD_{key}": str(value) for key, value in (usual | answers).items() if value is not None}
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return run(code, {"ROCM_PATH": str(library), "ROCM_HOME": str(library), "PYTHONPATH": path} | env)


class TestRealPackage:
    device = "00ff74a1-0000-1000-80aa-000000000001"

    def test_units_and_every_quantity(self, amd_library: Path) -> None:
        code = """
            sensor.watch(os.getpid())
            out = [why, values(sensor.snapshot()), sensor.state().reason]
        """
        why, values, reason = real(amd_library, code, PROCESS_MEMORY=4096)
        assert why is None, reason
        assert values.pop(f"{self.device} energy") > 0
        assert values == {
            f"{self.device} {quantity}": value
            for quantity, value in {
                "power_instant": 81.0,
                "memory_used": 3 << 30,
                "utilisation": 0.37,
                "clock": 2.1e9,
                "temperature": 61.0,
                "foreign_processes": 1.0,
            }.items()
        }

    def test_counter_in_joules(self, amd_library: Path) -> None:
        code = """
            import time
            seen = []
            for _ in range(2):
                (reading,) = [r for r in sensor.read() if r.quantity == "energy"]
                seen.append((reading.t_ns, reading.value))
                time.sleep(0.4)
            out = (seen[1][1] - seen[0][1]) / (seen[1][0] - seen[0][0]) * 1e9
        """
        assert real(amd_library, code) == pytest.approx(80, rel=0.05)

    def test_refusals_and_the_edge(self, amd_library: Path) -> None:
        answers = {"WATTS": None, "POWER": 0xFFFF, "LOAD": 0xFFFF, "CLOCK": 0xFFFFFFFF, "HOTSPOT": None, "EDGE": 48}
        why, values, reason, _ = real(amd_library, READ, **answers)
        assert why is None
        assert values == {f"{self.device} memory_used": 3 << 30, f"{self.device} temperature": 48.0}
        for quantity in ("energy", "power_instant", "utilisation", "clock"):
            assert quantity in reason
        assert "AMDSMI_STATUS_NOT_SUPPORTED" in reason

    def test_apu_and_no_driver(self, amd_library: Path) -> None:
        assert f"{self.device} socket_power" in real(amd_library, READ, VRAM_TYPE=12)[1]
        assert "modprobe amdgpu" in real(amd_library, "out = why", INIT="!34")

    def test_library_of_another_version_or_none(self, amd_library: Path, tmp_path: Path) -> None:
        assert "amd-smi-lib" in real(tmp_path, "out = why")
        (tmp_path / "lib").mkdir()
        compiler = shutil.which("gcc") or "cc"
        source = tmp_path / "old.c"
        source.write_text("int amdsmi_init(void) { return 0; }\n")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "lib/libamd_smi.so", source], check=True)
        assert "does not fit the installed libamd_smi.so" in real(tmp_path, "out = why")
