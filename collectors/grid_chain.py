"""Asks one provider after the other, and remembers what each has said.

The first provider that answers for a time wins; one further down is asked only while those before
it have nothing new, and its values count only where theirs are missing. Marginal intensities
(WattTime) are another thing: they neither win nor are replaced.

After a failure a provider is left alone for the interval, then twice, four times … as long, an hour
at most; for as long as it says itself (Retry-After), or 15 minutes if it refused the key. After an
outage it is asked for the whole hole, as far back as it goes.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from agent.carbon.intensity import Intensity
from agent.carbon.words import Basis, Origin
from agent.clock import Clock
from agent.collector import Problem, Transient
from collectors.grid_cache import MOST_VALUES, Memory, encode, save
from collectors.grid_provider import DAY, HOUR, Provider, Trouble, as_problem

MOST_BACK_OFF_SECONDS: Final = HOUR
RECENT_SECONDS: Final = DAY
"""So far back each question goes; further only while something is missing there, once an hour."""
FRESH_SECONDS: Final = 3 * HOUR
"""A provider whose newest value is older has no answer (ENTSO-E's come one to two hours late)."""
_SLACK: Final = 1.0


class Seat:
    """One provider in the chain."""

    def __init__(
        self, provider: Provider, memory: Memory, path: Path | None, clock: Clock, interval: float
    ) -> None:
        self.provider = provider
        self.memory = memory
        self.trouble: Transient | None = None
        """Why it gave nothing the last time."""
        self._path = path
        self._clock = clock
        self._interval = interval
        self._saved = b""
        self._failures = 0
        self._not_before = float("-inf")
        self._hole_asked = float("-inf")
        self._known = {(value.start, value.end): value for value in memory.values}

    @property
    def is_marginal(self) -> bool:
        """Whether it is about one kWh more, and not about the mix."""
        return self.provider.basis is Basis.MARGINAL

    @property
    def may_be_asked(self) -> bool:
        """Whether it is not left alone after a failure."""
        return self._clock.monotonic() >= self._not_before

    def is_fresh(self) -> bool:
        """Tell whether it has a value of now, or of shortly before."""
        now = self._clock.wall()
        return any(v.start <= now and v.end > now - FRESH_SECONDS for v in self._known.values())

    def settled(self) -> list[tuple[float, float]]:
        """Return the times of which it has a value that is no forecast, merged."""
        merged: list[tuple[float, float]] = []
        known = (v for v in self._known.values() if v.origin is not Origin.FORECAST)
        for start, end in sorted((v.start, v.end) for v in known):
            if merged and start <= merged[-1][1] + _SLACK:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    async def ask(self) -> list[Intensity]:
        """Return what is new; nothing after a failure, which is kept in `trouble`."""
        now = self._clock.wall()
        start = self._start(now)
        # Set before asking: a deadline may end this at any await, and counts as a failure.
        self._back_off(None)
        try:
            values = await self.provider.fetch(start, now)
        except Transient as error:
            self._back_off(error.wait_seconds if isinstance(error, Trouble) else None)
            self._failures += 1
            self.trouble = error
            return []
        self.trouble = None
        self._failures = 0
        self._not_before = float("-inf")
        return self._learn(values, now)

    async def save(self) -> str:
        """Keep what is known on disk; return what went wrong, "" if nothing."""
        if self._path is None:
            return ""
        newest = sorted(self._known.values(), key=lambda value: value.start)[-MOST_VALUES:]
        self.memory.values = newest
        encoded = encode(self.memory)
        if encoded == self._saved:
            return ""
        wrong = await asyncio.to_thread(save, self._path, encoded)
        self._saved = b"" if wrong else encoded
        return wrong

    def problems(self) -> list[Problem]:
        """Return why it gave nothing, or less than it should."""
        if self.trouble is not None:
            return [as_problem(self.provider.name, self.trouble)]
        return self.provider.problems()

    def _start(self, now: float) -> float:
        """Return from when on to ask: back over a hole, but that once an hour only."""
        settled = self.memory.settled_until
        recent = now - RECENT_SECONDS
        if settled is None or settled >= recent:
            return recent if settled is None else min(settled, now)
        if self._clock.monotonic() < self._hole_asked + HOUR:
            return recent
        self._hole_asked = self._clock.monotonic()
        return max(settled, now - self.provider.reach_seconds)

    def _back_off(self, wait_seconds: float | None) -> None:
        if wait_seconds is None:
            doubled = self._interval * 2.0 ** min(self._failures, 20)
            wait_seconds = min(doubled, max(MOST_BACK_OFF_SECONDS, self._interval))
        self._not_before = self._clock.monotonic() + wait_seconds

    def _learn(self, values: list[Intensity], now: float) -> list[Intensity]:
        new = []
        for value in sorted(values, key=lambda v: v.start):
            last = self._known.get((value.start, value.end))
            if last is None or _said(last) != _said(value):
                new.append(_at(value, now))
                self._known[value.start, value.end] = new[-1]
        self._advance(now)
        oldest = now - max(self.provider.reach_seconds, RECENT_SECONDS) - DAY
        self._known = {key: v for key, v in self._known.items() if v.end > oldest}
        return new

    def _advance(self, now: float) -> None:
        """Move on the moment before which nothing more is expected."""
        settled = self.memory.settled_until
        reach = now - max(self.provider.reach_seconds, RECENT_SECONDS)
        starts = sorted(start for start, _ in self._known if start >= reach)
        if settled is None:
            settled = starts[0] if starts else now - RECENT_SECONDS
        elif settled < reach:
            # The end of its reach falls within a step; the next one is the first to expect.
            settled = starts[0] if starts and starts[0] <= reach + HOUR else reach
        for start, end in sorted(self._known):
            if start > settled + _SLACK:
                break
            if self._known[start, end].origin in self.provider.settles:
                settled = max(settled, end)
        self.memory.settled_until = min(settled, now)


class Chain:
    """All providers, best first."""

    def __init__(self, seats: Iterable[Seat]) -> None:
        self.seats = tuple(seats)
        self._file_problems: list[Problem] = []

    async def ask(self, new: list[Intensity]) -> None:
        """Add what is new from all that had to be asked; it stays if a deadline ends this."""
        covered: list[tuple[float, float]] = []
        answered = False
        for seat in self.seats:
            if seat.is_marginal:
                if seat.may_be_asked:
                    new += await seat.ask()
                continue
            if not answered and seat.may_be_asked:
                new += [value for value in await seat.ask() if not _within(value, covered)]
            answered = answered or (seat.trouble is None and seat.is_fresh())
            covered += seat.settled()
        self._file_problems = []
        for seat in self.seats:
            if wrong := await seat.save():
                self._file_problems.append(Problem(seat.provider.name, wrong, reason="io"))

    def remembered(self) -> list[Intensity]:
        """Return what was kept of an earlier run."""
        kept: list[Intensity] = []
        covered: list[tuple[float, float]] = []
        for seat in self.seats:
            if seat.is_marginal:
                kept += seat.memory.values
                continue
            kept += [value for value in seat.memory.values if not _within(value, covered)]
            covered += seat.settled()
        return kept

    def problems(self) -> list[Problem]:
        """Return what of the chain does not work now."""
        return [p for seat in self.seats for p in seat.problems()] + self._file_problems


def _within(value: Intensity, covered: list[tuple[float, float]]) -> bool:
    return any(
        start <= value.start + _SLACK and value.end <= end + _SLACK for start, end in covered
    )


def _said(value: Intensity) -> tuple[object, ...]:
    return value.grams_per_kwh, value.origin, value.source, value.zone


def _at(value: Intensity, now: float) -> Intensity:
    return replace(value, fetched_at=now)
