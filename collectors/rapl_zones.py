"""The RAPL zones of one machine: what each is, its modulus and its largest power.

Split from `collectors/rapl.py`, which lists the traps.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from agent.collector import Problem
from agent.quantities import Component, Joules, Watts
from collectors.sysfs import (
    Attribute,
    Unreadable,
    names,
    optional_int,
    optional_text,
    read_int,
    read_text,
    resolved,
)

CLASS: Final = "class/powercap"
REGISTER_MAXIMUM: Final = 2**32 - 1
"""ENERGY_STATUS_MASK in drivers/powercap/intel_rapl_common.c: the counters have 32 bits."""
MAX_SANE_WATTS: Final = Watts(2000.0)
"""No socket draws this for long; firmware writes 4095.875 W (0x7fff / 8) for "no limit"."""
MAX_CONSTRAINTS: Final = 4
"""long_term, short_term and peak_power are all the driver knows; one to spare."""
_ENTRY: Final = re.compile(r"intel-rapl:([0-9a-f]+)(?::([0-9a-f]+))?", re.IGNORECASE)
_PACKAGE: Final = re.compile(r"package-(\d{1,6})(?:-die-(\d{1,6}))?")
_PSYS: Final = re.compile(r"psys(?:-(\d{1,6}))?")

Kind = Literal["package", "dram", "psys"]
_COMPONENTS: Final[dict[Kind, Component]] = {
    "package": Component.CPU,
    "dram": Component.DRAM,
    "psys": Component.PLATFORM,
}


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone that matters: a package, its DRAM, or the platform."""

    kind: Kind
    package: int
    die: int | None
    range_microjoules: int
    """`max_energy_range_uj`, the largest value that the counter shows."""
    max_watts: Watts | None
    """None: not said, or the firmware sets no limit."""
    energy: Attribute = field(compare=False)

    @property
    def key(self) -> tuple[object, ...]:
        """Tell whether a zone found again is the same one."""
        return (self.energy.path, self.kind, self.package, self.die, self.range_microjoules)

    @property
    def component(self) -> Component:
        """The part of the server that this zone is."""
        return _COMPONENTS[self.kind]

    @property
    def group_device(self) -> str:
        """The device without the die: `package-0`, `dram-0`, `psys`."""
        if self.kind == "psys":
            return "psys" if self.package == 0 else f"psys-{self.package}"
        return f"{self.kind}-{self.package}"

    @property
    def device(self) -> str:
        """The device with its die, where the zone has one."""
        return self.group_device if self.die is None else f"{self.group_device}-die-{self.die}"

    @property
    def wraps_at(self) -> Joules:
        """The modulus in J: the range and one unit more."""
        return Joules(self.range_microjoules / 1e6 * (1 + 1 / REGISTER_MAXIMUM))

    def read(self) -> int:
        """Return the counter in uJ. Raises `Unreadable`, also above the range."""
        value = self.energy.read_unsigned()
        if value > self.range_microjoules:
            why = f"holds {value}, more than its range {self.range_microjoules}"
            raise Unreadable(self.energy.path, why, "garbage")
        return value


@dataclass(frozen=True, slots=True)
class Found:
    """What one scan saw."""

    zones: tuple[Zone, ...]
    """By package, kind and die, whatever their indices."""
    problems: tuple[Problem, ...]
    mmio: bool
    """There are intel-rapl-mmio zones."""


def listing(root: Path) -> tuple[str, ...]:
    """Return the names in the class of zones, of which the kernel lists all, inner ones too."""
    try:
        return tuple(names(root / CLASS))
    except Unreadable:
        return ()


def scan(root: Path) -> Found:
    """Look at every powercap zone below `root`. Reads no energy counter."""
    top = root / CLASS
    zones: list[Zone] = []
    problems: list[Problem] = []
    mmio = False
    try:
        listed = names(top)
    except Unreadable as error:
        return Found((), (error.problem("powercap"),), mmio=False)
    for name in listed:
        mmio = mmio or name.startswith("intel-rapl-mmio")
        match = _ENTRY.fullmatch(name)
        if not match or match[2]:
            continue
        try:
            if _is_mmio(root, top / name):
                mmio = True
                continue
            # The class lists inner zones too; they are read inside their package where they are.
            inner = {n: top / n for n in listed if n.startswith(f"{name}:")}
            inner |= {n: top / name / n for n in names(top / name)}
            zones += _top_level(root, top / name, inner, problems)
        except Unreadable as error:
            problems.append(error.problem(name))
    zones.sort(key=lambda zone: (zone.kind == "psys", zone.package, zone.kind, zone.die or 0))
    return Found(_with_dies(zones), tuple(problems), mmio)


def _is_mmio(root: Path, path: Path) -> bool:
    parts = resolved(root, path).relative_to(resolved(root, root)).parts
    return any(part.startswith("intel-rapl-mmio") for part in parts)


def _top_level(
    root: Path, path: Path, inner: Mapping[str, Path], problems: list[Problem]
) -> list[Zone]:
    """Return the zone and the DRAM inside it; only DRAM is looked for, see the traps."""
    name = read_text(root, path / "name")
    if match := _PSYS.fullmatch(name):
        return [_zone(root, path, "psys", int(match[1] or 0), None)]
    if not (match := _PACKAGE.fullmatch(name)):
        return []
    package, die = int(match[1]), int(match[2]) if match[2] else None
    found: list[Zone] = []
    for index, sub in sorted(inner.items()):
        if not _ENTRY.fullmatch(index):
            continue
        try:
            if read_text(root, sub / "name") == "dram":
                found.append(_zone(root, sub, "dram", package, die))
        except Unreadable as error:
            problems.append(error.problem(f"{name}, {index}"))
    try:
        found.append(_zone(root, path, "package", package, die))
    except Unreadable as error:
        problems.append(error.problem(name))
    return found


def _zone(root: Path, path: Path, kind: Kind, package: int, die: int | None) -> Zone:
    """Return a zone. Raises `Unreadable` where its range is not known.

    Without the range a turn of the counter cannot be told from a reset.
    """
    span = read_int(root, path / "max_energy_range_uj")
    if not 0 < span < 2**63:
        raise Unreadable(
            path / "max_energy_range_uj", f"holds {span}, which is no range", "garbage"
        )
    energy = Attribute(root, path / "energy_uj")
    return Zone(kind, package, die, span, max_watts(root, path), energy)


def max_watts(root: Path, path: Path) -> Watts | None:
    """Return the most that a zone can draw for long, in W, or None if nothing bounds it.

    The largest of the limits in force and of the limits' own maxima, the first of which is the
    TDP (get_max_power in intel_rapl_common.c). A long-term limit set out of reach means that the
    TDP bounds nothing: such desktops draw twice their TDP for hours.
    """
    best = 0.0
    for i in range(MAX_CONSTRAINTS):
        name = optional_text(root, path / f"constraint_{i}_name")
        limit_uw = optional_int(root, path / f"constraint_{i}_power_limit_uw")
        maximum_uw = optional_int(root, path / f"constraint_{i}_max_power_uw")
        if name is None and limit_uw is None and maximum_uw is None:
            break
        limit, maximum = (limit_uw or 0) / 1e6, (maximum_uw or 0) / 1e6
        if name == "long_term" and limit >= MAX_SANE_WATTS:
            return None
        if name != "peak_power":
            best = max(best, *(watts for watts in (limit, maximum, 0) if watts < MAX_SANE_WATTS))
    return Watts(best) if best > 0 else None


def _with_dies(zones: list[Zone]) -> tuple[Zone, ...]:
    """Number zones that share a name as dies, so that no two devices have one name."""
    seen: set[str] = set()
    result: list[Zone] = []
    for zone in zones:
        die = zone.die
        while (own := Zone(zone.kind, zone.package, die, 0, None, zone.energy).device) in seen:
            die = 1 if die is None else die + 1
        seen.add(own)
        result.append(
            zone
            if die == zone.die
            else Zone(
                zone.kind, zone.package, die, zone.range_microjoules, zone.max_watts, zone.energy
            )
        )
    return tuple(result)
