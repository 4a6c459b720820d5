"""The state file as `state.h` lays it out; a test compares the two."""

import re
from ctypes import Structure, c_char, c_double, c_int32, c_uint32, c_uint64
from enum import IntEnum
from pathlib import Path

HERE = Path(__file__).parent
MAGIC = 0x4C4D564E
BOARDS, SLICES, RULES, CALLS = 16, 8, 32, 96
CURVES, PIECES, PARTS, LEVELS = 4096, 8192, 16384, 1 << 18
GPM_METRICS = range(1, 14)

FUNCTIONS: tuple[str, ...] = tuple(
    re.findall(r"X\((\w+)\)", (HERE / "functions.h").read_text().replace("FUNCTIONS(X)", ""))
)
"""Their numbers in the state file are their places here."""


class Quantity(IntEnum):
    """What a board does over time. A counter is the integral of its rate."""

    POWER = 0
    """W."""
    MODULE_POWER = 1
    """W, of a whole Grace module: processor, memory and GPU."""
    MEMORY_POWER = 2
    """W."""
    UTILIZATION = 3
    """%."""
    MEMORY_UTILIZATION = 4
    MEMORY_USED = 5
    """Bytes."""
    TEMPERATURE = 6
    """Degrees Celsius."""
    MEMORY_TEMPERATURE = 7
    GRAPHICS_CLOCK = 8
    """MHz."""
    SM_CLOCK = 9
    MEMORY_CLOCK = 10
    VIDEO_CLOCK = 11
    POWER_LIMIT = 12
    """W, enforced."""
    EVENT_REASONS = 13
    """Bits of nvmlDeviceGetCurrentClocksEventReasons."""
    THROTTLED_POWER = 14
    """Share of time, 0 to 1: fields 74 to 79 and 269 to 271 are its integral in ns."""
    THROTTLED_THERMAL = 15
    THROTTLED_SYNC_BOOST = 16
    THROTTLED_BOARD_LIMIT = 17
    THROTTLED_LOW_UTILIZATION = 18
    THROTTLED_RELIABILITY = 19
    THROTTLED_SW_THERMAL = 20
    THROTTLED_HW_THERMAL = 21
    THROTTLED_HW_POWER_BRAKE = 22
    ECC_CORRECTED = 23
    """Errors so far."""
    ECC_UNCORRECTED = 24
    PCIE_SENT = 25
    """Bytes/s."""
    PCIE_RECEIVED = 26
    PCIE_REPLAYS = 27
    """Replays so far."""
    NVLINK_SENT = 28
    """Bytes/s, all links."""
    NVLINK_RECEIVED = 29
    GPM = 30
    """%; metric 1 to 13 is `GPM + id`."""


QUANTITIES = Quantity.GPM + 14


class _Part(Structure):
    _fields_ = (
        ("kind", c_int32),
        ("first_level", c_int32),
        ("level_count", c_int32),
        ("spare", c_int32),
        ("factor", c_double),
        ("a", c_double),
        ("b", c_double),
        ("c", c_double),
        ("d", c_double),
    )


class _Piece(Structure):
    _fields_ = (
        ("start", c_double),
        ("before", c_double),
        ("first_part", c_int32),
        ("part_count", c_int32),
    )


class _Curve(Structure):
    _fields_ = (("first_piece", c_int32), ("piece_count", c_int32))


class SliceState(Structure):
    """`struct slice`."""

    _fields_ = (
        ("uuid", c_char * 96),
        ("name", c_char * 96),
        ("present", c_uint32),
        ("gpu_instance", c_uint32),
        ("compute_instance", c_uint32),
        ("gpu_slices", c_uint32),
        ("compute_slices", c_uint32),
        ("multiprocessors", c_uint32),
        ("memory_bytes", c_uint64),
        ("curves", c_int32 * QUANTITIES),
    )


class BoardState(Structure):
    """`struct board`."""

    _fields_ = (
        ("uuid", c_char * 96),
        ("name", c_char * 96),
        ("serial", c_char * 32),
        ("bus", c_char * 32),
        ("domain", c_uint32),
        ("bus_number", c_uint32),
        ("device", c_uint32),
        ("pci_device_id", c_uint32),
        ("pci_subsystem_id", c_uint32),
        ("minor", c_uint32),
        ("cores", c_uint32),
        ("architecture", c_uint32),
        ("major", c_uint32),
        ("minor_capability", c_uint32),
        ("has_energy", c_uint32),
        ("has_average", c_uint32),
        ("usage_is_average", c_uint32),
        ("has_gpm", c_uint32),
        ("has_module_energy", c_uint32),
        ("links", c_uint32),
        ("max_slices", c_uint32),
        ("sample_count", c_uint32),
        ("memory_bytes", c_uint64),
        ("reserved_bytes", c_uint64),
        ("min_limit_watts", c_double),
        ("max_limit_watts", c_double),
        ("default_limit_watts", c_double),
        ("refresh_seconds", c_double),
        ("refresh_phase", c_double),
        ("instant_seconds", c_double),
        ("power_gain", c_double),
        ("energy_gain", c_double),
        ("counting_since", c_double),
        ("present", c_uint32),
        ("lost", c_uint32),
        ("mig", c_uint32),
        ("gpm_error", c_uint32),
        ("gpm_nan", c_uint64),
        ("gpm_error_of", c_uint64),
        ("curves", c_int32 * QUANTITIES),
        ("slices", SliceState * SLICES),
    )


class CountState(Structure):
    """`struct count`."""

    _fields_ = (("calls", c_uint64), ("nanoseconds", c_uint64))


class RuleState(Structure):
    """`struct rule`."""

    _fields_ = (
        ("active", c_uint32),
        ("function", c_int32),
        ("board", c_int32),
        ("error", c_uint32),
        ("skip", c_uint64),
        ("times", c_uint64),
        ("hang_ms", c_uint32),
        ("field", c_uint32),
        ("trials", c_uint64),
        ("hits", c_uint64),
        ("hanging", c_uint32),
        ("spare", c_uint32),
    )


class State(Structure):
    """`struct state`: the whole file."""

    _fields_ = (
        ("magic", c_uint32),
        ("size", c_uint32),
        ("now", c_double),
        ("epoch", c_double),
        ("boottime", c_double),
        ("is_real", c_uint32),
        ("board_count", c_uint32),
        ("max_field", c_uint32),
        ("throttle_field", c_uint32),
        ("unknown_metrics", c_uint64),
        ("driver_loaded", c_uint32),
        ("generation", c_uint32),
        ("stale_error", c_uint32),
        ("order", c_uint32 * BOARDS),
        ("driver", c_char * 80),
        ("nvml", c_char * 80),
        ("counts", CountState * CALLS),
        ("rules", RuleState * RULES),
        ("boards", BoardState * BOARDS),
        ("curves", _Curve * CURVES),
        ("pieces", _Piece * PIECES),
        ("parts", _Part * PARTS),
        ("levels", c_double * LEVELS),
    )
