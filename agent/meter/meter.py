"""All streams of one host: which of them counts, and where its energy is posted."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from agent.meter import minutes, standing, verdict
from agent.meter.arbitration import arrange
from agent.meter.crosscheck import CrossChecks
from agent.meter.minutes import Posting
from agent.meter.state import MeterState, StreamIdentity, StreamState
from agent.meter.stream import Stream, is_usable
from agent.meter.view import StreamView
from agent.meter.walls import Posted, Walls
from agent.quantities import Component, Quality, Seconds
from agent.ranges import FOREVER, Range, Union, subtract
from agent.samples import EnergyCounter, PowerReading

MAX_AWAY_SECONDS: Final = 400 * 86400.0
"""A reboot that seems to have taken longer shows a clock that was not set."""


class Meter:
    """Turns readings into postings and totals. Pure: time comes with each call.

    Invariant, for every stream that nothing better doubles: the time for which energy was
    counted plus the gap is the time since its first reading.
    """

    def __init__(
        self,
        intervals: Mapping[str, float] | None = None,
        identities: Sequence[StreamIdentity] = (),
        state: MeterState | None = None,
    ) -> None:
        """Start anew, or go on from `identities` and `state` as an earlier meter left them.

        `intervals` gives each source's seconds between samples (1 where it is not named).
        """
        self._intervals = dict(intervals or {})
        self.state = state or MeterState()
        self._streams: list[Stream] = []
        self._index: dict[tuple[str, Component, str, Quality], int] = {}
        self._host_gap = Union(self.state.host_gap_ranges)
        self._offset = self.state.wall - self.state.boottime
        self._checks = CrossChecks()
        self._missing: list[StreamIdentity] | None = None
        """What `missing_now` says until something happens."""
        self.posted: list[Posted] | None = None
        """Where to leave each interval that counts. None: nowhere."""
        self.unfilled: list[tuple[Component, Range, list[Range]]] | None = None
        """Where to leave each hole of a part that nothing filled, and what of it is no other
        part's hole that was left here before. None: nowhere."""
        self.wall_begins: Callable[[float], None] = _nothing
        """Called when the first meter of the whole server is there, with the time since when."""
        self.boot_ends: Callable[[float, float], None] = _nothing
        """Called when all of a boot is decided and no stream is on the next one's clock yet: with
        the old boot's end, and since when the streams are looked for on the new clock; s."""
        self.has_wall = False
        """A meter of the whole server was ever there."""
        for identity, stream_state in zip(identities, self.state.streams, strict=True):
            self._add(identity, stream_state)
        self._arrangement = arrange(self.identities)
        self.walls = Walls(self._streams, lambda: self._arrangement)

    @property
    def identities(self) -> list[StreamIdentity]:
        """The streams, in the order of their indices, which never change."""
        return [stream.identity for stream in self._streams]

    def begin(self, boot_id: str, now: Seconds, wall: Seconds) -> None:
        """Say which boot this is. After a reboot counters start anew and the time off is a gap.

        Call once before the first samples, and again when the host has rebooted under a replay.
        """
        state = self.state
        if state.boot_id and (boot_id != state.boot_id or now < state.boottime):
            self._reboot(now, wall)
        state.boot_id = boot_id
        self._tell(now, wall)

    def set_intervals(self, intervals: Mapping[str, float]) -> None:
        """Say anew how many seconds each source leaves between its samples."""
        self._intervals = dict(intervals)
        for stream in self._streams:
            stream.set_interval(intervals.get(stream.identity.source, 1.0))

    def take(
        self, samples: Sequence[EnergyCounter | PowerReading], now: Seconds, wall: Seconds
    ) -> None:
        """Take the samples of one collector. `now` is CLOCK_BOOTTIME, `wall` Unix time."""
        self._tell(now, wall)
        for sample in samples:
            if not is_usable(sample, now):
                continue
            index = self._index.get(
                (sample.collector, sample.component, sample.device, sample.quality)
            )
            if index is None or self._streams[index].state.retired:
                self._welcome(sample, index)
                continue
            stream = self._streams[index]
            interval = stream.step(sample)
            if interval is not None:
                if stream.is_doubled:
                    self._check(stream, interval)
                self._count(index, *interval)
                continue
            if stream.reset is not None:
                self._count_reset(stream)
            if stream.dark_now is not None:
                self._post_gap(index)

    def settle(self, now: Seconds, wall: Seconds) -> None:
        """Decide what can be decided at `now`; call once a tick, after `take`."""
        self._tell(now, wall)
        holes = False
        for index, stream in enumerate(self._streams):
            stream.grow_dark(now)
            if stream.dark_now is not None:
                self._post_gap(index)
            if stream.state.holes:
                holes = True
        self._decide(holes=holes)

    def retire(self, sources: Sequence[str]) -> None:
        """Let streams of these sources rest: totals stay, silence is no gap any more."""
        self._missing = None
        for stream in self._streams:
            if stream.identity.source in sources and not stream.state.retired:
                stream.retire()

    def keep_only(self, source: str, component: Component, devices: Sequence[str]) -> None:
        """Let those of a source's streams of a component rest whose device is not named."""
        self._missing = None
        for stream in self._streams:
            who = stream.identity
            theirs = (who.source, who.component) == (source, component)
            if theirs and who.device not in devices and not stream.state.retired:
                stream.retire()

    def close_minutes(self, wall: Seconds) -> list[Posting]:
        """Take out the postings of every minute but the current one."""
        return minutes.close(self.state.open_minutes, int(wall // minutes.MINUTE))

    def views(self) -> list[StreamView]:
        """Return every stream with its totals and its power now."""
        return standing.views(self._streams, self._arrangement)

    def cross_checks(self) -> dict[tuple[str, str, str], float]:
        """Return counter over integral by source, component and device."""
        return self._checks.ratios(self.state.boottime)

    def missing_now(self) -> list[StreamIdentity]:
        """Return the parts that should have a figure now, have none, and nothing fills in."""
        if self._missing is None:
            self._missing = standing.missing(self._streams, self._arrangement)
        return self._missing

    # -- inside -------------------------------------------------------------------------------

    def _tell(self, now: float, wall: float) -> None:
        self._missing = None
        self._offset = wall - now
        self.state.wall = wall
        self.state.boottime = now

    def _check(self, stream: Stream, interval: tuple[float, float, float]) -> None:
        who = stream.identity
        key = (who.source, who.component.value, who.device)
        self._checks.add(key, *interval, counter=stream.is_counter)

    def _add(self, identity: StreamIdentity, state: StreamState) -> int:
        index = len(self._streams)
        self.has_wall |= identity.component == Component.HOST and identity.counted
        interval = self._intervals.get(identity.source, 1.0)
        self._streams.append(Stream(identity, state, interval))
        who = (identity.source, identity.component, identity.device)
        self._index[*who, identity.quality] = index
        both = [self._index.get((*who, q)) for q in (Quality.MEASURED, Quality.INTEGRATED)]
        for one in both if None not in both else ():
            assert one is not None
            self._streams[one].is_doubled = True
        return index

    def _welcome(self, sample: EnergyCounter | PowerReading, index: int | None) -> None:
        """Take the first reading of a new stream, or of a retired one that is back."""
        walled = self.has_wall
        if index is None:
            identity = StreamIdentity(
                sample.collector, sample.component, sample.device, sample.quality, sample.counted
            )
            self.state.streams.append(StreamState())
            index = self._add(identity, self.state.streams[-1])
            self._arrangement = arrange(self.identities)
        stream = self._streams[index]
        if stream.state.away and sample.at <= stream.state.away[-1][0]:
            return  # read before it was retired
        stream.state.retired, stream.state.at = False, None
        stream.step(sample)
        # It begins where those that it keeps from counting from now on have ended.
        for f in (*self._arrangement.fallbacks[index], *self._arrangement.stands_in(index)):
            counted_until = self._streams[f].state.counted_until
            if counted_until is not None and counted_until > stream.state.away[-1][1]:
                stream.begin_at(counted_until)
        if self.has_wall and not walled:
            self.wall_begins(stream.state.away[-1][1])

    def _reboot(self, now: float, wall: float) -> None:
        """Close the old boot, and carry every stream over to the new one's clock."""
        state = self.state
        known = (stream.known_until() for stream in self._streams)
        end = max([state.boottime, *(moment for moment in known if moment < FOREVER)])
        for index, stream in enumerate(self._streams):
            if stream.is_counter and stream.state.value is not None and not stream.state.retired:
                stream.reset = "boot"
                self._count_reset(stream)
            if not stream.state.retired:
                stream.darken(end)
                if stream.dark_now is not None:
                    self._post_gap(index)
        self._decide(holes=True)
        away = wall - state.wall - (end - state.boottime)
        if now < state.boottime:  # the new boot is at least as old as its clock says
            away = max(away, now)
        if away > MAX_AWAY_SECONDS:
            away = now
        start = now - max(0.0, away)
        self.boot_ends(end, start)
        for stream in self._streams:
            stream.restart_clock(start)
        self._host_gap, state.host_gap_ranges = Union(), []

    def _decide(self, *, holes: bool) -> None:
        """Post what is now known to count, and note what is now known to be nobody's."""
        for index, stream in enumerate(self._streams):
            if not stream.state.pending:
                continue
            for piece in verdict.release(index, self._streams, self._arrangement):
                self._post(index, *piece)
        if holes:
            for group in self._arrangement.groups:
                for hole in verdict.unfilled(group, self._streams, self._arrangement):
                    self._note_unfilled(*hole)
        if self._host_gap.ranges:
            self._host_gap.forget(min(stream.known_until() for stream in self._streams))
            self.state.host_gap_ranges = self._host_gap.ranges

    def _note_unfilled(self, index: int, start: float, until: float) -> None:
        if self.unfilled is not None:
            news = subtract([(start, until)], self._host_gap.ranges)
            component = self._streams[index].identity.component
            self.unfilled.append((component, (start, until), news))
        self.state.host_gap_seconds += self._host_gap.add(start, until)

    def _count_reset(self, stream: Stream) -> None:
        key = f"{stream.identity.source} {stream.reset}"
        self.state.resets[key] = self.state.resets.get(key, 0) + 1
        stream.state.resets += 1
        stream.reset = None

    def _count(self, index: int, start: float, until: float, joules: float) -> None:
        """Post an interval with energy, or hold it back while something better may have it."""
        if index in self._arrangement.left_out:
            return
        state = self._streams[index].state
        since = state.away[-1][1]
        if start < since:
            if until <= since:
                return
            start, until, joules = verdict.share((start, until, joules), since, until)
        if self._arrangement.blockers[index] or self._arrangement.gives_way[index]:
            verdict.hold_back(state, (start, until, joules))
        else:
            self._post(index, start, until, joules)

    def _post(self, index: int, start: float, until: float, joules: float) -> None:
        state = self._streams[index].state
        state.joules += joules
        state.seconds += until - start
        state.counted_until = until
        if self.posted is not None:
            self.posted.append((self._streams[index].identity, start, until, joules))
        minutes.spread(
            self.state.open_minutes,
            index,
            start + self._offset,
            until + self._offset,
            until - start,
            joules,
        )

    def _post_gap(self, index: int) -> None:
        """Post what the stream has just added to its gap."""
        stream = self._streams[index]
        if stream.dark_now is None:
            return
        start, until = stream.dark_now
        stream.dark_now = None
        if index in self._arrangement.left_out:
            stream.state.holes = []
        minutes.spread(
            self.state.open_minutes,
            index,
            start + self._offset,
            until + self._offset,
            until - start,
            None,
        )


def _nothing(*_: float) -> None:
    """Nobody listens."""
