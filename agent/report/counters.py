"""A site's polled meters, from a PromQL engine: counters at grid instants, and differences here.

The meters' totals go on through restarts of the agent and hold what a register counted while nobody
looked, so where points are missing the difference across the hole is one longer cell. What the
agent itself does not know is in its gap seconds, which are taken off.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from agent.report.answers import Series
from agent.report.engine import Engine, pieces
from agent.report.failure import ReportError
from agent.report.fleet_queries import LOOKBACK_SECONDS
from agent.report.together import together
from agent.site.cells import Cell

ENERGY: Final = "wattlas_site_energy_joules_total"
WATER: Final = "wattlas_site_water_liters_total"
GAP: Final = "wattlas_site_gap_seconds_total"
OVERLAP: Final = 2
"""Instants at which a meter may be there twice: an agent that moved to another address."""
Points = dict[float, float]


class CountersFound(NamedTuple):
    """What the engine has of a site's polled meters."""

    cells: dict[str, list[Cell]]
    """By meter; J or litres."""
    roles: dict[str, str]
    """By meter, as its label says."""
    without_gap: list[str]
    """Meters of which the engine has no gap seconds: nothing of them can be used."""


async def find_counters(
    engine: Engine, site: str, start: float, end: float, step: float, answered: Callable[[], None]
) -> CountersFound:
    """Ask for a site's meters; "": of all agents, if they are of one site.

    `start`, `end`: Unix time, multiples of `step`, in s. Raises `ReportError`.
    """
    spans = [(start, start), *pieces(start, end, step)]

    async def ask(metric: str) -> list[Series]:
        query = f"last_over_time({metric}{_selector(site)}[{LOOKBACK_SECONDS}s])"
        found: list[Series] = []
        for answer in await together(*(engine.range(query, *span, step) for span in spans)):
            found += answer
            answered()
        return found

    energy, water, gap = await together(ask(ENERGY), ask(WATER), ask(GAP))
    totals = [*energy, *water]
    sites = sorted({series.labels.get("site", "") for series in totals})
    if len(sites) > 1:
        raise ReportError(
            f"{engine.where} has meters of several sites ({', '.join(sites)}); name one with --site"
        )
    amounts, gaps = _by_meter(totals), _by_meter(gap)
    return CountersFound(
        {meter: cells_of(points, gaps.get(meter, {})) for meter, points in amounts.items()},
        {series.labels.get("meter", ""): series.labels.get("role", "") for series in totals},
        sorted(amounts.keys() - gaps.keys()),
    )


def cells_of(totals: Mapping[float, float], gaps: Mapping[float, float]) -> list[Cell]:
    """Return what a counter counted between each two instants at which both are known.

    `totals`: J or litres by Unix time; `gaps`: seconds not known so far. A total or a gap that fell
    began anew: nobody knows what of that time was counted, and there is no cell.
    """
    instants = sorted(totals.keys() & gaps.keys())
    cells = []
    for begin, end in pairwise(instants):
        amount, gap = totals[end] - totals[begin], gaps[end] - gaps[begin]
        if amount >= 0 and gap >= 0:
            cells.append(Cell(begin, end, amount, max(0.0, end - begin - gap)))
    return cells


def _selector(site: str) -> str:
    if not site:
        return ""
    escaped = site.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{{site="{escaped}"}}'


def _by_meter(found: Sequence[Series]) -> dict[str, Points]:
    """Return each meter's points, whatever else its labels say. Raises `ReportError`.

    A meter that got another role, or an agent another address, is another series and goes on.
    """
    apart: dict[str, dict[tuple[str, ...], Points]] = defaultdict(lambda: defaultdict(dict))
    for series in found:
        name, *who = (series.labels.get(key, "") for key in ("meter", "role", "instance", "job"))
        apart[name][tuple(who)].update(series.points)
    return {name: _merged(name, list(several.items())) for name, several in apart.items()}


def _merged(name: str, several: list[tuple[tuple[str, ...], Points]]) -> Points:
    several.sort(key=lambda item: max(item[1], default=0.0))
    merged: Points = {}
    before: tuple[str, ...] = ()
    for who, points in several:
        twice = merged.keys() & points.keys()
        if len(twice) > OVERLAP:
            agents = " and ".join(
                sorted({f"{instance} (job {job})" for _, instance, job in (before, who)})
            )
            raise ReportError(
                f"meter {name!r} is there more than once, by {agents}; give each meter a name of"
                " its own, or name one site with --site"
            )
        merged |= points
        before = who
    return merged
