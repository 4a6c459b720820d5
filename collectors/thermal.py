"""Clocks, temperatures and thermal throttling of the CPUs, every 15 s.

For people who look at a server's dashboard; no joule depends on it. What is read, for each socket:

- the clock: the mean of `cpufreq/policy*/scaling_cur_freq` of at most 16 CPUs of the server, evenly
  spread. On x86 that is measured (APERF/MPERF), elsewhere mostly the frequency last asked for
  (Documentation/admin-guide/pm/cpufreq.rst, scaling_cur_freq);
- the temperature by hwmon: coretemp's "Package id N", which is the hottest of the package
  (IA32_PACKAGE_THERM_STATUS); k10temp's and zenpower's Tdie, else Tctl. Tctl is what the fans are
  controlled by; before family 17h (Zen) it is "a non-physical temperature on an arbitrary scale"
  (Documentation/hwmon/k10temp.rst);
- the time for which a package was throttled since boot because it was hot:
  `thermal_throttle/package_throttle_total_time_ms`, of Intel CPUs
  (Documentation/admin-guide/thermal/intel_thermal_throttle.rst; there since the patch "Optimize
  notifications of thermal throttle" of November 2019, Linux 5.5). "Package status is broadcast to
  all CPUs" (ibid.), so one CPU of each socket is read.

Traps:

- reading a frequency interrupts that CPU, twice, and sleeps 10 ms in between, on x86 before
  commit f3eca381bd49 of 2022 (arch/x86/kernel/cpu/aperfmperf.c, arch_freq_get_on_cpu): hence so
  few and so seldom. A package's temperature interrupts one CPU (coretemp.c, rdmsr_on_cpu);
- the number in "Package id N" is that of a die in the kernel's own count (coretemp.c,
  topology_logical_die_id), not the socket's: several dies of a socket show their hottest;
- the kernel adds a throttling to the total when it is over (therm_throt.c, therm_throt_process);
- drives are left out: reading an NVMe drive's temperature sends it a command (drivers/nvme/host/
  hwmon.c, nvme_hwmon_get_smart_log), which may keep it from resting;
- a CPU that goes offline takes its files with it: they are looked for again.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from agent.collector import (
    Absent,
    BlockingCollector,
    CollectorSettings,
    Context,
    Problem,
    Transient,
)
from agent.quantities import Component
from agent.samples import Figure, Figures, Sample
from collectors.sysfs import Unreadable, close_all
from collectors.thermal_files import CPUS, HWMON, Source, listing, scan

AGAIN_SECONDS: Final = 600.0
"""So long after nothing was found it is looked again: a driver may be loaded later."""


class ThermalSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.thermal]`."""

    interval_seconds: float | None = 15.0
    """Seconds between readings; on older kernels each one disturbs some CPUs."""


class Thermal(BlockingCollector):
    """How fast and how hot the CPUs are, and for how long heat held them down."""

    Settings: ClassVar[type[CollectorSettings]] = ThermalSettings

    def __init__(self, settings: ThermalSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._root = context.paths.sysfs
        self._sources: tuple[Source, ...] = ()
        self._listed: tuple[object, ...] | None = None
        self._problems: tuple[Problem, ...] = ()
        self._most: dict[str, float] = {}
        """The longest throttling that each socket has shown, in s."""

    def read(self) -> Sequence[Sample]:
        """Return one sample for each socket. Raises as `Collector.collect` does."""
        try:
            self._look()
        except Unreadable as error:
            self._listed = None
            raise Transient(str(error), error.reason) from None
        if not self._sources:
            self._listed = None
            raise Absent(
                f"no clock, temperature or throttling of a CPU below {self._root}/{CPUS} and"
                f" {self._root}/{HWMON}: a VM hides them, or coretemp (Intel), k10temp (AMD) is"
                " not loaded",
                again_seconds=AGAIN_SECONDS,
            )
        values: dict[str, list[tuple[Figure, str, float]]] = {}
        problems: list[Problem] = []
        for source in self._sources:
            try:
                value = source.read()
            except Unreadable as error:
                if error.reason == "gone":
                    self._listed = None
                problems.append(error.problem(f"{source.device} {source.figure.value}"))
                continue
            if source.figure is Figure.THROTTLED:
                # when a CPU goes offline another tells, which may have missed a moment of it
                value = self._most[source.device] = max(value, self._most.get(source.device, 0.0))
            values.setdefault(source.device, []).append((source.figure, source.which, value))
        self._problems = tuple(problems)
        if not values:
            first = problems[0]
            why = f"nothing of the CPUs can be read: {first.why}"
            raise Transient(why, first.reason)
        at = self.context.clock.boottime()
        return [
            Figures("thermal", Component.CPU, device, at, tuple(found))
            for device, found in values.items()
        ]

    def problems(self) -> Sequence[Problem]:
        """Return the figures that are there but could not be read the last time."""
        return self._problems

    def close(self) -> None:
        """End the thread and close the files."""
        super().close()
        self._close()

    def _look(self) -> None:
        """Look for files, if what is listed has changed. Raises `Unreadable`."""
        listed = listing(self._root)
        if listed == self._listed:
            return
        self._close()
        self._sources = scan(self._root)
        self._listed = listed

    def _close(self) -> None:
        close_all(file for source in self._sources for file in source.files)
