"""The units that meters speak, and the base units that we keep: J and W, litres and litres per s.

Factors are exact by definition: 1 kWh = 3.6 MJ (SI Brochure 9th ed., table 8), 1 m3 = 1000 l,
1 US gallon = 3.785411784 l (NIST SP 811, appendix B.8), 1 Btu(IT) = 1055.05585262 J (ibid.).
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
    """Per second (W, l/s) and not a total (J, l)."""


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
}
"""Other ways to write them. Case counts elsewhere: mW is not MW."""


def unit_of(text: str) -> Unit:
    """Return the unit of that name. Raises ValueError, which names those that are known."""
    name = text.strip()
    unit = UNITS.get(ALIASES.get(name, name))
    if unit is None:
        close = [known for known in UNITS if known.lower() == name.lower()]
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(UNITS)}"
        raise ValueError(f"{text!r} is no unit that is known ({hint})")
    return unit
