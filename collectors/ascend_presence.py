"""Whether a host has Ascend NPUs at all, and what it means when npu-smi shows none."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agent.collector import Transient
from collectors.ascend_tool import TOOL
from collectors.sysfs import Unreadable, names

PCI: Final = "bus/pci/devices"
_HUAWEI: Final = "0x19e5"
_PROCESSING_ACCELERATOR: Final = "0x1200"
"""PCI class 12h, subclass 00h (PCI Code and ID Assignment Specification)."""
REMEDY_DRIVER: Final = (
    "run `npu-smi info` as root and as this user: if both fail, the driver is not loaded or its"
    " firmware waits for a reboot; if only this user fails, add it to the driver's group:"
    " sudo usermod -aG HwHiAiUser wattlas, and restart wattlas"
)
REMEDY_USED: Final = (
    "another program has the driver to itself, as npu-exporter may: set url to npu-exporter's page"
)


def npus_on_pci(sysfs: Path) -> list[str]:
    """Return the PCI addresses of Huawei's processing accelerators."""
    try:
        devices = names(sysfs / PCI)
    except Unreadable:
        return []
    return [
        device
        for device in devices
        if _line(sysfs / PCI / device / "vendor") == _HUAWEI
        and _line(sysfs / PCI / device / "class").startswith(_PROCESSING_ACCELERATOR)
    ]


def is_on_pci(sysfs: Path, device: str) -> bool:
    """Say whether the kernel has a device of this address."""
    return (sysfs / PCI / device).exists()


def nothing_in(words: str, unreadable: Sequence[str]) -> Transient:
    """Return what it means when npu-smi shows no card: its own words, and what to do.

    -8005: no right to the device files, no driver, or firmware that waits for a reboot; -8020: the
    driver serves somebody else; -9005: a container that the driver does not serve (all three as
    public reports of users have them).
    """
    if unreadable:
        return Transient(f"the table of {TOOL} is not understood: {unreadable[0]}", "garbage")
    said = f"{TOOL} says: {words}" if words else f"{TOOL} shows no card"
    if "-8020" in words or "device is used" in words:
        return Transient(said, "used", REMEDY_USED)
    return Transient(said, "driver", REMEDY_DRIVER)


def _line(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""
