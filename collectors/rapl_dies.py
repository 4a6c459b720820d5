"""Whether the dies of one package count for themselves or mirror one counter of the socket.

Nothing in sysfs says which. Mirrors show one and the same 32-bit value, separate counters soon
differ by joules, so the values decide:

- dies whose values differ are separate, from then on and for good;
- dies that all show the same value at each tick are one counter, taken from the lowest die that
  can be read, and named after the package;
- "the same" allows for what the socket can draw between the two reads and one refresh of 1 ms.

Two separate counters can agree for a while, just after power-on. When they part, the previous
reading is given once more under the dies' own names, so that no energy falls between the names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from agent.quantities import Joules, Seconds
from collectors.rapl_zones import Zone

FASTEST_WATTS: Final = 500.0
REFRESH_SECONDS: Final = 1e-3
"""Intel SDM vol. 3B, MSR_PKG_ENERGY_STATUS: updated about every 1 ms."""


class Reading(NamedTuple):
    """A counter's value and when it was taken."""

    at: Seconds
    joules: Joules
    took: Seconds
    """How long the read lasted; the value is from somewhere in it."""


Named = tuple[Zone, str, Reading]


@dataclass(slots=True)
class Group:
    """The zones of one package and kind."""

    zones: tuple[Zone, ...]
    mirrored: bool | None = None
    """None: not known yet, only one die could be read so far."""
    _previous: dict[Zone, Reading] = field(default_factory=dict)

    @staticmethod
    def of(zones: Sequence[Zone]) -> list["Group"]:
        """Group zones that are in order."""
        groups: dict[tuple[str, int], list[Zone]] = {}
        for zone in zones:
            groups.setdefault((zone.kind, zone.package), []).append(zone)
        return [Group(tuple(members)) for members in groups.values()]

    @property
    def key(self) -> tuple[str, int]:
        """The kind and the package."""
        return (self.zones[0].kind, self.zones[0].package)

    def take(self, readings: Mapping[Zone, Reading]) -> list[Named]:
        """Return this group's readings, each with its device, counters that double left out."""
        now = {zone: readings[zone] for zone in self.zones if zone in readings}
        if len(self.zones) == 1:
            return [(zone, zone.device, reading) for zone, reading in now.items()]
        before, self._previous = self._previous, now
        was = self.mirrored
        if was is not False and len(now) > 1:
            self.mirrored = _agree(now)
        result = self._named(now)
        if before and bool(was) != bool(self.mirrored):
            result[:0] = self._named(before)
        return result

    def _named(self, readings: Mapping[Zone, Reading]) -> list[Named]:
        if self.mirrored:
            return [(z, z.group_device, reading) for z, reading in list(readings.items())[:1]]
        return [(zone, zone.device, reading) for zone, reading in readings.items()]


def _agree(readings: Mapping[Zone, Reading]) -> bool:
    (first, reference), *others = readings.items()
    for zone, reading in others:
        if zone.range_microjoules != first.range_microjoules:
            return False
        apart = abs(reading.joules - reference.joules)
        apart = min(apart, first.wraps_at - apart)
        seconds = reading.at - reference.at + (reading.took + reference.took) / 2
        if apart > FASTEST_WATTS * (seconds + REFRESH_SECONDS):
            return False
    return True
