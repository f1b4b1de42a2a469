"""Read the fingerprint of this machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

import psutil

from bench.machine.cpu import last_level_cache, usable_cores
from bench.record.environment import Environment

PACKAGES = (
    "ai-edge-litert",
    "ai-edge-quantizer",
    "counterpoise",
    "keras",
    "numpy",
    "nvidia-ml-py",
    "onnx",
    "onnxconverter-common",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxslim",
    "openvino",
    "psutil",
    "scikit-learn",
    "tensorflow",
    "tf2onnx",
)
# The instruction sets that decide how fast a variant can be on a CPU.
FEATURES = (
    "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx_vnni", "avx512_bf16",
    "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip


def read_environment() -> Environment:
    """The fingerprint of this machine now."""
    unread: dict[str, str] = {}
    info = _cpuinfo()
    cache, source = last_level_cache()
    gpus, driver = _gpus(unread)
    flags = set((info.get("flags") or info.get("Features") or "").split())
    if not flags:
        unread["cpu_features"] = "this system does not list them in /proc/cpuinfo"
    frequency = None
    try:
        found = psutil.cpu_freq()
        frequency = found.max * 1e6 if found and found.max else None
    except (OSError, NotImplementedError, AttributeError):
        pass
    governor = _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor is None:
        unread["governor"] = "no cpufreq under /sys, as is usual in a virtual machine"
    if frequency is None:
        unread["frequency_max_hz"] = "the system does not tell"
    return Environment(
        cpu_model=_cpu_model(info),
        cpu_features=tuple(name for name in FEATURES if name in flags),
        architecture=platform.machine(),
        cores_usable=tuple(usable_cores()),
        cores_logical=os.cpu_count(),
        governor=governor,
        frequency_max_hz=frequency,
        cache_bytes=cache if source == "sysfs" else None,
        memory_bytes=psutil.virtual_memory().total,
        memory_limit_bytes=memory_limit(),
        cpu_quota_cores=_cpu_quota(),
        kernel=platform.release(),
        system=platform.system(),
        virtualisation="hypervisor" if "hypervisor" in flags else None,
        boot=_text("/proc/sys/kernel/random/boot_id"),
        gpus=gpus,
        gpu_driver=driver,
        python=platform.python_version(),
        packages=package_versions(),
        unread=unread,
    )


def package_versions() -> dict[str, str]:
    """Versions of the packages that have a part in a figure, as far as installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpuinfo() -> dict[str, str]:
    """The first processor's block of /proc/cpuinfo; empty where there is none."""
    text = _text("/proc/cpuinfo") or ""
    first = text.split("\n\n", 1)[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _cpu_model(info: dict[str, str]) -> str | None:
    """The processor's own name; a board's where it has but that of its architecture ("ARMv8 Processor rev 1 (v8l)")."""
    name = info.get("model name")
    if name is None or re.match(r"A(RM|Arch64)", name, re.IGNORECASE):
        name = _board() or name
    return name or _of_a_mac() or platform.processor() or None


def _of_a_mac() -> str | None:
    """The brand of a Mac's processor; None on any other system."""
    if platform.system() != "Darwin":
        return None
    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _board() -> str | None:
    """The name of a board whose processor has none in /proc/cpuinfo, as with Arm; it ends in a NUL."""
    return (_text("/proc/device-tree/model") or "").rstrip("\0") or None


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def memory_limit() -> int | None:
    """Bytes that the control group allows (v2, then v1); None where it does not limit."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = _text(path)
        # v1 says "no limit" with a number near 2**63.
        if text and text.isdigit() and int(text) < 2**60:
            return int(text)
    return None


def _cpu_quota() -> float | None:
    """Cores that the control group allows; None where it does not limit."""
    text = _text("/sys/fs/cgroup/cpu.max")
    if text and not text.startswith("max"):
        quota, period = text.split()
        return int(quota) / int(period)
    quota_text = _text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
    period_text = _text("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
    if quota_text and period_text and int(quota_text) > 0:
        return int(quota_text) / int(period_text)
    return None


def _gpus(unread: dict[str, str]) -> tuple[tuple[str, ...], str | None]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        unread["gpus"] = f"NVML: {error}"
        return (), None
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(at) for at in range(pynvml.nvmlDeviceGetCount())]
        return tuple(str(pynvml.nvmlDeviceGetName(handle)) for handle in handles), str(
            pynvml.nvmlSystemGetDriverVersion()
        )
    except pynvml.NVMLError as error:
        unread["gpus"] = f"NVML: {error}"
        return (), None
    finally:
        pynvml.nvmlShutdown()
