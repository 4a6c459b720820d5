"""What truly flows through a simulated site, from what its servers draw and from the weather.

    utilities + PV = UPS input + cooling + lighting
    UPS input = UPS output / 0.95 + 40 W;  UPS output = PDU output / 0.985
    PDU output = the servers at the wall

Cooling takes 14 % of the heat at 10 degrees outside and 0.8 points more for each degree above.
The figures are of the usual order for a small air-cooled hall; no real site is described.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from hardware.site.rhythm import HOUR, UTC_OFFSET_HOURS

JOULES_PER_KWH = 3.6e6
UPS_EFFICIENCY, UPS_OWN_WATTS = 0.95, 40.0
WIRING_EFFICIENCY = 0.985
PV_PEAK_WATTS = 1500.0
FEED_A_SHARE = 0.55
WATER_LITERS_PER_KWH_OF_HEAT = 1.1
RETURNED_SHARE = 0.25
KILOGRAMS_PER_KWH = 0.4419
"""Guangdong's grid, 2023 (the product's own table has it with its source)."""


@dataclass(frozen=True)
class Weather:
    """The weather of a moment."""

    celsius: float
    sun: float
    """Share of what the panels can give, 0 to 1."""
    wind: float
    """The same of a wind farm."""


def weather(wall: float) -> Weather:
    """Return the weather at a moment, Unix time; it depends on nothing else."""
    local = datetime.fromtimestamp(wall, UTC) + timedelta(hours=UTC_OFFSET_HOURS)
    hours = local.hour + local.minute / 60
    year = math.cos(math.tau * (local.timetuple().tm_yday - 205) / 365.0)
    hour = wall / HOUR
    drift = _smooth("warm", hour / 6) * 2.0
    celsius = 22.0 + 7.0 * year + 3.5 * math.cos(math.tau * (hours - 15.0) / 24.0) + drift
    height = math.sin(math.pi * (hours - 6.0) / 12.0) if 6.0 < hours < 18.0 else 0.0
    clouds = 0.65 + 0.35 * _smooth("clouds", hour / 3)
    return Weather(celsius, height * clouds, 0.45 + 0.35 * _smooth("wind", hour / 8))


def _smooth(name: str, position: float) -> float:
    """Return noise between -1 and 1 that changes slowly with the position."""
    whole = math.floor(position)
    low, high = (_dice(name, whole + n) for n in (0, 1))
    share = (1.0 - math.cos(math.pi * (position - whole))) / 2.0
    return low + (high - low) * share


@lru_cache(1 << 16)
def _dice(name: str, number: int) -> float:
    return random.Random(f"{name} {number}").uniform(-1.0, 1.0)


def flows(racks: Mapping[str, float], air: Weather) -> dict[str, float]:
    """Return what flows through each meter: W, and litres per second of water.

    `racks`: by rack, what its servers draw at the wall, W.
    """
    it = sum(racks.values())
    ups = it / WIRING_EFFICIENCY
    ups_input = ups / UPS_EFFICIENCY + UPS_OWN_WATTS
    heat = ups_input  # all of it becomes warm air
    cooling = heat * (0.14 + 0.008 * max(air.celsius - 10.0, 0.0)) + 60.0
    lighting = 90.0 + 60.0 * (air.sun > 0)
    need = ups_input + cooling + lighting
    sun = min(PV_PEAK_WATTS * air.sun, 0.5 * need)
    water = heat * WATER_LITERS_PER_KWH_OF_HEAT / JOULES_PER_KWH
    return {f"pdu-{rack}": watts for rack, watts in racks.items()} | {
        "ups-1": ups * 0.6,
        "ups-2": ups * 0.4,
        "utility-a": (need - sun) * FEED_A_SHARE,
        "utility-b": (need - sun) * (1.0 - FEED_A_SHARE),
        "pv": sun,
        "wind-ppa": need * air.wind,
        "chiller-1": cooling * 0.7,
        "crah": cooling * 0.3,
        "lighting": lighting,
        "heat-removed": heat + lighting,
        "heat-export": heat * (0.10 + 0.15 * max(0.0, 1.0 - max(air.celsius, 0.0) / 25.0)),
        "mains-water": water,
        "blow-down": water * RETURNED_SHARE,
    }


class Facility:
    """The site's flows as they are now."""

    def __init__(
        self, racks: Mapping[str, Callable[[float], float]], wall: Callable[[float], float]
    ) -> None:
        """`racks`: by rack its true power over scenario time; `wall`: Unix time of it."""
        self._racks = racks
        self._wall = wall
        self._last: tuple[float, dict[str, float]] = (float("nan"), {})

    def at(self, t: float) -> dict[str, float]:
        """Return all flows at a moment: W and l/s, by meter."""
        moment, found = self._last  # one tuple: several meters' threads ask
        if moment != t:
            racks = {rack: watts(t) for rack, watts in self._racks.items()}
            found = flows(racks, weather(self._wall(t)))
            self._last = (t, found)
        return found

    def rate(self, meter: str) -> Callable[[float], float]:
        """Return one meter's flow as a function of scenario time."""
        return lambda t: self.at(t)[meter]
