"""Which of several sources that see the same thing counts.

A counter before a sensor before a model; the others are a second opinion. Two sources overlap if
they are different collectors and speak of the same component of which a server has one
(cpu, dram, platform) or of the same device of a component of which it has many (gpu, storage, …).
The whole server (host) is no part: `agent/meter/teams.py` says what gives way to its meters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.meter.state import StreamIdentity
from agent.meter.teams import Team, gives_way, teams
from agent.preference import source_rank, wall_rank
from agent.quantities import Component, Quality

WHOLE: Final = frozenset({Component.CPU, Component.DRAM, Component.PLATFORM})
"""Components whose devices two collectors may name differently and still mean the same."""
OUT_OF_BAND: Final = frozenset({"redfish", "ipmi"})
"""A BMC names devices its own way, so it overlaps with the whole component."""
ALL: Final = "all"
_QUALITY_RANK: Final = {Quality.MEASURED: 0, Quality.INTEGRATED: 1, Quality.ESTIMATED: 2}


def rank(stream: StreamIdentity) -> tuple[int, tuple[int, str]]:
    """Return a sort key, best first."""
    of_source = wall_rank if stream.component == Component.HOST else source_rank
    return _QUALITY_RANK[stream.quality], of_source(stream.source)


def is_inside_package(stream: StreamIdentity) -> bool:
    """Tell RAPL's core and uncore, which package contains (Intel SDM vol. 3B, 16.10.1)."""
    return stream.source == "rapl" and stream.device.startswith(("core", "uncore"))


def is_psys(stream: StreamIdentity) -> bool:
    """Tell RAPL's psys, which contains package."""
    return stream.source == "rapl" and stream.device.startswith("psys")


def never_counted(streams: Sequence[StreamIdentity]) -> set[int]:
    """Return the indices of streams that are only ever a second opinion."""
    packages = any(s.source == "rapl" and s.device.startswith("package") for s in streams)
    return {
        i
        for i, s in enumerate(streams)
        if not s.counted or is_inside_package(s) or (packages and is_psys(s))
    }


def blockers(index: int, streams: Sequence[StreamIdentity], left_out: set[int]) -> list[int]:
    """Return the streams that count instead of this one for as long as they have a figure.

    Of a better source that knows the same device, only that device; else all it has of the
    component.
    """
    me = streams[index]
    by_source: dict[tuple[str, Quality], list[int]] = {}
    for i, other in enumerate(streams):
        if i == index or i in left_out or other.component != me.component:
            continue
        if (other.source, other.quality) == (me.source, me.quality) or rank(other) >= rank(me):
            continue
        if _overlap(me, other):
            by_source.setdefault((other.source, other.quality), []).append(i)
    found: list[int] = []
    for candidates in by_source.values():
        same = [i for i in candidates if streams[i].device == me.device]
        found += same or candidates
    return found


def _overlap(a: StreamIdentity, b: StreamIdentity) -> bool:
    if a.source == b.source:  # one collector that has a counter and a sensor for one device
        return a.device == b.device
    if a.component == Component.HOST:
        return False  # whole sources give way to each other there, see teams.py
    return (
        a.component in WHOLE
        or a.device == b.device
        or ALL in (a.device, b.device)
        or bool(OUT_OF_BAND.intersection((a.source, b.source)))
    )


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Who gives way to whom, by index."""

    left_out: set[int]
    """Only ever a second opinion."""
    blockers: list[list[int]]
    fallbacks: list[list[int]]
    """The inverse: those that step in when a stream is dark."""
    groups: list[list[int]]
    """Streams that have to do with each other; none that is left out is in one."""
    teams: list[Team]
    """The sources of the whole server, best first."""
    gives_way: list[list[Team]]
    """Those of them that count instead of a stream for as long as they have the whole server."""

    def stands_in(self, wall: int) -> list[int]:
        """Return the streams that give way to a meter of the whole server."""
        return [i for i, way in enumerate(self.gives_way) if any(wall in t.indices for t in way)]


def arrange(streams: Sequence[StreamIdentity]) -> Arrangement:
    """Work out who gives way to whom."""
    everyone = range(len(streams))
    left_out = never_counted(streams)
    blocked_by = [[] if i in left_out else blockers(i, streams, left_out) for i in everyone]
    walls = teams(streams, left_out, rank)
    way = [[] if i in left_out else gives_way(s, walls) for i, s in enumerate(streams)]
    fallbacks: list[list[int]] = [[] for _ in everyone]
    group_of = list(everyone)
    for index, by in enumerate(blocked_by):
        of_teams = [i for team in way[index] for i in team.indices]
        for blocker in by:
            fallbacks[blocker].append(index)
        for other in (*by, *of_teams):
            old, new = group_of[index], group_of[other]
            group_of = [new if group == old else group for group in group_of]
    members: dict[int, list[int]] = {}
    for index in everyone:
        if index not in left_out:
            members.setdefault(group_of[index], []).append(index)
    return Arrangement(left_out, blocked_by, fallbacks, list(members.values()), walls, way)
