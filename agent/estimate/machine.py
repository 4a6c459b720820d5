"""What the estimator is told and what it answers: frozen, in base units. Pure."""

import msgspec

from agent.quantities import Component, Ratio, Watts


class Microarchitecture(msgspec.Struct, frozen=True):
    """Constants of one microarchitecture; one row of microarchitectures.csv."""

    name: str
    vendor: str
    memory: str
    server: bool
    smt: int
    idle_socket_watts: float
    idle_core_watts: float
    core_watts_per_ghz2: float
    curve: float
    sustained_share: float
    typical_cores: int
    typical_base_mhz: float
    typical_turbo_mhz: float
    typical_tdp_watts: float
    basis: str
    source: str


class CpuPart(msgspec.Struct, frozen=True):
    """One CPU model, or what is assumed of one that is not in the catalogue."""

    name: str
    microarchitecture: Microarchitecture
    cores: int
    threads: int
    base_mhz: float
    turbo_mhz: float
    tdp_watts: float
    tdp_official: bool = True
    known: bool = True
    """False: not in the catalogue; figures are the family's."""


class Disk(msgspec.Struct, frozen=True):
    """A block device: kernel name, kind (nvme, ssd, hdd, virtual) and size in bytes."""

    device: str
    kind: str
    size_bytes: int = 0


class Machine(msgspec.Struct, frozen=True):
    """A server, or the part of one that a VM has."""

    part: CpuPart
    sockets: int = 1
    cpu_share: Ratio = Ratio(1.0)
    """Share of the host's cores that is ours; 1 on bare metal."""
    memory_gb: float | None = None
    """Our own memory; None: assumed from the cores."""
    disks: tuple[Disk, ...] | None = None
    """None: not known, one system drive is assumed."""
    virtual: bool = False
    package_ids: tuple[int, ...] = ()
    """The kernel's numbers of the sockets; empty: 0, 1, 2 …"""


class Activity(msgspec.Struct, frozen=True):
    """What the machine does now."""

    cpu_utilization: Ratio
    frequency_mhz: float | None = None
    """Mean clock of the busy cores; None: unknown."""
    package_utilization: dict[str, Ratio] = {}
    """By device ("package-0"); a socket that is missing has `cpu_utilization`."""
    disk_utilization: dict[str, Ratio] = {}
    """By kernel name; for a drive that is missing a third of `cpu_utilization` is assumed."""


class ComponentEstimate(msgspec.Struct, frozen=True):
    """Watts of one component, or of one device of it."""

    component: Component
    watts_low: Watts
    watts_best: Watts
    watts_high: Watts
    method: str
    device: str = "all"
