"""NVIDIA GPUs through NVML (docs.nvidia.com/deploy/nvml-api), by the `pynvml` module of nvidia-ml-py."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pynvml

from bench.sensors.base import Quantity
from bench.sensors.gpu import GpuSensor
from bench.sensors.visible import VARIABLE, Gpu, visible

if TYPE_CHECKING:
    from bench.record.observation import Reading

MILLI = 1e-3
FAILURES = 3
"""A call that fails so often in a row for no lasting reason is not made again."""

_LOST = (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED, pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
_NEVER = (
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_INVALID_ARGUMENT,
    pynvml.NVML_ERROR_DEPRECATED,
)
# The number of the first PID namespace, as include/linux/proc_ns.h fixes it.
_FIRST_NAMESPACE = 0xEFFFFFFC

Values = dict[str, float]


class _Device:
    """One visible device: a GPU, or a MIG instance with the GPU that it is part of.

    A quantity has its own handle: the instance knows its memory and processes, the GPU its power.
    """

    def __init__(self, uuid: str, own: Any, gpu_uuid: str, gpu: Any) -> None:
        self.uuid = uuid
        self.own = own
        self.gpu_uuid = gpu_uuid
        self.gpu = gpu
        self.lost: str | None = None
        self.refused: dict[str, str] = {}
        self.failures: dict[str, int] = {}

    @property
    def is_instance(self) -> bool:
        return self.uuid != self.gpu_uuid


class NvmlSensor(GpuSensor):
    """Energy, power, memory, load, clock and heat of each visible GPU, one device a UUID.

    `power_instant` and `power_average` come from the field API and mean what they say. Where a driver
    knows neither, `power` is `nvmlDeviceGetPowerUsage`: a 1 s average on Ampere and later except GA100,
    instantaneous before. `memory_used` includes what the driver keeps for itself. On a GPU split by MIG
    power, energy, clock and heat belong to the whole GPU and are filed under the GPU's UUID.

    Args:
        period_s: seconds between readings of power and energy; the rest is read at every fourth.
        environ: where CUDA_VISIBLE_DEVICES is looked up; this process's environment unless given.
    """

    name: ClassVar[str] = "nvml"
    source: ClassVar[str] = "NVML"
    default_period_s: ClassVar[float] = 0.05
    quantities: ClassVar[dict[str, Quantity]] = {
        "energy": Quantity("J", "counter", "energy since the driver was loaded"),
        "power_instant": Quantity("W", "gauge", "power now"),
        "power_average": Quantity("W", "gauge", "power, mean of about the last second"),
        "power": Quantity("W", "gauge", "power, now or a mean of a second: the driver does not say"),
        "memory_used": Quantity("B", "gauge", "device memory in use by all"),
        "process_memory": Quantity("B", "gauge", "device memory of the watched tree"),
        "foreign_processes": Quantity("1", "gauge", "compute processes that are not of the watched tree"),
        "utilisation": Quantity("1", "gauge", "share of the last period in which a kernel ran"),
        "sm_clock": Quantity("Hz", "gauge", "clock of the streaming multiprocessors"),
        "temperature": Quantity("°C", "gauge", "temperature of the chip"),
        "throttle_reasons": Quantity("1", "gauge", "bit mask, see bench.sensors.throttle"),
    }

    def __init__(self, *, period_s: float | None = None, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(period_s=period_s)
        self._environ = os.environ if environ is None else environ
        self._devices: list[_Device] = []
        self._started = False

    def probe(self) -> str | None:
        """Whether NVML loads and shows a device; reads each quantity once to learn which are refused."""
        try:
            if not self._started:
                pynvml.nvmlInit()
                self._started = True
            self._find()
        except pynvml.NVMLError as error:
            self.close()
            return _why_not(error)
        if not self._devices:
            setting = self._environ.get(VARIABLE)
            return (
                "the NVIDIA driver is loaded but shows no device"
                if setting is None
                else f"{VARIABLE}={setting!r} leaves no GPU visible"
            )
        for device in self._devices:
            device.failures.clear()
            device.refused.clear()
        self._everything()
        self._conclude()
        lost = [device.lost for device in self._devices if device.lost]
        return "; ".join(lost) if len(lost) == len(self._devices) else None

    def close(self) -> None:
        """Let go of NVML."""
        self._devices = []
        if self._started:
            self._started = False
            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()

    def _find(self) -> None:
        handles: dict[str, Any] = {}
        owner: dict[str, str] = {}
        gpus: list[Gpu] = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            uuid = _text(pynvml.nvmlDeviceGetUUID(handle))
            handles[uuid], owner[uuid] = handle, uuid
            instances = _instances(handle)
            for instance in instances:
                handles[instance], owner[instance] = instances[instance], uuid
            gpus.append(Gpu(uuid, _text(pynvml.nvmlDeviceGetName(handle)), tuple(instances)))
        choice = visible(gpus, self._environ)
        self._devices = [_Device(uuid, handles[uuid], owner[uuid], handles[owner[uuid]]) for uuid in choice.uuids]
        self.notes = {"visible": choice.note} if choice.note else {}
        shared = sorted({device.gpu_uuid for device in self._devices if device.is_instance})
        if shared:
            self.notes["mig"] = (
                f"power, energy, clock and temperature are those of the whole GPU ({', '.join(shared)}), "
                "which its MIG instances share"
            )

    def _fast(self) -> list[Reading]:
        readings: list[Reading] = []
        for device in self._of_gpus():
            readings += self._ask(device, "energy", _energy, of_gpu=True)
            readings += self._power(device)
        return readings

    def _everything(self) -> list[Reading]:
        readings = self._fast()
        for device in self._of_gpus():
            readings += self._ask(device, "utilisation", _utilisation, of_gpu=True)
            readings += self._ask(device, "sm_clock", _clock, of_gpu=True)
            readings += self._ask(device, "temperature", _temperature, of_gpu=True)
            readings += self._ask(device, "throttle_reasons", _throttle, of_gpu=True)
        for device in self._devices:
            readings += self._ask(device, "memory_used", _memory)
            readings += self._ask(device, "process_memory", self._processes)
        return readings

    def _of_gpus(self) -> list[_Device]:
        """One visible device a GPU, to ask for what belongs to the whole GPU."""
        return list({device.gpu_uuid: device for device in reversed(self._devices)}.values())[::-1]

    def _power(self, device: _Device) -> list[Reading]:
        fields = {
            "power_instant": pynvml.NVML_FI_DEV_POWER_INSTANT,
            "power_average": pynvml.NVML_FI_DEV_POWER_AVERAGE,
        }
        readings: list[Reading] = []
        for quantity, field in fields.items():
            readings += self._ask(device, quantity, partial(_field, quantity=quantity, field=field), of_gpu=True)
        if all(quantity in device.refused for quantity in fields):
            readings += self._ask(device, "power", _power_usage, of_gpu=True)
        return readings

    def _ask(
        self, device: _Device, quantity: str, call: Callable[[Any], Values], *, of_gpu: bool = False
    ) -> list[Reading]:
        if device.lost is not None or quantity in device.refused:
            return []
        before = time.perf_counter_ns()
        try:
            values = call(device.gpu if of_gpu else device.own)
        except pynvml.NVMLError as error:
            self._failed(device, quantity, error)
            return []
        device.failures.pop(quantity, None)
        # A driver call may take milliseconds: its middle is the best guess at when the value held.
        now = (before + time.perf_counter_ns()) // 2
        uuid = device.gpu_uuid if of_gpu else device.uuid
        return [self.reading(name, value, device=uuid, t_ns=now) for name, value in values.items()]

    def _failed(self, device: _Device, quantity: str, error: Any) -> None:
        if error.value in _LOST:
            device.lost = f"GPU {device.gpu_uuid} was lost: {error}"
            self.notes[f"lost {device.gpu_uuid}"] = device.lost
            return
        device.failures[quantity] = device.failures.get(quantity, 0) + 1
        if error.value in _NEVER or device.failures[quantity] >= FAILURES:
            device.refused[quantity] = f"the driver answers {error}"

    def _processes(self, handle: Any) -> Values:
        running = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
        own = set() if self._tree is None else self._tree.pids()
        ours = [process for process in running if process.pid in own]
        # Inside a container a driver may number processes as its host does. Seeing one of ours proves otherwise.
        if not ours and not _first_namespace():
            self.notes["namespace"] = (
                "GPU processes could not be told apart, as this container numbers processes its own way "
                "(start it with --pid=host)"
            )
            return {}
        self.notes.pop("namespace", None)
        values: Values = {"foreign_processes": len(running) - len(ours)}
        # Drivers answer nothing, and in containers 0, where they cannot tell: no process on a GPU holds 0.
        memory = [process.usedGpuMemory for process in ours]
        if memory and all(memory):
            values["process_memory"] = float(sum(memory))
        elif memory:
            self.notes["memory"] = "the driver does not tell how much device memory a process holds"
        return values

    def _conclude(self) -> None:
        """Name as absent what every device refuses, and in a note what only some do."""
        self.absent = {}
        for quantity in self.quantities:
            key = "process_memory" if quantity == "foreign_processes" else quantity
            refusals = [device.refused.get(key) for device in self._devices]
            if refusals and all(refusals):
                self.absent[quantity] = str(refusals[0])
            else:
                for device, refusal in zip(self._devices, refusals, strict=True):
                    asked_once = quantity not in ("memory_used", "process_memory", "foreign_processes")
                    if refusal and not (asked_once and device not in self._of_gpus()):
                        self.notes[f"{device.uuid} {quantity}"] = f"no {quantity} of {device.uuid}: {refusal}"
        if not any({"power_instant", "power_average"} <= set(device.refused) for device in self._devices):
            self.absent["power"] = "not needed beside power_instant and power_average"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _why_not(error: Any) -> str:
    if error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return "no NVIDIA driver on this machine (its library libnvidia-ml.so.1 was not found)"
    if error.value == pynvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return "the NVIDIA driver is installed but not loaded: see `nvidia-smi` and `modprobe nvidia`"
    if error.value == pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        return "the NVIDIA library and the loaded driver differ in version: reboot after the driver's update"
    if error.value == pynvml.NVML_ERROR_NO_PERMISSION:
        return "no permission to talk to the NVIDIA driver: check the rights of /dev/nvidiactl"
    return f"NVML did not start: {error}"


def _instances(gpu: Any) -> dict[str, Any]:
    """Handles of a GPU's MIG instances by UUID; empty where the GPU is not split."""
    found: dict[str, Any] = {}
    try:
        current, _ = pynvml.nvmlDeviceGetMigMode(gpu)
        if current != pynvml.NVML_DEVICE_MIG_ENABLE:
            return {}
        for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
            # Slots may be empty.
            with contextlib.suppress(pynvml.NVMLError):
                handle = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index)
                found[_text(pynvml.nvmlDeviceGetUUID(handle))] = handle
    except pynvml.NVMLError:
        return {}
    return found


def _energy(handle: Any) -> Values:
    return {"energy": pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) * MILLI}


def _power_usage(handle: Any) -> Values:
    return {"power": pynvml.nvmlDeviceGetPowerUsage(handle) * MILLI}


def _field(handle: Any, *, quantity: str, field: int) -> Values:
    """A field in milliwatts, as watts; each field has an error code of its own."""
    (answer,) = pynvml.nvmlDeviceGetFieldValues(handle, [field])
    if answer.nvmlReturn != pynvml.NVML_SUCCESS:
        raise pynvml.NVMLError(answer.nvmlReturn)
    member = {
        pynvml.NVML_VALUE_TYPE_DOUBLE: "dVal",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal",
        pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal",
        pynvml.NVML_VALUE_TYPE_SIGNED_INT: "siVal",
    }.get(answer.valueType)
    if member is None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    return {quantity: getattr(answer.value, member) * MILLI}


def _memory(handle: Any) -> Values:
    return {"memory_used": pynvml.nvmlDeviceGetMemoryInfo(handle).used}


def _utilisation(handle: Any) -> Values:
    return {"utilisation": pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100}


def _clock(handle: Any) -> Values:
    return {"sm_clock": pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM) * 1e6}


def _temperature(handle: Any) -> Values:
    return {"temperature": pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)}


def _throttle(handle: Any) -> Values:
    # The older name lives in every driver.
    return {"throttle_reasons": pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)}


def _first_namespace() -> bool:
    """Whether process ids here are the kernel's own."""
    if not sys.platform.startswith("linux"):
        return True
    try:
        return Path("/proc/self/ns/pid").stat().st_ino == _FIRST_NAMESPACE
    except OSError:
        return True
