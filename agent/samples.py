"""What collectors return: frozen samples in base units, each with its own timestamp.

`at` is seconds of CLOCK_BOOTTIME: it never steps and runs on through suspend, so the distance
between two samples of one boot is real time, whatever the wall clock did.
"""

import msgspec

from agent.quantities import Component, Joules, Quality, Ratio, Seconds, Watts


class EnergyCounter(msgspec.Struct, frozen=True, gc=False):
    """One reading of a hardware energy counter."""

    collector: str
    component: Component
    device: str
    at: Seconds
    joules: Joules
    wraps_at: Joules | None = None
    """The modulus: the counter runs from 0 to just below this. None: it does not wrap."""
    max_watts: Watts | None = None
    """The most this device can draw for long. Tells a wrap from a reset; None: not known."""
    counted: bool = True
    """False: a second opinion (psys beside package), shown but never added."""
    accuracy: Ratio = Ratio(0.05)
    """Half-width of the uncertainty, as a share of the value."""

    @property
    def quality(self) -> Quality:
        """Counters are what `measured` means."""
        return Quality.MEASURED


class PowerReading(msgspec.Struct, frozen=True, gc=False):
    """One reading of a power sensor, or one value of a model."""

    collector: str
    component: Component
    device: str
    at: Seconds
    watts: Watts
    quality: Quality = Quality.INTEGRATED
    low_watts: Watts | None = None
    high_watts: Watts | None = None
    """Bounds; both or neither. Without them, `accuracy` holds."""
    counted: bool = True
    accuracy: Ratio = Ratio(0.10)


class Utilization(msgspec.Struct, frozen=True, gc=False):
    """Share of a device's capacity in use, 0 to 1, over the time since the previous sample."""

    collector: str
    component: Component
    device: str
    at: Seconds
    ratio: Ratio


Sample = EnergyCounter | PowerReading | Utilization
