"""Utilisation of CPUs, memory, disks and network ports, through psutil.

Reads `stat`, `meminfo`, `diskstats` and `net/dev` in procfs, and in sysfs the topology, which
disks are whole and how fast a port's link is. What each ratio means:

- cpu: busy time / all time since the last reading, for each socket (`package-N`) and for all
  (`all`). idle and iowait are not busy (a core that waits for a disk sleeps); steal is time in
  which the hypervisor ran somebody else here: part of all time and not busy; guest is inside
  user, and guest_nice inside nice, and not added again (Documentation/filesystems/proc.rst, 1.7);
- dram: 1 - available / total, MemAvailable being what could be had without swapping (same, 1.2);
- storage: time with at least one request under way / time, field 10 of
  Documentation/admin-guide/iostats.rst. A disk that serves many requests at once can be at 1
  and still have room;
- nic: the busier direction's bytes / what the link could carry. No link or a speed that the
  driver does not tell (-1, EINVAL, virtio) gives no sample.

Traps: idle and iowait may fall (Documentation/filesystems/proc.rst, 1.7), which is a part of all
time only and never makes a core busier than 1; psutil lists CPUs that are online, without their
numbers, so they are matched with the topology's list, and there is only `all` if the two
disagree; partitions, loop, RAM, device-mapper and md disks, and ports without a device (lo, veth,
bridge, bond) are left out, as they would show the same disk or port twice; without `diskstats`
psutil would read this machine's own /sys/block, whatever root it was given.

psutil keeps procfs' root in a global, `psutil.PROCFS_PATH`; it is set before each reading.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import psutil  # type: ignore[import-untyped]

from agent.collector import BlockingCollector, CollectorSettings, Context, Problem, Transient
from agent.quantities import Component, Ratio, Seconds
from agent.samples import Sample, Utilization
from collectors.sysfs import Unreadable, optional_int
from collectors.topology import packages_of_cpus

BITS_PER_BYTE: Final = 8
SLACK_SECONDS: Final = 0.1
"""A tick may come this much early; waiting for the next one would make 15 s of it 16 s."""
_NOT_BUSY: Final = ("idle", "iowait", "steal")
_GUEST: Final = ("guest", "guest_nice")
_VIRTUAL_DISK: Final = re.compile(r"(loop|ram|zram|dm-|md|sr|fd|nbd)\d.*")
_PARTITION: Final = re.compile(r"((sd|hd|vd|xvd)[a-z]+|(nvme\d+n|mmcblk)\d+p)\d+")
_UNPARSABLE: Final = (
    OSError,
    ValueError,
    LookupError,
    RuntimeError,
    ArithmeticError,
    TypeError,
    AssertionError,
)
"""What psutil lets through when a file in procfs is missing or not as expected."""

T = TypeVar("T")
Counts = tuple[float, float]
"""Busy and all time, or bytes received and sent."""


class HostSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.host]`."""

    slow_interval_seconds: float = 15.0
    """Seconds between readings of memory, disks and network ports."""


class Host(BlockingCollector):
    """How busy the server's parts are."""

    Settings: ClassVar[type[CollectorSettings]] = HostSettings
    settings: HostSettings

    def __init__(self, settings: HostSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._sysfs = context.paths.sysfs
        self._packages: list[int] | None = None
        self._packages_of = 0
        self._cpus: dict[str, Counts] = {}
        self._disks: dict[str, float] = {}
        self._ports: dict[str, Counts] = {}
        self._slow_at: float | None = None
        self._problems: dict[str, Problem] = {}

    def read(self) -> Sequence[Sample]:
        """Return this tick's ratios; none of CPUs at the first. Raises as `collect` does."""
        psutil.PROCFS_PATH = str(self.context.paths.procfs)
        at = self.context.clock.boottime()
        counts = self._try("cpu", "stat", self._cpu_counts)
        samples = self._cpu_samples(counts or {}, at)
        since = None if self._slow_at is None else at - self._slow_at
        if since is None or since >= self.settings.slow_interval_seconds - SLACK_SECONDS:
            self._slow_at = at
            samples += self._try("memory", "meminfo", lambda: _memory(at)) or []
            samples += self._try("disks", "diskstats", lambda: self._disk_samples(at, since)) or []
            samples += self._try("ports", "net/dev", lambda: self._port_samples(at, since)) or []
        if "cpu" in self._problems and not samples:
            raise Transient(self._problems["cpu"].why, self._problems["cpu"].reason)
        return samples

    def problems(self) -> Sequence[Problem]:
        """Return what could not be read when it was last tried."""
        return tuple(self._problems.values())

    def _try(self, what: str, file: str, function: Callable[[], T]) -> T | None:
        try:
            result = function()
        except _UNPARSABLE as error:
            path = self.context.paths.procfs / file
            reason, why = "garbage", str(error)
            if isinstance(error, OSError):
                reason, why = "io", error.strerror or why
            self._problems[what] = Problem(what, f"{path}: {why}", reason=reason)
            return None
        except Unreadable as error:
            self._problems[what] = error.problem(what)
            return None
        self._problems.pop(what, None)
        return result

    def _cpu_counts(self) -> dict[str, Counts]:
        if self._packages is None:
            self._packages = _packages(self._sysfs)
        packages = self._packages
        if len(set(packages)) <= 1:
            # One read of one line instead of one of every CPU.
            total = _busy_and_all(psutil.cpu_times())
            return {"all": total} | {f"package-{package}": total for package in packages[:1]}
        each = [_busy_and_all(times) for times in psutil.cpu_times(percpu=True)]
        counts = {"all": _sum(each)}
        if len(each) != self._packages_of:
            # A CPU came or went. Not at each tick: in a container the two may never agree.
            self._packages_of = len(each)
            self._packages = packages = _packages(self._sysfs)
        if len(each) != len(packages):
            return counts
        for package in set(packages):
            mine = [count for count, of in zip(each, packages, strict=True) if of == package]
            counts[f"package-{package}"] = _sum(mine)
        return counts

    def _cpu_samples(self, counts: dict[str, Counts], at: Seconds) -> list[Sample]:
        before, self._cpus = self._cpus, counts
        samples: list[Sample] = []
        for device, (busy, total) in counts.items():
            if device not in before:
                continue
            was_busy, was_total = before[device]
            if total > was_total:
                ratio = max(0.0, busy - was_busy) / (total - was_total)
                samples.append(_utilization(Component.CPU, device, at, ratio))
        return samples

    def _disk_samples(self, at: Seconds, since: float | None) -> list[Sample]:
        (self.context.paths.procfs / "diskstats").stat()
        disks = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
        now = {
            name: counters.busy_time / 1e3
            for name, counters in disks.items()
            if _is_whole_disk(self._sysfs, name)
        }
        before, self._disks = self._disks, now
        return [
            _utilization(Component.STORAGE, name, at, (busy - before[name]) / since)
            for name, busy in now.items()
            if since and busy >= before.get(name, busy + 1)
        ]

    def _port_samples(self, at: Seconds, since: float | None) -> list[Sample]:
        ports: Mapping[str, Any] = psutil.net_io_counters(pernic=True, nowrap=False) or {}
        now: dict[str, Counts] = {}
        samples: list[Sample] = []
        for name, counters in ports.items():
            if not name.isprintable():  # any bytes make a port's name, but not a label
                continue
            if not (self._sysfs / "class/net" / name / "device").exists():
                continue
            now[name] = (counters.bytes_recv, counters.bytes_sent)
            speed = _link_bytes_per_second(self._sysfs, name)
            if not since or not speed or name not in self._ports:
                continue
            steps = [new - old for new, old in zip(now[name], self._ports[name], strict=True)]
            if min(steps) >= 0:
                samples.append(_utilization(Component.NIC, name, at, max(steps) / since / speed))
        self._ports = now
        return samples


def _utilization(component: Component, device: str, at: Seconds, ratio: float) -> Utilization:
    # Above 1: the counters and the clock are not read in the same instant.
    return Utilization("host", component, device, at, Ratio(min(ratio, 1.0)))


def _busy_and_all(times: Any) -> Counts:
    """Return seconds busy and seconds in all of one line of `stat`."""
    total = sum(times) - sum(getattr(times, name, 0.0) for name in _GUEST)
    return total - sum(getattr(times, name, 0.0) for name in _NOT_BUSY), total


def _sum(counts: Sequence[Counts]) -> Counts:
    return sum(busy for busy, _ in counts), sum(total for _, total in counts)


def _memory(at: Seconds) -> list[Sample]:
    memory = psutil.virtual_memory()
    if memory.total <= 0 or not 0 <= memory.available <= memory.total:
        raise ValueError(f"{memory.available} of {memory.total} bytes available")
    ratio = 1 - memory.available / memory.total
    return [_utilization(Component.DRAM, "all", at, ratio)]


def _packages(sysfs: Path) -> list[int]:
    """Return the socket of each CPU that is online, in their order; none if that is not told."""
    return list(packages_of_cpus(sysfs).values())


def _is_whole_disk(sysfs: Path, name: str) -> bool:
    if not name.isprintable() or _VIRTUAL_DISK.fullmatch(name):
        return False
    if (sysfs / "block").is_dir():
        return (sysfs / "block" / name.replace("/", "!")).exists()
    return not _PARTITION.fullmatch(name)


def _link_bytes_per_second(sysfs: Path, name: str) -> float | None:
    """Return what a port carries in one direction; `speed` is in Mbit/s (ABI sysfs-class-net)."""
    speed = optional_int(sysfs, sysfs / "class/net" / name / "speed")
    # SPEED_UNKNOWN is -1; older kernels print it as 65535 or 4294967295.
    if speed is None or speed <= 0 or speed in (65535, 4294967295):
        return None
    return speed * 1e6 / BITS_PER_BYTE
