"""AMD GPUs through AMD SMI (rocm.docs.amd.com/projects/amdsmi), by its Python module `amdsmi`."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bench.sensors.base import Quantity
from bench.sensors.gpu import GpuSensor

if TYPE_CHECKING:
    from bench.record.observation import Reading

FAILURES = 3
"""A call that fails so often in a row for no lasting reason is not made again."""

_MICRO = 1e-6
_MEGA = 1e6
_MIB = 1 << 20
# What the library writes where it knows nothing: the highest number of the field's width (amdsmi.h).
_UNKNOWN_POWER_W = 0xFFFF
_UNKNOWN_32 = 0xFFFFFFFF
_UNKNOWN_64 = 0xFFFFFFFFFFFFFFFF
# amdsmi_vram_type_t in amdsmi.h: HBM from 1, the memory of CPUs (DDR, LPDDR) from 10, GDDR from 17.
_CPU_MEMORY = range(10, 17)
# AMD SMI once gave thousandths of a degree: no chip lives at 1000 °C, and one that runs is above 1 °C.
_HOTTEST_C = 1000

# Statuses by name, for the numbers changed between versions.
_NEVER = (
    "AMDSMI_STATUS_NOT_SUPPORTED",
    "AMDSMI_STATUS_NOT_YET_IMPLEMENTED",
    "AMDSMI_STATUS_NO_PERM",
    "AMDSMI_STATUS_INVAL",
    "AMDSMI_STATUS_FILE_NOT_FOUND",
)
_NO_DRIVER = ("AMDSMI_STATUS_DRIVER_NOT_LOADED", "AMDSMI_STATUS_NO_DRV", "AMDSMI_STATUS_FAIL_LOAD_MODULE")
_SHARED = (
    "this GPU shares its chip with the CPU, and AMD SMI tells the power of the whole chip (socket_power): "
    "the RAPL counter of the CPU package holds it already"
)

_NO_MODULE = (
    "the Python module amdsmi is not installed; it comes with ROCm: `pip install /opt/rocm/share/amd_smi`, "
    "or `pip install amdsmi` in the version of that ROCm"
)
_NO_LIBRARY = (
    "the Python module amdsmi is installed, but AMD's library libamd_smi.so was not found: "
    "install ROCm's package amd-smi-lib, or set ROCM_PATH to where ROCm is"
)

Values = dict[str, float]


class _Refused(Exception):
    """The library answered, and the answer says that it does not know."""

    def __init__(self, reason: str, *, lasting: bool) -> None:
        super().__init__(reason)
        self.lasting = lasting


class _Device:
    def __init__(self, uuid: str, handle: Any, *, shared: bool) -> None:
        self.uuid = uuid
        self.handle = handle
        self.shared = shared
        self.seen: set[str] = set()
        self.refused: dict[str, str] = {}
        self.failures: dict[str, int] = {}

    def begin(self) -> None:
        """Forget what was refused."""
        self.failures.clear()
        self.refused = {"energy": _SHARED} if self.shared else {}


class AmdSensor(GpuSensor):
    """Energy, power, memory, load, clock and heat of each visible AMD GPU, one device a UUID.

    `power_instant` is AMD SMI's current socket power (MI300 and later) and `power_average` its average
    socket power (Radeon, MI200 and earlier), both in whole watts; `power` is what a version tells that
    names neither. A device at work draws power, so an answer of 0 W, as the second die of an MI200 gives,
    is no reading. A GPU that is part of a CPU (an APU, known by its memory) tells only `socket_power`:
    RAPL counts that chip already. Processes are counted in snapshots only, for the library goes through
    all of /proc for them; those of other users are shown to root alone.

    Args:
        period_s: seconds between readings of power and energy; the rest is read at every fourth.
        environ: where ROCR_VISIBLE_DEVICES, HIP_VISIBLE_DEVICES and CUDA_VISIBLE_DEVICES, which HIP heeds
            too, are looked up; this process's environment unless given.
    """

    name: ClassVar[str] = "amd"
    source: ClassVar[str] = "AMD SMI"
    default_period_s: ClassVar[float] = 0.05
    quantities: ClassVar[dict[str, Quantity]] = {
        "energy": Quantity("J", "counter", "energy since the driver was loaded"),
        "power_instant": Quantity("W", "gauge", "power now"),
        "power_average": Quantity("W", "gauge", "power, a mean over a time that AMD does not state"),
        "power": Quantity("W", "gauge", "power, now or a mean: the library does not say"),
        "socket_power": Quantity("W", "gauge", "power of the whole chip, CPU included, that the GPU is part of"),
        "memory_used": Quantity("B", "gauge", "device memory in use by all"),
        "process_memory": Quantity("B", "gauge", "device memory of the watched tree"),
        "foreign_processes": Quantity("1", "gauge", "processes with device memory that are not of the watched tree"),
        "utilisation": Quantity("1", "gauge", "share of the last period in which the graphics engine worked"),
        "clock": Quantity("Hz", "gauge", "clock of the graphics engine"),
        "temperature": Quantity("°C", "gauge", "temperature of the chip at its hottest spot, or at its edge"),
    }

    def __init__(self, *, period_s: float | None = None, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(period_s=period_s)
        self._environ = os.environ if environ is None else environ
        self._smi: Any = None
        self._devices: list[_Device] = []
        self._started = False

    def probe(self) -> str | None:
        """Whether AMD SMI loads and shows a device; reads each quantity once to learn which are refused."""
        if self._smi is None:
            loaded = _load()
            if isinstance(loaded, str):
                return loaded
            self._smi = loaded
        try:
            if not self._started:
                self._smi.amdsmi_init()
                self._started = True
            every = self._find()
        except self._smi.AmdSmiLibraryException as error:
            self.close()
            return _why_not(error)
        self._devices, note = _visible(self._smi, every, self._environ)
        self.notes = {"visible": note} if note and self._devices else {}
        if not self._devices:
            return note or "AMD SMI is installed but shows no GPU"
        for device in self._devices:
            device.begin()
        self._everything()
        self._conclude()
        return None

    def snapshot(self) -> list[Reading]:
        """Everything, processes too."""
        readings = self._everything()
        for device in self._devices if self._tree is not None else ():
            readings += self._ask(device, "processes", self._processes)
        self._conclude()
        return readings

    def close(self) -> None:
        """Let go of AMD SMI."""
        self._devices = []
        if self._started:
            self._started = False
            with contextlib.suppress(*_errors(self._smi)):
                self._smi.amdsmi_shut_down()

    def _find(self) -> list[_Device]:
        found: dict[str, _Device] = {}
        for index, handle in enumerate(self._smi.amdsmi_get_processor_handles()):
            uuid = ""
            with contextlib.suppress(*_errors(self._smi)):
                uuid = str(self._smi.amdsmi_get_gpu_device_uuid(handle))
            # A virtual function may have no id, and parts of a split GPU the same.
            name = uuid if uuid and uuid not in found else f"{uuid or 'amd'}:{index}"
            found[name] = _Device(name, handle, shared=_is_shared(self._smi, handle))
        return list(found.values())

    def _fast(self) -> list[Reading]:
        readings: list[Reading] = []
        for device in self._devices:
            readings += self._ask(device, "energy", self._energy)
            readings += self._ask(device, "watts", self._power)
        return readings

    def _everything(self) -> list[Reading]:
        readings = self._fast()
        for device in self._devices:
            readings += self._ask(device, "memory_used", self._memory)
            readings += self._ask(device, "utilisation", self._utilisation)
            readings += self._ask(device, "clock", self._clock)
            readings += self._ask(device, "temperature", self._temperature)
        return readings

    def _ask(self, device: _Device, what: str, call: Callable[[_Device], Values]) -> list[Reading]:
        if what in device.refused:
            return []
        before = time.perf_counter_ns()
        try:
            values = call(device)
        except _errors(self._smi) as error:
            self._failed(device, what, error)
            return []
        device.failures.pop(what, None)
        device.seen.update(values, (what,))
        # A driver call may take milliseconds: its middle is the best guess at when the value held.
        now = (before + time.perf_counter_ns()) // 2
        return [self.reading(name, value, device=device.uuid, t_ns=now) for name, value in values.items()]

    def _failed(self, device: _Device, what: str, error: Exception) -> None:
        device.failures[what] = device.failures.get(what, 0) + 1
        if isinstance(error, _Refused):
            # What was told before may be told again.
            lasting, reason = error.lasting and what not in device.seen, str(error)
        elif isinstance(error, self._smi.AmdSmiLibraryException):
            reason = _said(error)
            lasting = reason.startswith(_NEVER)
        else:
            lasting, reason = True, f"this version of amdsmi does not tell it ({error!r})"
        if lasting or device.failures[what] >= FAILURES:
            device.refused[what] = reason
            if device.seen and all(asked in device.refused for asked in _ASKED):
                self.notes[f"lost {device.uuid}"] = f"GPU {device.uuid} answers no more: {reason}"

    def _conclude(self) -> None:
        """Name as absent what every device refuses, and in a note what only some do."""
        self.absent = {}
        for quantity in self.quantities:
            reasons = [_missing(device, quantity) for device in self._devices]
            if reasons and all(reasons):
                self.absent[quantity] = str(reasons[0])
        for device in self._devices:
            for what, reason in device.refused.items():
                if not all(what in other.refused for other in self._devices):
                    told = "power" if what == "watts" else what
                    self.notes[f"{device.uuid} {what}"] = f"no {told} of {device.uuid}: {reason}"

    def _energy(self, device: _Device) -> Values:
        answer = self._smi.amdsmi_get_energy_count(device.handle)
        # Before version 6.2.1 the count went by the name of `power`.
        count = _number(answer["energy_accumulator"] if "energy_accumulator" in answer else answer["power"])
        microjoules = _number(answer["counter_resolution"])
        if count is None or count >= _UNKNOWN_64 or not microjoules:
            raise _Refused("the device has no energy counter", lasting=True)
        return {"energy": count * microjoules * _MICRO}

    def _power(self, device: _Device) -> Values:
        answer = self._smi.amdsmi_get_power_info(device.handle)
        told = {key: _number(answer.get(f"{key}socket_power")) for key in ("current_", "average_", "")}
        watts = {key: value for key, value in told.items() if value and value < _UNKNOWN_POWER_W}
        if not watts:
            if 0 in told.values():
                raise _Refused("it tells 0 W, which a running device cannot draw", lasting=False)
            raise _Refused("the device does not tell its power", lasting=True)
        if device.shared:
            return {"socket_power": next(iter(watts.values()))}
        names = {"current_": "power_instant", "average_": "power_average"}
        return {names[key]: value for key, value in watts.items() if key in names} or {"power": watts[""]}

    def _memory(self, device: _Device) -> Values:
        try:
            used = self._smi.amdsmi_get_gpu_memory_usage(device.handle, self._smi.AmdSmiMemoryType.VRAM)
        except _errors(self._smi):
            # In a virtual machine only this is told, in MiB.
            used = self._smi.amdsmi_get_gpu_vram_usage(device.handle)["vram_used"] * _MIB
        return {"memory_used": used}

    def _utilisation(self, device: _Device) -> Values:
        percent = _number(self._smi.amdsmi_get_gpu_activity(device.handle)["gfx_activity"])
        if percent is None or percent > 100:
            raise _Refused("the device does not tell its load", lasting=True)
        return {"utilisation": percent / 100}

    def _clock(self, device: _Device) -> Values:
        answer = self._smi.amdsmi_get_clock_info(device.handle, self._smi.AmdSmiClkType.GFX)
        # Before version 6.2 it went by the name of `cur_clk`.
        megahertz = _number(answer["clk"] if "clk" in answer else answer["cur_clk"])
        if megahertz is None or megahertz >= _UNKNOWN_32:
            raise _Refused("the device does not tell its clock", lasting=True)
        return {"clock": megahertz * _MEGA}

    def _temperature(self, device: _Device) -> Values:
        places = self._smi.AmdSmiTemperatureType
        now = self._smi.AmdSmiTemperatureMetric.CURRENT
        try:
            degrees = self._smi.amdsmi_get_temp_metric(device.handle, places.HOTSPOT, now)
        except _errors(self._smi):
            degrees = self._smi.amdsmi_get_temp_metric(device.handle, places.EDGE, now)
        value = _number(degrees)
        if value is None:
            raise _Refused("the device does not tell its temperature", lasting=True)
        return {"temperature": value / 1000 if value >= _HOTTEST_C else value}

    def _processes(self, device: _Device) -> Values:
        tree = set() if self._tree is None else self._tree.pids()
        held = {
            int(process["pid"]): float(process["memory_usage"]["vram_mem"])
            for process in self._smi.amdsmi_get_gpu_process_list(device.handle)
        }
        using = {pid: memory for pid, memory in held.items() if memory > 0}
        values: Values = {"foreign_processes": float(len(using.keys() - tree))}
        if using.keys() & tree:
            values["process_memory"] = sum(using[pid] for pid in using.keys() & tree)
        return values


_ASKED = ("energy", "watts", "memory_used", "utilisation", "clock", "temperature")
"""The calls that every device is asked at a probe."""
_POWERS = ("power_instant", "power_average", "power", "socket_power")


def _missing(device: _Device, quantity: str) -> str | None:
    """Why a device does not tell a quantity; None where it does, or may."""
    if quantity in ("process_memory", "foreign_processes"):
        return device.refused.get("processes")
    if quantity not in _POWERS:
        return device.refused.get(quantity)
    if "watts" in device.refused:
        return device.refused["watts"]
    if quantity in device.seen or not device.seen.intersection(_POWERS):
        return None
    if quantity == "socket_power":
        return "the GPU has a chip of its own"
    return _SHARED if device.shared else "AMD SMI tells the power of this device in another way"


def _load() -> Any | str:
    """The module, or why it cannot be had. Where its library is missing it prints, and then fails on itself."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            return importlib.import_module("amdsmi")
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "amdsmi":
            return _NO_MODULE
        if "libamd_smi.so" in f"{error!r}{printed.getvalue()}" and not isinstance(error, AttributeError):
            return _NO_LIBRARY
        return f"the Python module amdsmi does not fit the installed libamd_smi.so: install ROCm's own ({error})"


def _errors(smi: Any) -> tuple[type[Exception], ...]:
    """What a call raises where the device, or this version of the library, does not know."""
    return _Refused, smi.AmdSmiLibraryException, LookupError, AttributeError, TypeError, ValueError


def _said(error: Any) -> str:
    """What a library error says, as `AMDSMI_STATUS_…: meaning`."""
    info = error.get_error_info() if hasattr(error, "get_error_info") else error
    return ": ".join(part.strip() for part in str(info).split(" - ", 1))


def _why_not(error: Any) -> str:
    said = _said(error)
    if said.startswith(_NO_DRIVER):
        return "AMD's driver is not loaded: see `amd-smi list` and `sudo modprobe amdgpu`"
    if said.startswith("AMDSMI_STATUS_NO_PERM"):
        return "no permission to talk to AMD's driver: add the user to the groups render and video"
    return f"AMD SMI did not start: {said}"


def _number(value: Any) -> float | None:
    """A figure, or None for `N/A` and the like."""
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else value


def _is_shared(smi: Any, handle: Any) -> bool:
    """Whether the GPU is part of a CPU: it then uses the memory of CPUs, or is the one APU that has its own."""
    kind: Any = None
    name = ""
    with contextlib.suppress(*_errors(smi)):
        kind = smi.amdsmi_get_gpu_vram_info(handle)["vram_type"]
    with contextlib.suppress(*_errors(smi)):
        name = str(smi.amdsmi_get_gpu_asic_info(handle)["market_name"])
    by_memory = kind.startswith(("DDR", "LPDDR")) if isinstance(kind, str) else kind in _CPU_MEMORY
    return by_memory or "MI300A" in name


def _visible(smi: Any, devices: list[_Device], environ: Mapping[str, str]) -> tuple[list[_Device], str]:
    """The devices that a HIP program with this environment sees, and what is doubtful about it.

    ROCR_VISIBLE_DEVICES leaves some by index or UUID; HIP_VISIBLE_DEVICES, or CUDA_VISIBLE_DEVICES in its
    place, counts among those (rocm.docs.amd.com, "GPU isolation techniques"). Indexes are HIP's.
    """
    settings = [name for name in ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES") if name in environ]
    if "HIP_VISIBLE_DEVICES" not in environ and "CUDA_VISIBLE_DEVICES" in environ:
        settings.append("CUDA_VISIBLE_DEVICES")
    if not settings or not devices:
        return devices, ""
    said = " and ".join(f"{name}={environ[name]!r}" for name in settings)
    order: dict[int, tuple[str, _Device]] = {}
    with contextlib.suppress(*_errors(smi)):
        for device in devices:
            answer = smi.amdsmi_get_gpu_enumeration_info(device.handle)
            order[int(answer["hip_id"])] = str(answer.get("hip_uuid", "")), device
    if len(order) < len(devices):
        if len(devices) > 1:
            return devices, f"all AMD GPUs are watched, for this version of AMD SMI cannot tell which {said} names"
        order = {0: ("", devices[0])}
    left = [order[index] for index in sorted(order)]
    for setting in settings:
        kept: list[tuple[str, _Device]] = []
        for entry in (part.strip() for part in environ[setting].split(",")):
            by_index = left[int(entry) : int(entry) + 1] if entry.isdecimal() else []
            named = by_index or [pair for pair in left if entry and entry == pair[0]]
            if not named:
                break
            kept += [pair for pair in named if pair not in kept]
        left = kept
    return [device for _, device in left], "" if left else f"{said} leaves no AMD GPU visible"
