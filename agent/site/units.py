"""The units that meters speak, and our base units: J and W, litres and litres per s, degrees C.

Factors are exact by definition: 1 kWh = 3.6 MJ (SI Brochure 9th ed., table 8), 1 m3 = 1000 l,
1 US gallon = 3.785411784 l (NIST SP 811, appendix B.8), 1 Btu(IT) = 1055.05585262 J (ibid.),
t/degC = T/K - 273.15 = (t/degF - 32) / 1.8 (ibid., appendix B.8).
"""

from typing import Final, NamedTuple

from agent.site.words import Quantity


class Unit(NamedTuple):
    """One unit."""

    name: str
    quantity: Quantity
    factor: float
    """Base units per unit."""
    is_rate: bool
    """Per second (W, l/s) and not a total (J, l); a temperature is neither, and no rate."""
    offset: float = 0.0
    """What is added to value x factor: only scales of temperature have one."""


_HOUR: Final = 3600.0
_GALLON: Final = 3.785411784
_BTU: Final = 1055.05585262


def _known() -> dict[str, Unit]:
    totals = {"J": 1.0, "kJ": 1e3, "MJ": 1e6, "GJ": 1e9, "TJ": 1e12}
    totals |= {f"{p}Wh": f * _HOUR for p, f in (("", 1), ("k", 1e3), ("M", 1e6), ("G", 1e9))}
    totals |= {"Btu": _BTU, "kBtu": _BTU * 1e3, "MMBtu": _BTU * 1e6, "therm": _BTU * 1e5}
    rates = {"mW": 1e-3, "W": 1.0, "kW": 1e3, "MW": 1e6, "Btu/h": _BTU / _HOUR}
    water = {"l": 1.0, "m3": 1e3, "gal": _GALLON, "kgal": _GALLON * 1e3}
    flows = {"l/s": 1.0, "l/min": 1 / 60, "l/h": 1 / _HOUR, "m3/h": 1e3 / _HOUR, "m3/s": 1e3}
    flows["gal/min"] = _GALLON / 60
    found: dict[str, Unit] = {}
    for table, quantity, is_rate in (
        (totals, Quantity.ENERGY, False),
        (rates, Quantity.ENERGY, True),
        (water, Quantity.WATER, False),
        (flows, Quantity.WATER, True),
    ):
        for name, factor in table.items():
            found[name] = Unit(name, quantity, factor, is_rate)
    for name, factor, offset in (("C", 1.0, 0.0), ("F", 1 / 1.8, -32 / 1.8), ("K", 1.0, -273.15)):
        found[name] = Unit(name, Quantity.TEMPERATURE, factor, False, offset)
    return found


UNITS: Final = _known()
ALIASES: Final = {
    "kWh_th": "kWh",
    "MWh_th": "MWh",
    "L": "l",
    "litre": "l",
    "litres": "l",
    "liter": "l",
    "liters": "l",
    "m³": "m3",
    "m^3": "m3",
    "m³/h": "m3/h",
    "°C": "C",
    "°F": "F",
    "celsius": "C",
    "fahrenheit": "F",
    "kelvin": "K",
}
"""Other ways to write them. Case counts elsewhere: mW is not MW."""


LEAST_CELSIUS: Final = -95.0
MOST_CELSIUS: Final = 95.0
"""Air is never beyond: -89.2 degC at Vostok and 56.7 degC at Furnace Creek are the records (World
Meteorological Organization, World Weather and Climate Extremes Archive); the sun on a sensor's
housing adds to it. What broken sensors say (-127, -999, 3276.7) is."""


def unit_of(text: str) -> Unit:
    """Return the unit of that name. Raises ValueError, which names those that are known."""
    name = text.strip()
    unit = UNITS.get(ALIASES.get(name, name))
    if unit is None:
        close = [known for known in UNITS if known.lower() == name.lower()]
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(UNITS)}"
        raise ValueError(f"{text!r} is no unit that is known ({hint})")
    return unit


def celsius(number: float, unit: Unit) -> float:
    """Return a temperature of air in degrees Celsius. Raises ValueError where it can be none."""
    found = number * unit.factor + unit.offset
    if not LEAST_CELSIUS <= found <= MOST_CELSIUS:
        raise ValueError(f"its temperature is {number:g} {unit.name}, which no air has")
    return found
