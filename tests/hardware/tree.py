"""The simulated machine: a `/sys` and a `/proc` on disk whose counters follow a true power."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from hardware import hwmon, powercap, procfs
from hardware.clock import VirtualClock
from hardware.files import LiveFile, put, put_all
from hardware.hwmon import Chip, Sensor, Shows
from hardware.power import Power
from hardware.powercap import Zone
from hardware.procfs import Disk, Processor
from hardware.timeline import Event, Kind, Timeline

_BOOTS = uuid.UUID("6f1d0c5e-5f0c-4c57-9a0e-8d1f2c3b4a59")


@dataclass(frozen=True)
class Spec:
    """What a machine has, and what each of its devices truly draws."""

    processor: Processor
    power: Mapping[str, Power]
    """By device: `package-0`, `dram-0`, `psys`, `wall` …; zones and sensors name them.

    `package-N` always exists, sensor or not: it drives the utilisation in `/proc/stat`.
    """
    zones: tuple[Zone, ...] = ()
    chips: tuple[Chip, ...] = ()
    disks: tuple[Disk, ...] = ()
    memory_gibibytes: int = 64
    dmi: Mapping[str, str] = field(default_factory=dict)


@cache
def _boot_id(boots: int) -> bytes:
    return f"{uuid.uuid5(_BOOTS, str(boots))}\n".encode()


class Machine:
    """A machine below `root`: `procfs` and `sysfs` are what an agent is pointed at.

    Times are the scenario's true time. Without a `clock` the machine keeps its history to itself
    and only the process that made it may write it; with one, every process that opens the same
    clock shares the history, and any of them may write, one at a time.
    """

    def __init__(self, root: Path, spec: Spec, clock: VirtualClock | None = None) -> None:
        self.root = root
        self.procfs = root / "proc"
        self.sysfs = root / "sys"
        self.spec = spec
        self.clock = clock
        self._own_timeline = Timeline()
        self._baselines: dict[tuple[str, float], float] = {}
        self._build_static()
        zones = powercap.build(self.sysfs, spec.zones)
        self._counters = [
            (LiveFile(zones[zone.index] / "energy_uj", 0o400), zone, spec.power[zone.device])
            for zone in spec.zones
        ]
        self._sensors = [
            (LiveFile(directory / sensor.file), sensor, spec.power[sensor.device])
            for chip, directory in zip(spec.chips, hwmon.build(self.sysfs, spec.chips), strict=True)
            for sensor in chip.sensors
        ]
        self._clocks, self._throttles = self._open_processors()
        self._boot_id = LiveFile(self.procfs / "sys/kernel/random/boot_id")
        self._processes = {
            name: LiveFile(self.procfs / name)
            for name in ("stat", "uptime", "loadavg", "diskstats", "net/dev")
        }
        self.write(clock.now if clock else 0.0)

    @property
    def timeline(self) -> Timeline:
        """What has happened to the machine so far, and what will."""
        return self.clock.timeline if self.clock else self._own_timeline

    @timeline.setter
    def timeline(self, timeline: Timeline) -> None:
        """Replace the history; only without a clock, which keeps its own."""
        if self.clock:
            raise ValueError("the clock keeps the history")
        self._own_timeline = timeline

    def joules(self, device: str, start: float, end: float) -> float:
        """Return what the device truly used between two times."""
        power = self.spec.power[device]
        return self.timeline.joules(power, end) - self.timeline.joules(power, start)

    def watts(self, device: str, t: float) -> float:
        """Return what the device truly draws at a time."""
        return self.spec.power[device].watts(t) if self.timeline.is_on(t) else 0.0

    def zone_path(self, index: str) -> Path:
        """Return the class directory of a zone: `intel-rapl:0:1`."""
        return self.sysfs / "class/powercap" / index

    def reboot(self, at: float, off_seconds: float = 30.0) -> None:
        """Switch off at a time; afterwards counters, clocks and boot id are new."""
        self._happen(Event(at, at + off_seconds, Kind.REBOOT))

    def suspend(self, start: float, end: float) -> None:
        """Sleep: CLOCK_BOOTTIME runs on, CLOCK_MONOTONIC and the counters stand still."""
        self._happen(Event(start, end, Kind.SUSPEND))

    def step_wall(self, at: float, seconds: float) -> None:
        """Set the wall clock forwards or back."""
        self._happen(Event(at, seconds, Kind.WALL_STEP))

    def reset(self, at: float, device: str = "") -> None:
        """Let a device's counters start anew without a reboot; "" is all of them."""
        self._happen(Event(at, 0.0, Kind.RESET, device))

    def throttle(self, start: float, end: float, device: str = "package-0") -> None:
        """Let a socket be too hot: its clock falls, and Linux counts the time once it is over."""
        self._happen(Event(start, end, Kind.THROTTLE, device))

    def write(self, t: float, *, proc: bool = True) -> None:
        """Bring every file to time `t` and set the clock, if there is one.

        `proc=False` leaves `/proc` alone but for the boot id, which is a third of the work, and
        the processors' clocks.
        """
        if self.clock and self.clock.claim():
            self._resync()
        timeline = self.timeline
        at = powercap.refreshed(t)
        for file, zone, power in self._counters:
            joules = timeline.joules(power, at) + self._offset(zone, power, timeline, at)
            file.write(b"%d\n" % zone.microjoules(joules))
        for file, sensor, power in self._sensors:
            file.write(b"%d\n" % self._reading(sensor, power, timeline, t))
        self._boot_id.write(_boot_id(timeline.boots(t)))
        if proc:
            self._write_proc(timeline, t)
            self._write_processors(timeline, t)
        if self.clock:
            self.clock.now = t

    def close(self) -> None:
        """Let go of the files, which stay."""
        for file in self._live_files():
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _happen(self, event: Event) -> None:
        if self.clock:
            self.clock.add(event)
        else:
            self._own_timeline = self._own_timeline.adding(event)
        self._baselines.clear()

    def _offset(self, zone: Zone, power: Power, timeline: Timeline, t: float) -> float:
        """Return what to add to the energy since 0 to get the energy since the counter's zero."""
        since = timeline.counting_since(zone.device, t)
        if since is None:
            return zone.start_joules
        key = (zone.device, since)
        if key not in self._baselines:
            self._baselines[key] = -timeline.joules(power, since)
        return self._baselines[key]

    @staticmethod
    def _reading(sensor: Sensor, power: Power, timeline: Timeline, t: float) -> int:
        refresh = sensor.refresh_seconds
        at = (t + 1e-9) // refresh * refresh
        watts = power.watts(at) if timeline.is_on(at) else 0.0
        match sensor.shows:
            case Shows.POWER:
                return round(watts * 1e6)
            case Shows.CURRENT:
                return round(watts / 12 * 1e3)
            case Shows.AVERAGE:
                joules = timeline.joules(power, at) - timeline.joules(power, at - refresh)
                return round(joules / refresh * 1e6)
            case Shows.TEMPERATURE:
                throttled = timeline.is_throttled(sensor.device, at)
                return hwmon.celsius(watts, throttled=throttled) * 1000
            case Shows.ENERGY:
                since = timeline.counting_since(sensor.device, at) or 0.0
                return int((timeline.joules(power, at) - timeline.joules(power, since)) * 1e6)

    def _write_proc(self, timeline: Timeline, t: float) -> None:
        cpu = self.spec.processor
        booted = timeline.booted_at(t)
        up = timeline.monotonic(t)
        busy = []
        for socket in range(cpu.sockets):
            power = self.spec.power[f"package-{socket}"]
            since = max(booted, 0.0)
            joules = timeline.joules(power, t) - timeline.joules(power, since)
            idle = cpu.idle_watts * (up - max(since - booted, 0.0))
            busy.append((joules - idle) / (cpu.peak_watts - cpu.idle_watts))
        uptime = timeline.boottime(t)
        load = sum(busy) / max(up, 1.0) * cpu.per_socket
        files = self._processes
        btime = int(timeline.wall(t) - uptime)
        files["stat"].write(procfs.stat(cpu, busy, up, btime).encode())
        files["uptime"].write(f"{uptime:.2f} {max(up - sum(busy), 0.0):.2f}\n".encode())
        files["loadavg"].write(f"{load:.2f} {load:.2f} {load:.2f} 2/400 4242\n".encode())
        files["diskstats"].write(procfs.diskstats(self.spec.disks, up).encode())
        files["net/dev"].write(procfs.net_dev(up).encode())

    def _open_processors(self) -> tuple[dict[int, LiveFile], dict[int, LiveFile]]:
        """Return the files of each socket's clock, and of how long it was held down."""
        cpu = self.spec.processor
        if cpu.hypervisor:
            return {}, {}
        sockets = range(cpu.sockets)
        clocks = {n: LiveFile(procfs.clock_file(self.sysfs, cpu, n)) for n in sockets}
        throttles = {}
        if cpu.vendor == "GenuineIntel":
            throttles = {n: LiveFile(procfs.throttle_file(self.sysfs, cpu, n)) for n in sockets}
        procfs.share_processors(self.sysfs, cpu)
        return clocks, throttles

    def _write_processors(self, timeline: Timeline, t: float) -> None:
        cpu = self.spec.processor
        for socket, file in self._clocks.items():
            device = f"package-{socket}"
            throttled = timeline.is_throttled(device, t)
            watts = self.watts(device, t)
            file.write(b"%d\n" % procfs.kilohertz(cpu, watts, throttled=throttled))
        for socket, file in self._throttles.items():
            seconds = timeline.throttled_seconds(f"package-{socket}", t)
            file.write(b"%d\n" % round(seconds * 1e3))

    def _build_static(self) -> None:
        put(self.procfs / "cpuinfo", procfs.cpuinfo(self.spec.processor))
        put(self.procfs / "meminfo", procfs.meminfo(self.spec.memory_gibibytes << 20))
        put(self.procfs / "version", "Linux version 6.1.0-sim (simulated)")
        put(self.procfs / "filesystems", "nodev\tsysfs\nnodev\tproc\n\text4\n")
        (self.procfs / "self").symlink_to("/proc/self")
        procfs.build_processors(self.sysfs, self.spec.processor)
        procfs.build_disks(self.sysfs, self.spec.disks)
        procfs.build_network(self.sysfs)
        put_all(self.sysfs / "class/dmi/id", dict(self.spec.dmi))

    def _live_files(self) -> list[LiveFile]:
        files = [self._boot_id, *self._processes.values()]
        files += [*self._clocks.values(), *self._throttles.values()]
        files += [file for file, _, _ in self._counters]
        return files + [file for file, _, _ in self._sensors]

    def _resync(self) -> None:
        for file in self._live_files():
            file.resync()
