"""What hardware there is, as far as a footprint needs to know it. Pure."""

import msgspec

from agent.quantities import Word


class Chassis(Word):
    """What the server is built into."""

    RACK = "rack"
    BLADE = "blade"
    OTHER = "other"
    """A tower, a desktop, a laptop."""
    UNKNOWN = "unknown"


class Board(msgspec.Struct, frozen=True):
    """A GPU card or module, as the formula asks for it."""

    effective_mm2: float
    """Wafer area behind its compute dies, losses included."""
    memory_gb: float
    memory_dies: int
    """Stacks of HBM or packages of GDDR."""
    board_cm2: float
    casing_kg: float
    heatsink_kg: float
    mass_kg: float


class MemoryModule(msgspec.Struct, frozen=True):
    """One module that is plugged in."""

    gigabytes: float
    """Of 2^30 bytes, as modules are sold."""
    kind: str = ""
    """DDR3, DDR4, DDR5; "": not known."""


class Drive(msgspec.Struct, frozen=True):
    """One drive of this server's own."""

    device: str
    kind: str
    """hdd, ssd or nvme."""
    gigabytes: float
    """Of 10^9 bytes, as drives are sold."""


class Detected(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of this machine. What is not known is None; notes say why and what helps."""

    virtual: bool = False
    """A virtual machine: it has no parts of its own, and all else here is empty."""
    cpu_model: str = ""
    architecture: str = ""
    """Name of its microarchitecture (agent/estimate/microarchitectures.csv)."""
    cores: int = 0
    """Of one CPU; 0: not known."""
    sockets: int | None = None
    modules: tuple[MemoryModule, ...] | None = None
    modules_assumed: bool = False
    """Modules were reckoned from the total that the kernel sees."""
    drives: tuple[Drive, ...] | None = None
    chassis: Chassis = Chassis.UNKNOWN
    power_supplies: int | None = None
    product: str = ""
    """Maker and model, as its firmware says: "Dell Inc. PowerEdge R740"."""
    notes: tuple[str, ...] = ()
