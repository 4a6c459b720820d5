"""What the registers of a Modbus meter mean: numbers from 16-bit words. Pure.

Modbus sends each register's high byte first (MODBUS Application Protocol V1.1b3, 4.2); how a
number of 32 or 64 bits lies over several registers is up to the maker, most put the high one first.
"""

import struct
from collections.abc import Sequence
from math import isnan
from typing import Final

import msgspec

from agent.site.settings import Register

FORMATS: Final = {
    "uint16": "H",
    "int16": "h",
    "uint32": "I",
    "int32": "i",
    "uint64": "Q",
    "int64": "q",
    "float32": "f",
    "float64": "d",
}
SMALLEST_FLOAT: Final = 1e-20
"""No meter shows less, but for 0: words that are swapped often give such a number."""


def count_of(register: Register) -> int:
    """Return how many 16-bit registers a number takes."""
    return struct.calcsize(f">{FORMATS[register.type]}") // 2


def decode(words: Sequence[int], register: Register, absent: str = "") -> float | None:
    """Return the value in the register's unit; None where the meter says that it has none.

    That is: all bits set (unsigned), only the sign bit set (signed), not a number (floats), which
    are the usual patterns (SunSpec Device Information Model, "not implemented"), or `absent`,
    the maker's own in hex.
    """
    if register.words == "little":
        words = words[::-1]
    order = "<" if register.bytes == "little" else ">"
    raw = struct.pack(f"{order}{len(words)}H", *words)
    number: float = struct.unpack(f">{FORMATS[register.type]}", raw)[0]
    if raw.hex() == absent or _is_absent(raw, number, register):
        return None
    return number * register.scale


def _is_absent(raw: bytes, number: float, register: Register) -> bool:
    if register.type.startswith("float"):
        return isnan(number)
    if register.type.startswith("uint"):
        return raw == b"\xff" * len(raw)
    return raw == b"\x80" + b"\x00" * (len(raw) - 1)


def wraps_at(register: Register) -> float | None:
    """Return where a total begins again at 0, in the register's unit; None: nowhere.

    Registers of 64 bits never get there, and floats only where the maker says so.
    """
    if register.wraps_at is not None:
        return register.wraps_at
    bits = {"uint16": 16, "int16": 15, "uint32": 32, "int32": 31}.get(register.type)
    return None if bits is None else abs(register.scale) * 2.0**bits


def swapped(register: Register) -> Register:
    """Return the same register with its words the other way round."""
    other = "big" if register.words == "little" else "little"
    return msgspec.structs.replace(register, words=other)


def is_tiny(number: float, register: Register) -> bool:
    """Tell whether a float is smaller than anything that is measured, and not 0."""
    return register.type.startswith("float") and 0 < abs(number / register.scale) < SMALLEST_FLOAT
