"""What a hwmon channel is about, and whether its energy may be added to a server's.

Only what the kernel or the vendor documents as one part of the server counts. All else is shown
as a cross-check (`counted=False`) on `platform`: a rail, a regulator or a whole supply would be
added to the parts that it feeds.

| chip | channel | component, device | counted | source |
|---|---|---|---|---|
| amd_energy, zenergy | EsocketN | cpu, package-N | yes | Documentation/hwmon/amd_energy.rst |
| | EcoreNNN | not emitted: inside the socket | | same |
| fam15h_power | power1 | cpu, package-N | yes | Documentation/hwmon/fam15h_power.rst |
| power_meter | Grace Power Socket N | cpu, package-N | yes | NVIDIA Grace tuning guide |
| | CPU Power Socket N | cpu, cpu-rail-N: inside Grace Power | only where that is missing | same |
| | SysIO Power Socket N | cpu, sysio-N: inside Grace Power | no | same |
| | Module Power Socket N | platform, module-N: Grace and its GPU | no | same |
| | the only one | host: the whole server | yes | Documentation/hwmon/acpi_power_meter.rst |
| | one of several, a battery | host | no: which is the whole? | same |
| nvme | any | storage, nvmeN | yes | the chip is the drive |
| any | pin, poutN, a label that says PSU | psu | no | Documentation/hwmon/pmbus.rst |
| any | TX_power, RX_power | not emitted: light, not supply | | drivers/net/phy/sfp.c |
| ina2xx, ina3221, unknown | any | platform | no | a rail of an unknown part |

ACPI leaves open which devices its meter sees and where (ACPI 6.5, 10.4); servers have one, of all
of the server. The BMC's figure is preferred to it.

The guide: https://docs.nvidia.com/grace-perf-tuning-guide/power-thermals.html. Grace Power
includes the LPDDR5X memory on the module, so such a socket has no `dram` of its own.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from agent.quantities import Component
from collectors.hwmon_channels import Channel
from collectors.sysfs import optional_int, optional_text

ACPI_CHIP: Final = "power_meter"
AMD_ENERGY_CHIPS: Final = frozenset({"amd_energy", "zenergy"})
_ESOCKET: Final = re.compile(r"Esocket(\d{1,4})")
_GRACE: Final = re.compile(r"(module|grace|cpu|sysio) power socket (\d{1,4})", re.IGNORECASE)
_SUPPLY: Final = re.compile(r"pin|pout\d{0,2}|.*\bpsu\d{0,2}\b.*", re.IGNORECASE)
_LIGHT: Final = re.compile(r"[tr]x_power|power_[tr]x_\d", re.IGNORECASE)
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_.:+-]+")


class Meaning(NamedTuple):
    """What a channel's figure stands for."""

    component: Component
    device: str
    counted: bool
    idle_is_garbage: bool = False
    """0 W is no answer: it is the part that this code runs on."""
    accuracy: float | None = None
    """Half-width of the uncertainty as a share, where the firmware says it."""


def meanings(root: Path, channels: Sequence[Channel]) -> list[tuple[Channel, Meaning]]:
    """Return the channels that say something, each device once."""
    chips = {(c.chip, c.entry) for c in channels}
    same = Counter(chip for chip, _ in chips)
    sockets = {g[2] for c in channels if (g := _grace(c)) and g[1].lower() == "grace"}
    meters = [c for c in channels if c.chip == ACPI_CHIP]
    fam15h = sorted({(c.bus_name, c.entry) for c in channels if c.chip == "fam15h_power"})
    result: list[tuple[Channel, Meaning]] = []
    taken: set[tuple[Component, str]] = set()
    for channel in channels:
        several = same[channel.chip] > 1
        if channel.chip in AMD_ENERGY_CHIPS:
            meaning = _amd_socket(root, channel)
        elif channel.chip == "fam15h_power":
            # One chip a package, in the order of the PCI addresses.
            device = f"package-{fam15h.index((channel.bus_name, channel.entry))}"
            meaning = Meaning(Component.CPU, device, counted=True, idle_is_garbage=True)
        elif grace := _grace(channel):
            meaning = _grace_rail(grace[1].lower(), grace[2], inside=grace[2] in sockets)
        elif channel.chip == ACPI_CHIP:
            meaning = _acpi_meter(root, channel, several=several, alone=len(meters) == 1)
        else:
            meaning = _other(channel, several=several)
        if meaning is None:
            continue
        name = (meaning.component, meaning.device)
        if name in taken:
            if meaning.counted:
                continue  # the same package seen through another node
            meaning = meaning._replace(device=f"{meaning.device}-{channel.entry}-{channel.name}")
        taken.add((meaning.component, meaning.device))
        result.append((channel, meaning))
    return result


def _grace(channel: Channel) -> re.Match[str] | None:
    return _GRACE.fullmatch(channel.label) if channel.chip == ACPI_CHIP else None


def _grace_rail(rail: str, socket: str, *, inside: bool) -> Meaning:
    number = int(socket)
    if rail == "grace" or (rail == "cpu" and not inside):
        device = f"package-{number}"
        return Meaning(Component.CPU, device, counted=True, idle_is_garbage=True)
    if rail == "module":
        return Meaning(Component.PLATFORM, f"module-{number}", counted=False)
    return Meaning(Component.CPU, f"{'cpu-rail' if rail == 'cpu' else rail}-{number}", False)


def _amd_socket(root: Path, channel: Channel) -> Meaning | None:
    """Return the package of an Esocket.

    The driver counts NUMA nodes and reads the package counter from a core of each
    (amd_create_sensor, num_possible_nodes): with NPS4 four Esockets are one package.
    """
    match = _ESOCKET.fullmatch(channel.label)
    if not match:
        return None
    package = _package_of_node(root, int(match[1]))
    device = f"package-{match[1] if package is None else package}"
    return Meaning(Component.CPU, device, counted=True)


def _package_of_node(root: Path, node: int) -> int | None:
    cpus = optional_text(root, root / f"devices/system/node/node{node}/cpulist") or ""
    first = re.match(r"\d{1,6}", cpus)
    if not first:
        return None
    return optional_int(
        root, root / f"devices/system/cpu/cpu{first[0]}/topology/physical_package_id"
    )


def _other(channel: Channel, *, several: bool) -> Meaning | None:
    if _LIGHT.fullmatch(channel.label):
        return None
    if channel.chip == "nvme":
        device = _clean(channel.bus_name or channel.entry)
        return Meaning(Component.STORAGE, device, counted=True)
    chip = _chip_name(channel, several=several)
    device = _clean(f"{chip}-{channel.label or channel.name}")
    supply = _SUPPLY.fullmatch(channel.label)
    return Meaning(Component.PSU if supply else Component.PLATFORM, device, counted=False)


def _acpi_meter(root: Path, channel: Channel, *, several: bool, alone: bool) -> Meaning:
    chip = _chip_name(channel, several=several)
    device = _clean(chip if channel.name == "power1" else f"{chip}-{channel.name}")
    folder = channel.path.parent
    battery = optional_int(root, folder / f"{channel.name}_is_battery")
    return Meaning(
        Component.HOST,
        device,
        counted=alone and not battery,
        idle_is_garbage=True,
        accuracy=_half_width(optional_text(root, folder / f"{channel.name}_accuracy")),
    )


def _half_width(accuracy: str | None) -> float | None:
    """Return 0.05 for `95.0%`: what is left of the whole is the error."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?)%", accuracy or "")
    percent = float(match[1]) if match else 0.0
    return (100.0 - percent) / 100.0 if 50.0 <= percent < 100.0 else None


def _chip_name(channel: Channel, *, several: bool) -> str:
    chip = channel.chip or channel.entry
    return f"{chip}-{channel.bus_name or channel.entry}" if several else chip


def _clean(name: str) -> str:
    return _NOT_IN_A_NAME.sub("_", name)[:80].strip("_")
