"""NVIDIA GPUs through a dcgm-exporter endpoint (NVIDIA/dcgm-exporter 2.x to 4.x).

For hosts where it runs already, and for pipe activity before Hopper, which only DCGM has. Fields
and rows: `collectors/dcgm_fields.py`. What there is to know besides:

- the page is refreshed every 30 s by default (`-c`, milliseconds). An energy counter that has not
  moved since the last look is an old page, as no board draws nothing: no reading is made of it,
  and the next one covers the time. A page that stays the same for 90 s (six intervals, if that is
  more) comes from a DCGM that hangs: its boards have no figures until it goes on;
- energy is mJ since the driver was loaded: a restart of the exporter leaves it as it is;
- profiling ratios are means over DCGM's own interval, 0 to 1 of the pipe's peak rate (NVIDIA's
  DCGM user guide, "Metrics"). `tensor` is any tensor pipe (dcgm_fields.h, 1004; "HMMA / IMMA" in
  the guide). FP64 on tensor cores (DMMA, A100 and later) is a tensor operation to NVIDIA's
  profilers, sm__pipe_tensor_op_dmma_cycles_active beside sm__pipe_fp64_cycles_active, so it is in
  `tensor` and not in `fp64`; NVIDIA's guide does not say so in words. Only where
  PIPE_TENSOR_DFMA_ACTIVE is exported too can it be told from FP16: else it is taken for FP16;
- FLOP = ratio x SMs x FLOP per clock x SM clock x time since the look before (`agent/flops`), for
  boards whose exact name is known; none for the first look, nor after a silence of more than 3.5
  intervals; none for boards in MIG mode, whose ratios are of instances.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from agent.collector import Absent, CollectorSettings, Context, Problem, Transient
from agent.quantities import Component, Joules, Ratio, Seconds, Watts
from agent.samples import (
    Accelerator,
    EnergyCounter,
    Figure,
    Figures,
    FlopCount,
    Inventory,
    Method,
    PowerReading,
    Sample,
    Utilization,
)
from collectors.dcgm_fields import (
    ENERGY,
    FIELDS,
    POWER,
    SM_CLOCK,
    UTILIZATION,
    Board,
    boards,
    bus_of,
)
from collectors.scraping import Scraper, what_is_wrong_with
from collectors.scraping_roster import STALE_SECONDS, Roster

DEFAULT_URL: Final = "http://127.0.0.1:9400/metrics"
AGAIN_SECONDS: Final = 60.0
"""Between looks for an exporter that is not there."""
HELD_INTERVALS: Final = 3.5
"""For so many intervals a ratio may stand for the time since the last look."""
STALE_INTERVALS: Final = 6.0
REMEDY: Final = "start dcgm-exporter on this host, or set url in [collectors.dcgm]"


class DcgmSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.dcgm]`."""

    url: str = DEFAULT_URL
    """The exporter's page. With another than the default, it must answer."""
    token_file: str = ""
    """File with a bearer token for the page."""
    ca_file: str = ""
    """PEM certificates that may have signed the page's; "": those of the system."""
    interval_seconds: float | None = 15.0
    """Seconds between readings; the exporter's own interval (`-c`) is 30 s by default."""
    timeout_seconds: float = 5.0
    """A reading that takes longer counts as failed."""

    def __post_init__(self) -> None:
        """Raise ValueError for an address that is none."""
        if wrong := what_is_wrong_with(self.url):
            raise ValueError(f"url: {wrong}")


class Dcgm:
    """Energy, power, figures and pipe activity of the GPUs of a dcgm-exporter page."""

    Settings: ClassVar[type[CollectorSettings]] = DcgmSettings

    def __init__(self, settings: DcgmSettings, context: Context) -> None:
        self._settings = settings
        self._clock = context.clock
        self._interval = settings.interval_seconds or 15.0
        self._scraper = Scraper(
            settings.url,
            FIELDS,
            timeout_seconds=settings.timeout_seconds,
            token_file=settings.token_file,
            ca_file=settings.ca_file,
        )
        self._roster = Roster()
        self._problems: tuple[Problem, ...] = ()
        self._told: dict[str, tuple[str, ...]] = {}
        """What was last said of each board in `Accelerator`."""
        self._energy: dict[str, tuple[float, float]] = {}
        """Each board's newest joules, and when they were first seen."""
        self._read_at: dict[str, float] = {}

    async def collect(self) -> Sequence[Sample]:
        """Return one reading of every board. Raises as `Collector.collect` does."""
        before = self._clock.boottime()
        try:
            page = await self._scraper.scrape()
        except Transient as error:
            self._roster.was_away()
            raise self._no_page(error) from None
        at = Seconds((before + self._clock.boottime()) / 2)
        found = boards(page)
        if not found:
            why = f"{self._scraper.where} names no GPU"
            raise self._no_page(
                Transient(why, "empty", "look at dcgm-exporter's log: does DCGM see the GPUs?")
            )
        samples: list[Sample] = []
        changed = self._roster.update(found)
        for device in self._told.keys() - set(self._roster.devices):
            for memory in (self._told, self._energy, self._read_at):
                memory.pop(device, None)
        if changed:
            samples.append(Inventory("dcgm", Component.GPU, self._roster.devices, at))
        problems = [_missing(device) for device in self._roster.missing]
        for device, board in found.items():
            moved = self._moved(device, board, at)
            if moved is None:
                problems.append(_hangs(device, at - self._energy[device][1]))
                self._read_at.pop(device, None)
                continue
            samples += self._of_board(board, at, moved=moved)
        self._problems = tuple(problems)
        if len(problems) == len(self._roster.devices):
            raise Transient(problems[0].why, problems[0].reason, problems[0].remedy)
        return samples

    def problems(self) -> Sequence[Problem]:
        """Return the boards that had no figures at the last `collect`."""
        return self._problems

    def close(self) -> None:
        """Nothing is kept open."""

    def _no_page(self, error: Transient) -> Absent | Transient:
        """Tell a host without dcgm-exporter from one whose exporter has failed."""
        if self._settings.url != DEFAULT_URL or self._roster.devices:
            return error
        return Absent(f"no dcgm-exporter here: {error.why}", REMEDY, again_seconds=AGAIN_SECONDS)

    def _moved(self, device: str, board: Board, at: Seconds) -> bool | None:
        """Tell whether the board's energy is a new reading; None: it has hung for too long."""
        joules = board.values.get(ENERGY)
        if joules is None:
            return False
        last = self._energy.get(device)
        if last is None or joules != last[0]:
            self._energy[device] = (joules, at)
            return True
        limit = max(STALE_SECONDS, STALE_INTERVALS * self._interval)
        return None if at - last[1] > limit else False

    def _of_board(self, board: Board, at: Seconds, *, moved: bool) -> list[Sample]:
        """Return all samples of one board."""
        device, values = board.device, board.values
        about = ("dcgm", Component.GPU, device, at)
        samples: list[Sample] = []
        if (described := _description(board)) != self._told.get(device):
            self._told[device] = described
            index, name, driver, bus = described
            samples.append(Accelerator(*about, index, name, "nvidia", driver, bus))
        if moved:
            samples.append(EnergyCounter(*about, Joules(values[ENERGY])))
        if (watts := values.get(POWER)) is not None:
            samples.append(PowerReading(*about, Watts(watts)))
        if (ratio := values.get(UTILIZATION)) is not None:
            samples.append(Utilization(*about, Ratio(ratio)))
        figures = tuple(
            (key[0], key[1], value) for key, value in values.items() if isinstance(key[0], Figure)
        )
        if figures:
            samples.append(Figures(*about, figures))
        return samples + self._flop(board, at)

    def _flop(self, board: Board, at: Seconds) -> list[Sample]:
        """Return the operations since the last look, by precision."""
        since = self._read_at.get(board.device)
        self._read_at[board.device] = at
        name = board.labels.get("modelName", "")
        hertz = board.values.get(SM_CLOCK)
        if since is None or not name or hertz is None:
            return []
        elapsed = at - since
        if not 0 < elapsed <= HELD_INTERVALS * self._interval:
            return []
        active = {
            which: value
            for (kind, which), value in board.values.items()
            if kind == Figure.PIPE_ACTIVE
        }
        if not active:
            return []
        from agent.flops.catalog import pipes_of  # noqa: PLC0415 - read only where there is a GPU
        from agent.flops.pipes import flop_rates  # noqa: PLC0415

        pipes = pipes_of(name)
        if pipes is None:
            return []
        return [
            FlopCount(
                "dcgm",
                Component.GPU,
                board.device,
                Seconds(since),
                at,
                rate * elapsed,
                precision,
                Method.PIPE_ACTIVITY,
            )
            for precision, rate in flop_rates(pipes, active, hertz).items()
        ]


def _description(board: Board) -> tuple[str, str, str, str]:
    """Return index, name, driver and PCI address."""
    labels = board.labels
    driver = labels.get("DCGM_FI_DRIVER_VERSION") or labels.get("DCGM_FI_SYSTEM_DRIVER_VERSION", "")
    return labels.get("gpu", ""), labels.get("modelName", ""), driver, bus_of(labels)


def _missing(device: str) -> Problem:
    return Problem(
        device,
        "dcgm-exporter no longer has it on its page",
        "look with nvidia-smi whether the GPU answers; restart dcgm-exporter if it was removed",
        "gone",
    )


def _hangs(device: str, seconds: float) -> Problem:
    return Problem(
        device,
        f"its energy counter has stood still for {seconds:.0f} s: DCGM repeats old values",
        "look at the log of nv-hostengine and dcgm-exporter, and restart them",
        "stale",
    )
