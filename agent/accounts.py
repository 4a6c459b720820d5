"""What one host used and what it got done for it: meter, work and devices, fed together. Pure."""

from collections.abc import Callable, Mapping, Sequence

from agent.devices import AcceleratorView, Devices
from agent.meter import Meter, MeterState, StreamIdentity
from agent.quantities import Component, Seconds
from agent.samples import (
    Accelerator,
    EnergyCounter,
    Figures,
    FlopCount,
    Inventory,
    PowerReading,
    Sample,
    Utilization,
    WorkCounter,
    WorkDone,
)
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
        *,
        peaks_of: Callable[[str], Peaks],
        match_work: bool = True,
    ) -> None:
        """Start anew, or go on from what an earlier run left.

        `peaks_of` returns the peaks of a device by its name; empty where they are not known.
        `match_work` False: no work will come, so its energy need not be kept.
        """
        self.meter = Meter(intervals, identities, meter)
        self.meter.posted = [] if match_work else None
        self.tally = Tally(work)
        self.devices = Devices()
        self.utilization: dict[tuple[Component, str], Utilization] = {}
        """The newest of each device."""
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
        if energy:
            self.meter.take(energy, now, wall)
        for inventory in inventories:
            self.meter.keep_only(inventory.collector, inventory.component, inventory.devices)
        if work:
            self.tally.take(work, self.devices.scopes)

    def settle(self, now: Seconds, wall: Seconds) -> None:
        """Decide what can be decided at `now`."""
        self.meter.settle(now, wall)
        posted = self.meter.posted
        if posted is None:
            return
        for who, start, until, joules in posted:
            self.tally.book.post(who.component, who.device, start, until, joules)
        posted.clear()
        self.tally.settle(now, {stream.component for stream in self.meter.missing_now()})

    def use_peaks(self, peaks_of: Callable[[str], Peaks]) -> None:
        """Ask somebody else for peaks from now on."""
        self._peaks_of, self._peaks_at = peaks_of, -1

    def accelerators(self, now: float) -> list[AcceleratorView]:
        """Return every accelerator with what is known of it."""
        return self.devices.views(now)

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
