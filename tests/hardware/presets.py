"""Machines worth having: one function each, `xeon_2s(root)`.

`power` replaces single scripts, `chips` the hwmon chips, `clock` makes the time virtual.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hardware.clock import VirtualClock
from hardware.hwmon import (
    Chip,
    amd_energy,
    grace_socket,
    power_meter,
    supply,
    thermometer,
    twelve_volts,
)
from hardware.power import Constant, Power, Scaled, Sum, busy
from hardware.powercap import AMD_UNIT_NANOJOULES, INTEL_DRAM_UNIT_NANOJOULES, Zone
from hardware.procfs import Disk, Processor
from hardware.tree import Machine, Spec

Scripts = Mapping[str, Power]

_XEON = Processor(
    name="Intel(R) Xeon(R) Gold 6226R CPU @ 2.90GHz",
    sockets=2,
    cores=16,
    threads=2,
    megahertz=2900,
    max_megahertz=3900,
    idle_watts=45,
    peak_watts=150,
)
_XEON_12S = replace(
    _XEON, name="Intel(R) Xeon(R) Platinum 8276L CPU @ 2.20GHz", sockets=12, cores=2, threads=1
)
_EPYC = replace(
    _XEON,
    vendor="AuthenticAMD",
    family=25,
    model=1,
    name="AMD EPYC 7313 16-Core Processor",
    idle_watts=50,
    peak_watts=155,
)
_GRACE = replace(
    _XEON,
    vendor="ARM",
    model=0xD4F,
    name="",
    cores=72,
    threads=1,
    megahertz=3100,
    max_megahertz=3300,
    idle_watts=60,
    peak_watts=250,
)
_CORE_I7 = replace(
    _XEON,
    model=140,
    name="11th Gen Intel(R) Core(TM) i7-1185G7 @ 3.00GHz",
    sockets=1,
    cores=4,
    max_megahertz=4800,
    idle_watts=3,
    peak_watts=28,
)
_CLOUD = replace(
    _XEON,
    name="Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz",
    sockets=1,
    cores=2,
    megahertz=2500,
    idle_watts=4,
    peak_watts=18,
    hypervisor=True,
)


def _server(cpu: Processor, given: Scripts | None, *, dram_watts: float) -> dict[str, Power]:
    """Return scripts for sockets, their memory and the whole server at the wall."""
    scripts: dict[str, Power] = {}
    for socket in range(cpu.sockets):
        scripts[f"package-{socket}"] = busy(cpu.idle_watts, cpu.peak_watts, 100 + socket)
        scripts[f"dram-{socket}"] = busy(dram_watts / 2, dram_watts, 200 + socket)
    scripts.update(given or {})
    for socket in range(cpu.sockets):
        scripts.setdefault(f"core-{socket}", Scaled(scripts[f"package-{socket}"], 0.6))
    parts = [scripts[f"{part}-{n}"] for part in ("package", "dram") for n in range(cpu.sockets)]
    scripts.setdefault("board", Sum((*parts, Constant(70.0))))
    scripts.setdefault("wall", Scaled(scripts["board"], 1 / 0.93))
    for supply_number in (0, 1):
        scripts.setdefault(f"supply-{supply_number}-in", Scaled(scripts["wall"], 0.5))
        scripts.setdefault(f"supply-{supply_number}-out", Scaled(scripts["board"], 0.5))
    return scripts


def _intel_socket(number: int, start_joules: float, watts: float) -> tuple[Zone, Zone]:
    """Return a socket's zone and its memory's; the socket's index is hexadecimal."""
    return (
        Zone(
            f"intel-rapl:{number:x}",
            f"package-{number}",
            f"package-{number}",
            start_joules=start_joules,
            max_watts=watts,
        ),
        Zone(
            f"intel-rapl:{number:x}:0",
            "dram",
            f"dram-{number}",
            INTEL_DRAM_UNIT_NANOJOULES,
            start_joules / 7,
        ),
    )


def xeon_2s(
    root: Path,
    power: Scripts | None = None,
    clock: VirtualClock | None = None,
    chips: Sequence[Chip] | None = None,
) -> Machine:
    """Return a server with two sockets and DRAM zones, and an ACPI power meter at the wall.

    The first socket's counter wraps within the first minute.
    """
    zones = (*_intel_socket(0, 262_000.0, 150), *_intel_socket(1, 1_234.5, 150))
    fitted = (power_meter("wall"), thermometer("coretemp", 0), thermometer("coretemp", 1))
    return Machine(
        root,
        Spec(
            _XEON,
            _server(_XEON, power, dram_watts=18),
            zones,
            tuple(fitted if chips is None else chips),
            (Disk("nvme0n1", 1920), Disk("sda", 8000, rotational=True, major=8)),
            192,
            {"sys_vendor": "Dell Inc.", "product_name": "PowerEdge R640", "chassis_type": "23"},
        ),
        clock,
    )


def epyc_2s(
    root: Path,
    power: Scripts | None = None,
    clock: VirtualClock | None = None,
    chips: Sequence[Chip] | None = None,
    *,
    mirrored_dies: bool = False,
    with_amd_energy: bool = False,
) -> Machine:
    """Return a server whose counters wrap within minutes, with two PMBus supplies.

    `mirrored_dies`: four dies per socket, each showing the socket's one counter.
    `with_amd_energy`: the driver that shows the same sockets as hwmon energy counters.
    """
    zones: list[Zone] = []
    for socket in range(2):
        device = f"package-{socket}"
        start = 30_000.0 + 20_000 * socket
        for die in range(4 if mirrored_dies else 1):
            name = f"{device}-die-{die}" if mirrored_dies else device
            index = f"intel-rapl:{len([z for z in zones if z.index.count(':') == 1]):x}"
            zones.append(Zone(index, name, device, AMD_UNIT_NANOJOULES, start))
            zones.append(Zone(f"{index}:0", "core", f"core-{socket}", AMD_UNIT_NANOJOULES, start))
    fitted = [
        thermometer("k10temp", 0),
        supply(0, "supply-0-in", "supply-0-out"),
        supply(1, "supply-1-in", "supply-1-out"),
        thermometer("k10temp", 1),
    ]
    if with_amd_energy:
        fitted.append(amd_energy(("package-0", "package-1")))
    return Machine(
        root,
        Spec(
            _EPYC,
            _server(_EPYC, power, dram_watts=24),
            tuple(zones),
            tuple(fitted if chips is None else chips),
            (Disk("nvme0n1", 3840), Disk("nvme1n1", 3840)),
            256,
            {"sys_vendor": "Supermicro", "product_name": "AS -2024US-TRT", "chassis_type": "23"},
        ),
        clock,
    )


def grace_2s(
    root: Path,
    power: Scripts | None = None,
    clock: VirtualClock | None = None,
    chips: Sequence[Chip] | None = None,
) -> Machine:
    """Return an Arm server without any counter: one power meter per socket, read at 1 Hz."""
    fitted = (grace_socket(0, "package-0"), grace_socket(1, "package-1"))
    return Machine(
        root,
        Spec(
            _GRACE,
            _server(_GRACE, power, dram_watts=40),
            chips=tuple(fitted if chips is None else chips),
            disks=(Disk("nvme0n1", 1920),),
            memory_gibibytes=480,
            dmi={"sys_vendor": "NVIDIA", "product_name": "Grace CPU", "chassis_type": "23"},
        ),
        clock,
    )


def desktop_psys(
    root: Path,
    power: Scripts | None = None,
    clock: VirtualClock | None = None,
    chips: Sequence[Chip] | None = None,
) -> Machine:
    """Return a machine with psys, package, core, uncore and the mmio twin of package."""
    cpu = _CORE_I7
    scripts: dict[str, Power] = {"package-0": busy(cpu.idle_watts, cpu.peak_watts, 300)}
    scripts.update(power or {})
    package = scripts["package-0"]
    scripts.setdefault("core-0", Scaled(package, 0.55))
    scripts.setdefault("uncore-0", Scaled(package, 0.15))
    scripts.setdefault("psys", Sum((package, Constant(9.0))))
    zones = (
        Zone("intel-rapl:0", "package-0", "package-0", start_joules=7_000.0, max_watts=28),
        Zone("intel-rapl:0:0", "core", "core-0", start_joules=4_000.0),
        Zone("intel-rapl:0:1", "uncore", "uncore-0", start_joules=1_000.0),
        Zone("intel-rapl:1", "psys", "psys", start_joules=261_900.0, max_watts=60),
        Zone("intel-rapl-mmio:0", "package-0", "package-0", start_joules=7_000.0, max_watts=28),
    )
    fitted = (twelve_volts("psys"), thermometer("coretemp"))
    return Machine(
        root,
        Spec(
            cpu,
            scripts,
            zones,
            tuple(fitted if chips is None else chips),
            (Disk("nvme0n1", 512),),
            16,
            {"sys_vendor": "LENOVO", "product_name": "20XW", "chassis_type": "10"},
        ),
        clock,
    )


def cloud_vm(
    root: Path, power: Scripts | None = None, clock: VirtualClock | None = None
) -> Machine:
    """Return a virtual machine: four vCPUs of a larger part, no sensor, no cpufreq."""
    scripts: dict[str, Power] = {"package-0": busy(_CLOUD.idle_watts, _CLOUD.peak_watts, 400)}
    scripts.update(power or {})
    return Machine(
        root,
        Spec(
            _CLOUD,
            scripts,
            disks=(Disk("nvme0n1", 100),),
            memory_gibibytes=16,
            dmi={"sys_vendor": "Amazon EC2", "product_name": "m5.xlarge", "chassis_type": "1"},
        ),
        clock,
    )


def xeon_12s(
    root: Path, power: Scripts | None = None, clock: VirtualClock | None = None
) -> Machine:
    """Return a machine with so many sockets that zone indices reach `a` and `b`."""
    zones = [zone for n in range(12) for zone in _intel_socket(n, 500.0 * n, 165)]
    spec = Spec(_XEON_12S, _server(_XEON_12S, power, dram_watts=30), tuple(zones))
    return Machine(root, spec, clock)


PRESETS: Mapping[str, Callable[[Path], Machine]] = {
    "xeon_2s": xeon_2s,
    "epyc_2s": epyc_2s,
    "grace_2s": grace_2s,
    "desktop_psys": desktop_psys,
    "cloud_vm": cloud_vm,
    "xeon_12s": xeon_12s,
}
