"""RAPL zones as `/sys/class/powercap` shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardware.files import link, put, put_all

INTEL_UNIT_NANOJOULES = 61_035
"""2^-14 J as the kernel scales it; range 262143328850."""
INTEL_DRAM_UNIT_NANOJOULES = 15_300
"""Servers' DRAM; range 65712999613."""
AMD_UNIT_NANOJOULES = 15_258
"""2^-16 J as the kernel scales it; range 65532610987."""

_COUNTS = 2**32
_UPDATES_PER_SECOND = 1000


@dataclass(frozen=True)
class Zone:
    """One zone: `intel-rapl:0:1`. `device` names the script of power that it counts."""

    index: str
    name: str
    device: str
    unit_nanojoules: int = INTEL_UNIT_NANOJOULES
    start_joules: float = 0.0
    """What the counter shows at the scenario's start."""
    max_watts: float | None = None
    """Given: the zone has a power limit (Intel). None: it has no constraint (AMD, subzones)."""

    @property
    def range_microjoules(self) -> int:
        """`max_energy_range_uj`, in the kernel's own arithmetic."""
        return (_COUNTS - 1) * self.unit_nanojoules // 1000

    def microjoules(self, joules: float) -> int:
        """Return what the counter shows when `joules` have been counted since it was zero."""
        counts = int(joules * 1e9 / self.unit_nanojoules) % _COUNTS
        return counts * self.unit_nanojoules // 1000


def refreshed(t: float) -> float:
    """Return when the hardware last updated its counters: about every millisecond."""
    return int(t * _UPDATES_PER_SECOND + 1e-6) / _UPDATES_PER_SECOND


def build(sysfs: Path, zones: Sequence[Zone]) -> dict[str, Path]:
    """Make the class and device directories; return each zone's own directory by index."""
    classes = sysfs / "class/powercap"
    devices = sysfs / "devices/virtual/powercap"
    classes.mkdir(parents=True, exist_ok=True)
    directories: dict[str, Path] = {}
    for control in sorted({zone.index.split(":")[0] for zone in zones}):
        put(devices / control / "enabled", 1, 0o644)
        put(devices / control / "uevent", b"", 0o644)
        _announce(classes, devices / control)
    for zone in sorted(zones, key=lambda z: z.index.count(":")):
        control, *numbers = zone.index.split(":")
        directory = devices / control
        for depth in range(1, len(numbers) + 1):
            directory /= ":".join([control, *numbers[:depth]])
        _build_zone(directory, zone)
        _announce(classes, directory)
        directories[zone.index] = directory
    return directories


def _build_zone(directory: Path, zone: Zone) -> None:
    put_all(directory, {"name": zone.name, "max_energy_range_uj": zone.range_microjoules})
    put(directory / "enabled", 1, 0o644)
    put(directory / "uevent", b"", 0o644)
    put_all(directory / "power", {"control": "auto", "runtime_status": "unsupported"})
    if zone.max_watts is None:
        return
    limit = int(zone.max_watts * 1e6)
    constraints = {"long_term": (limit, 999_424), "short_term": (limit * 6 // 5, 7_808)}
    for number, (name, (microwatts, window)) in enumerate(constraints.items()):
        prefix = f"constraint_{number}"
        put(directory / f"{prefix}_name", name)
        put(directory / f"{prefix}_power_limit_uw", microwatts, 0o644)
        put(directory / f"{prefix}_time_window_us", window, 0o644)
        put(directory / f"{prefix}_max_power_uw", limit)


def _announce(classes: Path, directory: Path) -> None:
    link(classes / directory.name, directory)
    link(directory / "subsystem", classes)
