"""What two readings of one energy counter say about the energy between them.

A counter that wraps gives the energy only modulo its range, so a difference is accepted only
where one reading of it is possible; the rest is a reset or a gap, never a guess.
Source of the rules: Linux `drivers/powercap/intel_rapl_common.c` (energy_uj is a 32-bit register
times a unit) and the wraps seen in practice (node_exporter #2269, kepler #575).
"""

from enum import StrEnum
from typing import Final

from agent.quantities import Component, Joules, Seconds, Watts

DEFAULT_MAX_WATTS: Final[dict[Component, Watts]] = {
    # Largest parts sold in 2026, rounded up: 500 W CPU sockets (EPYC 9965, Xeon 6980P),
    # 1.4 kW GPU modules (GB300). Only tells a wrap from a reset; never enters a figure.
    Component.CPU: Watts(600.0),
    Component.DRAM: Watts(200.0),
    Component.GPU: Watts(1500.0),
    Component.ACCELERATOR: Watts(1500.0),
    Component.STORAGE: Watts(60.0),
    Component.NIC: Watts(150.0),
    Component.FAN: Watts(500.0),
    Component.PSU: Watts(6000.0),
    Component.PLATFORM: Watts(15000.0),
    Component.HOST: Watts(30000.0),
}
SPIKE: Final = 1.5
"""Short power may exceed the sustained maximum by this factor (turbo, PL2)."""
SUSTAINED: Final = 1.2
"""Power over minutes may exceed a declared maximum (TDP, PL1) by this factor at most."""
REFRESH_SECONDS: Final = 0.2
"""A counter that refreshes every 100 ms (NVML) may show up to two refreshes more than dt says."""
LONGEST_HORIZON_SECONDS: Final = Seconds(3600.0)
"""How long a live agent waits for a counter that takes longer to wrap, or never does."""


class NoEnergy(StrEnum):
    """Why two readings give no energy."""

    RESET = "reset"
    """The counter fell, and no wrap explains it: it started anew."""
    JUMP = "jump"
    """It rose by more than the device can draw."""
    AMBIGUOUS = "ambiguous"
    """Too long a silence: it may have turned more than once."""


def horizon(component: Component, wraps_at: Joules | None, max_watts: Watts | None) -> Seconds:
    """Return how long to wait for a silent counter: one turn at the sustained maximum, in s."""
    if wraps_at is None:
        return LONGEST_HORIZON_SECONDS
    turn = wraps_at / _sustained(component, max_watts)
    return Seconds(min(turn, LONGEST_HORIZON_SECONDS))


def energy_between(
    before: float,
    now: float,
    seconds: float,
    *,
    component: Component,
    wraps_at: Joules | None,
    max_watts: Watts | None,
) -> Joules | NoEnergy:
    """Return the energy in joules between two readings `seconds` apart, or why there is none.

    Up to one turn at the sustained maximum the smallest difference holds if the device can have
    drawn it. Beyond that it holds only if one more turn would be more than the device can draw.
    """
    rise = now - before
    ceiling = max(DEFAULT_MAX_WATTS[component], SPIKE * (max_watts or 0.0))
    possible = ceiling * (seconds + REFRESH_SECONDS)
    if wraps_at is None:
        if rise < 0:
            return NoEnergy.RESET
        return Joules(rise) if rise <= possible else NoEnergy.JUMP
    smallest = rise if rise >= 0 else rise + wraps_at
    if smallest < 0 or smallest > possible:
        return NoEnergy.RESET if rise < 0 else NoEnergy.JUMP
    limit = _sustained(component, max_watts)
    if seconds * limit <= wraps_at or smallest + wraps_at > limit * seconds:
        return Joules(smallest)
    return NoEnergy.AMBIGUOUS


def _sustained(component: Component, max_watts: Watts | None) -> float:
    return SUSTAINED * max_watts if max_watts else DEFAULT_MAX_WATTS[component]
