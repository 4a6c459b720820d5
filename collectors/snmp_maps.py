"""Where common PDUs and UPSes keep their energy and power: data, each line from the vendor's MIB.

The MIBs were read in public repositories (docs/meters-snmp.md names them). What was compared with
a recorded walk of a real device says so in `checked`.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

RANGE_32: Final = 2**32


class Figure(NamedTuple):
    """One quantity in a MIB."""

    name: str
    """The object's name in the MIB."""
    oid: str
    """With "{index}" for the meter's index and "{line}" for a phase."""
    unit: str
    scale: float = 1.0
    """The object's number times this is in `unit`."""
    wraps_at: float | None = None
    """The object's number at which it begins again at 0, where the MIB says so."""
    digits_oid: str = ""
    """Object with the number of decimal digits; read once."""
    units_oid: str = ""
    """Object that says which unit it is; read once."""
    units: Mapping[int, str] = {}
    """What that object's numbers mean."""
    valid_oid: str = ""
    """Object that says whether there is a reading."""
    valid: frozenset[int] = frozenset()
    """Its numbers where there is one."""
    lines_oid: str = ""
    """Object with the number of phases, whose sum it is; read once."""
    current_oid: str = ""
    """A phase's current: where it flows, a power of 0 is "not measured"."""


class Map(NamedTuple):
    """One family of devices."""

    device: str
    mib: str
    position: str
    """The index that most devices have; "": the map has none."""
    position_means: str
    energy: Figure | None
    power: Figure | None
    checked: str = ""
    """Which recorded walk it was compared with."""


_PX: Final = "1.3.6.1.4.1.13742.6"
_RARITAN_UNITS: Final = {3: "W", 5: "Wh"}
"""SensorUnitsEnumeration: watts(3), wattHour(5)."""


def _raritan(name: str, sensor: int, wraps_at: int | None) -> Figure:
    """Return an inlet's sensor; sensorType activePower(5), activeEnergy(8).

    measurementsInletSensorValue is to be scaled by inletSensorDecimalDigits, and "will wrap around
    if the scaled sensor reading exceeds 4294967295".
    """
    row = f"{{index}}.{sensor}"
    return Figure(
        name=f"measurementsInletSensorValue {name}",
        oid=f"{_PX}.5.2.3.1.4.{row}",
        unit=_RARITAN_UNITS[3 if sensor == 5 else 5],
        wraps_at=wraps_at,
        digits_oid=f"{_PX}.3.3.4.1.7.{row}",
        units_oid=f"{_PX}.3.3.4.1.6.{row}",
        units=_RARITAN_UNITS,
        valid_oid=f"{_PX}.5.2.3.1.2.{row}",
        valid=frozenset({1}),  # measurementsInletSensorIsAvailable: true(1)
    )


_APC: Final = "1.3.6.1.4.1.318.1.1.26.4.3.1"
_V5: Final = "1.3.6.1.4.1.21239.5.2.3.1.1"
_EPDU: Final = "1.3.6.1.4.1.534.6.6.7.3.5.1"
_SENTRY4: Final = "1.3.6.1.4.1.1718.4.1.3.3.1"
_ENLOGIC: Final = "1.3.6.1.4.1.38446.1.2.4.1"
_UPS: Final = "1.3.6.1.2.1.33.1.4"
_V5_AVAILABLE: Final = frozenset({1, 2})
"""pduMainAvail: Available(1), Partially Unavailable(2)."""

MAPS: Final[Mapping[str, Map]] = {
    "apc-rpdu2": Map(
        "APC / Schneider rack PDUs of the second generation (AP8xxx, APDU9xxx)",
        "PowerNet-MIB",
        "1",
        "rPDU2DeviceStatusIndex: the PDU in a chain of network ports",
        # "user re-settable energy meter … in tenths of kilowatt-hours"; -1: not supported
        Figure("rPDU2DeviceStatusEnergy", f"{_APC}.9.{{index}}", "kWh", 0.1),
        Figure("rPDU2DeviceStatusPower", f"{_APC}.5.{{index}}", "kW", 0.01),
    ),
    "eaton-epdu": Map(
        "Eaton ePDU G3",
        "EATON-EPDU-MIB",
        "0.1",
        "strappingIndex.inputIndex: the unit in a daisy chain (0 first), its input",
        Figure("inputTotalWh", f"{_EPDU}.5.{{index}}", "Wh"),
        # "a negative value indicates that this object is not available"
        Figure("inputTotalWatts", f"{_EPDU}.4.{{index}}", "W"),
    ),
    "enlogic": Map(
        "Enlogic (nVent) PDUs",
        "ENLOGIC-PDU-MIB",
        "1",
        "pduUnitStatusIndex: the PDU in a daisy chain",
        # "total energy consumed, in tenths of Kilowatt-Hours, … over its lifetime"
        Figure("pduUnitStatusEnergy", f"{_ENLOGIC}.9.{{index}}", "kWh", 0.1),
        Figure("pduUnitStatusActivePower", f"{_ENLOGIC}.4.{{index}}", "W"),
    ),
    "raritan-px": Map(
        "Raritan and Legrand PX2, PX3, PX4 and their inline meters",
        "PDU2-MIB",
        "1.1",
        "pduId.inletId: the unit in a cascade, its inlet",
        _raritan("activeEnergy", 8, RANGE_32),
        _raritan("activePower", 5, None),
        "PX3-5493U-K2, firmware 4.2.0",
    ),
    "servertech-sentry4": Map(
        "Server Technology PDUs with PRO1, PRO2 firmware",
        "Sentry4-MIB",
        "1.1",
        "st4UnitIndex.st4InputCordIndex: the unit in a chain, its input cord",
        # UNITS "tenth Kilowatt-Hours", -1: none
        Figure("st4InputCordEnergy", f"{_SENTRY4}.10.{{index}}", "kWh", 0.1),
        Figure("st4InputCordActivePower", f"{_SENTRY4}.3.{{index}}", "W"),
        "Sentry Smart PDU",
    ),
    "ups-mib": Map(
        "any UPS that speaks the standard MIB; its output power, no energy",
        "UPS-MIB (RFC 1628)",
        "",
        "",
        None,
        Figure(
            "upsOutputPower",
            f"{_UPS}.4.1.4.{{line}}",
            "W",
            lines_oid=f"{_UPS}.3.0",  # upsOutputNumLines
            current_oid=f"{_UPS}.4.1.3.{{line}}",  # upsOutputCurrent
        ),
    ),
    "vertiv-geist": Map(
        "Vertiv and Geist rack PDUs with an IMD (GU2, rPDU)",
        "VERTIV-V5-MIB",
        "1",
        "pduMainIndex: the PDU in a chain",
        Figure(
            "pduTotalEnergy",
            f"{_V5}.12.{{index}}",
            "Wh",
            valid_oid=f"{_V5}.5.{{index}}",
            valid=_V5_AVAILABLE,
        ),
        Figure(
            "pduTotalRealPower",
            f"{_V5}.9.{{index}}",
            "W",
            valid_oid=f"{_V5}.5.{{index}}",
            valid=_V5_AVAILABLE,
        ),
    ),
}


def known_maps() -> list[str]:
    """Return the names of the shipped maps, for `map` in the settings."""
    return sorted(MAPS)
