"""Which counters of floating-point work a CPU has, and what one count of each stands for.

Intel: `fp_arith_inst_retired.*` (event 0xC7, one umask per width and precision) from Broadwell on;
a fused multiply-add is counted twice by the hardware. Cores of the Atom line since Crestmont count
operations themselves (`fp_flops_retired`, event 0xC8). AMD: `fp_ret_sse_avx_ops.all` (event 0x03),
which counts operations; only Zen 1 tells precisions apart. Codes and models:
intel/perfmon, mapfile.csv and */events/*_core.json; Linux tools/perf/pmu-events/arch/x86,
*/floating-point.json and mapfile.csv.

Not counted by any of them: AMX tiles, AVX512-FP16 and AVX512-BF16 on Intel, x87.

Left out: Arm (Neoverse has FP_SCALE_OPS_SPEC and FP_FIXED_OPS_SPEC, but they count speculation,
not retired work), Xeon Phi, Intel before Broadwell, and hybrid parts whose small cores have no
such counter (Alder Lake, Raptor Lake): a part of the work would pass for all of it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

MIXED: Final = "mixed"
"""Precision label where the hardware does not tell precisions apart."""
CORE: Final = "cpu"
"""The PMU of a CPU whose cores are all alike (/sys/bus/event_source/devices)."""


_MOST_CPUS: Final = 1 << 16
"""More than any kernel is built for; a list that names more is garbage."""


class Event(msgspec.Struct, frozen=True):
    """One hardware event."""

    config: int
    """As perf_event_attr.config of a raw event: event code, umask in bits 8 to 15."""
    flop: int
    """Floating-point operations that one count stands for."""


class Group(msgspec.Struct, frozen=True):
    """Events that are counted at the same time and read together."""

    precision: str
    events: tuple[Event, ...]


class Plan(msgspec.Struct, frozen=True):
    """How to count on one kind of CPU."""

    pmus: Mapping[str, tuple[Group, ...]]
    """By the PMU's name in sysfs."""
    few: tuple[Group, ...] = ()
    """Instead, where `pmus` needs more counters than a CPU has: exact, without precisions."""
    since_linux: tuple[int, int] = (0, 0)
    """Older kernels count wrongly."""


class CpuId(msgspec.Struct, frozen=True):
    """Vendor, family and model as /proc/cpuinfo says them."""

    vendor: str
    family: int
    model: int

    def __str__(self) -> str:
        return f"{self.vendor} family {self.family} model {self.model:#x}"


def _arith(umask: int, flop: int) -> Event:
    return Event(umask << 8 | 0xC7, flop)


_FP64: Final = Group("fp64", (_arith(0x01, 1), _arith(0x04, 2), _arith(0x10, 4)))
_FP32: Final = Group("fp32", (_arith(0x02, 1), _arith(0x08, 4), _arith(0x20, 8)))
_FP64_WIDE: Final = Group("fp64", (*_FP64.events, _arith(0x40, 8)))
_FP32_WIDE: Final = Group("fp32", (*_FP32.events, _arith(0x80, 16)))
# Umasks combine: widths of one weight in one counter, so four counters hold all up to 256 bits
# (FP_ARITH_INST_RETIRED.SCALAR, .128B_PACKED_DOUBLE, .4_FLOPS, .256B_PACKED_SINGLE).
_FOUR: Final = (Group(MIXED, (_arith(0x03, 1), _arith(0x04, 2), _arith(0x18, 4), _arith(0x20, 8))),)
_ATOM: Final = (Group("fp64", (Event(0x01C8, 1),)), Group("fp32", (Event(0x02C8, 1),)))

_NARROW: Final = Plan({CORE: (_FP64, _FP32)}, few=_FOUR)
_WIDE: Final = Plan({CORE: (_FP64_WIDE, _FP32_WIDE)})
_SMALL: Final = Plan({CORE: _ATOM})
_HYBRID: Final = Plan({"cpu_core": (_FP64, _FP32), "cpu_atom": _ATOM})

# Broadwell; Skylake, Kaby, Coffee and Comet Lake clients: no AVX-512.
_NARROW_MODELS: Final = {0x3D, 0x47, 0x4F, 0x56, 0x4E, 0x5E, 0x8E, 0x9E, 0xA5, 0xA6}
# Skylake-SP to Cooper Lake; Ice, Rocket and Tiger Lake; Sapphire, Emerald and Granite Rapids.
_WIDE_MODELS: Final = {0x55, 0x6A, 0x6C, 0x7D, 0x7E, 0x8C, 0x8D, 0xA7, 0x8F, 0xCF, 0xAD, 0xAE}
_SMALL_MODELS: Final = {0xAF, 0xB6}  # Sierra Forest, Grand Ridge
_HYBRID_MODELS: Final = {0xAA, 0xAC, 0xB5}  # Meteor Lake

# The count can rise by more than 15 in a cycle, so it needs a pair of counters; Linux pairs them
# since 5.6 ("perf/x86/amd: Add support for Large Increment per Cycle Events").
_PAIRS: Final = (5, 6)


def _amd(*groups: Group) -> Plan:
    return Plan({CORE: groups}, since_linux=_PAIRS)


_ZEN1: Final = _amd(Group("fp64", (Event(0xF003, 1),)), Group("fp32", (Event(0x0F03, 1),)))
_ZEN2: Final = _amd(Group(MIXED, (Event(0xFF03, 1),)))
_ZEN4: Final = _amd(Group(MIXED, (Event(0x1F03, 1),)))
# Bits 5 to 7 choose a data type here, so 0xFF would not be "all".
_ZEN5: Final = _amd(Group(MIXED, (Event(0x0F03, 1),)))


def plan_for(cpu: CpuId) -> Plan | None:
    """Return how to count on that CPU, None where it is not known."""
    if cpu.vendor == "GenuineIntel" and cpu.family == 6:
        for models, plan in (
            (_NARROW_MODELS, _NARROW),
            (_WIDE_MODELS, _WIDE),
            (_SMALL_MODELS, _SMALL),
            (_HYBRID_MODELS, _HYBRID),
        ):
            if cpu.model in models:
                return plan
    if cpu.vendor == "AuthenticAMD":
        # As pmu-events/arch/x86/mapfile.csv divides the families.
        if cpu.family == 0x17:
            return _ZEN1 if cpu.model < 0x30 else _ZEN2
        if cpu.family == 0x19:
            return _ZEN2 if cpu.model < 0x10 or 0x20 <= cpu.model < 0x60 else _ZEN4
        if cpu.family == 0x1A:
            return _ZEN5
    return None


def identify(procfs: Path) -> CpuId | None:
    """Return what the first processor of /proc/cpuinfo is, None if it is not x86 or unreadable."""
    said: dict[str, str] = {}
    try:
        with (procfs / "cpuinfo").open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if not line.strip():
                    break
                key, _, value = line.partition(":")
                said[key.strip()] = value.strip()
        return CpuId(said["vendor_id"], int(said["cpu family"]), int(said["model"]))
    except (OSError, KeyError, ValueError):
        return None


def linux_version(procfs: Path) -> tuple[int, int] | None:
    """Return the kernel's version, such as (6, 8); None if it cannot be read."""
    try:
        text = (procfs / "sys/kernel/osrelease").read_text(encoding="ascii")
        major, minor = text.strip().split("-")[0].split(".")[:2]
        return int(major), int(minor)
    except (OSError, ValueError):
        return None


def cpu_list(text: str) -> set[int]:
    """Return the CPUs that a list such as "0-3,8" names. Raises ValueError if it is none.

    (The kernel's list format: Documentation/core-api/printk-formats.rst, %*pbl.)
    """
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, dash, last = part.partition("-")
        end = int(last if dash else first)
        if end > _MOST_CPUS:
            raise ValueError(text)
        found.update(range(int(first), end + 1))
    return found
