"""Power of a server's parts without a sensor, in watts. Pure: figures in, figures out.

CPU package, per socket, at load u (0 to 1):

    P(u) = P_idle + (P_full - P_idle) · t · (1 - e^(-k·u)) / (1 - e^-k)

    P_idle = idle_socket + idle_core · cores
    P_full = the smaller of  P_idle + cores · core_watts_per_ghz2 · f²  and  s · TDP  (a soft
             minimum), f = the all-core clock in GHz
    t      = (clock / base clock)^0.7 where the clock is known to lie below base, else 1

The first busy cores wake the uncore and run at the highest turbo, so the curve is concave; k is
the curvature of the microarchitecture. Constants and their sources: microarchitectures.csv and
sources.csv beside this file; how they were fitted and how wrong they are: docs/estimate.md.

Work is split in two: `prepare` does everything that stays the same for a machine, `evaluate`
what changes every second.
"""

import math
from collections.abc import Iterable, Sequence

import msgspec

from agent.estimate.machine import (
    Activity,
    ComponentEstimate,
    CpuPart,
    Disk,
    Machine,
    Microarchitecture,
)
from agent.quantities import Component, Watts

__all__ = [
    "Activity",
    "Coefficients",
    "ComponentEstimate",
    "CpuPart",
    "Disk",
    "Machine",
    "Microarchitecture",
    "by_component",
    "evaluate",
    "prepare",
    "total",
]

ALL_CORE_TURBO_SHARE = 0.6
"""Where the all-core clock lies between base and maximum turbo (0 to 1). Judgement."""

UNOFFICIAL_TDP_MARGIN = 1.3
"""Cloud-only parts run above the TDP that is quoted for them: up to 1.3 times (Teads, 2021)."""

SOFT_MINIMUM_POWER = 8.0
"""Exponent of the soft minimum between what the cores want and what the limit allows."""

CLOCK_EXPONENT = 0.7
CLOCK_FLOOR = 0.3
"""Lowest ratio of clock to base clock that is believed: idle cores pull the average down."""

IDLE_BOUNDS = (0.5, 1.7)
"""Measured idle over the model's: firmware and C-state settings decide. Judgement."""

DRAM_WATTS_PER_GB = {
    "DDR3": (0.10, 0.25, 0.45, 0.30, 0.70, 1.10),
    "DDR4": (0.08, 0.17, 0.28, 0.20, 0.55, 1.10),
    "DDR5": (0.06, 0.12, 0.25, 0.15, 0.42, 0.90),
}
"""Idle low, best, high and busy low, best, high. DDR4: RAMWatt of six hosts (Teads, 2021), whose
memory stress gave 0.66 to 1.1 W/GB at full load; ordinary work asks for less. DDR3 and DDR5:
scaled by supply voltage (1.5, 1.2, 1.1 V) and by capacity per chip; judgement."""

DRAM_CURVE = 0.8
"""Curvature of DRAM power against load, from the same six hosts."""

DISK_WATTS = {
    "nvme": (1.5, 4.0, 7.0, 4.0, 9.0, 18.0),
    "ssd": (0.5, 1.2, 2.0, 1.5, 3.0, 5.0),
    "hdd": (3.0, 5.0, 7.5, 4.5, 7.5, 11.0),
}
"""Idle low, best, high and active low, best, high, per drive. Judgement, usual values:
U.2 NVMe 4-5 W idle and 9-18 W active, SATA SSD 1-1.5 W and 2-4 W, 3.5-inch HDD 5 W and 7-9 W."""

VIRTUAL_DISK_WATTS_PER_TB = (0.3, 1.2, 4.0, 0.6, 2.5, 8.0)
"""A VM's disk is a slice of somebody else's drives, usually kept twice or three times."""

PLATFORM_SERVER = ((6.0, 15.0, 40.0), (8.0, 20.0, 45.0), (0.06, 0.14, 0.30))
PLATFORM_DESKTOP = ((4.0, 10.0, 25.0), (2.0, 5.0, 12.0), (0.06, 0.14, 0.30))
"""Per host, per socket, and per watt of the other parts: board, BMC, NIC, fans, and the losses of
voltage regulators and supplies (80 PLUS Platinum: 6-10 %). Teads adds 96 W for two sockets."""


class Curve(msgspec.Struct, frozen=True):
    """Idle and full watts: low, best, high."""

    idle: tuple[float, float, float]
    full: tuple[float, float, float]

    def scaled(self, by: float) -> "Curve":
        """Return the curve of `by` such things."""
        return Curve(_times(self.idle, by), _times(self.full, by))


class Coefficients(msgspec.Struct, frozen=True):
    """Everything about a machine that stays the same from second to second."""

    cpu: Curve
    """One socket, our share of it."""
    packages: tuple[str, ...]
    curve: float
    base_mhz: float
    dram: Curve
    disks: tuple[tuple[str, Curve], ...]
    platform_fixed: tuple[float, float, float]
    platform_share: tuple[float, float, float]
    methods: tuple[str, str, str, str]
    """CPU, DRAM, storage, platform."""


def _times(three: tuple[float, float, float], by: float) -> tuple[float, float, float]:
    low, best, high = three
    return low * by, best * by, high * by


def idle_watts(part: CpuPart) -> float:
    """Idle watts of one package; never above 45 % of its TDP."""
    arch = part.microarchitecture
    return min(arch.idle_socket_watts + arch.idle_core_watts * part.cores, 0.45 * part.tdp_watts)


def full_watts(part: CpuPart) -> float:
    """Sustained watts of one package with every core busy."""
    arch = part.microarchitecture
    span = max(part.turbo_mhz - part.base_mhz, 0.0)
    clock_ghz = (part.base_mhz + ALL_CORE_TURBO_SHARE * span) / 1000
    idle = idle_watts(part)
    wanted = idle + part.cores * arch.core_watts_per_ghz2 * clock_ghz**2
    margin = 1.0 if part.tdp_official else UNOFFICIAL_TDP_MARGIN
    limit = arch.sustained_share * margin * part.tdp_watts
    p = SOFT_MINIMUM_POWER
    return max(math.pow(wanted**-p + limit**-p, -1 / p), idle)


def load_shape(utilization: float, curve: float) -> float:
    """Share of the way from idle to full, 0 to 1, at a utilisation of 0 to 1; rises throughout."""
    if curve < 1e-6:
        return utilization
    return math.expm1(-curve * utilization) / math.expm1(-curve)


def _cpu_curve(part: CpuPart) -> Curve:
    idle, full = idle_watts(part), full_watts(part)
    low, high = {"measured": (0.75, 1.25), "scaled": (0.7, 1.3)}.get(
        part.microarchitecture.basis, (0.5, 1.6)
    )
    if not part.known:
        low, high = min(low, 0.55), max(high, 1.6)
    idle_low, idle_high = IDLE_BOUNDS
    bounds_idle = (idle * idle_low, idle, idle * idle_high)
    return Curve(bounds_idle, (full * low, full, max(full * high, idle * idle_high)))


def _disk_curve(disk: Disk) -> Curve:
    if disk.kind == "virtual":
        a, b, c, d, e, f = VIRTUAL_DISK_WATTS_PER_TB
        by = disk.size_bytes / 1e12
    else:
        a, b, c, d, e, f = DISK_WATTS.get(disk.kind, DISK_WATTS["ssd"])
        by = 1.0
    return Curve((a, b, c), (d, e, f)).scaled(by)


def _assumed_memory_gb(machine: Machine) -> float:
    per_core = 8.0 if machine.part.microarchitecture.server else 4.0
    return max(per_core * machine.part.cores * machine.sockets * machine.cpu_share, 1.0)


def prepare(machine: Machine) -> Coefficients:
    """Work out, once per machine, what `evaluate` needs every second."""
    part, arch = machine.part, machine.part.microarchitecture
    memory_gb = machine.memory_gb
    assumed = memory_gb is None
    if memory_gb is None:
        memory_gb = _assumed_memory_gb(machine)
    a, b, c, d, e, f = DRAM_WATTS_PER_GB[arch.memory]
    disks = machine.disks
    if disks is None:
        kind = "virtual" if machine.virtual else ("nvme" if arch.server else "ssd")
        disks = (Disk("all", kind, 100_000_000_000),)
    per_host, per_socket, per_watt = PLATFORM_SERVER if arch.server else PLATFORM_DESKTOP
    share = machine.cpu_share
    fixed = tuple((h + s * machine.sockets) * share for h, s in zip(per_host, per_socket))  # noqa: B905
    known = "catalogue" if part.known else "family fallback"
    whose = "" if share >= 1 else f", {share:.3g} of the host"
    return Coefficients(
        cpu=_cpu_curve(part).scaled(share),
        packages=tuple(
            f"package-{index}" for index in machine.package_ids or range(machine.sockets)
        ),
        curve=arch.curve,
        base_mhz=part.base_mhz,
        dram=Curve((a, b, c), (d, e, f)).scaled(memory_gb),
        disks=tuple((disk.device, _disk_curve(disk)) for disk in disks),
        platform_fixed=(fixed[0], fixed[1], fixed[2]),
        platform_share=per_watt,
        methods=(
            f"idle-to-full curve, {arch.name}, {known}{whose}",
            f"{arch.memory} watts per GB{', memory size assumed' if assumed else ''}",
            "watts per drive kind" if machine.disks is not None else "one drive assumed",
            f"{'server' if arch.server else 'desktop'} board, fans and supply losses{whose}",
        ),
    )


def _at(curve: Curve, shapes: tuple[float, float, float]) -> tuple[float, float, float]:
    low, best, high = (
        idle + (full - idle) * shape
        for idle, full, shape in zip(curve.idle, curve.full, shapes, strict=True)
    )
    return min(low, best), best, max(best, high)


def _estimate(
    component: Component, watts: tuple[float, float, float], method: str, device: str = "all"
) -> ComponentEstimate:
    low, best, high = watts
    return ComponentEstimate(component, Watts(low), Watts(best), Watts(high), method, device)


def _cpu_shapes(u: float, curve: float, slowed: float) -> tuple[float, float, float]:
    best = load_shape(u, curve) * slowed
    # A slow governor makes the curve straight or convex, an eager one steeper: both are bounds.
    return min(u * u, best), best, max(load_shape(u, curve + 2.0), best)


def _ratio(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def evaluate(coefficients: Coefficients, activity: Activity) -> tuple[ComponentEstimate, ...]:
    """Return watts per device: CPU packages, DRAM, drives, platform. Takes microseconds."""
    u = _ratio(activity.cpu_utilization)
    slowed = 1.0
    if activity.frequency_mhz:
        clock = max(activity.frequency_mhz / coefficients.base_mhz, CLOCK_FLOOR)
        slowed = min(clock, 1.0) ** CLOCK_EXPONENT
    cpu_method, dram_method, storage_method, platform_method = coefficients.methods
    out = []
    for device in coefficients.packages:
        own = _ratio(activity.package_utilization.get(device, u))
        watts = _at(coefficients.cpu, _cpu_shapes(own, coefficients.curve, slowed))
        out.append(_estimate(Component.CPU, watts, cpu_method, device))
    m = load_shape(u, DRAM_CURVE)
    out.append(_estimate(Component.DRAM, _at(coefficients.dram, (m, m, m)), dram_method))
    for device, curve in coefficients.disks:
        d = _ratio(activity.disk_utilization.get(device, u / 3))
        out.append(_estimate(Component.STORAGE, _at(curve, (d, d, d)), storage_method, device))
    sums = total(out)
    platform = tuple(
        fixed + share * watts
        for fixed, share, watts in zip(
            coefficients.platform_fixed,
            coefficients.platform_share,
            (sums.watts_low, sums.watts_best, sums.watts_high),
            strict=True,
        )
    )
    out.append(
        _estimate(Component.PLATFORM, (platform[0], platform[1], platform[2]), platform_method)
    )
    return tuple(out)


def total(
    estimates: Iterable[ComponentEstimate], component: Component = Component.PLATFORM
) -> ComponentEstimate:
    """Add up. The bounds are added too: the parts' errors are taken to go together."""
    low = best = high = 0.0
    for estimate in estimates:
        low += estimate.watts_low
        best += estimate.watts_best
        high += estimate.watts_high
    return ComponentEstimate(component, Watts(low), Watts(best), Watts(high), "sum of components")


def by_component(estimates: Sequence[ComponentEstimate]) -> tuple[ComponentEstimate, ...]:
    """Merge devices: one estimate per component, in order of first appearance."""
    groups: dict[Component, list[ComponentEstimate]] = {}
    for estimate in estimates:
        groups.setdefault(estimate.component, []).append(estimate)
    return tuple(
        msgspec.structs.replace(total(group, component), method=group[0].method)
        for component, group in groups.items()
    )
