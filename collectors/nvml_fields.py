"""NVML's field values: several numbers of one board in one call.

`nvmlDeviceGetFieldValues` fills an array of 40-byte records (nvml.h, nvmlFieldValue_t): field id,
scope, timestamp, latency, type of the value, return code, value. Each record has its own return
code: one that is not supported says nothing of the others. The records are unpacked at once; field
by field through ctypes it takes twice as long as the whole reading of a board should.
"""

import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

GARBAGE: Final = -1
"""A code of our own, beside nvmlReturn_t: the value has a type that no number has."""

# Field ids of nvml.h, as nvidia-ml-py names them after NVML_FI_DEV_.
ENERGY: Final = 83
"""TOTAL_ENERGY_CONSUMPTION: mJ since the driver was loaded; Volta and later."""
POWER_AVERAGE: Final = 185
"""mW over the last second; Ampere and later, but for GA100 (A100, A30)."""
POWER_INSTANT: Final = 186
"""mW now, on every architecture: on A100 and H100 the last 25 ms of every 100 ms."""
MEMORY_TEMPERATURE: Final = 82
"""Degrees Celsius."""
PCIE_SENT: Final = 197
PCIE_RECEIVED: Final = 198
"""Bytes; "value can be wrapped", so only a 64-bit one is of use."""
NVLINK_SENT: Final = 138
NVLINK_RECEIVED: Final = 139
"""KiB of payload; scope is the link, ALL_LINKS for their sum."""
GPU: Final = 0
"""Scope of power: the board."""
MODULE: Final = 1
"""Scope of power: a Grace module, with processor and memory."""
ALL_LINKS: Final = 0xFFFFFFFF

_UNSIGNED_INT: Final = 1
_LONG: Final = frozenset({2, 3})
_SIGNED_LONG: Final = 4
_SIGNED_INT: Final = 5
_UNSIGNED_SHORT: Final = 6


class Value(NamedTuple):
    """One field: NVML's return code, and the number where that is 0."""

    code: int
    number: int
    is_wide: bool
    """Whether it has 64 bits."""


class Batch:
    """Some fields that are read together."""

    def __init__(self, fields: Sequence[tuple[int, int]]) -> None:
        """Take pairs of field id and scope."""
        self.fields = list(fields)
        self._layout = struct.Struct("@" + "24xIIQ" * len(self.fields))

    def read(self, api: Any, handle: Any) -> list[Value]:
        """Return the fields in their order. Raises `NVMLError` if the whole call failed."""
        if not self.fields:
            return []
        records = api.nvmlDeviceGetFieldValues(handle, self.fields)
        flat = self._layout.unpack_from(records)
        return [_value(*record) for record in zip(flat[0::3], flat[1::3], flat[2::3], strict=True)]


def _value(kind: int, code: int, raw: int) -> Value:
    """Return what a record holds; `kind` is nvml.h's nvmlValueType_t."""
    if code:
        return Value(code, 0, is_wide=False)
    if kind == _UNSIGNED_INT:
        return Value(0, raw & 0xFFFFFFFF, is_wide=False)
    if kind in _LONG:
        return Value(0, raw, is_wide=True)
    if kind == _SIGNED_LONG:
        return Value(0, _signed(raw, 64), is_wide=True)
    if kind == _SIGNED_INT:
        return Value(0, _signed(raw & 0xFFFFFFFF, 32), is_wide=False)
    if kind == _UNSIGNED_SHORT:
        return Value(0, raw & 0xFFFF, is_wide=False)
    return Value(GARBAGE, 0, is_wide=False)


def _signed(raw: int, bits: int) -> int:
    return raw - (1 << bits) if raw >> (bits - 1) else raw
