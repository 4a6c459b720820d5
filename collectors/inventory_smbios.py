"""SMBIOS tables: the memory modules and power supplies that the firmware lists.

Layout: DMTF DSP0134, System Management BIOS Reference Specification; clause 6.1.2 structures,
6.1.3 strings, 7.18 Memory Device (type 17), 7.40 System Power Supply (type 39).
"""

from collections.abc import Iterator
from typing import Final

from agent.lifecycle.hardware import MemoryModule

_HEADER_BYTES: Final = 4
_END_OF_TABLE: Final = 127
_MEMORY_DEVICE: Final = 17
_POWER_SUPPLY: Final = 39

_UNKNOWN_SIZE: Final = 0xFFFF
_SEE_EXTENDED: Final = 0x7FFF
_IN_KILOBYTES: Final = 0x8000

_KINDS: Final = {0x18: "DDR3", 0x1A: "DDR4", 0x22: "DDR5"}
_NOT_DRAM: Final = frozenset({0x05, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x1F})
"""VRAM, ROM, flash, EEPROM, FEPROM, EPROM, logical non-volatile device (clause 7.18.2)."""
_OPTANE: Final = 0x07
"""Memory technology: Intel Optane persistent memory (clause 7.18.6)."""
_PRESENT: Final = 0x0002
"""Bit of the power supply's characteristics (clause 7.40.1)."""


def structures(table: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and formatted area, header included, of each structure.

    A table that is cut off or broken ends where it breaks.
    """
    at = 0
    while at + _HEADER_BYTES <= len(table):
        kind, length = table[at], table[at + 1]
        if length < _HEADER_BYTES or at + length > len(table):
            return
        if kind == _END_OF_TABLE:
            return
        yield kind, table[at : at + length]
        end = table.find(b"\0\0", at + length)
        if end < 0:
            return
        at = end + 2


def _number(area: bytes, at: int, size: int) -> int | None:
    """Read a little-endian number; None where an older structure ends before it."""
    if at + size > len(area):
        return None
    return int.from_bytes(area[at : at + size], "little")


def memory_modules(table: bytes) -> tuple[MemoryModule, ...] | None:
    """Return the modules that are plugged in; None if the table lists no slots or an unknown size.

    One module of unknown size leaves the total unknown, so the others are not told either.
    """
    modules, slots = [], 0
    for kind, area in structures(table):
        if kind != _MEMORY_DEVICE:
            continue
        slots += 1
        size, memory_type = _number(area, 0x0C, 2), _number(area, 0x12, 1)
        if memory_type in _NOT_DRAM or _number(area, 0x28, 1) == _OPTANE or size == 0:
            continue
        if size is None or size == _UNKNOWN_SIZE:
            return None
        if size == _SEE_EXTENDED:
            extended = _number(area, 0x1C, 4)
            if not extended:
                return None
            gigabytes = (extended & 0x7FFFFFFF) / 1024
        elif size & _IN_KILOBYTES:
            gigabytes = (size & 0x7FFF) / 1024**2
        else:
            gigabytes = size / 1024
        modules.append(MemoryModule(gigabytes, _KINDS.get(memory_type or 0, "")))
    return tuple(modules) if slots else None


def power_supplies(table: bytes) -> int | None:
    """Return how many are there; None if the firmware lists none, as much of it does."""
    present, listed = 0, 0
    for kind, area in structures(table):
        if kind == _POWER_SUPPLY:
            listed += 1
            present += bool((_number(area, 0x0E, 2) or 0) & _PRESENT)
    return present if listed and present else None
