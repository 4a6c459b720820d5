"""What one host used and what it got done for it: meter, work and devices, fed together. Pure."""

from collections.abc import Callable, Mapping, Sequence

from agent.carbon.intensity import Intensity
from agent.devices import AcceleratorView, Devices, PartView
from agent.meter import Meter, MeterState, StreamIdentity, StreamView
from agent.quantities import Component, Quality, Seconds
from agent.samples import (
    Accelerator,
    EnergyCounter,
    Figures,
    FlopCount,
    GridValues,
    Inventory,
    MeterCounter,
    MeterRate,
    MeterRecords,
    MeterTemperature,
    PowerReading,
    Sample,
    SiteReading,
    Utilization,
    WorkCounter,
    WorkDone,
)
from agent.wall import HostDesk, HostEnergy, HostState
from agent.work import FlopView, Scope, Tally, WorkState, WorkView
from agent.work.energy import ALL

Peaks = Mapping[str, float]
"""Dense peak in FLOP/s by precision."""
WITH_PEAKS = (Component.GPU, Component.ACCELERATOR)


class Accounts:
    """Give it every sample, settle once a tick, and read what came of it."""

    def __init__(
        self,
        intervals: Mapping[str, float],
        identities: Sequence[StreamIdentity] = (),
        meter: MeterState | None = None,
        work: WorkState | None = None,
        host: HostState | None = None,
        *,
        peaks_of: Callable[[str], Peaks],
        match_work: bool = True,
    ) -> None:
        """Start anew, or go on from what an earlier run left.

        `peaks_of` returns the peaks of a device by its name; empty where they are not known.
        `match_work` False: no work will come, so its energy need not be kept.
        """
        self.meter = Meter(intervals, identities, meter)
        self.tally = Tally(work)
        self._match_work = match_work
        self._desk = HostDesk(self.meter, self.tally, host, match_work=match_work)
        self.devices = Devices()
        self.utilization: dict[tuple[Component, str], Utilization] = {}
        """The newest of each device."""
        self.site_readings: list[SiteReading] = []
        """What the site's meters said, for the caller to take out."""
        self.intensities: list[Intensity] = []
        """What the grid's providers said, for the caller to take out."""
        self._peaks: dict[tuple[Scope, str], float] = {}
        self._peaks_at = -1
        self._peaks_of = peaks_of

    def take(self, samples: Sequence[Sample], now: Seconds, wall: Seconds) -> None:
        """Take the samples of one collector. `now` is CLOCK_BOOTTIME, `wall` Unix time."""
        energy: list[EnergyCounter | PowerReading] = []
        work: list[FlopCount | WorkDone | WorkCounter] = []
        inventories: list[Inventory] = []
        for sample in samples:
            match sample:
                case EnergyCounter() | PowerReading():
                    energy.append(sample)
                case FlopCount() | WorkDone() | WorkCounter():
                    work.append(sample)
                case Utilization():
                    self.utilization[sample.component, sample.device] = sample
                case Figures() | Accelerator():
                    self.devices.take(sample)
                case Inventory():
                    self.devices.take(sample)
                    inventories.append(sample)
                case MeterCounter() | MeterRate() | MeterTemperature() | MeterRecords():
                    self.site_readings.append(sample)
                case GridValues():
                    self.intensities += sample.values
        if energy:
            self.meter.take(energy, now, wall)
        for inventory in inventories:
            self.meter.keep_only(inventory.collector, inventory.component, inventory.devices)
        if work:
            self.tally.take(work, self.devices.scopes)

    def settle(self, now: Seconds, wall: Seconds) -> None:
        """Decide what can be decided at `now`."""
        self.meter.settle(now, wall)
        self._desk.settle(now)
        if self._match_work:
            self.tally.settle(now, {stream.component for stream in self.meter.missing_now()})

    @property
    def host_posted(self) -> list[tuple[str, float, float, float]] | None:
        """Where to leave the host's energy, for the caller to take out: what, from, until, J.

        Set it to a list to have it; None: nowhere. What: `energy`, whichever way it was obtained;
        `wall` and `compute`, each for every whole minute in which both were known throughout.
        The times of `energy` may overlap; its joules are counted once. Times are s of
        CLOCK_BOOTTIME; what `meter.begin` leaves after a reboot is on the old boot's clock.
        """
        return self._desk.told

    @host_posted.setter
    def host_posted(self, told: list[tuple[str, float, float, float]] | None) -> None:
        self._desk.told = told

    @property
    def host_state(self) -> HostState | None:
        """What the ledger must keep of the host's energy; None: no wall was ever there."""
        return self._desk.state

    @property
    def walled(self) -> HostEnergy | None:
        """The host's energy where a wall was ever there."""
        return self._desk.energy

    @property
    def host_gap_seconds(self) -> float:
        """Time in which neither the wall nor all parts had a figure."""
        energy = self._desk.energy
        return self.meter.state.host_gap_seconds if energy is None else energy.state.gap_seconds

    def host_joules(self, streams: Sequence[StreamView]) -> dict[Quality, float]:
        """Return the host's energy by quality; the sum is the whole server, and never falls."""
        if self._desk.energy is not None:
            return dict(self._desk.energy.state.joules)
        sums: dict[Quality, float] = {}
        for stream in streams:
            if stream.joules or not stream.cross_check:
                quality = stream.identity.quality
                sums[quality] = sums.get(quality, 0.0) + stream.joules
        return sums

    def use_peaks(self, peaks_of: Callable[[str], Peaks]) -> None:
        """Ask somebody else for peaks from now on."""
        self._peaks_of, self._peaks_at = peaks_of, -1

    def accelerators(self, now: float) -> list[AcceleratorView]:
        """Return every accelerator with what is known of it."""
        return self.devices.views(now)

    def parts(self, now: float) -> Sequence[PartView]:
        """Return what is known of other parts: clocks, temperatures, throttling."""
        return self.devices.parts(now)

    def peaks(self, views: Sequence[AcceleratorView]) -> dict[tuple[Scope, str], float]:
        """Return dense peaks in FLOP/s by scope and precision.

        All devices of a component together have one where each of them has.
        """
        if self._peaks_at == self.devices.changes:
            return self._peaks
        found: dict[tuple[Scope, str], float] = {}
        for component in WITH_PEAKS:
            each = [v.about for v in views if v.about.component == component]
            sums: dict[str, float] = {}
            for about in each:
                peaks = self._peaks_of(about.name)
                for precision, peak in peaks.items():
                    found[Scope(component, about.device), precision] = peak
                sums = {
                    p: sums.get(p, 0.0) + peak
                    for p, peak in peaks.items()
                    if p in sums or about is each[0]
                }
            found |= {(Scope(component, ALL), p): total for p, total in sums.items()}
        self._peaks, self._peaks_at = found, self.devices.changes
        return found

    def flops(self, now: float, peaks: Mapping[tuple[Scope, str], float]) -> list[FlopView]:
        """Return what floating-point operations were done, and how efficiently."""
        return self.tally.flop_views(now, peaks)

    def work(self, now: float) -> list[WorkView]:
        """Return what useful work was done, and what a unit took."""
        return self.tally.work_views(now)
