"""IT energy by meters against IT energy by agents."""

from collections.abc import Mapping, Sequence

import msgspec

from agent.kpi.checked import JOULES_PER_KWH
from agent.kpi.fleet import Fleet
from agent.kpi.inputs import Inputs
from agent.kpi.period import Period
from agent.kpi.pue import ItCategory
from agent.kpi.quantity import gather
from agent.site.cells import Cell
from agent.site.settings import SiteSettings
from agent.site.words import Role


class ItCompared(msgspec.Struct, frozen=True):
    """Both sums over the time that both know."""

    category: ItCategory
    """Of the meters."""
    meters: tuple[str, ...]
    meters_kwh: float | None
    """None, like the rest: there is no time that both know."""
    agents_kwh: float | None
    difference_kwh: float | None
    """Agents minus meters."""
    difference_percent: float | None
    """Of what the meters say; None also where that is 0."""
    coverage: float
    """Share of the period that both know."""


def it_compared(
    site: SiteSettings, cells: Mapping[str, Sequence[Cell]], period: Period, fleet: Fleet
) -> ItCompared | None:
    """Return the comparison, None where there are not both IT meters and agents.

    With the finest category there is: agents measure at the input of the servers, and what lies
    between (PDU losses), and what has no agent (network, storage), is in the difference.
    Raises ValueError where a sum of meters cannot be made.
    """
    inputs = Inputs(site, cells, fleet)
    if not fleet.it or not inputs.of(Role.IT, Role.UPS):
        return None
    category = inputs.categories()[-1]
    metered = inputs.it(category)
    found = gather([metered, inputs.agents()], period)
    meters = tuple(metered.meters)
    if not found.coverage:
        return ItCompared(category, meters, None, None, None, None, 0.0)
    by_meters, by_agents = (amount / JOULES_PER_KWH for amount in found.amounts)
    difference = by_agents - by_meters
    relative = percent(difference, by_meters)
    return ItCompared(category, meters, by_meters, by_agents, difference, relative, found.coverage)


def percent(difference: float, base: float) -> float | None:
    """Return 100 times the ratio; None without a base."""
    return difference / base * 100 if base else None
