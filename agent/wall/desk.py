"""Where the meter's postings are handed on to: the host's energy, and the book of work's energy."""

from typing import Final

from agent.meter import Meter
from agent.quantities import Quality
from agent.wall.book import WalledBook
from agent.wall.host import HostEnergy
from agent.wall.state import HostState, Told
from agent.work import Tally

LATE_SECONDS: Final = 10.0
"""Energy of a time so long before the last settling is not told as that of the newest time."""


class HostDesk:
    """Without a wall all that counts is the host's at once; with one, `HostEnergy` decides."""

    def __init__(
        self, meter: Meter, tally: Tally, state: HostState | None, *, match_work: bool
    ) -> None:
        self._meter = meter
        self._tally = tally
        self._match_work = match_work
        self._book: WalledBook | None = None
        self._skip = 0
        """Postings that were in the sums when the first wall came."""
        self._told_until = meter.state.boottime if meter.state.boot_id else None
        self._told: list[Told] | None = None
        self.energy: HostEnergy | None = None
        if match_work:
            meter.posted = []
        meter.wall_begins, meter.boot_ends = self._begin, self._end_boot
        if state is not None:
            self._use(state)
        elif meter.has_wall:  # a ledger from before there were walls has none, so: a lost state
            self._begin(meter.state.boottime)

    @property
    def told(self) -> list[Told] | None:
        """See `Accounts.host_posted`."""
        return self._told

    @told.setter
    def told(self, told: list[Told] | None) -> None:
        self._told = told
        if self._meter.posted is None and told is not None:
            self._meter.posted = []

    @property
    def state(self) -> HostState | None:
        """What the ledger must keep, with all that was counted since the last settling."""
        self.hand_on(self._meter.state.boottime)
        return None if self.energy is None else self.energy.state

    def settle(self, now: float) -> None:
        """Hand on, and decide what can be decided at `now`."""
        self.hand_on(now)
        if self.energy is not None:
            self.energy.settle(now)
            self._tell_on(self.energy)

    def hand_on(self, now: float) -> None:
        """Hand on what the meter has posted since the last call."""
        posted, unfilled = self._meter.posted, self._meter.unfilled
        if posted is None:
            return
        if self._match_work:
            post = self._tally.book.post
            for who, start, until, joules in posted:
                post(who.component, who.device, start, until, joules)
        if self.energy is not None:
            self.energy.take(posted[self._skip :], unfilled or (), now)
            self._tell_on(self.energy)
            if unfilled:
                unfilled.clear()
        elif self._told is not None:
            self._tell_parts(now)
        self._skip = 0
        posted.clear()

    def _tell_parts(self, now: float) -> None:
        """Tell the parts' energy: what is of the newest time in one sum, which costs less."""
        assert self._meter.posted is not None
        assert self._told is not None
        since = now if self._told_until is None else self._told_until
        newest = 0.0
        for _, start, until, joules in self._meter.posted:
            if start >= since - LATE_SECONDS:
                newest += joules
            else:
                self._told.append(("energy", start, until, joules))
        if newest:
            self._told.append(("energy", since, now, newest))
        self._told_until = now

    def _tell_on(self, energy: HostEnergy) -> None:
        if self._book is not None:
            for interval in energy.whole:
                self._book.post_host(*interval)
        if self._told is not None:
            self._told += energy.posted
        energy.whole.clear()
        energy.posted.clear()

    def _begin(self, since: float) -> None:
        """A wall is there: go on from the sum of the parts, which was the host's energy so far."""
        meter = self._meter
        if meter.posted is None:
            meter.posted = []
        elif self._told is not None:
            self._tell_parts(since)
        self._skip = len(meter.posted)
        sums: dict[Quality, float] = {}
        for identity, joules in meter.walls.joules_of_parts():
            if joules:
                sums[identity.quality] = sums.get(identity.quality, 0.0) + joules
        self._use(
            HostState(
                since // 1.0,
                since,
                sums,
                meter.state.host_gap_seconds,
                gaps=list(meter.state.host_gap_ranges),
            )
        )

    def _use(self, state: HostState) -> None:
        meter = self._meter
        if meter.posted is None:
            meter.posted = []
        meter.unfilled = []
        self.energy = HostEnergy(meter.walls, state)
        if self._match_work:
            self._tally.book = self._book = WalledBook(self._tally.book)

    def _end_boot(self, end: float, start: float) -> None:
        """Count what is left of a boot; what is told of it is in its own times."""
        if self.energy is None:
            if self._told is not None:
                self._tell_parts(end)
        else:
            self.energy.take(
                (self._meter.posted or [])[self._skip :], self._meter.unfilled or (), end
            )
            self.energy.end_boot(end, start)
            self._tell_on(self.energy)
        self._skip = 0
        if self._meter.posted is not None:
            self._meter.posted.clear()
        if self._meter.unfilled is not None:
            self._meter.unfilled.clear()
        self._told_until = start
