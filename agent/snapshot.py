"""One immutable picture of everything an exporter may print."""

from collections.abc import Mapping, Sequence

import msgspec

from agent.accounts import Accounts
from agent.carbon.budget import Used
from agent.carbon.live import Key, Now
from agent.devices import AcceleratorView, PartView
from agent.kpi.result import Kpi
from agent.meter import Meter, StreamView
from agent.quantities import Component, Quality, Seconds
from agent.samples import Utilization
from agent.site.book import MeterView
from agent.work import FlopView, Scope, WorkView


class HostInfo(msgspec.Struct, frozen=True):
    """What the host is; exported once, as labels."""

    host: str
    site: str
    rack: str
    grid_zone: str
    cpu_model: str
    machine_id: str
    """A hash, so that the real machine id does not leave the host (machine-id(5))."""


class BuildInfo(msgspec.Struct, frozen=True):
    """What program this is."""

    version: str
    revision: str
    python: str


class CollectorStatus(msgspec.Struct, frozen=True):
    """How a collector is doing."""

    name: str
    up: bool | None
    """None: there is nothing here for it to read."""
    duration_seconds: float | None
    failures: Mapping[str, int]
    why: str = ""
    remedy: str = ""


class AgentCost(msgspec.Struct, frozen=True):
    """What the agent itself costs."""

    cpu_seconds: float
    resident_bytes: int
    joules: float | None
    """Its share of the CPU's energy, an estimate; None while CPU power is unknown."""
    started: float = 0.0
    """When this process began to count, Unix time."""


class HostPower(msgspec.Struct, frozen=True):
    """Power of the whole host."""

    shares: Mapping[tuple[Quality, str], float]
    """Watts by quality and source; they add up to the host's. Empty: unknown."""
    uncertainty_ratio: float | None


class WallView(msgspec.Struct, frozen=True):
    """The whole server's meter against the server's parts."""

    unattributed_joules: float
    """What the wall had more than the parts: fans, regulators, losses of the supply …"""
    excess_joules: float
    """What the parts had more than the wall."""
    parts_exceed_wall: bool | None = None
    """Of the last whole minute, by more than both may be wrong; None: there is none."""
    itue: tuple[float, Quality] | None = None
    """Of the last whole minute of which all was known, and the worst quality in it."""


class LedgerView(msgspec.Struct, frozen=True):
    """How the ledger is doing."""

    up: bool
    failures: int
    size_bytes: int
    unsaved: int
    records: int | None = None
    """Of the chain that seals it; None: not known yet."""


class RemoteView(msgspec.Struct, frozen=True):
    """How remote write is doing."""

    up: bool | None
    """Whether the receiver answered the last request; None: there was none."""
    samples: int
    """That receivers have taken, since the ledger began."""
    failed: Mapping[str, int]
    """Samples that were given up, by reason, since the ledger began."""
    retries: int
    """Requests that have to be sent again, since the ledger began."""
    queue_samples: int
    queue_bytes: int
    queue_oldest_seconds: float
    """Age of the oldest sample that waits; 0: none does."""


class Embodied(msgspec.Struct, frozen=True):
    """One figure of a part's life beside its operation."""

    asset: str
    stage: str
    bound: str
    grams: float


class CarbonView(msgspec.Struct, frozen=True):
    """What the host emits."""

    zone: str
    now: Sequence[Now]
    totals: Mapping[Key, float]
    """g."""
    embodied: Sequence[Embodied]
    budgets: Sequence[Used]


class SiteView(msgspec.Struct, frozen=True):
    """A site's meters and KPIs."""

    name: str
    meters: Sequence[MeterView]
    kpis: Mapping[str, Sequence[Kpi]]
    """By window."""


class Snapshot(msgspec.Struct, frozen=True):
    """Everything, at one moment."""

    wall: float
    build: BuildInfo
    host: HostInfo
    streams: Sequence[StreamView]
    host_joules: Mapping[Quality, float]
    host_power: HostPower
    host_gap_seconds: float
    utilization: Sequence[Utilization]
    resets: Mapping[tuple[str, str], int]
    """By collector and reason."""
    collectors: Sequence[CollectorStatus]
    agent: AgentCost
    ledger: LedgerView | None
    late_seconds: float
    """How late the last tick was."""
    skipped_ticks: int
    cross_checks: Mapping[tuple[str, str, str], float] = {}
    """Counter over integrated power, by source, component and device."""
    accelerators: Sequence[AcceleratorView] = ()
    peaks: Mapping[tuple[Scope, str], float] = {}
    """Dense peaks in FLOP/s by scope and precision."""
    flops: Sequence[FlopView] = ()
    work: Sequence[WorkView] = ()
    site: SiteView | None = None
    """None: this agent reads no site's meters."""
    carbon: CarbonView | None = None
    walled: WallView | None = None
    """None: no meter of the whole server was ever there."""
    parts: Sequence[PartView] = ()
    """Clocks, temperatures and throttling of parts that are no accelerators."""
    remote: RemoteView | None = None
    """None: nothing is sent to anybody."""


def picture(
    accounts: Accounts,
    now: Seconds,
    *,
    wall: float,
    build: BuildInfo,
    host: HostInfo,
    utilization: Sequence[Utilization],
    collectors: Sequence[CollectorStatus],
    agent: AgentCost,
    ledger: LedgerView | None,
    late_seconds: float,
    skipped_ticks: int,
    site: SiteView | None = None,
    carbon: CarbonView | None = None,
    remote: RemoteView | None = None,
) -> Snapshot:
    """Return the picture of the accounts at `now`, in s of CLOCK_BOOTTIME."""
    meter = accounts.meter
    streams = meter.views()
    accelerators = accounts.accelerators(now)
    peaks = accounts.peaks(accelerators)
    resets: dict[tuple[str, str], int] = {}
    for key, count in meter.state.resets.items():
        collector, reason = key.rsplit(" ", 1)
        resets[collector, reason] = count
    return Snapshot(
        wall=wall,
        build=build,
        host=host,
        streams=streams,
        host_joules=accounts.host_joules(streams),
        host_power=host_power(meter, streams),
        host_gap_seconds=accounts.host_gap_seconds,
        utilization=utilization,
        resets=resets,
        collectors=collectors,
        agent=agent,
        ledger=ledger,
        late_seconds=late_seconds,
        skipped_ticks=skipped_ticks,
        cross_checks=meter.cross_checks(),
        accelerators=accelerators,
        peaks=peaks,
        flops=accounts.flops(now, peaks),
        work=accounts.work(now),
        site=site,
        carbon=carbon,
        walled=_walled(accounts, now),
        parts=accounts.parts(now),
        remote=remote,
    )


def host_power(meter: Meter, streams: Sequence[StreamView]) -> HostPower:
    """Return the power of the whole server's meter, else the sum of what counts of its parts.

    A part without a figure makes the sum unknown. The uncertainty is the sum of the half-widths
    over the sum of the power: an upper bound, reached if all err in the same direction
    (JCGM 100:2008, 5.2.2, note 1).
    """
    counting = [s for s in streams if s.counts_now and s.watts is not None]
    walls = (
        [s for s in counting if s.identity.component == Component.HOST] if meter.has_wall else []
    )
    if not walls and meter.missing_now():
        return HostPower({}, None)
    shares: dict[tuple[Quality, str], float] = {}
    half_width = 0.0
    for stream in walls or counting:
        key = (stream.identity.quality, stream.identity.source)
        shares[key] = shares.get(key, 0.0) + (stream.watts or 0.0)
        half_width += stream.half_width_watts
    total = sum(shares.values())
    return HostPower(shares, half_width / total if total > 0 else None)


def _walled(accounts: Accounts, now: float) -> WallView | None:
    energy = accounts.walled
    if energy is None:
        return None
    last = energy.last_minute(now)
    return WallView(
        energy.state.unattributed,
        energy.state.excess,
        None if last is None else last.parts_exceed_wall,
        None if last is None else last.itue,
    )
