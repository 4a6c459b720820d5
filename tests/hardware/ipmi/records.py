"""Sensor records and DCMI answers, byte by byte."""

import struct
from dataclasses import dataclass

WATTS = 6
"""Unit code 06h (IPMI 2.0 table 43-15)."""
THRESHOLD, SENSOR_SPECIFIC = 0x01, 0x6F
POWER_SUPPLY = 8


def power(
    watts: int,
    *,
    least: int = 40,
    most: int = 1200,
    mean: int = 163,
    stamp: int = 1400853792,
    is_active: bool = True,
) -> bytes:
    """Return an answer to Get Power Reading, completion code first (DCMI 1.5 table 6-16).

    `stamp`: the BMC's time, s since 1970; 1400853792 is 2014-05-23 14:03:12 UTC.
    """
    state = 0x40 if is_active else 0x00
    return struct.pack("<BBHHHHIIB", 0, 0xDC, watts, least, most, mean, stamp, 1000, state)


@dataclass(frozen=True)
class Analog:
    """A sensor with a value: `raw` x `per_count`. `raw` None: it is there but gives none."""

    number: int
    name: str
    raw: int | None
    per_count: int = 4
    entity: tuple[int, int] = (7, 1)
    kind: int = POWER_SUPPLY
    unit: int = WATTS

    def commands(self) -> list[str]:
        """Return what makes ipmi_sim have it."""
        name = self.name.encode("ascii")
        record = bytes(
            [
                *(0x20, 0, self.number, *self.entity, 0x7F, 0x68, self.kind, THRESHOLD),
                *(0, 0, 0, 0, 0, 0),  # no events, no thresholds
                *(0, self.unit, 0, 0),  # an unsigned number; linear
                *(self.per_count & 0xFF, (self.per_count >> 8 & 3) << 6, 0, 0, 0, 0),
                *(0, 0, 0, 0, 255, 0, *[0] * 8, 0, 0, 0),
                0xC0 | len(name),
            ]
        )
        where = f"0x20 0 {self.number}"
        lines = [_record(1, record + name), f"sensor_add {where} {self.kind} {THRESHOLD}"]
        if self.raw is not None:
            lines += [f"sensor_set_value {where} {self.raw} 0", _scan(where, "enable scanning")]
        else:
            lines.append(_scan(where, "enable no-scanning"))
        return lines


@dataclass(frozen=True)
class Supply:
    """A power supply's own state."""

    number: int
    name: str
    is_present: bool = True
    entity: tuple[int, int] = (10, 1)

    def commands(self) -> list[str]:
        """Return what makes ipmi_sim have it."""
        name = self.name.encode("ascii")
        record = bytes(
            [
                *(0x20, 0, self.number, *self.entity, 0x67, 0x40, POWER_SUPPLY, SENSOR_SPECIFIC),
                *(0xFF, 0, 0xFF, 0, 0xFF, 0, 0xC0, 0, 0, 1, *[0] * 7),
                0xC0 | len(name),
            ]
        )
        where = f"0x20 0 {self.number}"
        lines = [_record(2, record + name), f"sensor_add {where} {POWER_SUPPLY} {SENSOR_SPECIFIC}"]
        lines.append(_scan(where, "enable scanning"))
        if self.is_present:
            lines.append(f"sensor_set_bit {where} 0 1 0")
        return lines


def _record(kind: int, body: bytes) -> str:
    """Return a sensor data record with its header (IPMI 2.0 section 43)."""
    record = bytes([0, 0, 0x51, kind, len(body)]) + body
    return "main_sdr_add 0x20 " + " ".join(f"0x{byte:02x}" for byte in record)


def _scan(where: str, words: str) -> str:
    none = "0" * 15
    return f"sensor_set_event_support {where} {words} none {none} {none} {none} {none}"
