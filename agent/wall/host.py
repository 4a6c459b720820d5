"""The host's energy at each moment: the wall's where a source of it has some, else its parts'.

Which of the two is known only once the wall's next sample is there, so the parts' energy waits
for it. Without a wall nothing waits, and nothing here costs more than a look.
"""

from collections.abc import Iterable, Sequence

from agent.meter.state import StreamIdentity
from agent.meter.stream import Stream
from agent.meter.walls import COMPUTE, Posted, Walls
from agent.quantities import Component, Quality
from agent.ranges import FOREVER, Range, Union, intersect, subtract
from agent.wall.cells import Cells, Lot
from agent.wall.cover import Cover, coverage, decided
from agent.wall.periods import LastMinute, Periods
from agent.wall.state import OTHERS, QUALITIES, HostState, Told

Unfilled = tuple[Component, Range, list[Range]]


class HostEnergy:
    """Fed with what the meter posts; pure, as the meter is."""

    def __init__(self, walls: Walls, state: HostState) -> None:
        """Go on from `state`; see `HostState` for its beginning."""
        self.state = state
        self._walls = walls
        self._cells = Cells(state)
        self.periods = Periods(state, walls)
        self._covered = Union(state.covered)
        self._gaps = Union(state.gaps)
        self._known: dict[int, tuple[int, Stream]] = {}
        """Column and stream by the identity of its identity: the meter keeps them all."""
        self._ratios: dict[int, float] = {}
        """The last half-width of each part's uncertainty, as a share, likewise."""
        self._asked: tuple[float, int] | None = None
        self._taken = 0
        """Pieces of the wall's energy so far."""
        self.posted: list[Told] = []
        """See `Accounts.host_posted`; the caller clears it."""
        self.whole: list[tuple[float, float, float]] = []
        """From, until, J of the host, each moment once and none with a gap; as above."""

    def take(self, posted: Iterable[Posted], unfilled: Iterable[Unfilled], now: float) -> None:
        """Take what the meter has counted, and the holes that it knows nobody filled."""
        self._cells.coarsen(now)
        done = self.state.done
        for identity, start, until, joules in posted:
            if until <= start:
                continue
            column, stream = self._about(identity)
            half_width = joules * self._ratio(identity, stream)
            if column < 0:
                index = self._walls.index_of(identity)
                self.state.pieces.append((index, start, until, joules, half_width))
                self._taken += 1
                continue
            if until <= done:
                self._take_late(column, start, until, joules, half_width)
            elif start < done:
                late = (done - start) / (until - start)
                self._take_late(column, start, done, joules * late, half_width * late)
                rest = 1 - late
                self._cells.add(column, done, until, joules * rest, half_width * rest)
            else:
                self._cells.add(column, start, until, joules, half_width)
        for component, (start, until), _ in unfilled:
            self._take_hole(start, until, computes=component in COMPUTE)

    def settle(self, now: float) -> None:
        """Decide what can be decided at `now`."""
        self._decide_until(min(self._walls.known_until(), now))
        if self.state.periods and self.periods.close(self.posted):
            self._forget()

    def end_boot(self, end: float, start: float) -> None:
        """Decide everything up to the `end` of a boot; the next one's time begins at `start`."""
        state = self.state
        covers = coverage(state.pieces, self._walls, state.done)
        self._decide(FOREVER, covers, max(end, state.done))
        self.periods.close_all(self.posted)
        self.periods.forget()
        state.done, state.begun = start // 1.0, start
        state.holes, state.gaps, state.covered = [], [], []
        self._covered, self._gaps, self._asked = Union(), Union(), None
        self._cells = Cells(state)

    def last_minute(self, now: float) -> LastMinute | None:
        """Return what the last whole minute showed."""
        return self.periods.last(now)

    # -- inside -------------------------------------------------------------------------------

    def _decide_until(self, known: float) -> None:
        if (known, self._taken) == self._asked:
            return  # nothing has been said since
        self._asked = (known, self._taken)
        state = self.state
        covers = coverage(state.pieces, self._walls, state.done)
        edge = self._cells.edge(decided(covers, state.done, known))
        if edge > state.done:
            self._decide(edge, covers, edge)

    def _decide(self, edge: float, covers: Sequence[Cover], end: float) -> None:
        """Count everything up to an edge between two cells; `end`: what then is decided."""
        state = self.state
        since, before = state.done, sum(state.joules.values())
        together = Union()
        for a, b, team in covers:
            if a < edge:
                together.add(a, min(b, edge))
                self._count_wall(a, min(b, edge), team.indices)
        for lot in self._cells.take(since, edge):
            self._count_lot(lot, together.ranges)
        is_whole = not self._find_gaps(since, end, together.ranges)
        for start, until in together.ranges:
            self._covered.add(start, until)
        state.covered, state.done = self._covered.ranges, end
        state.pieces = [piece for piece in state.pieces if piece[2] > edge]
        oldest = min([end, *(period.start for period in state.periods)])
        state.holes = [hole for hole in state.holes if hole[1] > oldest]
        joules = sum(state.joules.values()) - before
        self.posted.append(("energy", since, end, joules))
        if is_whole:
            self.whole.append((since, end, joules))

    def _count_wall(self, start: float, until: float, indices: Sequence[int]) -> None:
        for index, begin, end, joules, half_width in self.state.pieces:
            a, b = max(start, begin), min(until, end)
            if index not in indices or b <= a:
                continue
            share = (b - a) / (end - begin)
            self._add(self._walls.stream(index).identity.quality, joules * share)
            for period, c, d in self.periods.spread(a, b):
                period.wall += joules * ((d - c) / (end - begin))
                period.half_width += half_width * ((d - c) / (end - begin))
        for period, c, d in self.periods.spread(start, until):
            period.covered += d - c

    def _count_lot(self, lot: Lot, covered: Sequence[Range]) -> None:
        length = lot.until - lot.start
        inside = 0.0
        for start, until in intersect([(lot.start, lot.until)], covered):
            for period, c, d in self.periods.spread(start, until):
                share = (d - c) / length
                inside += share
                period.half_width += lot.half_width * share
                for column, joules in enumerate(lot.joules):
                    period.parts[column] += joules * share
        if inside < 1:
            for column, joules in enumerate(lot.joules):
                if joules:
                    self._add(QUALITIES[column % OTHERS], joules * (1 - inside))

    def _take_late(
        self, column: int, start: float, until: float, joules: float, half_width: float
    ) -> None:
        """Take energy of a part of a time that is decided."""
        there = intersect([(start, until)], self._covered.ranges)
        for a, b in there:
            self._set_off(column, a, b, joules * ((b - a) / (until - start)), half_width)
        if there == [(start, until)]:
            return
        outside = joules * (1 - sum(b - a for a, b in there) / (until - start))
        if outside > 0:
            self._add(QUALITIES[column % OTHERS], outside)
            self.posted.append(("energy", start, until, outside))

    def _set_off(
        self, column: int, start: float, until: float, joules: float, half_width: float
    ) -> None:
        """Set late energy of a part off against the wall's, which had it."""
        open_joules = 0.0
        for period in self.state.periods:
            overlap = min(until, period.until) - max(start, period.start)
            if overlap > 0:
                share = overlap / (until - start)
                period.parts[column] += joules * share
                period.half_width += half_width * share
                open_joules += joules * share
        # in a minute that is closed so much of what was left over was this part's
        self.state.excess += max(0.0, joules - open_joules)

    def _take_hole(self, start: float, until: float, *, computes: bool) -> None:
        state = self.state
        holes, done = state.holes, state.done
        if holes and holes[-1][1:] == (start, computes):
            holes[-1] = (holes[-1][0], until, computes)
        else:
            holes.append((start, until, computes))
        if start < done:
            self._count_gaps(subtract([(start, min(until, done))], self._covered.ranges))

    def _find_gaps(self, since: float, until: float, covered: Sequence[Range]) -> bool:
        """Count the time in which neither the wall nor all parts had a figure; tell of any."""
        window = [(since, until)]
        dark = intersect(self._walls.parts_away(), [(max(since, self.state.begun), until)])
        for start, end, _ in self.state.holes:
            dark += intersect([(start, end)], window)
        rest = [r for one in dark for r in subtract([one], covered)]
        self._count_gaps(rest)
        return bool(rest)

    def _count_gaps(self, dark: Iterable[Range]) -> None:
        for start, until in dark:
            self.state.gap_seconds += self._gaps.add(start, until)
        self.state.gaps = self._gaps.ranges

    def _forget(self) -> None:
        """Forget what nothing to come can touch."""
        state = self.state
        known = min(self._walls.parts_known_until(), state.done)
        self._covered.forget(known)
        self._gaps.forget(known)
        state.covered, state.gaps = self._covered.ranges, self._gaps.ranges

    def _about(self, identity: StreamIdentity) -> tuple[int, Stream]:
        about = self._known.get(id(identity))
        if about is None:
            column = QUALITIES.index(identity.quality)
            if identity.component == Component.HOST:
                column = -1
            elif identity.component not in COMPUTE:
                column += OTHERS
            stream = self._walls.stream(self._walls.index_of(identity))
            about = self._known[id(identity)] = (column, stream)
        return about

    def _ratio(self, identity: StreamIdentity, stream: Stream) -> float:
        if stream.watts:
            ratio = self._ratios[id(identity)] = stream.half_width / stream.watts
            return ratio
        return self._ratios.get(id(identity), 0.0)

    def _add(self, quality: Quality, joules: float) -> None:
        self.state.joules[quality] = self.state.joules.get(quality, 0.0) + joules
