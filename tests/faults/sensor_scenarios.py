"""Which sensors fail, how, when: scenarios for `sensor_runs.py`, the same ones for one seed."""

import errno
import random
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

RAPL, HWMON, THERMAL, HOST = "rapl", "hwmon", "thermal", "host"


@dataclass(frozen=True)
class Target:
    """Files that fail together, and whom that may touch."""

    pattern: str
    """Glob over the path below the machines' directory; `*` crosses slashes."""
    touches: tuple[str, ...]
    """Globs over "collector device" of those who may go without a reading."""
    is_live: bool = True
    """Only values that change are in it: no names, labels and ranges, which say what is what."""
    hangs: bool = True
    """Whether it may hang: not what describes the host, which the kernel has in memory."""


TARGETS = (
    Target("*/intel-rapl:0/energy_uj", ("rapl package-0",)),
    Target("*/intel-rapl:1/energy_uj", ("rapl package-1",)),
    Target("*/intel-rapl:0:0/energy_uj", ("rapl dram-0",)),
    Target("*/intel-rapl:1:0/energy_uj", ("rapl dram-1",)),
    Target("*/energy_uj", ("rapl *",)),
    Target("*/powercap/*", ("rapl *",), is_live=False),
    Target("*/power1_average", ("hwmon power_meter",)),
    Target("*/power1_input", ("hwmon nvme0",)),
    Target("*/hwmon*/power1_*put", ("hwmon nvme0",)),
    Target("*/hwmon*/temp1_input", ("thermal *",)),
    Target("*/hwmon/*", ("hwmon *", "thermal *"), is_live=False),
    Target("*/thermal_throttle/*", ("thermal *",)),
    Target("*/cpufreq/*", ("thermal *",)),
    Target("*/devices/system/cpu/*", ("thermal *", "host *"), is_live=False, hangs=False),
    Target("*/proc/stat", ("host *",)),
    Target("*/proc/*", ("host *",), is_live=False, hangs=False),
    Target("*", ("* *",), is_live=False, hangs=False),
)
ERRORS = (
    errno.EIO,
    errno.ENOENT,
    errno.ENODEV,
    errno.EINVAL,
    errno.ENODATA,
    errno.ETIMEDOUT,
    errno.EACCES,
    errno.EAGAIN,
    errno.EBUSY,
)
GONE = (errno.ENOENT, errno.ENODEV)
"""Errors that mean that the device went away."""
GARBAGE = (
    b"",
    b"\n",
    b"\0" * 40,
    b"garbage\n",
    b"-1\n",
    b"-9223372036854775808\n",
    b"18446744073709551615\n",
    b"9" * 60 + b"\n",
    b"1e9\n",
    b"0x10\n",
    b"12 34\n",
    b"N/A\n",
    b"\xff\xfe\xfd\n",
    b"nan\n",
    "٣\n".encode(),  # a digit, but not one of the kernel's
)
"""What no sensor says when it is well. A plausible number cannot be told from the truth."""
KINDS = ("errno", "open", "short", "garbage", "hang")
HANG_SECONDS = 60.0
FAULTY_SECONDS = 240.0
"""Faults come within the first so many seconds of a scenario, …"""
CLEAN_SECONDS = 100.0
"""… and then none: a look for zones and chips that come and go is due each minute."""


@dataclass(frozen=True)
class Episode:
    """From `start` to `end`, so many of a thousand readings of a target go wrong."""

    kind: str
    target: Target
    start: float
    end: float
    per_mille: int
    seed: int
    errno: int = 0
    short: int | None = None
    garbage: bytes | None = None

    @property
    def touches(self) -> tuple[str, ...]:
        """Whom it may touch: who hangs takes its whole collector along, and nobody else."""
        if self.kind != "hang":
            return self.target.touches
        return tuple(f"{touched.split()[0]} *" for touched in self.target.touches)

    @property
    def recovery_seconds(self) -> float:
        """How long after its end it may still show.

        A value comes at the next tick. What a device is, is looked for again at growing distances
        of at most a minute; so is a value whose file was gone, for then its device may be.
        """
        if self.target.is_live and self.kind != "open" and self.errno not in GONE:
            return 1.0
        return 61.0

    def __str__(self) -> str:
        how = {
            "errno": errno.errorcode.get(self.errno, ""),
            "open": f"open {errno.errorcode.get(self.errno, '')}",
            "short": f"cut to {self.short}",
            "garbage": repr(self.garbage),
        }.get(self.kind, self.kind)
        return (
            f"{self.start:.0f}-{self.end:.0f} s {self.target.pattern} {how} {self.per_mille}/1000"
        )


@dataclass(frozen=True)
class Scenario:
    """One machine's bad quarter of an hour."""

    seed: int
    episodes: tuple[Episode, ...]
    with_estimate: bool

    def excuses(self, who: str, at: float) -> bool:
        """Tell whether "collector device" may be without a reading at a time."""
        return any(
            episode.start <= at <= episode.end + episode.recovery_seconds
            for episode in self.episodes
            if any(fnmatchcase(who, pattern) for pattern in episode.touches)
        )


def scenario(seed: int) -> Scenario:
    """Draw one. At most one sensor hangs at a time: a thread hangs for each."""
    dice = random.Random(seed)
    episodes = [_episode(dice, dice.choice(KINDS[:-1])) for _ in range(dice.randrange(1, 7))]
    hanging = 0.0
    for _ in range(dice.choice((0, 1, 1, 2))):
        hang = _episode(dice, "hang", after=hanging)
        episodes.append(hang)
        hanging = hang.end + 10.0
    return Scenario(seed, tuple(episodes), with_estimate=dice.random() < 0.5)


def _episode(dice: random.Random, kind: str, after: float = 0.0) -> Episode:
    start = dice.choice((0.0, dice.uniform(0.0, 160.0)))
    length = dice.choice((dice.uniform(1.0, 10.0), dice.uniform(10.0, 120.0)))
    if kind == "hang":
        start = after + dice.uniform(1.0, 50.0)
        length = HANG_SECONDS
    targets: Sequence[Target] = TARGETS
    if kind in {"short", "garbage"}:
        targets = [target for target in TARGETS if target.is_live]
    if kind == "hang":
        targets = [target for target in TARGETS if target.hangs]
    target = dice.choice(targets)
    return Episode(
        kind,
        target,
        float(round(start)),
        min(FAULTY_SECONDS, float(round(start + length))),
        dice.choice((20, 100, 300, 700, 1000)),
        dice.randrange(1, 2**32),
        errno=_error(dice, target) if kind in {"errno", "open"} else 0,
        short=dice.choice((0, 1, 2, 3, 5, 8)) if kind == "short" else None,
        garbage=dice.choice(GARBAGE) if kind == "garbage" else None,
    )


def _error(dice: random.Random, target: Target) -> int:
    """Draw an error; EAGAIN is a driver's, and never comes from what the kernel has in memory."""
    return dice.choice(ERRORS if target.hangs else [e for e in ERRORS if e != errno.EAGAIN])
