"""Finds the one answer that was waited for in the bytes that came. Pure.

pymodbus takes what it is given; a frame that does not fit makes it raise out of the event loop's
own callback, and what it does with other units' answers differs from version to version. So only
a whole answer of the right unit, to the right request, gets through to it.

MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3 (MBAP header); MODBUS over Serial Line
V1.02, 2.5.1 (RTU frame) and 6.2.2 (CRC); MODBUS Application Protocol V1.1b3, 6.3, 6.4 and 7.
"""

import struct
from typing import Final, NamedTuple

HEADER: Final = struct.Struct(">HHHB")
"""MBAP: transaction, protocol (0), length of what follows it, unit."""
MOST_LENGTH: Final = 254


class Garbage(ValueError):
    """What came is no Modbus, or no answer to what was asked."""


class Question(NamedTuple):
    """What was asked."""

    transaction: int
    """0 with RTU, which has none."""
    unit: int
    function: int
    registers: int
    """How many."""


def question(frame: bytes, *, rtu: bool) -> Question:
    """Return what a request asks, from its frame as it is sent."""
    transaction = 0 if rtu else int.from_bytes(frame[:2], "big")
    unit, function, _, count = struct.unpack_from(">BBHH", frame, 0 if rtu else 6)
    return Question(transaction, unit, function, count)


def find_tcp(data: bytes, asked: Question) -> bytes | None:
    """Return the answer's frame with its MBAP header, None while it is not whole.

    Raises `Garbage`.
    """
    at = 0
    while len(data) - at >= HEADER.size + 1:
        transaction, protocol, length, unit = HEADER.unpack_from(data, at)
        if protocol != 0 or not 2 < length <= MOST_LENGTH:
            raise Garbage("what answers there does not speak Modbus TCP")
        end = at + HEADER.size - 1 + length
        if len(data) < end:
            return None
        if transaction in {asked.transaction, 0} and unit == asked.unit:
            check(data[at + HEADER.size : end], asked)
            return data[at:end]
        at = end  # a late answer to an earlier request
    if len(data) - at >= 4 and data[at + 2 : at + 4] != b"\0\0":
        raise Garbage("what answers there does not speak Modbus TCP")
    return None


def find_rtu(data: bytes, asked: Question) -> bytes | None:
    """Return the answer's frame with unit and CRC, None while it is not there.

    Noise before it (drivers that switch over) is passed by. Raises `Garbage`.
    """
    for at in range(len(data) - 4):
        if data[at] != asked.unit or data[at + 1] & 0x7F != asked.function:
            continue
        size = 5 if data[at + 1] & 0x80 else 5 + data[at + 2]
        frame = data[at : at + size]
        if len(frame) == size and crc(frame[:-2]) == int.from_bytes(frame[-2:], "little"):
            check(frame[1:-2], asked)
            return frame
    return None


def check(pdu: bytes, asked: Question) -> None:
    """Check that a protocol data unit answers what was asked. Raises `Garbage`."""
    if pdu[0] & 0x7F != asked.function:
        raise Garbage(f"it answers function {pdu[0]} where function {asked.function} was asked")
    if pdu[0] & 0x80:
        if len(pdu) != 2:
            raise Garbage("its exception has no code")
    elif pdu[1] != len(pdu) - 2 or pdu[1] != 2 * asked.registers:
        raise Garbage(
            f"it answers with {pdu[1]} bytes where {asked.registers} registers were asked"
        )


def crc(data: bytes) -> int:
    """Return the CRC-16 of an RTU frame (polynomial A001h, start FFFFh)."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value
