"""What the IPMI tools print, as values. No I/O.

- DCMI "Get Power Reading": DCMI 1.5 section 6.6.1. Byte 18 bit 6 says whether power measurement is
  active; where it is not, the watts mean nothing.
- ipmitool fills what a cut-off answer lacks with whatever is in its memory (seen: 65,280 W), so an
  answer whose minimum is above its maximum, or whose power is above twice that, is refused.
- ipmitool 1.8.19 prints two fields on one line: fields are found by name, not by line.
"""

import re
from typing import Final, NamedTuple

from agent.quantities import Watts

UNREADABLE_WATTS: Final = 0xFFFF
"""All bits set: the field is 16 bits wide."""


NOTHING_ASSERTED: Final = "nothing asserted"
"""A discrete sensor that was read and has no bit set: of a power supply, that it is not there
(IPMI 2.0 table 42-3, type 08h offset 0)."""


class DcmiReading(NamedTuple):
    """One DCMI answer. Watts, as the BMC says; the time stamp as the tool prints it."""

    watts: Watts
    is_active: bool
    stamp: str
    others: tuple[float, ...]
    """Minimum, maximum and mean of its period in W."""


class Sensor(NamedTuple):
    """One row of a list of sensors."""

    name: str
    record: str
    """The tool's number for it, "" where it does not print one."""
    watts: Watts | None
    """None: it gives no value, or is no power sensor."""
    unit: str
    states: str
    """What a discrete sensor says, in lower case; "" nothing is known."""


_POWER: Final = re.compile(
    r"(?:Current Power|Instantaneous power reading)\s*:\s*(\d+(?:\.\d+)?)\s*Watts", re.IGNORECASE
)
_OTHERS: Final = re.compile(
    r"(?:Minimum|Maximum|Average)[^:\n]*:\s*(\d+(?:\.\d+)?)\s*Watts", re.IGNORECASE
)
_STATE: Final = re.compile(
    r"(?:Power Measurement|Power reading state is)\s*:\s*([A-Za-z][A-Za-z ]*)", re.IGNORECASE
)
_STAMP: Final = re.compile(
    r"(?:Time Stamp|IPMI timestamp)\s*:\s*(.*?)(?:\s+Sampling period\s*:.*)?$",
    re.IGNORECASE | re.MULTILINE,
)
_SENSOR_ID: Final = re.compile(r"^Sensor ID\s*:\s*(.*?)\s*\(0x([0-9a-fA-F]+)\)\s*$")
_READING: Final = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(?:\(\+/-[^)]*\)\s*)?([A-Za-z%].*)?$")
_UNITS: Final = {"watts": "W", "w": "W"}


def dcmi(text: str) -> DcmiReading | None:
    """Return what `ipmi-dcmi` or `ipmitool dcmi power reading` printed; None: no whole answer."""
    power, state, stamp = _POWER.search(text), _STATE.search(text), _STAMP.search(text)
    others = tuple(float(found) for found in _OTHERS.findall(text))
    if power is None or state is None or stamp is None or len(others) != 3:
        return None
    watts, least, most = float(power.group(1)), others[0], others[1]
    if least > most or watts > 2 * most:
        return None
    word = state.group(1).strip().lower()
    is_active = word in {"active", "activated"}
    return DcmiReading(Watts(watts), is_active, stamp.group(1).strip(), others)


def stands_still(reading: DcmiReading, before: DcmiReading | None) -> bool:
    """Return whether a BMC whose clock runs gave the very same answer again, time and all."""
    has_clock = "1970" not in reading.stamp and "/" in reading.stamp
    return has_clock and reading == before


def elist(text: str) -> list[Sensor]:
    """Return the rows of `ipmitool sdr elist`, or of `sdr list`."""
    sensors = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 5:
            name, record, status, _, said = cells
        elif len(cells) == 3:
            name, said, status = cells
            record = ""
        else:
            continue
        if name:
            sensors.append(_sensor(name, record, said, is_read=status != "ns"))
    return sensors


def sdr_get(text: str) -> list[Sensor]:
    """Return the sensors of `ipmitool sdr get NAME …`."""
    sensors: list[Sensor] = []
    name, record, said = "", "", ""
    states: list[str] = []
    for line in [*text.splitlines(), "Sensor ID : (0x0)"]:
        if found := _SENSOR_ID.match(line):
            if name:
                sensors.append(_sensor(name, record, said, is_read=True, states=states))
            name, record, said, states = found.group(1), found.group(2), "", []
            continue
        key, colon, value = line.partition(":")
        if colon and key.strip() == "Sensor Reading":
            said = value.strip()
        elif found := re.search(r"\[([^]]+)\]", line):
            states.append(found.group(1))
    return sensors


def ipmi_sensors(text: str) -> list[Sensor]:
    """Return the rows of `ipmi-sensors --comma-separated-output --output-event-bitmask`.

    Columns: record, name, type, perhaps a judgement, reading, unit, bits of the event (a discrete
    sensor's state).
    """
    sensors = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) < 6 or not cells[0].isdecimal():
            continue
        record, name, kind, said, unit, bits = *cells[:3], *cells[-3:]
        if said == "N/A":
            states = _bits(kind, bits)
            sensors.append(Sensor(name, record, None, unit if unit != "N/A" else "", states))
        else:
            sensors.append(_sensor(name, record, f"{said} {unit}", is_read=True))
    return sensors


def _bits(kind: str, bits: str) -> str:
    """Return a power supply's state in words: bit 0 is its presence (IPMI 2.0 table 42-3, 08h)."""
    found = re.match(r"([0-9A-Fa-f]{4})h?$", bits)
    if kind != "Power Supply" or found is None:
        return ""
    return "presence detected" if int(found.group(1), 16) & 1 else NOTHING_ASSERTED


def _sensor(
    name: str, record: str, said: str, *, is_read: bool, states: list[str] | None = None
) -> Sensor:
    """Return a row. `said`: a value and its unit, or states, or both with commas between."""
    value, *more = (part.strip() for part in said.split(","))
    reading = _READING.match(value)
    unit = reading.group(2).strip() if reading and reading.group(2) else ""
    unit = _UNITS.get(unit.lower(), unit)
    words = ", ".join([*(states or ()), *more] if reading else [*(states or ()), value, *more])
    words = words.strip(", ").lower()
    if is_read and not words and (not said or unit == "h"):
        words = NOTHING_ASSERTED
    watts = Watts(float(reading.group(1))) if is_read and reading and unit == "W" else None
    return Sensor(name, record, watts, unit, words)
