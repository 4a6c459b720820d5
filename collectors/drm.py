"""The graphics cards of one machine, as the kernel's DRM class lists them.

Reads `class/drm/cardN`, its PCI device and the hwmon chips below that. A card is known by its PCI
address: card and hwmon numbers change from boot to boot. Traps, with sources:

- `cardN-DP-1` are connectors and `renderDN` the same card again (Documentation/gpu/drm-uapi.rst):
  neither is one;
- the partitions of a MI300X are cards of their own on a platform device `amdgpu_xcp`, whose board
  is listed beside them (drivers/gpu/drm/amd/amdxcp/amdgpu_xcp_drv.c): only PCI devices are boards;
- most attributes of a sleeping card wake it: amdgpu_pm.c and i915_hwmon.c, xe_hwmon.c take a
  runtime reference before they read. `power/runtime_status` does not, so it is asked first
  (Documentation/ABI/testing/sysfs-devices-power).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.collector import Problem
from collectors.sysfs import Attribute, Unreadable, failed, names, optional_text, resolved

CLASS: Final = "class/drm"
ASLEEP: Final = frozenset({"suspended", "suspending"})
"""States of `power/runtime_status` in which a read would wake the device."""
_CARD: Final = re.compile(r"card(\d{1,4})")
_HWMON: Final = re.compile(r"hwmon\d{1,6}")
_ADDRESS: Final = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_ID: Final = re.compile(r"0x([0-9a-f]{4})")


@dataclass(frozen=True, slots=True)
class Chip:
    """A hwmon chip of a card."""

    name: str
    """As the driver calls it: `amdgpu`, `i915`, `i915_gt0`, `xe`."""
    path: Path
    files: frozenset[str]


@dataclass(frozen=True, slots=True)
class Card:
    """One graphics card on the PCI bus."""

    number: int
    """N of `cardN`."""
    path: Path
    """Where the DRM class has it."""
    device: Path
    """Its PCI device."""
    address: str
    """`0000:17:00.0`."""
    driver: str
    vendor_id: str
    """Four hexadecimal digits, lower case; empty if not told."""
    device_id: str
    chips: tuple[Chip, ...]

    @property
    def pci_id(self) -> str:
        """`1002:740f`, as lspci -n prints it; empty if not told."""
        return f"{self.vendor_id}:{self.device_id}" if self.vendor_id and self.device_id else ""

    def chip(self, name: str) -> Chip | None:
        """Return the chip of that name, None if there is none."""
        return next((chip for chip in self.chips if chip.name == name), None)


@dataclass(frozen=True, slots=True)
class Cards:
    """What one scan saw."""

    cards: tuple[Card, ...]
    """In the order of their PCI addresses."""
    problems: tuple[Problem, ...]
    unclear: frozenset[int] | None = frozenset()
    """Numbers of the cards that could not be looked at; None: the class itself could not."""


def scan_cards(root: Path, drivers: Collection[str]) -> Cards:
    """Look for the cards of some drivers below `root`. Reads no sensor and wakes nothing."""
    cards: list[Card] = []
    problems: list[Problem] = []
    try:
        listed = names(root / CLASS)
    except Unreadable as error:
        return Cards((), (error.problem("drm"),), None)
    unclear: set[int] = set()
    for entry in listed:
        match = _CARD.fullmatch(entry)
        if not match:
            continue
        try:
            card = _card(root, root / CLASS / entry, int(match[1]), drivers)
        except Unreadable as error:
            if error.reason != "gone":  # else it went away between two looks
                problems.append(error.problem(entry))
                unclear.add(int(match[1]))
            continue
        if card is not None:
            cards.append(card)
    cards.sort(key=lambda card: tuple(int(part, 16) for part in re.split("[:.]", card.address)))
    return Cards(tuple(cards), tuple(problems), frozenset(unclear))


def runtime_status(root: Path, card: Card) -> Attribute:
    """Return the attribute that says whether a card sleeps; reading it does not wake the card."""
    return Attribute(root, card.device / "power/runtime_status")


def _card(root: Path, path: Path, number: int, drivers: Collection[str]) -> Card | None:
    path = resolved(root, path)
    device = resolved(root, path / "device")
    if not _ADDRESS.fullmatch(device.name):
        return None
    try:
        driver = (device / "driver").readlink().name
    except FileNotFoundError:
        return None  # unbound: nobody drives it
    except OSError as error:
        raise failed(device / "driver", error) from None
    if driver not in drivers:
        return None
    return Card(
        number=number,
        path=path,
        device=device,
        address=device.name,
        driver=driver,
        vendor_id=_id(root, device / "vendor"),
        device_id=_id(root, device / "device"),
        chips=_chips(root, device),
    )


def _chips(root: Path, device: Path) -> tuple[Chip, ...]:
    chips: list[Chip] = []
    for entry in names(device / "hwmon"):
        path = device / "hwmon" / entry
        if _HWMON.fullmatch(entry) and (name := optional_text(root, path / "name")):
            chips.append(Chip(name, path, frozenset(names(path))))
    return tuple(chips)


def _id(root: Path, path: Path) -> str:
    match = _ID.fullmatch((optional_text(root, path) or "").lower())
    return match[1] if match else ""
