"""The parts of this machine, for the footprint of making them: looked at once, not a collector.

CPUs and drives as `collectors/machine.py` finds them; memory modules and power supplies from the
firmware's tables in /sys/firmware/dmi/tables/DMI, which only root may read; what the server is
built into from /sys/class/dmi/id, which all may. GPUs are the agent's accelerators and not here.
"""

import math
import re
from pathlib import Path
from typing import Final

from agent.collector import Paths
from agent.estimate.machine import Disk, Machine
from agent.lifecycle.hardware import Chassis, Detected, Drive, MemoryModule
from collectors import machine
from collectors.inventory_smbios import memory_modules, power_supplies

_CHASSIS: Final = {
    1: Chassis.UNKNOWN,
    2: Chassis.UNKNOWN,
    17: Chassis.RACK,
    23: Chassis.RACK,
    25: Chassis.RACK,
    28: Chassis.BLADE,
    29: Chassis.BLADE,
}
"""DSP0134, clause 7.4.1: main server, rack mount and multi-system chassis; blade, its enclosure."""

_TABLE_BYTES: Final = 1 << 20
_MODULE_GIGABYTES: Final = 32
"""Assumed where only the total is known."""
_ELSEWHERE: Final = re.compile(r"/(?:rport-|session\d|usb\d)")
"""In a disk's device path: Fibre Channel, iSCSI, USB (scsi_transport_fc, _iscsi)."""
_NOT_A_DISK: Final = re.compile(r"mmcblk\d+(?:boot|rpmb|gp)\d*")
_RAID: Final = re.compile(r"PERC|MegaRAID|MR9|LOGICAL VOLUME|RAID|AVAGO|SAS3\d{3}", re.IGNORECASE)


def detect(paths: Paths) -> Detected:
    """Return what this machine is made of. It blocks for some milliseconds; run it in a thread."""
    known = machine.detect(paths.procfs, paths.sysfs)
    if _virtual(known):
        return Detected(virtual=True)
    notes: list[str] = []
    table = _table(paths.sysfs / "firmware/dmi/tables/DMI", notes)
    modules, assumed = _memory(table, known.memory_gb, notes)
    sockets = known.sockets if known.package_ids else None
    if sockets is None:
        notes.append("CPUs: the kernel does not say how many sockets there are")
    return Detected(
        cpu_model=known.part.name,
        architecture=known.part.microarchitecture.name,
        cores=known.part.cores if sockets else 0,
        sockets=sockets,
        modules=modules,
        modules_assumed=assumed,
        drives=_drives(known.disks, paths.sysfs, notes),
        chassis=_chassis(paths.sysfs),
        power_supplies=power_supplies(table),
        product=_product(paths.sysfs),
        notes=tuple(notes),
    )


def _virtual(known: Machine) -> bool:
    """A VM's disks are all virtual; a server with cores switched off has real ones."""
    disks = known.disks or ()
    return known.virtual and all(disk.kind == "virtual" for disk in disks)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _table(path: Path, notes: list[str]) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_TABLE_BYTES)
    except PermissionError:
        notes.append(
            f"{path}: only root may read it, so memory modules and power supplies are assumed. "
            "Let the agent read it (docs/lifecycle.md) or give what differs as an asset."
        )
    except OSError:
        notes.append(f"{path}: not there, so memory modules and power supplies are assumed")
    return b""


def _memory(
    table: bytes, seen_gigabytes: float | None, notes: list[str]
) -> tuple[tuple[MemoryModule, ...] | None, bool]:
    """Modules, and whether they are assumed. The kernel never sees more than there is."""
    modules = memory_modules(table)
    if modules is not None:
        listed = sum(module.gigabytes for module in modules)
        if listed >= (seen_gigabytes or 0) * 0.99 and listed > 0:
            return modules, False
        notes.append(
            f"memory: the firmware lists {listed:g} GB and the kernel sees {seen_gigabytes:g} GB; "
            "the kernel is believed"
            if seen_gigabytes
            else "memory: the firmware lists no module"
        )
    if not seen_gigabytes:
        return None, False
    sold = plausible_gigabytes(seen_gigabytes)
    count = max(math.ceil(sold / _MODULE_GIGABYTES), 1)
    return (MemoryModule(sold / count),) * count, True


def plausible_gigabytes(seen: float) -> float:
    """Return the total that is sold, of which the kernel sees a little less: 754 is 768, 62 is 64.

    The next multiple of the power of two that is at most an eighth of it.
    """
    step = 2.0 ** math.floor(math.log2(max(seen, 8.0) / 8))
    return math.ceil(seen / step) * step


def _drives(
    disks: tuple[Disk, ...] | None, sysfs: Path, notes: list[str]
) -> tuple[Drive, ...] | None:
    if disks is None:
        return None
    own = []
    for disk in disks:
        if disk.kind == "virtual" or _NOT_A_DISK.fullmatch(disk.device):
            continue
        if disk.kind == "nvme":
            if _text(sysfs / "class/nvme" / disk.device / "transport") not in {"", "pcie"}:
                continue
        elif _elsewhere(sysfs / "block" / disk.device):
            continue
        else:
            _say_raid(sysfs / "block" / disk.device, disk.device, notes)
        own.append(Drive(disk.device, disk.kind, disk.size_bytes / 1e9))
    return tuple(own)


def _elsewhere(block: Path) -> bool:
    """Whether the disk is in another box, or was plugged in for a while."""
    if _text(block / "removable") == "1":
        return True
    return any(_ELSEWHERE.search(str(link.resolve())) for link in (block, block / "device"))


def _say_raid(block: Path, device: str, notes: list[str]) -> None:
    label = f"{_text(block / 'device/vendor')} {_text(block / 'device/model')}".strip()
    if _RAID.search(label):
        notes.append(
            f"{device}: {label} is a RAID controller's volume, counted as one drive of its size. "
            'Give the drives behind it as an asset: kind = "part", component = "storage".'
        )


def _chassis(sysfs: Path) -> Chassis:
    text = _text(sysfs / "class/dmi/id/chassis_type")
    return _CHASSIS.get(int(text), Chassis.OTHER) if text.isdecimal() else Chassis.UNKNOWN


def _product(sysfs: Path) -> str:
    folder = sysfs / "class/dmi/id"
    return f"{_text(folder / 'sys_vendor')} {_text(folder / 'product_name')}".strip()
