"""An amount of work and the energy it took, of the same time and the same devices."""

from collections import deque
from typing import Final

import msgspec

from agent.ranges import Range, subtract
from agent.work.energy import EnergyBook, NotKnown, Scope

WINDOW_SECONDS: Final = 60.0
JOIN_SECONDS: Final = 5.0
"""Of many that wait, those that follow each other faster than this are taken together."""
FEW: Final = 8
MAX_WAITING: Final = 64
"""Intervals whose energy is not known yet."""
MAX_SECONDS: Final = 3600.0
"""Of a longer interval the energy is not remembered."""


class Rate(msgspec.Struct, frozen=True):
    """What was done over a window."""

    amount: float
    joules: float
    seconds: float
    """Time in which it was done; time without work that anybody reported is not in it."""


class _Point(msgspec.Struct, frozen=True, gc=False):
    start: float
    until: float
    amount: float
    joules: float
    seconds: float
    """The last three: sums since the beginning, up to `until`."""


class Efficiency:
    """Amount and energy of one kind of work in one scope over the last minute.

    Where intervals overlap (two programs that do the same work, tokens read and tokens written),
    amounts add up and the energy of the time counts once.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._waiting: deque[tuple[float, float, float]] = deque()
        self._covered: list[Range] = []
        self._points: deque[_Point] = deque()
        self._sums = (0.0, 0.0, 0.0)

    def add(self, start: float, until: float, amount: float) -> None:
        """Add work done from `start` to `until`, in s of CLOCK_BOOTTIME."""
        if not 0 < until - start <= MAX_SECONDS:
            return
        if len(self._waiting) > FEW:
            a, b, before = self._waiting[-1]
            if b == start and until - a <= JOIN_SECONDS:
                self._waiting[-1] = (a, until, before + amount)
                return
        self._waiting.append((start, until, amount))
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()

    def settle(self, book: EnergyBook, now: float) -> None:
        """Match with its energy what can be matched by now. What has none is left out of both."""
        waiting = self._waiting
        while waiting:
            start, until, amount = waiting[0]
            fresh = subtract([(start, until)], self._covered)
            joules = seconds = 0.0
            known = True
            for a, b in fresh:
                part = book.between(self.scope, a, b, now)
                if part is NotKnown.YET:
                    return
                if part is NotKnown.EVER:
                    known = False
                    break
                assert isinstance(part, float)
                joules += part
                seconds += b - a
            waiting.popleft()
            if known:
                self._take(start, until, amount, joules, seconds)

    def rate(self, now: float) -> Rate | None:
        """Return what the last minute brought, or the last interval if it was longer."""
        points = self._points
        if not points:
            return None
        newest = points[-1]
        if now - newest.until > max(WINDOW_SECONDS, newest.until - newest.start):
            return None
        base = points[0]
        joules = newest.joules - base.joules
        if joules <= 0 or newest is base:
            return None
        return Rate(newest.amount - base.amount, joules, newest.seconds - base.seconds)

    def _take(
        self, start: float, until: float, amount: float, joules: float, seconds: float
    ) -> None:
        points = self._points
        if not points:
            points.append(_Point(start, start, *self._sums))
        done, used, time = self._sums
        self._sums = (done + amount, used + joules, time + seconds)
        points.append(_Point(start, until, *self._sums))
        # the first point is where the window begins: the newest that is outside of it
        while len(points) > 2 and points[1].until <= until - WINDOW_SECONDS:
            points.popleft()
        horizon = until - 2 * WINDOW_SECONDS
        self._covered = [r for r in self._covered if r[1] > horizon]
        self._covered += [] if not seconds else [(start, until)]
        if len(self._covered) > 1:
            self._covered = _joined(self._covered)


def _joined(ranges: list[Range]) -> list[Range]:
    joined: list[Range] = []
    for start, until in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], until))
        else:
            joined.append((start, until))
    return joined
