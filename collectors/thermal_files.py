"""Where a machine tells its CPUs' clocks, temperatures and throttling: files of sysfs.

Split from `collectors/thermal.py`, which lists the traps and the sources.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.samples import Figure
from collectors.sysfs import (
    Attribute,
    Unreadable,
    names,
    optional_text,
    resolved,
)
from collectors.topology import packages_of_cpus

CPUS: Final = "devices/system/cpu"
POLICIES: Final = f"{CPUS}/cpufreq"
HWMON: Final = "class/hwmon"
THROTTLED: Final = "thermal_throttle/package_throttle_total_time_ms"
MOST_CLOCKS: Final = 16
"""Files of frequencies that are read, over all sockets; each socket has one at least."""
HOTTEST_CELSIUS: Final = 150.0
"""A CPU switches itself off long before: Intel's TjMax is about 100 degC (coretemp.c)."""
_POLICY: Final = re.compile(r"policy(\d{1,6})")
_CHIP: Final = re.compile(r"hwmon\d{1,6}")
_LABEL: Final = re.compile(r"temp\d{1,4}_label")
_PACKAGE: Final = re.compile(r"Package id (\d{1,5})")
_AMD_CHIPS: Final = frozenset({"k10temp", "zenpower"})
_AMD_LABELS: Final = ("Tdie", "Tctl")
"""The better one first: where both are there, Tctl has an offset on it."""


@dataclass(frozen=True, slots=True)
class Source:
    """One figure of one device, and the files that it is made of."""

    device: str
    """`package-0`, or `all`."""
    figure: Figure
    which: str
    """What the figure's second label says."""
    files: tuple[Attribute, ...]

    def read(self) -> float:
        """Return the figure in Hz, degC or s. Raises `Unreadable` where no file has a value."""
        values: list[float] = []
        failure: Unreadable | None = None
        for file in self.files:
            try:
                values.append(self._value(file))
            except Unreadable as error:
                failure = error
        if not values:
            assert failure is not None
            raise failure
        if self.figure is Figure.CLOCK:
            return sum(values) / len(values)
        return max(values)

    def _value(self, file: Attribute) -> float:
        number = file.read_int()
        match self.figure:
            case Figure.CLOCK:
                if number <= 0:
                    raise Unreadable(file.path, f"says {number} kHz", "garbage")
                return number * 1e3
            case Figure.TEMPERATURE:
                # 0 is what k10temp says where its sum is not positive (k10temp.c)
                if not 0 < number / 1e3 < HOTTEST_CELSIUS:
                    raise Unreadable(file.path, f"says {number / 1e3:g} degC", "garbage")
                return number / 1e3
            case _:
                if number < 0:
                    raise Unreadable(file.path, f"says {number} ms", "garbage")
                return number / 1e3


def listing(root: Path) -> tuple[object, ...]:
    """Return what changes when there is something else to read. Raises `Unreadable`."""
    online = optional_text(root, root / CPUS / "online")
    return online, names(root / POLICIES), names(root / HWMON)


def scan(root: Path) -> tuple[Source, ...]:
    """Return what this machine tells. Reads no sensor. Raises `Unreadable`."""
    packages = packages_of_cpus(root)
    return (*_clocks(root, packages), *_temperatures(root, packages), *_throttles(root, packages))


def _clocks(root: Path, packages: dict[int, int]) -> list[Source]:
    """Return the sockets' clocks, each the mean of some CPUs that lie evenly spread in it."""
    top = root / POLICIES
    numbers = sorted(int(match[1]) for name in names(top) if (match := _POLICY.fullmatch(name)))
    groups: dict[str, list[Path]] = {}
    for number in numbers:
        cpu = number if number in packages else _affected(root, top / f"policy{number}")
        if packages and cpu not in packages:
            continue  # all its CPUs are offline
        device = f"package-{packages[cpu]}" if packages else "all"
        groups.setdefault(device, []).append(top / f"policy{number}/scaling_cur_freq")
    most = max(1, MOST_CLOCKS // max(1, len(groups)))
    return [
        Source(
            device,
            Figure.CLOCK,
            "",
            tuple(Attribute(root, path) for path in evenly(paths, most)),
        )
        for device, paths in sorted(groups.items())
    ]


def _affected(root: Path, policy: Path) -> int:
    """Return the first CPU of a policy that is online; -1: none is, or nobody knows."""
    match = re.match(r"\d{1,6}", optional_text(root, policy / "affected_cpus") or "")
    return int(match[0]) if match else -1


def evenly(paths: Sequence[Path], most: int) -> list[Path]:
    """Return at most so many, evenly spread."""
    count = min(most, len(paths))
    return [paths[place * len(paths) // count] for place in range(count)]


def _temperatures(root: Path, packages: dict[int, int]) -> list[Source]:
    """Return the sockets' temperatures.

    coretemp has a chip for each die, numbered through all sockets; k10temp one for each node, in
    the order of their PCI addresses. Where a socket has several, the hottest counts.
    """
    intel: list[tuple[int, Path]] = []
    amd: list[tuple[str, str, Path]] = []
    for entry in names(root / HWMON):
        path = root / HWMON / entry
        if not _CHIP.fullmatch(entry):
            continue
        chip = optional_text(root, path / "name")
        if chip == "coretemp":
            labels = _labels(root, path)
            for label, file in labels.items():
                if match := _PACKAGE.fullmatch(label):
                    intel.append((int(match[1]), file))
        elif chip in _AMD_CHIPS:
            labels = _labels(root, path)
            best = next((name for name in _AMD_LABELS if name in labels), "")
            if best:
                amd.append((_bus_name(root, path), best, labels[best]))
    sockets = sorted(set(packages.values()))
    found = _by_socket(root, sockets, "package", [file for _, file in sorted(intel)])
    kinds = {label for _, label, _ in amd}
    for label in sorted(kinds):
        files = [file for _, kind, file in sorted(amd) if kind == label]
        found += _by_socket(root, sockets, label.lower(), files)
    return found


def _by_socket(root: Path, sockets: Sequence[int], which: str, files: list[Path]) -> list[Source]:
    """Return one source for each socket; each sensor its own where their numbers do not fit."""
    if not files:
        return []
    if sockets and len(files) % len(sockets) == 0:
        each = len(files) // len(sockets)
        names_and_files = [
            (f"package-{socket}", files[place * each : (place + 1) * each])
            for place, socket in enumerate(sockets)
        ]
    else:
        names_and_files = [(f"sensor-{place}", [file]) for place, file in enumerate(files)]
    return [
        Source(
            device, Figure.TEMPERATURE, which, tuple(Attribute(root, path) for path in its_files)
        )
        for device, its_files in names_and_files
    ]


def _labels(root: Path, path: Path) -> dict[str, Path]:
    """Return a chip's temperature files by their labels."""
    found: dict[str, Path] = {}
    for name in names(path):
        if _LABEL.fullmatch(name) and (label := optional_text(root, path / name)):
            found[label] = path / f"{name.removesuffix('_label')}_input"
    return found


def _bus_name(root: Path, path: Path) -> str:
    try:
        return resolved(root, path / "device").name
    except Unreadable:
        return path.name


def _throttles(root: Path, packages: dict[int, int]) -> list[Source]:
    """Return each socket's counter, as its first CPU that is online shows it."""
    first: dict[int, int] = {}
    for cpu, package in packages.items():
        first.setdefault(package, cpu)
    return [
        Source(
            f"package-{package}",
            Figure.THROTTLED,
            "thermal",
            (Attribute(root, root / CPUS / f"cpu{cpu}" / THROTTLED),),
        )
        for package, cpu in sorted(first.items())
        if (root / CPUS / f"cpu{cpu}" / THROTTLED).is_file()
    ]
