"""What a collector is, how it is set, and how it is found.

A collector is one module with one class that satisfies `Collector`. Its package announces it in
the entry-point group `wattlas.collectors`, ours and a third party's alike; nothing else is edited.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import msgspec

from agent.carbon.settings import CarbonSettings
from agent.clock import Clock
from agent.quantities import Component, Ratio
from agent.samples import Sample
from agent.site.settings import SiteSettings
from agent.worker import Worker

ENTRY_POINT_GROUP = "wattlas.collectors"


class ScrapeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[work.scrape.NAME]`: a program's own counters of work; NAME is the workload."""

    url: str
    """Its Prometheus page, e.g. "http://127.0.0.1:8000/metrics"."""
    preset: Literal["vllm", "sglang", "tgi", "triton"] | None = None
    """Which program it is; none: `counters` says what to read."""
    counters: dict[str, str] = {}
    """Metric to unit of work, e.g. {"myserver_images_total" = "images"}; adds to the preset's."""
    device: str = ""
    """Whose energy the work takes: an accelerator's label, "gpu", "cpu"; "": the whole host."""
    flop_per_token: float | None = None
    """Floating-point operations per token, about 2 x parameters for inference; none: not known."""
    precision: str = ""
    """Of those operations, e.g. "fp16_tensor"."""
    token_file: str = ""
    """File with a bearer token for the page."""


class WorkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[work]`: useful work, reported by programs or read from their own counters."""

    socket_mode: str = "0660"
    """Permissions of agent.work_socket: who may report. "0666" lets every user of the host."""
    allow_users: tuple[str | int, ...] = ()
    """Users who may report, by name or number, e.g. ["slurm", 1001]; with allow_groups empty as
    well: whoever socket_mode lets in."""
    allow_groups: tuple[str | int, ...] = ()
    """Groups whose members may report, by name or number, besides allow_users."""
    max_workloads: int = 100
    """Different pairs of workload and unit that are kept; a report of another is refused."""
    scrape: dict[str, ScrapeSettings] = {}
    """Programs whose own counters are read; one table each."""


class Absent(Exception):
    """There is nothing here to read: stop quietly until the settings or the hardware change.

    `remedy` is the command or step that would make it readable, where there is one.
    `again_seconds`: look again after so long, where the hardware can come without a reboot (a
    driver that is loaded later); None: never. A look that finds nothing must cost next to nothing.
    """

    def __init__(self, why: str, remedy: str = "", *, again_seconds: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy
        self.again_seconds = again_seconds


class Transient(Exception):
    """It could not be read this time; the next tick is the retry.

    `reason` is one word for the failures metric: `io`, `permission`, `timeout`, `garbage`, …
    """

    def __init__(self, why: str, reason: str = "io", remedy: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.reason = reason
        self.remedy = remedy


class CollectorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The three values that every collector has; a collector's own settings derive from this."""

    enabled: Literal["auto"] | bool = "auto"
    """auto: use if present; true: must be there; false: off."""
    interval_seconds: float | None = None
    """Seconds between readings; unset: the agent's interval."""
    timeout_seconds: float = 2.0
    """A reading that takes longer counts as failed."""


_NO_WORK = WorkSettings()
_NO_SITE = SiteSettings()
_NO_CARBON = CarbonSettings()


@dataclass(frozen=True, slots=True)
class Paths:
    """Roots that a test can replace."""

    procfs: Path = Path("/proc")
    sysfs: Path = Path("/sys")


@dataclass(frozen=True, slots=True)
class Context:
    """What a collector is given when it is made."""

    paths: Paths
    clock: Clock
    latest_utilization: Callable[[Component, str], Ratio | None]
    """The newest utilisation of a device that any collector has reported, None if none has."""
    work: WorkSettings = _NO_WORK
    """`[work]`: what a program may report, and where programs' own counters are."""
    work_socket: Path | None = None
    """Where to listen for reports of work; None: do not (a short run beside the agent)."""
    site: SiteSettings = _NO_SITE
    """`[site]`: the facility's meters."""
    carbon: CarbonSettings = _NO_CARBON
    """`[carbon]`: where the grid's intensity comes from."""
    grid_zone: str = ""
    """`host.grid_zone`."""
    state_dir: Path | None = None
    """Where what is fetched may be kept; None: nowhere (a short run beside the agent)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A source that is there but cannot be read, as `wattlas check` shows it.

    Reasons `unsupported` (this hardware or driver does not have it) and `asleep` (it saves power,
    and reading would wake it) are told once and are no failures.
    """

    what: str
    why: str
    remedy: str = ""
    reason: str = "io"


class Collector(Protocol):
    """A source of samples. Making one does no I/O."""

    Settings: ClassVar[type[CollectorSettings]]

    def __init__(self, settings: Any, context: Context) -> None: ...

    async def collect(self) -> Sequence[Sample]:
        """Return this tick's samples.

        Raises `Absent` when there is nothing to read, `Transient` when all reading failed this
        time. One unreadable device among others is no exception: it yields no sample and is
        listed in `problems`.
        """
        ...

    def problems(self) -> Sequence[Problem]:
        """Return what of this source could not be read at the last `collect`."""
        ...

    def close(self) -> None:
        """Release files and handles. The collector is not used again."""
        ...


@runtime_checkable
class Receiver(Protocol):
    """A collector that others give samples to: what it has at its end must not be lost."""

    def take(self) -> Sequence[Sample]:
        """Return what was received and not returned yet; also after `close`."""
        ...


class BlockingCollector:
    """A collector whose reading blocks: files, ioctls, vendor libraries.

    A subclass defines `read`. The running agent calls it in the thread that quick collectors
    share (`agent/lane.py`), or in one of its own once it is slow. `collect`, for whoever has a
    collector by itself, calls it in a thread of the collector's.
    """

    Settings: ClassVar[type[CollectorSettings]] = CollectorSettings

    def __init__(self, settings: CollectorSettings, context: Context) -> None:
        self.settings = settings
        self.context = context
        self._worker: Worker | None = None

    def read(self) -> Sequence[Sample]:
        """Return this tick's samples, or raise as `Collector.collect` does."""
        raise NotImplementedError

    async def collect(self) -> Sequence[Sample]:
        """Run `read` in the worker thread."""
        if self._worker is None:
            self._worker = Worker(type(self).__name__)
        return await self._worker.run(self.read)

    def problems(self) -> Sequence[Problem]:
        """Nothing to report."""
        return ()

    def close(self) -> None:
        """End the worker thread once it is idle."""
        if self._worker is not None:
            self._worker.stop()


@dataclass(frozen=True, slots=True)
class Found:
    """What the entry-point group held: collector classes, and those that could not be loaded."""

    classes: Mapping[str, type[Collector]]
    broken: Mapping[str, str]
    """Name to one sentence; a third party's broken package must not stop the agent."""


def find_collectors() -> Found:
    """Load every collector that an installed package announces, in the order of their names."""
    classes: dict[str, type[Collector]] = {}
    broken: dict[str, str] = {}
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name):
        where = f"{entry.value} of {entry.dist.name if entry.dist else 'an unknown package'}"
        if entry.name in classes:
            broken[entry.name] = f"{where} is a second collector of that name and is left out"
            continue
        try:
            classes[entry.name] = entry.load()
        except Exception as error:  # noqa: BLE001 - somebody else's code, anything can come
            broken[entry.name] = f"{where} could not be loaded: {error}"
    return Found(classes, broken)
