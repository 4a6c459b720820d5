"""The power and energy channels of the hwmon chips of one machine.

File names and units: Documentation/hwmon/sysfs-interface.rst (uW, uJ, mV, mA). Split from
`collectors/hwmon.py`, which lists the traps.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from agent.collector import Problem
from agent.quantities import Joules, Watts
from collectors.sysfs import (
    Attribute,
    Unreadable,
    names,
    optional_text,
    read_text,
    resolved,
)

CLASS: Final = "class/hwmon"
GPU_CHIPS: Final = re.compile(r"amdgpu|i915(_gt\d+)?|nouveau|radeon|xe")
"""A GPU's board power comes from the collector of its driver, never from here as well."""
INPUT_CHIPS: Final = frozenset({"fam15h_power"})
"""power1_average is that of the compute units alone, power1_input that of the package
(Documentation/hwmon/fam15h_power.rst)."""
MAX_WATTS: Final = Watts(100_000.0)
"""Above what one server can draw. ACPI answers 0xffffffff mW for an error (lm-sensors #460),
which arrives as 4294967295000 uW (kepler #1049)."""
_HWMON: Final = re.compile(r"hwmon\d{1,6}")
_FILE: Final = re.compile(r"(power|energy|in|curr|temp|fan|humidity)(\d{1,4})_(\w+)")
_OUTPUT: Final = re.compile(r"[vi](out\d{0,2})")

Kind = Literal["power", "energy", "volts_amperes"]


@dataclass(frozen=True, slots=True)
class Channel:
    """One figure of one chip."""

    chip: str
    """The driver's name for it: `power_meter`, `ina3221`."""
    entry: str
    """`hwmon0`: not the same after a reboot."""
    bus_name: str
    """`0-0040`, `ACPI000D:00`, `nvme0`: where the chip sits; empty if not told."""
    kind: Kind
    name: str
    """`power1`, `energy12`, `in1`."""
    label: str
    """The driver's or the firmware's label; empty if there is none."""
    files: tuple[Attribute, ...]
    """One, or voltage and current."""

    @property
    def key(self) -> tuple[object, ...]:
        """Tell whether a channel found again is the same one."""
        return (self.chip, self.bus_name, self.kind, self.label, *(f.path for f in self.files))

    @property
    def path(self) -> Path:
        """The file that a complaint names."""
        return self.files[0].path

    def joules(self) -> Joules:
        """Return an energy counter, in J. Raises `Unreadable`."""
        return Joules(self.files[0].read_unsigned() / 1e6)

    def watts(self) -> Watts:
        """Return the power in W. Raises `Unreadable`, also for what no server can draw."""
        first, *rest = (file.read_unsigned() for file in self.files)
        watts = first * rest[0] / 1e6 if rest else first / 1e6
        if watts > MAX_WATTS:
            raise Unreadable(self.path, f"says {watts:.0f} W, an error code", "garbage")
        return Watts(watts)


@dataclass(frozen=True, slots=True)
class Found:
    """What one scan saw."""

    channels: tuple[Channel, ...]
    problems: tuple[Problem, ...]
    listed: tuple[str, ...] = ()
    """The names in the class."""
    switches: tuple[Attribute, ...] = ()
    """The `*_enable` files of all channels, those that are off too."""
    on: tuple[bool, ...] = ()
    """What each switch said."""

    def is_current(self, root: Path) -> bool:
        """Tell whether a scan would find the same, without one: it reads every label."""
        if self.problems:
            return False
        try:
            on = tuple(switch.read_int() != 0 for switch in self.switches)
            return on == self.on and tuple(names(root / CLASS)) == self.listed
        except Unreadable:
            return False


def scan(root: Path) -> Found:
    """Look at every chip below `root`. Reads no sensor."""
    top = root / CLASS
    channels: list[Channel] = []
    problems: list[Problem] = []
    switches: dict[Attribute, bool] = {}
    try:
        listed = names(top)
    except Unreadable as error:
        return Found((), (error.problem("hwmon"),))
    entries = [name for name in listed if _HWMON.fullmatch(name)]
    for entry in sorted(entries, key=lambda name: int(name.removeprefix("hwmon"))):
        try:
            chip = _Chip(root, top / entry)
            channels += chip.channels()
            switches |= chip.switches
        except Unreadable as error:
            problems.append(error.problem(entry))
    return Found(
        tuple(channels),
        tuple(problems),
        tuple(listed),
        tuple(switches),
        tuple(switches.values()),
    )


class _Chip:
    """One hwmon directory."""

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self._entry = path.name
        self.switches: dict[Attribute, bool] = {}
        resolved(root, path)
        self._base, self._files = _base(root, path)
        name = optional_text(root, path / "name") or optional_text(root, path / "device/name")
        if name is None and self._has("power", "energy", "curr"):
            name = read_text(root, path / "name")  # says why it cannot be read
        self._name = name or ""
        try:
            self._bus_name = resolved(root, path / "device").name
        except Unreadable:
            self._bus_name = ""

    def channels(self) -> list[Channel]:
        """Return the channels that are switched on."""
        if GPU_CHIPS.fullmatch(self._name):
            return []
        found = [c for i in self._indices("energy", "input") if (c := self._energy(i))]
        powers = self._indices("power", "average") | self._indices("power", "input")
        found += [c for i in sorted(powers) if (c := self._power(i))]
        if not powers:
            found += self._products()
        return found

    def _energy(self, index: int) -> Channel | None:
        return self._channel("energy", f"energy{index}", f"energy{index}_input")

    def _power(self, index: int) -> Channel | None:
        first, second = "average", "input"  # the mean of an interval beats one moment of it
        if self._name in INPUT_CHIPS:
            first, second = second, first
        suffix = first if f"power{index}_{first}" in self._files else second
        return self._channel("power", f"power{index}", f"power{index}_{suffix}")

    def _products(self) -> list[Channel]:
        """Return V x I where a voltage and a current surely belong together.

        - ina3221: inN is the bus voltage of currN, N = 1..3 (Documentation/hwmon/ina3221.rst);
        - PMBus: voutN and ioutN are one output (Documentation/hwmon/pmbus.rst). Not vin and iin:
          of an AC supply their product is volt-amperes, not watts;
        - any chip: one voltage and one current of the same label.
        """
        if self._name == "ina3221":
            both = self._indices("in", "input") & self._indices("curr", "input") & {1, 2, 3}
            pairs = [(i, i) for i in sorted(both)]
        else:
            volts, amperes = self._by_output("in"), self._by_output("curr")
            pairs = [
                (volts[label][0], amperes[label][0])
                for label in volts
                if len(volts[label]) == 1 and len(amperes.get(label, ())) == 1
            ]
        found = [
            self._channel("volts_amperes", f"in{v}", f"in{v}_input", f"curr{a}_input")
            for v, a in pairs
            if self._is_on(f"curr{a}")
        ]
        return [channel for channel in found if channel]

    def _by_output(self, kind: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for index in sorted(self._indices(kind, "input")):
            if label := self._label(f"{kind}{index}"):
                output = _OUTPUT.fullmatch(label)
                found.setdefault(output[1] if output else label, []).append(index)
        return found

    def _channel(self, kind: Kind, name: str, *files: str) -> Channel | None:
        if not self._is_on(name):
            return None
        return Channel(
            chip=self._name,
            entry=self._entry,
            bus_name=self._bus_name,
            kind=kind,
            name=name,
            label=self._label(name),
            files=tuple(Attribute(self._root, self._base / file) for file in files),
        )

    def _is_on(self, name: str) -> bool:
        if f"{name}_enable" not in self._files:
            return True
        switch = Attribute(self._root, self._base / f"{name}_enable")
        try:
            self.switches[switch] = switch.read_int() != 0
        except Unreadable:
            return True  # the reading itself will tell
        return self.switches[switch]

    def _label(self, name: str) -> str:
        """Return a channel's label; ACPI meters keep theirs in `oem_info`."""
        for suffix in ("label", "oem_info"):
            if f"{name}_{suffix}" in self._files:
                text = optional_text(self._root, self._base / f"{name}_{suffix}")
                if text:
                    return text
        return ""

    def _indices(self, kind: str, suffix: str) -> set[int]:
        return {i for k, i, s in self._files.values() if (k, s) == (kind, suffix)}

    def _has(self, *kinds: str) -> bool:
        return any(kind in kinds for kind, _, _ in self._files.values())


_Files = dict[str, tuple[str, int, str]]


def _base(root: Path, path: Path) -> tuple[Path, _Files]:
    """Return where a chip keeps its attributes: drivers of the old kind use the device's folder.

    acpi_power_meter is one of them (kepler #233 shows `hwmon2/device/power1_average`).
    """
    files = _sensor_files(path)
    if files:
        return path, files
    try:
        resolved(root, path / "device")
    except Unreadable:
        return path, {}
    return path / "device", _sensor_files(path / "device")


def _sensor_files(path: Path) -> _Files:
    found: _Files = {}
    for name in names(path):
        if match := _FILE.fullmatch(name):
            found[name] = (match[1], int(match[2]), match[3])
    return found
