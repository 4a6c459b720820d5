"""What becomes of energy that two sources claim, and what nobody had.

A blocked stream's energy counts where every better source turned out to have a gap. Whether it
had one may be known only later (a counter can bridge a long silence), so until then the energy
is pending, and the better source's holes are remembered until all who might fill them are heard.
"""

from collections.abc import Sequence
from typing import Final

from agent.meter import teams
from agent.meter.arbitration import Arrangement
from agent.meter.state import StreamState
from agent.meter.stream import Stream
from agent.quantities import Component
from agent.ranges import FOREVER, intersect, subtract

Piece = tuple[float, float, float]
"""From, until, joules."""
FINE: Final = 16
"""The newest pending pieces are kept one by one; older neighbours are merged."""
MAX_PENDING: Final = 256


def hold_back(state: StreamState, piece: Piece) -> None:
    """Keep energy until it is known whether a better source has it."""
    pending = state.pending
    pending.append(piece)
    for older in range(len(pending) - FINE):
        start, middle, joules = pending[older]
        begin, until, more = pending[older + 1]
        if middle == begin:
            pending[older : older + 2] = [(start, until, joules + more)]
            return
    if len(pending) > MAX_PENDING:
        del pending[0]


def release(index: int, streams: Sequence[Stream], arrangement: Arrangement) -> list[Piece]:
    """Take out and return a stream's pending energy that counts; drop what a better source has."""
    state = streams[index].state
    pieces = state.pending
    known = FOREVER
    for b in arrangement.blockers[index]:
        better = streams[b]
        until = better.known_until()
        known = min(known, until)
        start, end = better.state.away[-1]
        if end <= pieces[0][0] and not better.state.holes:  # the usual case: it was always there
            pieces = _after(pieces, until)
        elif start > pieces[0][0] or end < FOREVER:
            pieces = _clip(pieces, better.open_to_others())
        if not pieces:
            break
    for team in arrangement.gives_way[index]:
        if not pieces:
            break
        known = min([known, *(streams[i].known_until() for i in team.indices)])
        had = teams.usual(team, streams, pieces[0][0])
        if had is None:
            pieces = _clip(pieces, teams.open_to_others(team, streams))
        else:
            pieces = _after(pieces, had)
    state.pending = _after(pieces, known)
    return _clip(pieces, [(-FOREVER, known)]) if pieces and pieces[0][0] < known else []


def share(piece: Piece, start: float, until: float) -> Piece:
    """Return the part of a piece from `start` to `until`, which lie within it."""
    begin, end, joules = piece
    return start, until, joules * ((until - start) / (end - begin))


def unfilled(
    group: Sequence[int], streams: Sequence[Stream], arrangement: Arrangement
) -> list[tuple[int, float, float]]:
    """Take out the holes of a group of streams that no other stream filled.

    Returns stream, from, until. Looks only as far as the fate of all of them is known; what is
    later stays for a later call. A hole of the whole server's meter is none of a part.
    """
    if not any(streams[i].state.holes for i in group):
        return []
    known = min(streams[i].known_until() for i in group)
    found: list[tuple[int, float, float]] = []
    for index in group:
        if streams[index].identity.component == Component.HOST:
            continue
        holes = intersect(streams[index].state.holes, [(-FOREVER, known)])
        for team in arrangement.gives_way[index] if holes else ():
            holes = intersect(holes, teams.open_to_others(team, streams))
        for b in arrangement.blockers[index]:
            holes = intersect(holes, streams[b].state.away)
        for f in arrangement.fallbacks[index]:
            if not holes:
                break
            filled = holes
            for b in arrangement.blockers[f]:
                filled = intersect(filled, streams[b].open_to_others())
            holes = subtract(holes, subtract(filled, streams[f].open_to_others()))
        found += [(index, start, until) for start, until in holes]
    for index in group:
        state = streams[index].state
        if state.holes:
            state.holes = intersect(state.holes, [(known, FOREVER)])
    return found


def _after(pieces: list[Piece], moment: float) -> list[Piece]:
    later = [piece for piece in pieces if piece[1] > moment]
    if later and later[0][0] < moment:
        later[0] = share(later[0], moment, later[0][1])
    return later


def _clip(pieces: Sequence[Piece], ranges: Sequence[tuple[float, float]]) -> list[Piece]:
    return [
        share(piece, max(piece[0], start), min(piece[1], until))
        for piece in pieces
        for start, until in ranges
        if max(piece[0], start) < min(piece[1], until)
    ]
