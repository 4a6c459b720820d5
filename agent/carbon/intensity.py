"""One value of a grid's carbon intensity, with all that must stay with it."""

import msgspec

from agent.carbon.words import Basis, Factor, Origin


class Intensity(msgspec.Struct, frozen=True):
    """What a kWh emitted between two moments in one zone."""

    zone: str
    """As the settings name it, e.g. "DE"."""
    provider: str
    """electricitymaps, watttime, neso, entsoe, static."""
    start: float
    """Unix time, included."""
    end: float
    """Unix time, not included."""
    grams_per_kwh: float
    """gCO2 or gCO2e per kWh."""
    basis: Basis
    factor: Factor
    origin: Origin
    source: str = ""
    """E.g. "MEE notice 2025 no. 47, Guangdong, 2023", "Electricity Maps v3 TIME_SLICER_AVERAGE"."""
    fetched_at: float = 0.0
    """Unix time at which we learned it: a later one replaces an earlier one of the same time."""
