"""What reports are made of, by quarter of an hour: site meters, this host, its work. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from agent.quarters import QUARTER_SECONDS, QuarterPosting, Quarters, QuartersState, Series
from agent.samples import MeterRecords, SiteReading, Utilization
from agent.site.book import BookState, SiteBook
from agent.site.settings import SiteSettings

ENERGY: Final = Series("host", "energy", "J")
"""The host's figure, whichever way it was obtained."""
CPU_BUSY: Final = Series("host", "cpu_busy", "s")
"""Utilisation x time."""
MOST_WORK_SECONDS: Final = 2 * QUARTER_SECONDS
"""Work is handed over once a quarter, so none of it is older than this."""
LONGEST_SECONDS: Final = 60.0
"""A utilisation stands for so long at most."""


class ReportState(msgspec.Struct, array_like=True):
    """What a restart must know."""

    quarters: QuartersState = msgspec.field(default_factory=QuartersState)
    site: BookState = msgspec.field(default_factory=BookState)
    work: dict[str, float] = {}
    """`workload TAB unit` to the total when it was last posted."""
    work_wall: float = 0.0
    """Unix time of that."""


class ReportBook:
    """Feed it what the agent learns; take out the quarters that are over."""

    def __init__(self, site: SiteSettings, state: ReportState | None = None) -> None:
        self.state = state or ReportState()
        self.quarters = Quarters(self.state.quarters)
        self.site = SiteBook(site, self.quarters, self.state.site)
        self._records: dict[str, MeterRecords] = {}
        self.records: dict[str, MeterRecords] = {}
        """The newest rows of each meter that has a file."""
        self._busy_at: float | None = None
        self._energy_at: float | None = None
        self._gap_seconds = 0.0

    def begin(self, boot_id: str, gap_seconds: float) -> None:
        """Say which boot this is, and how long the host has had gaps so far."""
        self.site.begin(boot_id)
        self._busy_at = self._energy_at = None
        self._gap_seconds = gap_seconds

    def take(self, readings: Iterable[SiteReading], now: float, wall: float) -> None:
        """Take what the site's meters say. `now` is CLOCK_BOOTTIME, `wall` Unix time."""
        for reading in readings:
            if isinstance(reading, MeterRecords):
                self._records[reading.meter] = self.records[reading.meter] = reading
            else:
                self.site.take(reading, now, wall)

    def host_energy(self, posted: Sequence[tuple[str, float, float, float]], offset: float) -> None:
        """Take the host's energy: (name, from, until, J); `offset` makes times Unix time.

        Parts make up `energy` together, so for how long it is known `host_time` says.
        """
        for name, start, until, joules in posted:
            is_sum = name == ENERGY.name
            series = ENERGY if is_sum else Series("host", name, "J")
            self.quarters.add(
                series, start + offset, until + offset, joules, counts_time=not is_sum
            )

    def host_time(self, gap_seconds: float, now: float, wall: float) -> None:
        """Say for how long the host had gaps so far: the rest of the time its energy is known."""
        if self._energy_at is not None and now > self._energy_at:
            begin = wall - (now - self._energy_at)
            dark = min(now - self._energy_at, max(0.0, gap_seconds - self._gap_seconds))
            self.quarters.add(ENERGY, begin, wall - dark, 0.0)
            self.quarters.add(ENERGY, wall - dark, wall, None)
        self._energy_at, self._gap_seconds = now, gap_seconds

    def utilization(self, sample: Utilization | None, now: float, wall: float) -> None:
        """Take the newest utilisation of all CPUs together."""
        if sample is None or sample.at == self._busy_at:
            return
        before, self._busy_at = self._busy_at, sample.at
        if before is None or not 0 < sample.at - before <= LONGEST_SECONDS:
            return
        end = wall - (now - sample.at)
        seconds = sample.at - before
        self.quarters.add(CPU_BUSY, end - seconds, end, sample.ratio * seconds)

    def wants_work(self, wall: float) -> bool:
        """Tell whether it is time to hand over the totals of work."""
        return wall // QUARTER_SECONDS != self.state.work_wall // QUARTER_SECONDS

    def work(self, totals: Mapping[tuple[str, str], float], wall: float) -> None:
        """Take totals of useful work by workload and unit; once a quarter is enough."""
        state = self.state
        # a clock that was set by a day, or by years, made no work; one set back undid none
        begin = min(max(state.work_wall, wall - MOST_WORK_SECONDS), wall)
        for (workload, unit), total in totals.items():
            key = f"{workload}\t{unit}"
            rise = total - state.work.get(key, 0.0)
            if rise >= 0 and state.work_wall > 0:
                self.quarters.add(Series("work", f"{workload} {unit}", unit), begin, wall, rise)
            state.work[key] = total
        state.work_wall = wall

    def settle(self, now: float, wall: float) -> None:
        """Decide what silence is a gap by now."""
        self.site.settle(now, wall)

    def close(self, wall: float) -> list[QuarterPosting]:
        """Take out the quarters that are over at `wall`."""
        return self.quarters.close(wall)

    def take_records(self) -> dict[str, MeterRecords]:
        """Take out the rows of files that are not in the ledger yet."""
        found, self._records = self._records, {}
        return found
