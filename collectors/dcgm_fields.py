"""The fields of a dcgm-exporter page, and which rows of it are about which board.

Metrics are named after DCGM's fields (NVIDIA/dcgm-exporter METRICS.md); which there are is the
operator's choice (`-f`, etc/default-counters.csv). DCGM 4.6 renamed many and keeps the old names
as aliases of the same values (NVIDIA/DCGM testing/python3/dcgm_fields.py): `GPU_UTIL_RATIO` is
still in percent. Energy, SM_CLOCK, MEM_CLOCK and FB_* kept their names. Traps:

- `*_VIOLATION` and `CLOCKS_EVENT_REASON_*_NS` count nanoseconds, whatever older comments and help
  texts say (NVIDIA/DCGM #266, NVIDIA/dcgm-exporter #589; NVML's nvmlViolationTime_t is in ns);
- blanks: dcgm_structs.h has 0x7ffffffffffffff0 and the 15 above it for integers (2^63 as a
  float), 140737488355328.0 (2^47) and a few above it for doubles, for "no value", "not found",
  "not supported", "no permission". Newer exporters leave them out, older ones print them;
- MEMORY_TEMP is 0 on boards without a sensor in their memory; a GPU_TEMP, a power or an energy of
  0 is no reading either;
- a board in MIG mode has a row per instance, told by `GPU_I_ID`, under the board's UUID: energy,
  power, clocks and temperatures are the board's, repeated, a moment apart (NVIDIA/dcgm-exporter
  #257, #317); memory and profiling ratios are the instance's own, and are left out;
- with pods sharing a GPU there is a row per pod, with the same value.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from agent.samples import Figure

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

Key = tuple[str, str]
"""What a value is, and which of several: (Figure.CLOCK, "sm")."""
ENERGY: Final[Key] = ("energy_joules", "")
POWER: Final[Key] = ("power_watts", "")
UTILIZATION: Final[Key] = ("utilization_ratio", "")
ENGINE: Final[Key] = ("engine_ratio", "")
MEMORY_FREE: Final[Key] = ("memory_free_bytes", "")
MEMORY_RESERVED: Final[Key] = ("memory_reserved_bytes", "")
SM_CLOCK: Final[Key] = (Figure.CLOCK, "sm")
_MIB: Final = 1024.0 * 1024.0
_BLANK_INTEGER: Final = float(2**63)
_BLANK_DOUBLE: Final = float(2**47)


class Field(NamedTuple):
    """What to make of a metric."""

    key: Key
    scale: float
    """To base units."""
    most: float = math.inf
    """More than this, in base units, is no reading."""
    zero: bool = True
    """Whether 0 is a reading."""
    counter: bool = False
    of_board: bool = False
    """Whether rows of MIG instances say it of the whole board."""


def _both(old: str, new: str, field: Field) -> dict[str, Field]:
    return {f"DCGM_FI_DEV_{old}": field, f"DCGM_FI_DEV_{new}": field}


def _temperature(sensor: str) -> Field:
    return Field((Figure.TEMPERATURE, sensor), 1.0, 200.0, zero=False, of_board=True)


def _clock(clock: str) -> Field:
    return Field((Figure.CLOCK, clock), 1e6, 1e10, of_board=True)


def _errors(kind: str) -> Field:
    return Field((Figure.ECC_ERRORS, kind), 1.0, 1e15, counter=True, of_board=True)


def _throttled(reason: str) -> Field:
    return Field((Figure.THROTTLED, reason), 1e-9, 1e10, counter=True, of_board=True)


_PIPES: Final = {
    "SM_ACTIVE": ("SM_UTIL_RATIO", "sm"),
    "SM_OCCUPANCY": ("SM_OCCUPANCY_RATIO", "occupancy"),
    "PIPE_TENSOR_ACTIVE": ("TENSOR_UTIL_RATIO", "tensor"),
    "PIPE_TENSOR_DFMA_ACTIVE": ("DFMA_UTIL_RATIO", "tensor_fp64"),
    "PIPE_TENSOR_HMMA_ACTIVE": ("HMMA_UTIL_RATIO", "tensor_fp16"),
    "PIPE_TENSOR_IMMA_ACTIVE": ("IMMA_UTIL_RATIO", "tensor_int8"),
    "PIPE_FP64_ACTIVE": ("FP64_UTIL_RATIO", "fp64"),
    "PIPE_FP32_ACTIVE": ("FP32_UTIL_RATIO", "fp32"),
    "PIPE_FP16_ACTIVE": ("FP16_UTIL_RATIO", "fp16"),
    "DRAM_ACTIVE": ("DRAM_UTIL_RATIO", "dram"),
}
_VIOLATIONS: Final = {
    "POWER": "sw_power_cap",
    "THERMAL": "thermal",
    "SYNC_BOOST": "sync_boost",
    "BOARD_LIMIT": "board_limit",
    "LOW_UTIL": "low_utilization",
    "RELIABILITY": "reliability",
}
"""Reasons as the nvml collector names the same counters (NVML_FI_DEV_PERF_POLICY_*)."""
_EVENTS: Final = {
    "SW_POWER_CAP": "sw_power_cap",
    "SYNC_BOOST": "sync_boost",
    "SW_THERM_SLOWDOWN": "sw_thermal_slowdown",
    "HW_THERM_SLOWDOWN": "hw_thermal_slowdown",
    "HW_POWER_BRAKE_SLOWDOWN": "hw_power_brake_slowdown",
}

FIELDS: Final[dict[str, Field]] = {
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": Field(
        ENERGY, 1e-3, 1e14, zero=False, counter=True, of_board=True
    ),
    **_both("POWER_USAGE", "BOARD_POWER_WATTS", Field(POWER, 1.0, 1e5, zero=False, of_board=True)),
    **_both(
        "ENFORCED_POWER_LIMIT",
        "BOARD_POWER_LIMIT_ENFORCED_WATTS",
        Field((Figure.POWER_LIMIT, ""), 1.0, 1e5, zero=False, of_board=True),
    ),
    **_both("GPU_UTIL", "GPU_UTIL_RATIO", Field(UTILIZATION, 0.01, 1.0)),
    **_both("GPU_TEMP", "GPU_TEMP_CELSIUS", _temperature("core")),
    **_both("MEMORY_TEMP", "MEMORY_TEMP_CELSIUS", _temperature("memory")),
    "DCGM_FI_DEV_SM_CLOCK": _clock("sm"),
    "DCGM_FI_DEV_MEM_CLOCK": _clock("memory"),
    "DCGM_FI_DEV_FB_USED": Field((Figure.MEMORY_USED, ""), _MIB, 1e14),
    "DCGM_FI_DEV_FB_TOTAL": Field((Figure.MEMORY_TOTAL, ""), _MIB, 1e14, zero=False),
    "DCGM_FI_DEV_FB_FREE": Field(MEMORY_FREE, _MIB, 1e14),
    "DCGM_FI_DEV_FB_RESERVED": Field(MEMORY_RESERVED, _MIB, 1e14),
    # Over the board's lifetime, as the nvml collector reads them.
    "DCGM_FI_DEV_ECC_SBE_AGG_TOTAL": _errors("corrected"),
    "DCGM_FI_DEV_ECC_DBE_AGG_TOTAL": _errors("uncorrected"),
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": Field(ENGINE, 1.0, 1.0),
    "DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO": Field(ENGINE, 1.0, 1.0),
    **{f"DCGM_FI_DEV_{name}_VIOLATION": _throttled(reason) for name, reason in _VIOLATIONS.items()},
    **{
        f"DCGM_FI_DEV_CLOCKS_EVENT_REASON_{name}_NS": _throttled(reason)
        for name, reason in _EVENTS.items()
    },
    # DCGM 4's own spelling of this one (dcgm_fields.h)
    "DCGM_FI_DEV_CLOCKS_EVENT_REASON_SYNC_BOOST_COUNT_NS": _throttled("sync_boost"),
    **{
        f"DCGM_FI_PROF_{name}": Field((Figure.PIPE_ACTIVE, pipe), 1.0, 1.0)
        for old, (new, pipe) in _PIPES.items()
        for name in (old, new)
    },
}


class Board:
    """All that a page says of one board."""

    def __init__(self, device: str, labels: dict[str, str]) -> None:
        self.device = device
        self.labels = labels
        self.values: dict[Key, float] = {}
        self._shared: set[Key] = set()
        """What only rows of MIG instances have said so far."""

    def add(self, field: Field, value: float, *, of_slice: bool) -> None:
        """Take one row's value, in base units. The board's own row wins over an instance's."""
        key = field.key
        if key not in self.values or (key in self._shared and not of_slice):
            self.values[key] = value
            (self._shared.add if of_slice else self._shared.discard)(key)
        elif field.counter and of_slice == (key in self._shared):
            self.values[key] = max(self.values[key], value)

    def finish(self) -> None:
        """Work out what follows from several fields."""
        values = self.values
        free, reserved = values.pop(MEMORY_FREE, None), values.pop(MEMORY_RESERVED, None)
        used = values.get((Figure.MEMORY_USED, ""))
        total: Key = (Figure.MEMORY_TOTAL, "")
        if free is not None and reserved is not None and used is not None:
            values.setdefault(total, used + free + reserved)
        engine = values.pop(ENGINE, None)
        if engine is not None:
            values.setdefault(UTILIZATION, engine)


def boards(samples: Iterable["Sample"]) -> dict[str, Board]:
    """Return the boards of a page by their UUID, else by PCI address."""
    found: dict[str, Board] = {}
    for sample in samples:
        field = FIELDS.get(sample.name)
        labels = sample.labels
        device = labels.get("UUID") or labels.get("uuid") or bus_of(labels)
        if field is None or not device:
            continue
        of_slice = bool(labels.get("GPU_I_ID"))
        board = found.get(device)
        if board is None:
            board = found[device] = Board(device, labels)
        value = _value(field, sample.value)
        if value is not None and (field.of_board or not of_slice):
            board.add(field, value, of_slice=of_slice)
    for board in found.values():
        board.finish()
    return found


def bus_of(labels: dict[str, str]) -> str:
    """Return the PCI address as the kernel writes it: DCGM's domain has eight digits."""
    domain, colon, rest = labels.get("pci_bus_id", "").lower().partition(":")
    return (
        f"{domain[-4:]}:{rest}" if colon and not domain[:-4].strip("0") else domain + colon + rest
    )


def _value(field: Field, raw: float) -> float | None:
    """Return a value in base units, None where it is no reading."""
    if not math.isfinite(raw) or raw < 0 or (raw == 0 and not field.zero):
        return None
    if raw == _BLANK_INTEGER or _BLANK_DOUBLE <= raw < _BLANK_DOUBLE + 16:
        return None
    value = raw * field.scale
    if value <= field.most:
        return value
    # Ratios are printed with six digits and may come out a rounding above 1.
    return field.most if field.most == 1.0 and value < 1.005 else None
