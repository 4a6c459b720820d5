"""A figure with its bounds, and a footprint: such figures by stage. Pure."""

from collections.abc import Iterable, Mapping

import msgspec

from agent.carbon.words import Stage
from agent.quantities import Word


class Bound(Word):
    """Which of the three."""

    LOW = "low"
    BEST = "best"
    HIGH = "high"


class Span(msgspec.Struct, frozen=True):
    """Low, best and high; kilograms or grams of CO2e, as the field that holds it says.

    Bounds of sums are sums of bounds: parts of one server err alike (one factor for all DRAM), so
    nothing cancels.
    """

    low: float
    best: float
    high: float

    def __add__(self, other: "Span") -> "Span":
        """Return the sum, bound by bound."""
        return Span(self.low + other.low, self.best + other.best, self.high + other.high)

    def times(self, factor: float) -> "Span":
        """Return it times a factor of 0 or more."""
        return Span(self.low * factor, self.best * factor, self.high * factor)

    def by_bound(self) -> tuple[tuple[Bound, float], ...]:
        """Return the three with their names."""
        return (Bound.LOW, self.low), (Bound.BEST, self.best), (Bound.HIGH, self.high)


NOTHING = Span(0.0, 0.0, 0.0)

Footprint = dict[Stage, Span]
"""By stage; a stage that is not known is not there."""


def total(spans: Iterable[Span]) -> Span:
    """Return the sum; of nothing it is 0."""
    result = NOTHING
    for span in spans:
        result += span
    return result


def merged(footprints: Iterable[Mapping[Stage, Span]]) -> Footprint:
    """Return the sum by stage. A stage is there if any of them has it."""
    result: Footprint = {}
    for footprint in footprints:
        for stage, span in footprint.items():
            result[stage] = result[stage] + span if stage in result else span
    return result
