"""The meters of the whole server: which of them belong together, and what gives way to them.

A source may see a server through several meters: an outlet for each of its supplies, or a counter
and a sensor of one meter. Only all the meters of a source together are the server, so they are a
team: it has the whole server at a moment where each of its meters that was there has a figure.
Sources give way to each other as teams, and the modelled rest of the server (platform) gives way
to all of them, because what they measure has the real rest in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agent.meter.state import StreamIdentity
from agent.meter.stream import Stream
from agent.quantities import Component, Quality
from agent.ranges import FOREVER, Range, Union, intersect, subtract

EVER: list[Range] = [(-FOREVER, FOREVER)]


@dataclass(frozen=True, slots=True)
class Team:
    """One source of the whole server."""

    source: str
    meters: tuple[tuple[int, ...], ...]
    """Indices of streams: for each device its counter, its sensor, or both."""

    @property
    def indices(self) -> list[int]:
        """All its streams."""
        return [index for meter in self.meters for index in meter]


def teams(
    streams: Sequence[StreamIdentity],
    left_out: set[int],
    rank: Callable[[StreamIdentity], Any],
) -> list[Team]:
    """Return the teams, best first: a team is as good as its best stream."""
    found: dict[str, dict[str, list[int]]] = {}
    for index, stream in enumerate(streams):
        if stream.component == Component.HOST and index not in left_out:
            found.setdefault(stream.source, {}).setdefault(stream.device, []).append(index)
    made = [Team(source, tuple(map(tuple, by.values()))) for source, by in found.items()]
    return sorted(made, key=lambda team: min(rank(streams[i]) for i in team.indices))


def gives_way(stream: StreamIdentity, walls: Sequence[Team]) -> list[Team]:
    """Return the teams that a stream gives way to: a team to its betters, the model to all."""
    if stream.component == Component.HOST:
        sources = [team.source for team in walls]
        return list(walls[: sources.index(stream.source)])
    modelled_rest = stream.component == Component.PLATFORM and stream.quality is Quality.ESTIMATED
    return list(walls) if modelled_rest else []


def has_figure(team: Team, streams: Sequence[Stream]) -> bool:
    """Tell whether a team has the power of the whole server now."""
    there = [meter for meter in team.meters if any(not streams[i].state.retired for i in meter)]
    return bool(there) and all(any(streams[i].watts is not None for i in meter) for meter in there)


def is_there(team: Team, streams: Sequence[Stream]) -> bool:
    """Tell whether any of a team is not retired."""
    return any(not streams[i].state.retired for i in team.indices)


def away(meter: Sequence[int], streams: Sequence[Stream]) -> list[Range]:
    """Return when a meter was not there at all."""
    ranges = EVER
    for index in meter:
        ranges = intersect(ranges, streams[index].state.away)
    return ranges


def open_to_others(team: Team, streams: Sequence[Stream]) -> list[Range]:
    """Return when a team does not have the whole server, as far as that is known."""
    nobody, found = EVER, Union()
    for meter in team.meters:
        absent, dark = away(meter, streams), EVER
        for index in meter:
            dark = intersect(dark, streams[index].open_to_others())
        nobody = intersect(nobody, absent)
        for start, until in subtract(dark, absent):
            found.add(start, until)
    for start, until in nobody:
        found.add(start, until)
    return found.ranges


def usual(team: Team, streams: Sequence[Stream], since: float) -> float | None:
    """Return until when a team had the whole server all the time, where that is plain.

    None where one of its streams came, went or was dark after `since`.
    """
    end = FOREVER
    for meter in team.meters:
        last = -FOREVER
        for index in meter:
            stream = streams[index]
            if stream.state.holes or not stream.state.away or stream.state.away[-1][1] > since:
                return None
            last = max(last, stream.known_until())
        end = min(end, last)
    return end
