"""The sum of the agents, from a PromQL engine's answers.

Coverage. A server is expected from the first to the last grid instant at which it is there within
the period: one that came later had not been installed, one that went was taken away. Of the
servers expected in a step, those that were there at both its ends are known, less their own gaps.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import accumulate
from typing import NamedTuple

from agent.report.answers import Series
from agent.report.engine import Engine, pieces
from agent.report.fleet_queries import HOST, WALL, FleetQueries
from agent.report.together import together
from agent.site.cells import Cell

Labels = tuple[tuple[str, str], ...]
Points = dict[float, float]


class Stay(NamedTuple):
    """When one server was there."""

    name: str
    """Its label `instance`."""
    first: float
    """Unix time, a grid instant."""
    last: float
    times: int
    """At how many grid instants."""

    def missing_seconds(self, step: float) -> float:
        """Return for how long it was not there between first and last."""
        return max(0.0, self.last - self.first + step - self.times * step)


class FleetFound(NamedTuple):
    """What the agents say."""

    energy: list[Cell]
    """J of all servers."""
    wall: list[Cell]
    """J at the wall of those that have such a meter and know their parts."""
    compute: list[Cell]
    """J of those servers' computing parts."""
    busy: list[Cell]
    """Server-seconds of busy CPU."""
    present: list[Cell]
    """Server-seconds over which that was seen."""
    work: dict[str, list[Cell]]
    """By unit of work."""
    servers: list[Stay]


async def find_fleet(
    engine: Engine, queries: FleetQueries, start: float, end: float, answered: Callable[[], None]
) -> FleetFound | None:
    """Ask for the agents' figures; None: there is no agent. `answered` is called after each answer.

    `start`, `end`: Unix time, multiples of the queries' step. Raises `ReportError`.
    """
    step = float(queries.step)

    async def ask(query: str, first: float, last: float) -> list[Series]:
        found = await engine.range(query, first, last, step)
        answered()
        return found

    servers = await _stays(ask, queries, HOST, start, end)
    if not servers:
        return None
    expected = _expected(servers, start, end, step)
    with_wall = _expected(await _stays(ask, queries, WALL, start, end), start, end, step)
    asked = [queries.energy(), queries.seen(), queries.gap(), queries.work()]
    asked += [queries.busy(), queries.present()]
    asked += [queries.wall(), queries.parts(), queries.walls()] if with_wall else []
    energy, seen, gap, work, busy, present, *itue = await together(
        *(_whole(ask, query, start, end, step) for query in asked)
    )
    known = {
        at: _share(_only(seen).get(at, 0.0) * step - _only(gap).get(at, 0.0), count * step)
        for at, count in expected.items()
    }
    watched = {at: _share(_only(present).get(at, 0.0), count) for at, count in expected.items()}
    wall, compute, walls = (_only(series) for series in itue) if itue else ({}, {}, {})
    both = {at: _share(walls.get(at, 0.0), count) for at, count in with_wall.items()}
    return FleetFound(
        energy=_cells(_only(energy), known, step),
        wall=_cells(wall, both, step),
        compute=_cells(compute, both, step),
        busy=_cells({at: n * step for at, n in _only(busy).items()}, watched, step),
        present=_cells({at: n * step for at, n in _only(present).items()}, watched, step),
        work={
            # an agent that is there knows of the work that it was told: none is 0
            dict(labels).get("unit", ""): _cells(dict.fromkeys(known, 0.0) | points, known, step)
            for labels, points in work.items()
        },
        servers=servers,
    )


Ask = Callable[[str, float, float], Awaitable[list[Series]]]


async def _whole(
    ask: Ask, query: str, start: float, end: float, step: float
) -> dict[Labels, Points]:
    """Ask for a query over the period, piece by piece; return points by labels."""
    found: dict[Labels, Points] = defaultdict(dict)
    for piece in await together(*(ask(query, *ends) for ends in pieces(start, end, step))):
        for series in piece:
            found[tuple(sorted(series.labels.items()))].update(series.points)
    return found


async def _stays(
    ask: Ask, queries: FleetQueries, metric: str, start: float, end: float
) -> list[Stay]:
    """Return when each server was there, at grid instants from `start` to `end`."""
    step = float(queries.step)
    # half a step: engines differ in whether a range has its left end
    spans = [(start, step / 2)]
    spans += [(last, last - first + step / 2) for first, last in pieces(start, end, step)]

    async def look(at: float, seconds: float) -> tuple[dict[Labels, float], ...]:
        asked = (queries.first, queries.last, queries.times)
        answers = await together(*(ask(query(metric, seconds), at, at) for query in asked))
        return tuple(_last_values(answer) for answer in answers)

    found: dict[Labels, Stay] = {}
    for first, last, times in await together(*(look(*span) for span in spans)):
        for labels in first.keys() & last.keys() & times.keys():
            stay = Stay(_name(labels), first[labels], last[labels], round(times[labels]))
            old = found.get(labels, stay._replace(times=0))
            found[labels] = Stay(
                stay.name,
                min(old.first, stay.first),
                max(old.last, stay.last),
                old.times + stay.times,
            )
    return sorted(found.values())


def _name(labels: Labels) -> str:
    return dict(labels).get("instance", "") or ", ".join(f"{k}={v}" for k, v in labels)


def _last_values(answer: Iterable[Series]) -> dict[Labels, float]:
    return {
        tuple(sorted(series.labels.items())): value
        for series in answer
        for value in list(series.points.values())[-1:]
    }


def _expected(servers: Iterable[Stay], start: float, end: float, step: float) -> Points:
    """Return how many servers are expected in the step that ends at each grid instant."""
    count = round((end - start) / step)
    changes = [0] * (count + 2)
    for stay in servers:
        first, last = round((stay.first - start) / step), round((stay.last - start) / step)
        if first < last:
            changes[first + 1] += 1
            changes[last + 1] -= 1
    numbers = list(accumulate(changes))
    return {start + i * step: float(numbers[i]) for i in range(1, count + 1) if numbers[i]}


def _only(series: Mapping[Labels, Points]) -> Points:
    """Return the points of a sum, which is one series without labels or none."""
    return next(iter(series.values()), {})


def _share(known: float, expected: float) -> float:
    return min(1.0, max(0.0, known / expected))


def _cells(amounts: Points, shares: Points, step: float) -> list[Cell]:
    return [
        Cell(at - step, at, amounts[at], shares[at] * step)
        for at in sorted(amounts.keys() & shares.keys())
    ]
