"""Recorded samples through the real meter and ledger, on virtual time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from agent.accounts import Accounts
from agent.ledger import LedgerWriter
from agent.ledger.saved import AgentState
from agent.meter import StreamIdentity, StreamView
from agent.peaks import Peaks
from agent.quantities import Component, Seconds
from agent.reporting import Reporting
from agent.samples import EnergyCounter, PowerReading, Sample
from agent.settings import Settings
from agent.snapshot import CarbonView
from agent.trace import BrokenLine, Event, lines, parse
from agent.work import FlopView, WorkView

SPACING_LINES: Final = 20_000
"""Lines read ahead to learn how far apart a source's samples are."""
LATE_SECONDS: Final = 60.0
"""How much older than others' a collector's line may be; a hung sensor's answer comes late."""
LEAP_SECONDS: Final = 400 * 86400.0
"""A line so much later has another clock's time."""
SETTLE_SECONDS: Final = 1.0
"""The running agent settles once a second; so does a replay."""
PROGRESS_BYTES: Final = 1 << 20


class VirtualClock:
    """A clock that the replay sets."""

    def __init__(self, start: float) -> None:
        self.start = start
        self.now = 0.0

    def boottime(self) -> Seconds:
        """Return the time of the trace."""
        return Seconds(self.now)

    def monotonic(self) -> Seconds:
        """Return the time of the trace."""
        return Seconds(self.now)

    def wall(self) -> Seconds:
        """Return the start plus the time of the trace."""
        return Seconds(self.start + self.now)


class Skipped(msgspec.Struct):
    """What of a trace could not be used."""

    lines: int = 0
    broken: int = 0
    first_line: int = 0
    first_why: str = ""

    def add(self, number: int, why: str) -> None:
        """Note a line that was passed over."""
        if not self.broken:
            self.first_line, self.first_why = number, why
        self.broken += 1


class Replayed(msgspec.Struct, frozen=True):
    """What came of a trace."""

    duration_seconds: float
    streams: list[StreamView]
    host_joules: Mapping[str, float]
    host_gap_seconds: float
    skipped: Skipped
    flops: list[FlopView]
    work: list[WorkView]
    emissions: CarbonView
    unattributed_joules: float | None = None
    """What a wall had more than the parts; None: the trace has no wall."""
    excess_joules: float | None = None
    """What the parts had more than it."""


def spacing(path: Path) -> dict[str, float]:
    """Return each collector's usual seconds between samples, learnt from the trace's beginning."""
    last: dict[tuple[str, Component, str], float] = {}
    apart: dict[str, list[float]] = {}
    for number, line in lines(path):
        if number > SPACING_LINES:
            break
        try:
            t, sample = parse(line)
        except BrokenLine:
            continue
        if isinstance(sample, Event):
            last.clear()
            continue
        if not isinstance(sample, EnergyCounter | PowerReading):
            continue
        key = (sample.collector, sample.component, sample.device)
        before = last.get(key)
        if before is not None and t > before:
            apart.setdefault(sample.collector, []).append(t - before)
        last[key] = t
    return {collector: median(found) for collector, found in apart.items()}


def has_work(path: Path) -> bool:
    """Tell whether a trace has any operations or work in it, without parsing it."""
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as text:
        return any(text.find(word) >= 0 for word in (b'"flop"', b'"work"', b'"work_counter"'))


class Replay:
    """One replay: a meter, a virtual clock, and the ledger where one is wanted."""

    def __init__(
        self,
        intervals: Mapping[str, float],
        ledger: LedgerWriter | None,
        clock: VirtualClock,
        settings: Settings,
        *,
        match_work: bool,
    ) -> None:
        self._match_work = match_work
        self._intervals = intervals
        self._peaks = Peaks(settings.flops)
        self._clock = clock
        self._ledger = ledger
        self._boots = 0
        identities, body = ledger.open() if ledger else ([], None)
        state = None if body is None else msgspec.msgpack.decode(body, type=AgentState)
        self._accounts = self._resume(identities, state)
        self._reporting = Reporting(settings, clock, state)
        self._boot = f"replay-{clock.start:.0f}"
        self._begin()

    def run(
        self, path: Path, skipped: Skipped, progress: Callable[[int], None] | None = None
    ) -> Replayed:
        """Read the whole trace. A line that is broken or goes back in time is passed over.

        A slow collector's lines may come after other collectors' later ones, by LATE_SECONDS.
        """
        first: float | None = None
        now = settled = 0.0
        batch: list[Sample] = []
        clock = self._clock
        for t, sample in _readable(path, skipped, progress):
            if first is None:
                first = now = settled = t
                clock.now = t
            if t > now:
                if batch:
                    self._take(batch)
                    batch = []
                if t - settled >= SETTLE_SECONDS:
                    self._settle()
                    settled = now
                now = clock.now = t
            if isinstance(sample, Event):
                self._take(batch)
                batch = []
                self._settle()
                self._happen(sample)
            else:
                batch.append(sample)
        self._take(batch)
        self._settle()
        accounts = self._accounts
        views = accounts.meter.views()
        if self._ledger is not None:
            self._submit(last=True)
            self._ledger.close_now()
        walled = accounts.walled
        return Replayed(
            duration_seconds=now - (first or 0.0),
            streams=views,
            host_joules={q.value: j for q, j in accounts.host_joules(views).items()},
            host_gap_seconds=accounts.host_gap_seconds,
            skipped=skipped,
            flops=accounts.flops(now, accounts.peaks(accounts.accelerators(now))),
            work=accounts.work(now),
            emissions=self._reporting.carbon_view(),
            unattributed_joules=walled.state.unattributed if walled else None,
            excess_joules=walled.state.excess if walled else None,
        )

    def _take(self, batch: Sequence[Sample]) -> None:
        self._accounts.take(batch, self._clock.boottime(), self._clock.wall())

    def _resume(self, identities: Sequence[StreamIdentity], state: AgentState | None) -> Accounts:
        meter, work, host = (state.meter, state.work, state.host) if state else (None, None, None)
        return Accounts(
            self._intervals,
            identities,
            meter,
            work,
            host,
            peaks_of=self._peaks,
            match_work=self._match_work,
        )

    def _begin(self) -> None:
        accounts, boot = self._accounts, f"{self._boot}-{self._boots}"
        self._reporting.listen(accounts)
        accounts.meter.begin(boot, self._clock.boottime(), self._clock.wall())
        self._reporting.begin(boot, accounts)

    def _happen(self, event: Event) -> None:
        """Do to the accounts what a restart or a reboot does to the running agent's."""
        identities = self._accounts.meter.identities
        body = msgspec.msgpack.encode(self._state())
        self._accounts = self._resume(identities, msgspec.msgpack.decode(body, type=AgentState))
        if event is Event.BOOT:
            self._boots += 1
        self._begin()

    def _state(self) -> AgentState:
        accounts = self._accounts
        return AgentState(
            accounts.meter.state,
            {},
            accounts.tally.state,
            self._reporting.book.state,
            accounts.host_state,
            self._reporting.carbon.state,
        )

    def _settle(self) -> None:
        self._accounts.settle(self._clock.boottime(), self._clock.wall())
        self._reporting.tick(self._accounts)
        if self._ledger is not None:
            self._submit(last=False)

    def _submit(self, *, last: bool) -> None:
        assert self._ledger is not None
        meter = self._accounts.meter
        # at the end the minute that is under way is closed too: a report shall have all of it
        postings = meter.close_minutes(Seconds(self._clock.wall() + (60.0 if last else 0.0)))
        if postings or last:
            body = self._state()
            batch = self._reporting.batch(postings, last=last)
            state = msgspec.msgpack.encode(body)
            self._ledger.submit_now(meter.identities, state, batch)


def _readable(
    path: Path, skipped: Skipped, progress: Callable[[int], None] | None
) -> Iterator[tuple[float, Sample | Event]]:
    latest: dict[str, float] = {}
    newest = barrier = float("-inf")
    done = 0
    for number, line in lines(path):
        skipped.lines += 1
        done += len(line)
        if progress is not None and done > PROGRESS_BYTES:
            progress(done)
            done = 0
        try:
            t, sample = parse(line)
        except BrokenLine as error:
            skipped.add(number, str(error))
            continue
        if isinstance(sample, Event):
            before = newest
        else:
            before = max(latest.get(sample.collector, barrier), newest - LATE_SECONDS, barrier)
        if t < before:
            skipped.add(number, f"its time {t:g} is before the {before:g} of the line before")
            continue
        if t - newest > LEAP_SECONDS and latest:
            skipped.add(number, f"its time {t:g} is years after the {newest:g} of the line before")
            continue
        if isinstance(sample, Event):
            barrier = t
        else:
            latest[sample.collector] = t
        newest = max(newest, t)
        yield t, sample
