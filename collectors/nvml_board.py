"""One NVIDIA board: what it is, and one reading of it."""

from typing import Any, Final

import msgspec

from agent.clock import Clock
from agent.collector import Problem
from agent.flops.catalog import cores_of, pipes_of
from agent.flops.pipes import Pipes, flop_rates
from agent.quantities import Component, Ratio, Seconds
from agent.samples import Accelerator, Figure, Figures, FlopCount, Method, Sample, Utilization
from collectors.nvml_call import REMEDY_LOST, Calls
from collectors.nvml_gpm import PIPES, TRAFFIC, Activity, Gpm
from collectors.nvml_library import NO_PERMISSION, Library
from collectors.nvml_mig import Slices
from collectors.nvml_power import Power
from collectors.nvml_settings import NvmlSettings
from collectors.nvml_slow import MEGA, Entry, Slow

SM_CLOCK: Final = 1
"""NVML_CLOCK_SM."""
HOPPER: Final = 9
"""NVML_DEVICE_ARCH_HOPPER: the first that has GPM."""
FIRST_RETRY_SECONDS: Final = 5.0
MOST_RETRY_SECONDS: Final = 60.0
EARLY_SECONDS: Final = 0.2
"""A tick that is a little early need not wait for the next."""
_UTILIZATION: Final = "nvmlDeviceGetUtilizationRates"


class Board:
    """A board that was found, with everything that is learnt of it while NVML is open."""

    def __init__(
        self, library: Library, handle: Any, device: str, settings: NvmlSettings, clock: Clock
    ) -> None:
        self.device = device
        """Its label: the UUID."""
        self.index = 0
        self.told: Accelerator | None = None
        """What the agent was told of it last."""
        self.slow_at = float("-inf")
        """When the slow figures are due."""
        self.retry_at = float("-inf")
        """Not to be asked before, while it is lost."""
        self.lost_why = ""
        """Why it does not answer; "" while it does."""
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._settings = settings
        self._clock = clock
        self._library = library
        self._gpm: Gpm | None = None
        self._slices: Slices | None = None
        self.calls = Calls(library, handle)
        self._meet()

    def resolve(self, library: Library, handle: Any) -> None:
        """Take a new handle. Raises `BoardLost` and `DriverGone`."""
        self.free()
        self._library = library
        self.calls = Calls(library, handle)
        self._meet()

    def _meet(self) -> None:
        """Set up what reads it, with nothing learnt yet."""
        settings, calls = self._settings, self.calls
        self.power = Power(
            calls, self._clock, self.device, settings.calibration.get(self.device, 1.0)
        )
        self.name = str(calls.ask("nvmlDeviceGetName") or "")
        self.bus = _bus(calls.ask("nvmlDeviceGetPciInfo_v3"))
        self._architecture = calls.ask("nvmlDeviceGetArchitecture") or 0
        self._pipes = self._known_pipes()
        self._slow: Slow | None = None
        self._sm_hertz: float | None = None
        self._traffic: dict[str, float] = {}
        self._counted: set[str] = set()
        """Links that have a counter."""
        if settings.gpm:
            ids = [*PIPES, *(TRAFFIC if settings.links else ())]
            self._gpm = Gpm(self._library, self._clock.boottime, ids)
        if settings.mig != "off":
            self._slices = Slices(calls, self._clock.boottime, gpm=settings.gpm)

    def about(self, at: Seconds) -> Accelerator | None:
        """Return what it is, None if the agent knows already."""
        now = Accelerator(
            collector="nvml",
            component=Component.GPU,
            device=self.device,
            at=at,
            index=str(self.index),
            name=self.name,
            vendor="nvidia",
            driver=self._library.driver,
            bus=self.bus,
        )
        if self.told is not None and msgspec.structs.replace(self.told, at=at) == now:
            return None
        return now

    def read(self, now: Seconds) -> list[Sample]:
        """Return one reading, begun `now`. Raises `BoardLost` and `DriverGone`."""
        calls = self.calls
        calls.troubles.clear()
        samples: list[Sample] = [*self.power.read()]
        at = self._clock.boottime()
        rates = calls.ask(_UTILIZATION)
        if rates is not None and rates.gpu <= 100:
            ratio = Ratio(rates.gpu / 100)
            samples.append(Utilization("nvml", Component.GPU, self.device, at, ratio))
        entries: list[Entry] = []
        activity = self._activity()
        if activity is None:
            self._sm_hertz = None
        else:
            entries += [(Figure.PIPE_ACTIVE, pipe, r) for pipe, r in activity.pipes.items()]
            samples += self._flop(activity)
            for link, amount in activity.traffic.items():
                self._traffic[link] = self._traffic.get(link, 0.0) + amount
        if self._is_slow_due(now):
            entries += self._slow_figures()
        if self._slices is not None:
            entries += self._slices.read(self.power.watts)
        if entries:
            samples.append(Figures("nvml", Component.GPU, self.device, at, tuple(entries)))
        return samples

    def plan(self, now: float, place: int, boards: int) -> None:
        """Say when the slow figures are due next; boards take turns, so no tick bears them all."""
        period = self._settings.slow_seconds
        if self.slow_at == float("-inf"):
            self.slow_at = now + period * (1.0 - place / max(1, boards))
        while self._is_slow_due(now):
            self.slow_at += period

    def _is_slow_due(self, now: float) -> bool:
        return now >= self.slow_at - EARLY_SECONDS

    def lose(self, now: float, why: str) -> None:
        """Note that it does not answer, and when to ask again: at growing distances."""
        self._retry_seconds = (
            min(MOST_RETRY_SECONDS, 2 * self._retry_seconds)
            if self.lost_why
            else FIRST_RETRY_SECONDS
        )
        self.lost_why = why
        self.retry_at = now + self._retry_seconds

    def problems(self) -> list[Problem]:
        """Return what of it could not be read at the last reading."""
        if self.lost_why:
            why = f"the board does not answer: {self.lost_why}"
            return [Problem(self.device, why, REMEDY_LOST, "lost")]
        found = self.calls.problems(self.device)
        if self.power.is_blind:
            why = "the driver tells neither energy nor power of this GPU"
            remedy = "a virtual GPU is measured on its host; else update the driver"
            found.append(Problem(self.device, why, remedy, "unsupported"))
        return found

    def free(self) -> None:
        """Give buffers back, before NVML is closed."""
        if self._gpm is not None:
            self._gpm.free()
            self._gpm = None
        if self._slices is not None:
            self._slices.free()
            self._slices = None

    def _activity(self) -> Activity | None:
        gpm = self._gpm
        if gpm is None:
            return None
        calls = self.calls
        try:
            return gpm.read(calls.handle)
        except self._library.errors as error:
            code = self._library.code(error)
            is_due = self._architecture >= HOPPER
            if gpm.supported and (is_due or gpm.has_worked or code == NO_PERMISSION):
                calls.failed("GPM", code)
                return None
            gpm.free()
            self._gpm = None
            calls.failed("GPM", code, function="nvmlGpmSampleGet" if is_due else "")
            return None

    def _flop(self, activity: Activity) -> list[FlopCount]:
        """Return the operations that the activity stands for.

        The clock is the mean of what the SMs had at both ends of the interval, in Hz.
        """
        pipes, before = self._pipes, self._sm_hertz
        if pipes is None:
            return []
        megahertz = self.calls.ask("nvmlDeviceGetClockInfo", SM_CLOCK, about="sm clock")
        self._sm_hertz = None if megahertz is None else megahertz * MEGA
        if self._sm_hertz is None:
            return []
        hertz = self._sm_hertz if before is None else (before + self._sm_hertz) / 2
        seconds = activity.at - activity.since
        return [
            FlopCount(
                collector="nvml",
                component=Component.GPU,
                device=self.device,
                since=activity.since,
                at=activity.at,
                flop=rate * seconds,
                precision=precision,
                method=Method.PIPE_ACTIVITY,
            )
            for precision, rate in flop_rates(pipes, activity.pipes, hertz).items()
        ]

    def _slow_figures(self) -> list[Entry]:
        # A board is reset to switch MIG, and then knows again what it did not know before.
        self.calls.unsupported.discard(_UTILIZATION)
        if self._slices is not None:
            self._slices.look()
        if self._slow is None:
            self._slow = Slow(self.calls, links=self._settings.links)
        entries = self._slow.read()
        # A counter in the board sees all; where it has none, what GPM saw since the agent started.
        self._counted |= {which for figure, which, _ in entries if figure is Figure.LINK_BYTES}
        return entries + [
            (Figure.LINK_BYTES, link, amount)
            for link, amount in self._traffic.items()
            if link not in self._counted
        ]

    def _known_pipes(self) -> Pipes | None:
        """Return its arithmetic units, None for a variant that the catalogue does not describe."""
        pipes = pipes_of(self.name)
        if pipes is None:
            return None
        cores = self.calls.ask("nvmlDeviceGetNumGpuCores")
        return pipes if cores is None or cores == cores_of(self.name) else None


def _bus(info: Any) -> str:
    """Return the PCI address as the kernel writes it, `0000:17:00.0`; NVML has 8 digits first."""
    if info is None:
        return ""
    domain, _, rest = str(info.busId).lower().partition(":")
    try:
        return f"{int(domain, 16):04x}:{rest}"
    except ValueError:
        return ""
