"""hwmon chips as `/sys/class/hwmon` shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from hardware.files import link, put, put_all


class Shows(StrEnum):
    """What a live attribute shows of its device's power."""

    POWER = "power"
    """The power now, in µW."""
    AVERAGE = "average"
    """The mean power of the last refresh interval, in µW."""
    ENERGY = "energy"
    """Energy since boot, in µJ, without a wrap."""
    CURRENT = "current"
    """The current at 12 V, in mA."""
    TEMPERATURE = "temperature"
    """A temperature that follows the power, in whole degrees, in m°C."""


@dataclass(frozen=True)
class Sensor:
    """One live attribute: `power1_average`. `device` names the script of power behind it."""

    file: str
    device: str
    shows: Shows = Shows.POWER
    refresh_seconds: float = 1.0


@dataclass(frozen=True)
class Chip:
    """One chip with its live attributes and the files that stay as they are."""

    name: str
    sensors: tuple[Sensor, ...] = ()
    files: Mapping[str, str | int] = field(default_factory=dict)
    parent: str = "platform/chip"
    """Where its device lies below `/sys/devices`."""


def power_meter(device: str) -> Chip:
    """Return an ACPI power meter: what a server's firmware says of the whole machine."""
    return Chip(
        "power_meter",
        (Sensor("power1_average", device, Shows.AVERAGE),),
        {
            "power1_average_interval": 1000,
            "power1_average_interval_min": 1000,
            "power1_average_interval_max": 300_000,
            "power1_accuracy": "95.0%",
            "power1_is_battery": 0,
            "power1_model_number": "PowerMeter",
            "power1_oem_info": "Intel Corporation",
            "power1_serial_number": "0123",
        },
        "LNXSYSTM:00/LNXSYBUS:00/ACPI000D:00",
    )


def grace_socket(number: int, device: str) -> Chip:
    """Return the power meter of one NVIDIA Grace socket, which is all that such a machine has."""
    return Chip(
        "power_meter",
        (Sensor("power1_average", device, Shows.AVERAGE),),
        {
            "power1_average_interval": 1000,
            "power1_is_battery": 0,
            "power1_oem_info": f"Grace Power Socket {number}",
        },
        f"LNXSYSTM:00/LNXSYBUS:00/ACPI000D:0{number}",
    )


def drive(name: str, device: str) -> Chip:
    """Return an NVMe drive that says what it draws."""
    return Chip(
        "nvme",
        (Sensor("power1_input", device),),
        {"temp1_input": 38_850, "temp1_label": "Composite"},
        f"pci0000:00/0000:01:00.0/nvme/{name}",
    )


def supply(number: int, input_device: str, output_device: str) -> Chip:
    """Return a PMBus power supply: what goes in, and what comes out of the same box."""
    return Chip(
        "pmbus",
        (Sensor("power1_input", input_device), Sensor("power2_input", output_device)),
        {
            "power1_label": "pin",
            "power2_label": "pout1",
            "in1_input": 230_000,
            "in1_label": "vin",
            "temp1_input": 34_000,
        },
        f"pci0000:00/0000:00:1f.4/i2c-0/0-005{number:x}",
    )


def twelve_volts(device: str) -> Chip:
    """Return a chip without a power file: volts and amperes, channel by channel."""
    return Chip(
        "max34440",
        (Sensor("curr1_input", device, Shows.CURRENT),),
        {"in1_input": 12_000, "in1_label": "vout1", "curr1_label": "iout1"},
        "pci0000:00/0000:00:1f.4/i2c-0/0-0034",
    )


def amd_energy(sockets: Sequence[str]) -> Chip:
    """Return the `amd_energy` driver's chip: the sockets that RAPL counts, a second time."""
    return Chip(
        "amd_energy",
        tuple(Sensor(f"energy{n}_input", d, Shows.ENERGY) for n, d in enumerate(sockets, 1)),
        {f"energy{n}_label": f"Esocket{n - 1}" for n in range(1, len(sockets) + 1)},
        "platform/amd_energy.0",
    )


def thermometer(name: str, number: int = 0, device: str = "") -> Chip:
    """Return a chip that says nothing of power: how hot a socket is, `coretemp` or `k10temp`."""
    sensors = (Sensor("temp1_input", device or f"package-{number}", Shows.TEMPERATURE),)
    if name == "coretemp":
        label, parent = f"Package id {number}", f"platform/{name}.{number}"
    else:
        label, parent = "Tctl", f"pci0000:00/0000:00:{18 + number}.3"
    return Chip(name, sensors, {"temp1_label": label}, parent)


def celsius(watts: float, *, throttled: bool = False) -> int:
    """Return how hot a socket is at a power: 25 °C and 0.35 K/W, at the limit where throttled."""
    return 98 if throttled else 25 + round(0.35 * watts)


def build(sysfs: Path, chips: Sequence[Chip]) -> list[Path]:
    """Make the class and device directories; return each chip's own directory."""
    classes = sysfs / "class/hwmon"
    classes.mkdir(parents=True, exist_ok=True)
    directories = []
    for number, chip in enumerate(chips):
        parent = sysfs / "devices" / chip.parent
        directory = parent / f"hwmon/hwmon{number}"
        put(directory / "name", chip.name)
        put(directory / "uevent", b"", 0o644)
        put_all(directory, dict(chip.files))
        link(directory / "device", parent)
        link(directory / "subsystem", classes)
        link(classes / directory.name, directory)
        directories.append(directory)
    return directories
