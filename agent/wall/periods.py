"""The wall against its parts, minute by minute: what is left over, and what cannot be."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from agent.meter.walls import Walls
from agent.quantities import Quality
from agent.wall.state import COLUMNS, MINUTE, OTHERS, QUALITIES, HostState, Period, Told

WAIT_SECONDS: Final = 600.0
"""A part that says nothing for longer is not waited for; what it says later goes to the excess."""
LONG_SECONDS: Final = 3600.0
"""What lasts longer is set against its parts as a whole."""
STALE_SECONDS: Final = 300.0
"""A minute that ended longer ago is not the last any more."""
ROUNDING_SECONDS: Final = 1e-6


class LastMinute(NamedTuple):
    """What the last whole minute showed."""

    until: float
    parts_exceed_wall: bool
    itue: tuple[float, Quality] | None
    """Energy of the whole server over that of what computes, and the worst quality in it."""


class Periods:
    """The minutes that are not closed yet, and what the last one said."""

    def __init__(self, state: HostState, walls: Walls) -> None:
        self._state = state
        self._walls = walls
        self._last: LastMinute | None = None
        self._itue: tuple[float, tuple[float, Quality]] | None = None

    def spread(self, start: float, until: float) -> Iterator[tuple[Period, float, float]]:
        """Yield the periods that a time touches, with the time in each."""
        while start < until:
            period = self.find(start) or self._begin(start, until)
            end = min(until, period.until)
            yield period, start, end
            start = end

    def _begin(self, start: float, until: float) -> Period:
        """Begin the minute of a moment, or one long period; none overlaps another."""
        periods = self._state.periods
        minute = start // MINUTE * MINUTE
        begin, end = minute, minute + MINUTE
        if until - start > LONG_SECONDS:
            begin, end = start, until
        begin = max([begin, *(p.until for p in periods if p.until <= start)])
        end = min([end, *(p.start for p in periods if p.start > start)])
        period = Period(begin, end, parts=[0.0] * COLUMNS)
        periods.append(period)
        return period

    def find(self, moment: float) -> Period | None:
        """Return the open period of a moment."""
        for period in reversed(self._state.periods):
            if period.start <= moment < period.until:
                return period
        return None

    def close(self, told: list[Told]) -> bool:
        """Close what is decided and of which all parts are heard; tell whether any was.

        Leaves the energy of each complete minute in `told`.
        """
        state = self._state
        over = [period for period in state.periods if period.until <= state.done]
        if not over:
            return False
        known = self._walls.parts_known_until()
        over = [p for p in over if p.until <= known or state.done - p.until > WAIT_SECONDS]
        for period in over:
            self._close(period, known, told)
        state.periods = [period for period in state.periods if period not in over]
        return bool(over)

    def close_all(self, told: list[Told]) -> None:
        """Close everything: the boot is over."""
        known = self._walls.parts_known_until()
        for period in self._state.periods:
            self._close(period, known, told)
        self._state.periods = []

    def last(self, now: float) -> LastMinute | None:
        """Return what the last whole minute showed, and the last ITUE."""
        last = self._last
        if last is None or now - last.until > STALE_SECONDS:
            return None
        itue = self._itue
        fresh = itue is not None and now - itue[0] <= STALE_SECONDS
        return last._replace(itue=itue[1] if itue is not None and fresh else None)

    def forget(self) -> None:
        """Forget the last minute: it was of another boot."""
        self._last = self._itue = None

    def _close(self, period: Period, known: float, told: list[Told]) -> None:
        state = self._state
        parts = sum(period.parts)
        if period.wall >= parts:
            state.unattributed += period.wall - parts
        else:
            state.excess += parts - period.wall
        is_minute = period.until - period.start == MINUTE
        if not is_minute or period.covered < MINUTE - ROUNDING_SECONDS:
            return
        exceeds = parts - period.wall > period.half_width
        self._last = LastMinute(period.until, exceeds, None)
        compute = sum(period.parts[:OTHERS])
        if compute > 0 and period.until <= known and self._is_complete(period):
            worst = max(i for i in range(OTHERS) if period.parts[i])
            self._itue = (period.until, (period.wall / compute, QUALITIES[worst]))
            told.append(("wall", period.start, period.until, period.wall))
            told.append(("compute", period.start, period.until, compute))

    def _is_complete(self, period: Period) -> bool:
        """Tell whether everything that computes had a figure all the time."""
        dark = any(
            start < period.until and period.start < until and computes
            for start, until, computes in self._state.holes
        )
        return not dark and self._walls.computes_all_of(period.start, period.until)
