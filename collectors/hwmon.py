"""Power sensors and energy counters of hwmon chips, in sysfs.

Reads `class/hwmon/hwmon*` (Documentation/hwmon/sysfs-interface.rst). What a channel is about and
whether it counts is in `collectors/hwmon_meaning.py`. Traps, with sources:

- powerN_average is preferred to powerN_input, channel by channel (kepler's hwmon backend), but
  on fam15h_power, whose average is of the compute units alone;
- V x I only on a chip without a power file and where the pair is documented or labelled;
- `*_enable` = 0 means the value is old: skipped;
- ACPI's error code 0xffffffff mW reads as 4294967295000 uW (kepler #1049, lm-sensors #460);
  negative, empty and unreadable text is no power either, and a CPU or a whole server never
  draws 0 W while this code runs on it;
- attributes may lie in `hwmonN/device/` instead (acpi_power_meter, kepler #233);
- hwmon indices change from boot to boot, so devices are named after chips, labels and buses;
- power of GPU chips is left to the GPU collectors; an SFP module's TX_power is light;
- energyN_input of amd_energy is kept in 64 bits by the driver and does not wrap; it starts anew
  with the module, and is readable by root and its group only (mode 0440).
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
from agent.quantities import Joules, Ratio, Seconds, Watts
from agent.samples import EnergyCounter, PowerReading, Sample
from collectors.hwmon_channels import CLASS, Channel, Found, scan
from collectors.hwmon_meaning import Meaning, meanings
from collectors.sysfs import Rescan, Unreadable, close_all

DEFAULT_ACCURACY: Final = Ratio(0.10)
REMEDY_PERMISSION: Final = (
    "let the group wattlas read these counters and nothing else: "
    "echo 'z /sys/class/hwmon/hwmon*/energy*_input 0440 root wattlas' "
    "| sudo tee /etc/tmpfiles.d/wattlas-hwmon.conf && "
    "sudo systemd-tmpfiles --create /etc/tmpfiles.d/wattlas-hwmon.conf; "
    "for a quick try, run wattlas as root"
)


class HwmonSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.hwmon]`."""

    rescan_seconds: float = 60.0
    """Seconds between looks for chips that came or went, or were switched on or off."""


class Hwmon(BlockingCollector):
    """Power sensors and energy counters of the server's chips."""

    Settings: ClassVar[type[CollectorSettings]] = HwmonSettings
    settings: HwmonSettings

    def __init__(self, settings: HwmonSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._root = context.paths.sysfs
        self._channels: list[tuple[Channel, Meaning]] = []
        self._found = Found((), ())
        self._problems: tuple[Problem, ...] = ()
        self._rescan = Rescan(settings.rescan_seconds)
        self._seen = False

    def read(self) -> Sequence[Sample]:
        """Return one reading of every channel. Raises as `Collector.collect` does."""
        boottime = self.context.clock.boottime
        before = boottime()
        if self._rescan.is_due(before):
            self._look()
            before = boottime()
            self._rescan.looked(before, complete=not self._found.problems)
        samples: list[Sample] = []
        problems = list(self._found.problems)
        for channel, meaning in self._channels:
            try:
                value = channel.joules() if channel.kind == "energy" else channel.watts()
                after = boottime()
                at = Seconds((before + after) / 2)
                samples.append(_sample(channel, meaning, at, value))
                before = after
            except Unreadable as error:
                if error.reason == "gone":
                    self._rescan.soon()
                remedy = REMEDY_PERMISSION if error.reason == "permission" else ""
                problems.append(error.problem(meaning.device, remedy))
                before = boottime()
        self._problems = tuple(problems)
        if not samples:
            self._raise_nothing()
        return samples

    def problems(self) -> Sequence[Problem]:
        """Return the channels that are there but gave no value at the last `collect`."""
        return self._problems

    def close(self) -> None:
        """End the thread and close the chips' files."""
        super().close()
        close_all(self._found.switches)
        for channel, _ in self._channels:
            close_all(channel.files)

    def _look(self) -> None:
        if (
            not self._rescan.forced
            and not self._found.problems
            and self._found.is_current(self._root)
        ):
            return
        close_all(self._found.switches)
        self._found = found = scan(self._root)
        kept = {channel.key: channel for channel, _ in self._channels}
        channels = [kept.pop(channel.key, channel) for channel in found.channels]
        for gone in kept.values():
            close_all(gone.files)
        self._channels = meanings(self._root, channels)
        if not self._channels and not found.problems and not self._seen:
            raise Absent(
                f"no chip below {self._root}/{CLASS} has a power or energy sensor for this agent"
            )
        self._seen = True

    def _raise_nothing(self) -> None:
        """Say why not one channel gave a value."""
        if not self._problems:
            self._rescan.soon()
            raise Transient("the hwmon sensors are gone or switched off", "gone")
        first = self._problems[0]
        raise Transient(f"no hwmon sensor can be read: {first.why}", first.reason, first.remedy)


def _sample(channel: Channel, meaning: Meaning, at: Seconds, value: float) -> Sample:
    """Return the sample. Raises `Unreadable` for a 0 that cannot be true."""
    if channel.kind == "energy":
        return EnergyCounter(
            collector="hwmon",
            component=meaning.component,
            device=meaning.device,
            at=at,
            joules=Joules(value),
            counted=meaning.counted,
        )
    if value == 0 and meaning.idle_is_garbage:
        raise Unreadable(channel.path, "says 0 W of a part that is running", "garbage")
    return PowerReading(
        collector="hwmon",
        component=meaning.component,
        device=meaning.device,
        at=at,
        watts=Watts(value),
        counted=meaning.counted,
        accuracy=DEFAULT_ACCURACY if meaning.accuracy is None else Ratio(meaning.accuracy),
    )
