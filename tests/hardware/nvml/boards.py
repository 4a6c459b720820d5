"""Boards of several generations, as NVML describes them.

Names are NVIDIA's own product names; cores, clocks, memory and limits are from the data sheets
and white papers of each product. What a generation can do follows nvml.h: the energy counter
begins with Volta, GPM with Hopper, the 1 s average with Ampere but not with its GA100.
"""

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hardware.nvml.layout import GPM_METRICS, Quantity
from hardware.power import Constant, Power, Sum, busy

Value = Power | float
"""A script over time, or what stays the same."""

PASCAL, VOLTA, AMPERE, ADA, HOPPER, BLACKWELL = 4, 5, 7, 8, 9, 10
_MIB = 1 << 20
_HGX_BUSES = (0x1B, 0x43, 0x52, 0x61, 0x9D, 0xC3, 0xD1, 0xDF)


def curve(value: Value) -> Power:
    """Return a script for either kind of value."""
    return Constant(float(value)) if isinstance(value, int | float) else value


def make_uuid(prefix: str, seed: str) -> str:
    """Return a UUID as NVML prints it, always the same for one seed."""
    return f"{prefix}-{uuid.UUID(int=random.Random(seed).getrandbits(128), version=4)}"


@dataclass(frozen=True)
class Slice:
    """A MIG device: one compute instance that fills its GPU instance."""

    profile: str = "1g.10gb"
    gpu_instance: int = 7
    gpu_slices: int = 1
    multiprocessors: int = 16
    memory_mib: int = 9984
    memory_used: Value = 2e9
    """Bytes."""
    gpm: Mapping[int, Value] = field(default_factory=dict)
    """Metric to percent of the slice."""
    uuid: str = ""
    """Empty: made from the board's and the GPU instance."""


@dataclass(frozen=True)
class Board:
    """One board: what it is, what it can do, and what it does."""

    name: str
    power: Power
    uuid: str
    cores: int
    architecture: int
    capability: tuple[int, int]
    memory_mib: int
    pci_device_id: int
    limits_watts: tuple[float, float, float]
    """Lowest, default, highest."""
    bus: int = 0x1B
    domain: int = 0
    reserved_mib: int = 551
    has_energy: bool = True
    has_average: bool = True
    """Field 185 answers, and nvmlDeviceGetPowerUsage gives the average."""
    instant_seconds: float = 0.025
    """What the sensor sees of each refresh (Yang et al., arXiv 2312.02741: A100 and H100)."""
    refresh_seconds: float = 0.1
    sample_count: int = 120
    """Entries of the driver's buffer; 0: nvmlDeviceGetSamples is not supported."""
    gpm: Mapping[int, Value] | None = None
    """Metric to percent; None: no GPM. Metrics left out are not supported."""
    module_power: Power | None = None
    """Of a Grace module, GPU included."""
    has_module_energy: bool = False
    links: int = 0
    max_slices: int = 0
    slices: tuple[Slice, ...] = ()
    """Not empty: MIG is on."""
    quantities: Mapping[Quantity, Value] = field(default_factory=dict)
    """What is not here is not supported."""
    present: bool = True
    """False: in the slot's place, but to be put in later."""

    def but(self, **changes: Any) -> "Board":
        """Return this board with some fields changed; `quantities` adds to those there."""
        if "quantities" in changes:
            changes["quantities"] = {**self.quantities, **changes["quantities"]}
        return replace(self, **changes)


_ECC = (Quantity.ECC_CORRECTED, Quantity.ECC_UNCORRECTED)
_THROTTLED = tuple(q for q in Quantity if q.name.startswith("THROTTLED"))
_LATE_THROTTLED = _THROTTLED[6:]
_GPM = dict.fromkeys(GPM_METRICS, 0.0) | {1: 80.0, 2: 60.0, 3: 30.0, 5: 40.0, 7: 40.0, 10: 30.0}


def _make(
    model: str,
    index: int,
    *,
    watts: tuple[float, float],
    clocks: tuple[float, float],
    memory_mib: int,
    **fields: Any,
) -> Board:
    idle_watts, limit_watts = watts
    sm, memory = clocks
    quantities: dict[Quantity, Value] = {
        Quantity.UTILIZATION: 60.0,
        Quantity.MEMORY_UTILIZATION: 30.0,
        Quantity.MEMORY_USED: memory_mib * _MIB * 0.25,
        Quantity.TEMPERATURE: 45.0 + index,
        Quantity.MEMORY_TEMPERATURE: 55.0 + index,
        Quantity.GRAPHICS_CLOCK: sm,
        Quantity.SM_CLOCK: sm,
        Quantity.MEMORY_CLOCK: memory,
        Quantity.VIDEO_CLOCK: sm * 0.9,
        Quantity.POWER_LIMIT: limit_watts,
        Quantity.EVENT_REASONS: 0.0,
        Quantity.PCIE_SENT: 1e9,
        Quantity.PCIE_RECEIVED: 2e9,
        Quantity.PCIE_REPLAYS: 0.0,
        **dict.fromkeys((*_ECC, *_THROTTLED), 0.0),
    }
    if fields.get("links"):
        quantities |= {Quantity.NVLINK_SENT: 20e9, Quantity.NVLINK_RECEIVED: 20e9}
    return Board(
        name=model,
        power=busy(idle_watts, limit_watts, seed=index + 1),
        uuid=make_uuid("GPU", f"{model} {index}"),
        memory_mib=memory_mib,
        limits_watts=(limit_watts * 0.3, limit_watts, limit_watts),
        bus=_HGX_BUSES[index % 8],
        domain=index // 8,
        quantities=quantities,
        **fields,
    )


def v100(index: int = 0, **changes: Any) -> Board:
    """Volta: an energy counter, no average, no GPM, no MIG."""
    return _make(
        "Tesla V100-SXM2-32GB", index, watts=(42, 300), clocks=(1530, 877), memory_mib=32768,
        cores=5120, architecture=VOLTA, capability=(7, 0), pci_device_id=0x1DB510DE,
        has_average=False, links=6,
    ).but(**changes)  # fmt: skip


def a100(index: int = 0, **changes: Any) -> Board:
    """GA100: instantaneous power only, MIG, no GPM."""
    return _make(
        "NVIDIA A100-SXM4-80GB", index, watts=(50, 400), clocks=(1410, 1593), memory_mib=81920,
        cores=6912, architecture=AMPERE, capability=(8, 0), pci_device_id=0x20B210DE,
        has_average=False, links=12, max_slices=7,
    ).but(**changes)  # fmt: skip


def h100(index: int = 0, **changes: Any) -> Board:
    """Hopper: everything."""
    return _make(
        "NVIDIA H100 80GB HBM3", index, watts=(70, 700), clocks=(1980, 2619), memory_mib=81559,
        cores=16896, architecture=HOPPER, capability=(9, 0), pci_device_id=0x233010DE,
        links=18, max_slices=7, gpm=_GPM,
    ).but(**changes)  # fmt: skip


def h200(index: int = 0, **changes: Any) -> Board:
    """Hopper with more memory."""
    return _make(
        "NVIDIA H200", index, watts=(78, 700), clocks=(1980, 3201), memory_mib=143771,
        cores=16896, architecture=HOPPER, capability=(9, 0), pci_device_id=0x233510DE,
        links=18, max_slices=7, gpm=_GPM,
    ).but(**changes)  # fmt: skip


def b200(index: int = 0, **changes: Any) -> Board:
    """Blackwell."""
    return _make(
        "NVIDIA B200", index, watts=(140, 1000), clocks=(1965, 3996), memory_mib=183359,
        cores=18944, architecture=BLACKWELL, capability=(10, 0), pci_device_id=0x290110DE,
        links=18, max_slices=7, gpm=_GPM,
    ).but(**changes)  # fmt: skip


def gh200(index: int = 0, **changes: Any) -> Board:
    """Grace Hopper: scope 1 is the whole module, processor and memory included."""
    board = _make(
        "NVIDIA GH200 480GB", index, watts=(90, 700), clocks=(1980, 2619), memory_mib=97871,
        cores=16896, architecture=HOPPER, capability=(9, 0), pci_device_id=0x234210DE,
        links=18, max_slices=7, gpm=_GPM,
    )  # fmt: skip
    return board.but(module_power=Sum((board.power, Constant(180.0)))).but(**changes)


def p40(index: int = 0, **changes: Any) -> Board:
    """Pascal: no energy counter, only the driver's buffer; no memory temperature, MIG or GPM."""
    board = _make(
        "Tesla P40", index, watts=(50, 250), clocks=(1531, 3615), memory_mib=22919,
        cores=3840, architecture=PASCAL, capability=(6, 1), pci_device_id=0x1B3810DE,
        has_energy=False, has_average=False, refresh_seconds=0.02, instant_seconds=0.02,
    )  # fmt: skip
    gone = {Quantity.MEMORY_TEMPERATURE, *_LATE_THROTTLED}
    kept = {key: value for key, value in board.quantities.items() if key not in gone}
    return replace(board, quantities=kept).but(**changes)


def rtx4090(index: int = 0, **changes: Any) -> Board:
    """A consumer card: no ECC, no memory temperature, no MIG, no GPM."""
    board = _make(
        "NVIDIA GeForce RTX 4090", index, watts=(20, 450), clocks=(2520, 10501), memory_mib=24564,
        cores=16384, architecture=ADA, capability=(8, 9), pci_device_id=0x268410DE,
        instant_seconds=0.1,
    )  # fmt: skip
    gone = {Quantity.MEMORY_TEMPERATURE, *_ECC}
    kept = {key: value for key, value in board.quantities.items() if key not in gone}
    return replace(board, quantities=kept).but(**changes)


MODELS = {
    "V100": v100,
    "A100": a100,
    "H100": h100,
    "H200": h200,
    "B200": b200,
    "GH200": gh200,
    "P40": p40,
    "RTX4090": rtx4090,
}
