"""When the wall had the whole server, as far as its energy has come in."""

from collections.abc import Sequence

from agent.meter.teams import EVER, Team
from agent.meter.walls import Walls
from agent.ranges import FOREVER, Range, Union, intersect, subtract
from agent.wall.state import Piece

Cover = tuple[float, float, Team]
"""From, until, whose energy the host's is."""


def coverage(pieces: Sequence[Piece], walls: Walls, since: float) -> list[Cover]:
    """Return when which team had the whole server, after `since`, in the order of time."""
    left: list[Range] = [(since, FOREVER)]
    found: list[Cover] = []
    for team in walls.teams if pieces else ():
        ranges = intersect(_of_team(team, pieces, walls), left)
        left = subtract(left, ranges)
        found += [(start, until, team) for start, until in ranges]
    return sorted(found, key=lambda cover: cover[0])


def decided(covers: Sequence[Cover], since: float, known: float) -> float:
    """Return until when it is decided whose energy the host's is.

    Where a team has the whole server it is; where none has, only up to where all were heard.
    """
    at = since
    for start, until, _ in covers:
        if start > at and start > known:
            break
        at = until
    return max(at, known)


def _of_team(team: Team, pieces: Sequence[Piece], walls: Walls) -> list[Range]:
    ranges, some = EVER, Union()
    for meter in team.meters:
        mine = Union(walls.away(meter) if len(team.meters) > 1 else ())
        for index, start, until, _, _ in pieces:
            if index in meter:
                mine.add(start, until)
                some.add(start, until)
        ranges = intersect(ranges, mine.ranges)
    return intersect(ranges, some.ranges)
