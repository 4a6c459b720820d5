"""All work of one host: totals that outlive the agent, and efficiency over the last minute."""

from collections.abc import Iterable, Mapping
from typing import Final

from agent.preference import Preferred
from agent.quantities import Component
from agent.samples import FlopCount, Method, WorkCounter, WorkDone
from agent.work.efficiency import Efficiency
from agent.work.energy import ALL, HOST, EnergyBook, Scope
from agent.work.state import CounterKey, FlopKey, FlopView, WorkKey, WorkState, WorkView

MAX_KINDS: Final = 1000
"""Different series of operations and of work kept; whoever sends more is told so."""
MAX_ABSENT_COUNTERS: Final = 1000
"""Programs' counters remembered; the oldest goes first."""
UNSAID: Final = "unspecified"
"""The precision of operations of which nobody said it."""
_WHOLE: Final = {
    "": HOST,
    **{
        str(component): Scope(component, ALL)
        for component in (Component.CPU, Component.GPU, Component.ACCELERATOR)
    },
}


class Tally:
    """Adds up what was done. Pure: time comes with each call.

    Several sources may see the same operations (NVML and a dcgm-exporter): for each device and
    method one is listened to, and no moment is counted twice.
    """

    def __init__(self, state: WorkState | None = None, max_workloads: int = 100) -> None:
        state = state or WorkState()
        self._flop: dict[FlopKey, float] = dict(state.flop)
        self._work: dict[WorkKey, float] = dict(state.work)
        self._counters: dict[CounterKey, float] = dict(state.counters)
        self._read_at: dict[CounterKey, float] = {}
        self._reported_at: dict[tuple[str, WorkKey, str], float] = {}
        self._flop_until: dict[FlopKey, float] = {}
        self._speakers: Preferred[tuple[Component, str, Method]] = Preferred()
        self._asked: tuple[Component, str, Method, str, float] | None = None
        self._heard = False
        self._of_flop: dict[FlopKey, Efficiency] = {}
        self._of_work: dict[tuple[WorkKey, Scope], Efficiency] = {}
        self.max_workloads = max_workloads
        self.book = EnergyBook()
        self.refused: dict[str, str] = {}
        """What is not counted, and why: one sentence each."""

    @property
    def state(self) -> WorkState:
        """What the ledger must keep."""
        return WorkState(
            list(self._flop.items()), list(self._work.items()), list(self._counters.items())
        )

    # -- work comes in ------------------------------------------------------------------------

    def take(
        self, samples: Iterable[FlopCount | WorkDone | WorkCounter], devices: Mapping[str, Scope]
    ) -> None:
        """Take what was done. `devices`: which scope a device's label or index means."""
        for sample in samples:
            match sample:
                case FlopCount():
                    self._take_flop(sample)
                case WorkDone():
                    self._take_report(sample, devices)
                case WorkCounter():
                    self._take_counter(sample, devices)

    def _take_flop(self, sample: FlopCount) -> None:
        key = (sample.component, sample.device, sample.precision, sample.method)
        if not 0 <= sample.flop < float("inf") or not self._is_heard(sample):
            return
        at, since = sample.at, sample.since
        until = self._flop_until.get(key, since)
        self._flop_until[key] = max(at, until)
        if until > since:
            if until >= at:
                return
            self._add_flop(key, sample.flop * (at - until) / (at - since), until, at)
        elif since < at:
            self._add_flop(key, sample.flop, since, at)

    def _is_heard(self, sample: FlopCount) -> bool:
        """Tell whether this source is listened to; asked once for all precisions of a reading."""
        asked = (sample.component, sample.device, sample.method, sample.collector, sample.at)
        if asked != self._asked:
            self._asked = asked
            self._heard = self._speakers.listens_to(asked[:3], sample.collector, sample.at)
        return self._heard

    def _take_report(self, sample: WorkDone, devices: Mapping[str, Scope]) -> None:
        key = WorkKey(sample.workload, sample.unit)
        who = (sample.collector, key, sample.device)
        before = self._reported_at.get(who)
        self._reported_at[who] = sample.at
        since = sample.since if sample.since is not None else before
        scope = _scope(sample.device, devices)
        if self._add_work(key, sample.amount, scope, since, sample.at) and sample.flop is not None:
            flop_key = (*scope, sample.precision or UNSAID, Method.APPLICATION)
            self._add_flop(flop_key, sample.flop, since, sample.at)

    def _take_counter(self, sample: WorkCounter, devices: Mapping[str, Scope]) -> None:
        if not 0 <= sample.total < float("inf"):
            return
        key = WorkKey(sample.workload, sample.unit)
        counter = CounterKey(sample.collector, sample.workload, sample.unit, sample.instance)
        last = self._counters.pop(counter, None)
        since = self._read_at.get(counter)
        self._counters[counter], self._read_at[counter] = sample.total, sample.at
        if len(self._counters) > MAX_ABSENT_COUNTERS:
            forgotten = next(iter(self._counters))
            del self._counters[forgotten]
            self._read_at.pop(forgotten, None)
        if last is None:
            # done before anybody counted here: not ours
            self._add_work(key, 0.0, HOST, None, sample.at)
            return
        # a counter that fell began anew with its program (as Prometheus' rate() reads it)
        amount = sample.total - last if sample.total >= last else sample.total
        scope = _scope(sample.device, devices)
        if self._add_work(key, amount, scope, since, sample.at) and sample.flop_per_unit:
            flop_key = (*scope, sample.precision or UNSAID, Method.APPLICATION)
            self._add_flop(flop_key, amount * sample.flop_per_unit, since, sample.at)

    def _add_work(
        self, key: WorkKey, amount: float, scope: Scope, since: float | None, at: float
    ) -> bool:
        if key not in self._work and len(self._work) >= self.max_workloads:
            self.refused[f"{key.workload} {key.unit}"] = (
                f"there are {len(self._work)} workloads already, as many as work.max_workloads"
                " allows; raise it, or report under fewer names"
            )
            return False
        self._work[key] = self._work.get(key, 0.0) + amount
        if since is not None:
            efficiency = self._of_work.get((key, scope))
            if efficiency is None:
                efficiency = self._of_work[key, scope] = Efficiency(scope)
            efficiency.add(since, at, amount)
        return True

    def _add_flop(self, key: FlopKey, flop: float, since: float | None, at: float) -> None:
        if key not in self._flop and len(self._flop) >= MAX_KINDS:
            self.refused[f"operations of {key[1]}"] = (
                f"there are {MAX_KINDS} series of operations already"
            )
            return
        total = self._flop[key] = self._flop.get(key, 0.0) + flop
        if since is not None and total:  # of what was never done there is no efficiency
            efficiency = self._of_flop.get(key)
            if efficiency is None:
                efficiency = self._of_flop[key] = Efficiency(Scope(key[0], key[1]))
            efficiency.add(since, at, flop)

    # -- what came of it ----------------------------------------------------------------------

    def settle(self, now: float, dark: Iterable[Component]) -> None:
        """Match work with energy. `dark`: components that now have a device without a figure."""
        self.book.tell(now, dark)
        for efficiency in self._of_flop.values():
            efficiency.settle(self.book, now)
        for efficiency in self._of_work.values():
            efficiency.settle(self.book, now)

    def flop_views(self, now: float, peaks: Mapping[tuple[Scope, str], float]) -> list[FlopView]:
        """Return every total of operations with its efficiency now.

        `peaks`: FLOP/s by scope and precision.
        """
        views: list[FlopView] = []
        for key, flop in self._flop.items():
            efficiency = self._of_flop.get(key)
            rate = None if efficiency is None else efficiency.rate(now)
            per_second = rate.amount / rate.seconds if rate and rate.seconds else None
            component, device, precision, method = key
            peak = peaks.get((Scope(component, device), precision))
            views.append(
                FlopView(
                    component=component,
                    device=device,
                    precision=precision,
                    method=method,
                    flop=flop,
                    flop_per_second=per_second,
                    flop_per_joule=rate.amount / rate.joules if rate else None,
                    peak_ratio=per_second / peak if per_second is not None and peak else None,
                )
            )
        return views

    def work_views(self, now: float) -> list[WorkView]:
        """Return every total of work with what a unit took."""
        spent: dict[WorkKey, tuple[float, float]] = {}
        for (key, _), efficiency in self._of_work.items():
            rate = efficiency.rate(now)
            if rate is not None:
                amount, joules = spent.get(key, (0.0, 0.0))
                spent[key] = (amount + rate.amount, joules + rate.joules)
        return [
            WorkView(key.workload, key.unit, total, _per_unit(*spent.get(key, (0.0, 0.0))))
            for key, total in self._work.items()
        ]


def _per_unit(amount: float, joules: float) -> float | None:
    """Return joules per unit; None where nothing was done."""
    return joules / amount if amount > 0 else None


def _scope(device: str, devices: Mapping[str, Scope]) -> Scope:
    """Return whose energy a report means. A device that nobody sees has none that is known."""
    whole = _WHOLE.get(device)
    return whole or devices.get(device) or Scope(Component.GPU, device)
