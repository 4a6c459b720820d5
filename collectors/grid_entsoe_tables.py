"""What ENTSO-E's codes mean: areas, types of production, and what a kWh of each emits.

Areas: EIC codes of the Transparency Platform (by way of EnergieID/entsoe-py mappings.py).
Factors in g/kWh: IPCC AR5 WG3 (2014), annex III, table A.III.2, median: direct coal 760, gas 370;
life-cycle coal 820, gas 490, biomass 230, solar 45 (mean of rooftop and utility, rounded), wind 11,
nuclear 12, hydro 24, geothermal 38. Oil, and what is not named by its fuel, from the defaults of
electricitymaps/electricitymaps-contrib config/defaults.yaml: oil 406 (EIA 2020, BEIS 2021) and 650
(UK POST), unknown 575 and 700. The grouping of types into fuels is theirs too (waste with biomass,
coal-derived gas with gas, peat and oil shale with coal). Biogenic CO2 is not counted.
"""

from typing import Final, NamedTuple

from agent.carbon.words import Factor

AREA: Final = {
    "AL": "10YAL-KESH-----5", "AT": "10YAT-APG------L", "BA": "10YBA-JPCC-----D",
    "BE": "10YBE----------2", "BG": "10YCA-BULGARIA-R", "CH": "10YCH-SWISSGRIDZ",
    "CY": "10YCY-1001A0003J", "CZ": "10YCZ-CEPS-----N", "DE": "10Y1001A1001A82H",
    "LU": "10YLU-CEGEDEL-NQ", "DK": "10Y1001A1001A65H", "DK-DK1": "10YDK-1--------W",
    "DK-DK2": "10YDK-2--------M", "EE": "10Y1001A1001A39I", "ES": "10YES-REE------0",
    "FI": "10YFI-1--------U", "FR": "10YFR-RTE------C", "GE": "10Y1001A1001B012",
    "GR": "10YGR-HTSO-----Y", "HR": "10YHR-HEP------M", "HU": "10YHU-MAVIR----U",
    "IE": "10Y1001A1001A59C", "IT": "10YIT-GRTN-----B", "LT": "10YLT-1001A0008Q",
    "LV": "10YLV-1001A00074", "MD": "10Y1001A1001A990", "ME": "10YCS-CG-TSO---S",
    "MK": "10YMK-MEPSO----8", "NL": "10YNL----------L", "NO": "10YNO-0--------C",
    "NO-NO1": "10YNO-1--------2", "NO-NO2": "10YNO-2--------T", "NO-NO3": "10YNO-3--------J",
    "NO-NO4": "10YNO-4--------9", "NO-NO5": "10Y1001A1001A48H", "PL": "10YPL-AREA-----S",
    "PT": "10YPT-REN------W", "RO": "10YRO-TEL------P", "RS": "10YCS-SERBIATSOV",
    "SE": "10YSE-1--------K", "SE-SE1": "10Y1001A1001A44P", "SE-SE2": "10Y1001A1001A45N",
    "SE-SE3": "10Y1001A1001A46L", "SE-SE4": "10Y1001A1001A47J", "SI": "10YSI-ELES-----O",
    "SK": "10YSK-SEPS-----K", "UA": "10Y1001C--00003F", "XK": "10Y1001C--00100H",
}  # fmt: skip
"""By country, or by bidding zone as Electricity Maps writes it. DE is DE-LU, IE all Ireland."""

STORAGE: Final = frozenset({"B10", "B25"})
"""Pumped storage and batteries give back what others generated: they have no share in the mix."""


class _Fuel(NamedTuple):
    direct: float
    lifecycle: float
    types: tuple[str, ...]


_FUELS: Final = {
    "coal": _Fuel(760.0, 820.0, ("B02", "B05", "B07", "B08")),
    "gas": _Fuel(370.0, 490.0, ("B03", "B04")),
    "oil": _Fuel(406.0, 650.0, ("B06",)),
    "biomass and waste": _Fuel(0.0, 230.0, ("B01", "B17")),
    "geothermal": _Fuel(0.0, 38.0, ("B09",)),
    "hydro": _Fuel(0.0, 24.0, ("B11", "B12")),
    "nuclear": _Fuel(0.0, 12.0, ("B14",)),
    "solar": _Fuel(0.0, 45.0, ("B16",)),
    "wind": _Fuel(0.0, 11.0, ("B18", "B19")),
    "unknown": _Fuel(575.0, 700.0, ("B13", "B15", "B20")),
}
"""g/kWh by fuel, and the types of production that are of it."""

UNKNOWN: Final = "B20"
"""A type that is not in the list counts as this one."""


def factors(family: Factor) -> dict[str, float]:
    """Return g/kWh by type of production."""
    direct = family is Factor.DIRECT
    return {
        code: fuel.direct if direct else fuel.lifecycle
        for fuel in _FUELS.values()
        for code in fuel.types
    }
