"""Floating-point operations of the CPUs, counted by their performance counters.

One group of events per CPU and precision, for all processes (perf_event_open(2) with pid -1), so
that what was counted belongs to the same whole as the energy of the packages. What is counted on
which CPU: `collectors/perf_events.py`. One FlopCount for all CPUs together, by precision.

Traps, with sources:

- counters that do not fit at once are shared in turn: the kernel then interrupts every CPU, idle
  ones too, each `perf_event_mux_interval_ms` (kernel/events/core.c, perf_mux_hrtimer_handler),
  which costs energy by itself. So no more is asked than fits, unless `multiplex` allows it; where
  others take counters away, what we have is scaled up;
- a CPU that goes offline takes its events along, and they do not count again when it is back: the
  events are made anew, and an interval that not every CPU was counted in gives no sample, because
  a part of the work would pass for all of it;
- each event needs a descriptor, in a group too: 8 on each of 128 CPUs are more than the 1024 that
  a process may have by default. The limit is raised as far as the hard one allows;
- a VM mostly has no such counters (ENOENT); a container's seccomp profile forbids the call (EPERM).
"""

import errno
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from agent.clock import Clock
from agent.collector import (
    Absent,
    BlockingCollector,
    CollectorSettings,
    Context,
    Problem,
    Transient,
)
from agent.quantities import Component, Seconds
from agent.samples import FlopCount, Method, Sample
from collectors.perf_count import flop_between, was_on
from collectors.perf_events import Plan, cpu_list
from collectors.perf_setup import Pmu, allow_files, choose, fitting, refused
from collectors.perf_syscall import Counters, Reading
from collectors.sysfs import Attribute, Unreadable

_ONLINE: Final = "devices/system/cpu/online"
_AWAY: Final = frozenset({errno.EINVAL, errno.ENODEV, errno.ENXIO})
"""The kernel's answers for a CPU that is not online (kernel/events/core.c, find_get_context)."""


_Last = tuple[Seconds, tuple[Reading, ...] | None]


class PerfSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.perf]`."""

    interval_seconds: float | None = 5.0
    """Seconds between readings; each asks every CPU, so idle ones wake."""
    multiplex: bool = False
    """Count also where the events need more counters than a CPU has (Skylake-SP to Cooper Lake
    with hyper-threading): they take turns, which wakes idle CPUs hundreds of times a second."""


class _Cpu:
    """The counters of one CPU and what they last said."""

    __slots__ = ("at", "counters", "groups", "last")

    def __init__(self, number: int, pmu: Pmu) -> None:
        self.groups = pmu.groups
        self.counters: list[Counters] = []
        self.last: tuple[Reading, ...] | None = None
        self.at = Seconds(0)
        try:
            for group in pmu.groups:
                configs = [event.config for event in group.events]
                self.counters.append(Counters(pmu.type, configs, number))
        except OSError:
            self.close()
            raise

    def read(self, clock: Clock) -> bool:
        """Read all groups; False if one gave nothing."""
        self.at = clock.boottime()
        readings: list[Reading] = []
        for counters in self.counters:
            try:
                reading = counters.read()
            except OSError:
                return False
            if reading is None:
                return False
            readings.append(reading)
        self.last = tuple(readings)
        return True

    def close(self) -> None:
        for counters in self.counters:
            counters.close()


class Perf(BlockingCollector):
    """Counts the floating-point operations of all CPUs."""

    Settings: ClassVar[type[CollectorSettings]] = PerfSettings
    settings: PerfSettings

    def __init__(self, settings: PerfSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._sysfs = context.paths.sysfs
        self._online = Attribute(self._sysfs, self._sysfs / _ONLINE)
        self._plan: Plan | None = None
        self._pmus: list[Pmu] = []
        self._cpus: dict[int, _Cpu] = {}
        self._since: Seconds | None = None
        self._problems: tuple[Problem, ...] = ()

    def read(self) -> Sequence[Sample]:
        """Return the operations since the last reading. Raises as `Collector.collect` does.

        Nothing where the CPUs that are online have changed: some of the work was not counted.
        """
        self._problems = ()
        if self._plan is None:
            self._plan = choose(self.context.paths.procfs)
        online = self._online_cpus()
        if not self._pmus:
            multiplex = self.settings.multiplex
            self._pmus = fitting(self._plan, self._sysfs, min(online), multiplex=multiplex)
            most = max(sum(len(group.events) for group in pmu.groups) for pmu in self._pmus)
            allow_files(most * len(online))
        changed = self._follow(online)
        before = {number: (cpu.at, cpu.last) for number, cpu in self._cpus.items()}
        clock = self.context.clock
        begin = clock.boottime()
        silent = [number for number, cpu in self._cpus.items() if not cpu.read(clock)]
        # Between the clock's two readings: on many CPUs it takes a while.
        at = Seconds((begin + clock.boottime()) / 2)
        since, self._since = self._since, at
        self._drop(silent)
        missing = online - self._cpus.keys()
        if missing:
            raise Transient(f"CPU {min(missing)} is online and its counters cannot be read", "gone")
        if since is None or changed:
            return ()
        return self._samples(before, since, at)

    def problems(self) -> Sequence[Problem]:
        """Return the precisions that gave no count at the last reading."""
        return self._problems

    def close(self) -> None:
        """End the thread and stop counting."""
        super().close()
        self._drop(list(self._cpus))
        self._online.close()

    def _online_cpus(self) -> set[int]:
        try:
            online = cpu_list(self._online.read_text())
        except Unreadable as error:
            raise Transient(str(error), error.reason) from None
        except ValueError:
            online = set()
        if not online:
            raise Transient(f"{self._sysfs / _ONLINE} names no CPU", "garbage")
        return online

    def _follow(self, online: set[int]) -> bool:
        """Make counters for CPUs that came and drop those that left; True if any did."""
        gone = self._cpus.keys() - online
        self._drop(gone)
        new = online - self._cpus.keys()
        for number in sorted(new):
            pmu = next((p for p in self._pmus if p.cpus is None or number in p.cpus), None)
            if pmu is None:
                self._drop(list(self._cpus))
                raise Absent(f"CPU {number} has no PMU that is known to count its operations")
            try:
                self._cpus[number] = _Cpu(number, pmu)
            except OSError as error:
                if error.errno not in _AWAY:
                    self._drop(list(self._cpus))
                    refused(error)
        return bool(gone or new)

    def _samples(
        self, before: Mapping[int, _Last], since: Seconds, at: Seconds
    ) -> Sequence[Sample]:
        """Add up all CPUs by precision; a precision that one CPU does not know is unknown."""
        totals: dict[str, float] = {}
        unknown: dict[str, int] = {}
        away: set[int] = set()
        for number, cpu in self._cpus.items():
            read_at, last = before[number]
            seconds = cpu.at - read_at
            for group, was, now in zip(cpu.groups, last or (), cpu.last or (), strict=True):
                flop = flop_between(was, now, group.events, seconds)
                if flop is not None:
                    totals[group.precision] = totals.get(group.precision, 0.0) + flop
                else:
                    unknown[group.precision] = number
                    if not was_on(was, now, seconds):
                        away.add(number)
        self._drop(away)  # events of a CPU that was offline do not count again: made anew
        self._problems = tuple(
            Problem(
                f"{precision} operations",
                f"CPU {number} did not count throughout: it was offline, the host slept, or "
                "another program has its counters",
                reason="busy",
            )
            for precision, number in unknown.items()
        )
        if self._problems and unknown.keys() >= totals.keys():
            raise Transient(self._problems[0].why, "busy")
        return [
            FlopCount("perf", Component.CPU, "all", since, at, flop, precision, Method.COUNTER)
            for precision, flop in totals.items()
            if precision not in unknown
        ]

    def _drop(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._cpus.pop(number).close()
