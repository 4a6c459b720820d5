"""A simulated past in the agents' ledgers, as if they had lived through it.

Written by the product's own ledger, quarter by quarter, from the same truth that the meters show
now: KPIs of a day, a month and a year, and budgets of this month, are there from the start.
**Nothing of it was measured by an agent.**
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

import agent.meter
from agent.carbon.live import Key
from agent.carbon.words import Basis, Scope, Stage
from agent.carbon_live import series_of
from agent.ledger import Ledger
from agent.ledger.batch import Batch
from agent.ledger.saved import AgentState
from agent.ledger.store import FILE_NAME
from agent.quarters import QuarterPosting, QuartersState, Series
from agent.report_book import CPU_BUSY, ENERGY, ReportState
from agent.site.book import BookState, MeterState
from hardware.site.clock import SiteClock
from hardware.site.facility import JOULES_PER_KWH, flows, weather
from hardware.site.grid import intensity
from hardware.site.host import SimulatedHost
from hardware.site.meters import START_KWH, WATER
from hardware.site.rhythm import DAY, QUARTER, quarter_means
from hardware.site.settings import MARKET_GRAMS_PER_KWH

SITE_DAYS: Final = 367
"""A year and what a leap year has more: the KPIs' longest window."""
HOST_DAYS: Final = 32
"""This month, and the 30 days whose pace budgets go by."""
_BATCH: Final = 50_000
Row = tuple[int, float, Series, float]
"""Quarter of an hour, seconds of it, what, how much."""


class Past:
    """What flowed before the site was switched on. Means of quarters, which repeat each week."""

    def __init__(self, hosts: Sequence[SimulatedHost], clock: SiteClock) -> None:
        racks = sorted({h.plan.rack for h in hosts})
        self._clock = clock
        self._empty = b""
        """A ledger that nobody has written into."""
        self._meters = tuple(flows(dict.fromkeys(racks, 0.0), weather(clock.epoch)))
        self._site = BookState()
        self._open: dict[Path, dict[str, list[float]]] = {}
        self._first = int(clock.epoch // QUARTER)
        begin = clock.since(self._first * QUARTER)
        self._walls = {h.plan.name: quarter_means([h.wall], begin) for h in hosts}
        self._work = {h.plan.name: quarter_means([h.work], begin) for h in hosts if h.plan.job}
        self._busy = {h.plan.name: quarter_means([h.cpu_load], begin) for h in hosts}
        self._racks = {
            rack: [
                sum(several)
                for several in zip(
                    *(self._walls[h.plan.name] for h in hosts if h.plan.rack == rack), strict=True
                )
            ]
            for rack in racks
        }

    def write_site(self, state_dir: Path, days: float) -> None:
        """Write what the site's meters would have counted, and where their registers stood.

        So what flows until the agent has read them for the first time is counted as well.
        """
        names = {True: "l", False: "J"}

        def rows(quarter: int, seconds: float) -> Iterator[Row]:
            place = (quarter - self._first) % 672
            racks = {rack: means[place] for rack, means in self._racks.items()}
            for meter, rate in flows(racks, weather((quarter + 0.5) * QUARTER)).items():
                yield (
                    quarter,
                    seconds,
                    Series("meter", meter, names[meter in WATER]),
                    rate * seconds,
                )

        self._site = BookState(
            "before the simulation",
            {
                meter: MeterState(
                    wall=self._clock.epoch,
                    total=START_KWH * (1000.0 if meter in WATER else JOULES_PER_KWH),
                )
                for meter in self._meters
            },
        )
        self._write(state_dir, days, rows)

    def write_host(self, host: SimulatedHost, state_dir: Path, days: float) -> None:
        """Write what a host would have counted: its energy, work and emissions."""
        name, job = host.plan.name, host.plan.job
        location, market = (
            series_of(Key(Scope.SCOPE_2, basis, Stage.OPERATION))
            for basis in (Basis.LOCATION, Basis.MARKET)
        )
        work = Series("work", f"{job.workload} {job.unit}", job.unit) if job else None

        def rows(quarter: int, seconds: float) -> Iterator[Row]:
            place, wall = (quarter - self._first) % 672, quarter * QUARTER
            joules = self._walls[name][place] * seconds
            kwh = joules / JOULES_PER_KWH
            yield quarter, seconds, ENERGY, joules
            yield quarter, seconds, CPU_BUSY, self._busy[name][place] * seconds
            yield quarter, seconds, location, kwh * intensity(wall)
            yield quarter, seconds, market, kwh * MARKET_GRAMS_PER_KWH
            if work is not None:
                yield quarter, seconds, work, self._work[name][place] * seconds

        self._write(state_dir, days, rows)

    def _state(self, rows: Mapping[int, dict[str, list[float]]]) -> bytes:
        reports = ReportState(quarters=QuartersState(open=dict(rows)), site=self._site)
        return msgspec.msgpack.encode(AgentState(agent.meter.MeterState(), reports=reports))

    def _new(self, state_dir: Path) -> Ledger:
        """Return an empty ledger; the first one is made anew, which takes long, others copy it."""
        state_dir.mkdir(parents=True, exist_ok=True)
        if not (state_dir / FILE_NAME).exists() and self._empty:
            (state_dir / FILE_NAME).write_bytes(self._empty)
        elif not self._empty:
            Ledger.open(state_dir).close()
            self._empty = (state_dir / FILE_NAME).read_bytes()
        ledger = Ledger.open(state_dir)
        ledger.load()
        return ledger

    def _write(self, state_dir: Path, days: float, rows: "_Rows") -> None:
        """Write all quarters; the last one is left to the agent, which then looks at its budgets.

        (Budgets are worked out when a quarter of an hour is over: this one is, at the first tick.)
        """
        ledger = self._new(state_dir)
        waiting: list[QuarterPosting] = []
        last = self._first - 1
        for quarter in range(last + 1 - round(days * DAY / QUARTER), last):
            waiting += _postings(rows(quarter, QUARTER))
            if len(waiting) > _BATCH:
                ledger.commit([], self._state({}), Batch(quarters=waiting))
                waiting = []
        so_far = self._clock.epoch - self._first * QUARTER
        waiting += _postings(rows(self._first, so_far))
        open_rows = {
            f"{s.kind}\t{s.name}\t{s.unit}": [amount, seconds, 0.0]
            for _, seconds, s, amount in rows(last, QUARTER)
        }
        # the site's agent is a host as well: both write into one ledger
        kept = self._open.setdefault(state_dir, {})
        kept.update(open_rows)
        ledger.commit([], self._state({last: kept}), Batch(quarters=waiting))
        ledger.close()


class _Rows(Protocol):
    """The type of a function that gives the rows of one quarter."""

    def __call__(self, quarter: int, seconds: float) -> Iterator[Row]: ...


def _postings(rows: Iterator[Row]) -> list[QuarterPosting]:
    return [QuarterPosting(q, series, amount, seconds, 0.0) for q, seconds, series, amount in rows]
