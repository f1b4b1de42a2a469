"""Which GPUs a program may see: CUDA_VISIBLE_DEVICES, as the CUDA C++ Programming Guide defines it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

VARIABLE = "CUDA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"


class Gpu(msgspec.Struct, frozen=True):
    """A physical GPU by NVML's order (that of the PCI bus), and the ids of its MIG instances."""

    uuid: str
    name: str
    instances: tuple[str, ...] = ()


class Choice(msgspec.Struct, frozen=True):
    """The visible devices: a GPU's UUID, or a MIG instance's. `note` says what is doubtful about it."""

    uuids: tuple[str, ...]
    note: str = ""


def visible(gpus: Sequence[Gpu], environ: Mapping[str, str]) -> Choice:
    """The devices of `gpus` that a CUDA program with this environment sees.

    Entries are indexes or (starts of) UUIDs; the first that names nothing ends the list. On a GPU split
    by MIG the instances stand for it. CUDA counts indexes fastest first unless CUDA_DEVICE_ORDER says
    PCI_BUS_ID, and NVML cannot tell that order where GPUs differ: then all devices are kept and noted.
    """
    everything = tuple(uuid for gpu in gpus for uuid in (gpu.instances or (gpu.uuid,)))
    setting = environ.get(VARIABLE)
    if setting is None:
        return Choice(everything)
    entries = [entry.strip() for entry in setting.split(",")]
    mixed = len({gpu.name for gpu in gpus}) > 1
    if mixed and environ.get(ORDER) != "PCI_BUS_ID" and any(entry.isdecimal() for entry in entries):
        return Choice(
            everything,
            f"all GPUs are watched, for {VARIABLE}={setting} counts unlike GPUs in CUDA's own order: "
            f"set {ORDER}=PCI_BUS_ID or give UUIDs",
        )
    chosen: list[str] = []
    for entry in entries:
        found = _named(gpus, entry)
        if found is None:
            break
        chosen += [uuid for uuid in found if uuid not in chosen]
    return Choice(tuple(chosen))


def _named(gpus: Sequence[Gpu], entry: str) -> tuple[str, ...] | None:
    if entry.isdecimal():
        if int(entry) >= len(gpus):
            return None
        gpu = gpus[int(entry)]
        return gpu.instances or (gpu.uuid,)
    if not entry.startswith(("GPU-", "MIG-")):
        return None
    found = [gpu.instances or (gpu.uuid,) for gpu in gpus if gpu.uuid.startswith(entry)]
    found += [(instance,) for gpu in gpus for instance in gpu.instances if instance.startswith(entry)]
    # A start that fits two devices names neither.
    return found[0] if len(found) == 1 else None
