"""NVIDIA GPUs through NVML, the library of their driver.

One reading a second of every board: energy, power, utilisation and, on Hopper and later, the
activity of its arithmetic units; every 15 s what changes slowly. NVML is opened once and kept open.

| part | file |
|---|---|
| finding and opening NVML, its errors | `nvml_library.py` |
| one board | `nvml_board.py`, and `nvml_call.py` for its calls |
| energy and power, which of them counts | `nvml_power.py`, `nvml_buffer.py`, `nvml_fields.py` |
| activity of pipes | `nvml_gpm.py` |
| slow figures, traffic | `nvml_slow.py` |
| MIG slices | `nvml_mig.py` |

What happens when something goes:

- no library, no driver: `Absent`, and another look every minute, without a restart of the agent;
- a board does not answer: it is listed as lost and asked again after 5 s, then 10 … 60 s; the
  others go on. Once NVML does not list it any more it has been taken away, and is forgotten;
- the driver is unloaded: NVML is closed, and opened again at each tick until it is back. Boards are
  told apart by UUID, so that each one's energy goes on where it was;
- a call that the library does not have: that figure is left out, and named once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from agent.collector import (
    Absent,
    BlockingCollector,
    CollectorSettings,
    Context,
    Problem,
    Transient,
)
from agent.quantities import Component, Seconds
from agent.samples import Accelerator, Inventory, Sample
from collectors.nvml_call import REMEDY_LOST, REMEDY_PERMISSION
from collectors.nvml_library import (
    DRIVER_GONE,
    GPU_IS_LOST,
    NO_PERMISSION,
    REMEDY_DRIVER,
    BoardLost,
    DriverGone,
    Library,
    Missing,
    card_on_bus,
    kernel_cards,
    open_library,
    same,
)
from collectors.nvml_settings import NvmlSettings

if TYPE_CHECKING:  # a megabyte that only hosts with a board need
    from collectors.nvml_board import Board

AGAIN_SECONDS: Final = 60.0
"""Between looks for a driver that is not there."""
RELOAD_SECONDS: Final = 300.0
"""How long a driver that was there may be away before it is taken for uninstalled."""


class Nvml(BlockingCollector):
    """Energy, power, activity and state of NVIDIA boards."""

    Settings: ClassVar[type[CollectorSettings]] = NvmlSettings
    settings: NvmlSettings

    def __init__(self, settings: NvmlSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._clock = context.clock
        self._library: Library | None = None
        self._boards: dict[str, Board] = {}
        self._look_at = float("-inf")
        self._unseen: tuple[Problem, ...] = ()
        """Boards that NVML counts but does not let us see."""
        self._problems: tuple[Problem, ...] = ()
        self._listed: tuple[str, ...] | None = None
        self._modules: tuple[str, ...] = ()
        self._answered_at = float("-inf")

    def read(self) -> Sequence[Sample]:
        """Return one reading of every board. Raises as `Collector.collect` does."""
        now = self._clock.boottime()
        try:
            library = self._opened(now)
            if now >= self._look_at:
                self._look(library, now)
            return self._read(now)
        except DriverGone as gone:
            self._close_library()
            why = f"NVIDIA's driver was unloaded or replaced under the agent: {gone}"
            raise Transient(why, "driver", REMEDY_DRIVER) from None

    def problems(self) -> Sequence[Problem]:
        """Return the boards and figures that could not be read at the last `collect`."""
        return self._problems

    def close(self) -> None:
        """End the thread and give NVML back."""
        super().close()
        self._close_library()

    # -- one reading --------------------------------------------------------------------------

    def _read(self, now: Seconds) -> Sequence[Sample]:
        samples: list[Sample] = []
        boards = list(self._boards.values())
        for place, board in enumerate(boards):
            if board.lost_why and now < board.retry_at:
                continue
            try:
                read = board.read(now)
            except BoardLost as lost:
                self._lose(board, now, str(lost))
                continue
            board.lost_why = ""
            board.plan(now, place, len(boards))
            samples += read
        self._problems = self._all_problems()
        news = self._news(now)
        if not samples and not any(isinstance(sample, Inventory) for sample in news):
            self._raise_nothing()
        self._answered_at = now
        return [*self._told(news), *samples]

    def _news(self, now: Seconds) -> list[Accelerator | Inventory]:
        """Return what boards there are, as far as the agent does not know it yet."""
        news: list[Accelerator | Inventory] = []
        for board in self._boards.values():
            about = board.about(now)
            if about is not None:
                news.append(about)
        listed = tuple(self._boards)
        if listed != self._listed and (listed or self._listed):
            news.append(Inventory("nvml", Component.GPU, listed, now))
        modules = tuple(b.power.module for b in self._boards.values() if b.power.has_module)
        if modules != self._modules:
            news.append(Inventory("nvml", Component.PLATFORM, modules, now))
        return news

    def _told(self, news: list[Accelerator | Inventory]) -> list[Accelerator | Inventory]:
        """Take note that the agent is told."""
        for sample in news:
            match sample:
                case Accelerator():
                    self._boards[sample.device].told = sample
                case Inventory(component=Component.PLATFORM):
                    self._modules = sample.devices
                case Inventory():
                    self._listed = sample.devices
        return news

    def _lose(self, board: Board, now: Seconds, why: str) -> None:
        if not board.lost_why:
            self._look_at = float("-inf")  # taken away, or only its handle is old?
        board.lose(now, why)

    def _all_problems(self) -> tuple[Problem, ...]:
        found = list(self._unseen)
        for board in self._boards.values():
            found += board.problems()
        assert self._library is not None
        found += self._library.problems()
        unknown = self.settings.calibration.keys() - self._boards.keys()
        found += [
            Problem(
                f"calibration of {uuid}",
                "there is no such board: the factor is not used",
                "take the UUID from nvidia-smi -L",
                "settings",
            )
            for uuid in sorted(unknown)
        ]
        return tuple(found)

    def _raise_nothing(self) -> None:
        """Say why not one board gave anything."""
        if not self._boards and not self._unseen:
            self._close_library()
            why = "NVIDIA's driver is loaded and has no GPU"
            raise Absent(why, again_seconds=AGAIN_SECONDS)
        if not self._problems:
            raise Transient("no NVIDIA GPU gives anything that can be read", "unsupported")
        first = self._problems[0]
        why = f"no NVIDIA GPU can be read: {first.what}: {first.why}"
        raise Transient(why, first.reason, first.remedy)

    # -- which boards there are ---------------------------------------------------------------

    def _opened(self, now: Seconds) -> Library:
        """Return NVML, open. Raises `Absent` or `Transient`."""
        if self._library is not None:
            return self._library
        paths = self.context.paths
        try:
            self._library = open_library(paths)
        except Missing as missing:
            self._problems = ()
            away = now - self._answered_at
            if self._boards and (away < RELOAD_SECONDS or card_on_bus(paths) is not None):
                raise Transient(missing.why, "driver", missing.remedy) from None
            self._boards, self._listed, self._modules = {}, None, ()
            raise Absent(missing.why, missing.remedy, again_seconds=AGAIN_SECONDS) from None
        self._look_at = float("-inf")
        return self._library

    def _close_library(self) -> None:
        library, self._library = self._library, None
        if library is not None:
            for board in self._boards.values():
                board.free()
            library.close()

    def _look(self, library: Library, now: Seconds) -> None:
        """Look which boards there are; cheaply, if it seems that nothing has changed.

        Raises `DriverGone`.
        """
        if kernel_cards(self.context.paths) != library.cards:
            # NVML goes by what was there when it was opened.
            self._close_library()
            library = self._opened(now)
        boards = self._boards.values()
        count = self._count(library)
        is_same = count == len(boards) and not self._unseen
        if is_same and all(b.calls.library is library and not b.lost_why for b in boards):
            self._look_at = now + self.settings.rescan_seconds
            return
        found: dict[str, Board] = {}
        unseen: dict[int, int] = {}
        for index in range(count):
            try:
                board = self._board(library, index, now)
                found[board.device] = board
            except library.errors as error:
                unseen[index] = library.code(error)
                if unseen[index] in DRIVER_GONE:
                    raise DriverGone(library.text(unseen[index])) from None
            except BoardLost:
                unseen[index] = GPU_IS_LOST
        self._keep_lost(library, found, unseen, now)
        for device, board in self._boards.items():
            if device not in found:
                board.free()
        self._boards = dict(sorted(found.items(), key=lambda item: item[1].index))
        self._unseen = tuple(_unseen(library, index, code) for index, code in unseen.items())
        again = [b.retry_at for b in found.values() if b.lost_why and b.retry_at > now]
        self._look_at = min([now + self.settings.rescan_seconds, *again])

    def _count(self, library: Library) -> int:
        """Return how many boards NVML has. Raises `DriverGone`: without that, it has to go."""
        try:
            return int(library.api.nvmlDeviceGetCount())
        except library.errors as error:
            raise DriverGone(library.text(library.code(error))) from None

    def _board(self, library: Library, index: int, now: Seconds) -> Board:
        """Return the board with that number. Raises `NVMLError`, `BoardLost`, `DriverGone`."""
        handle = library.api.nvmlDeviceGetHandleByIndex(index)
        device = str(library.api.nvmlDeviceGetUUID(handle))
        board = self._boards.get(device)
        if board is None:
            from collectors.nvml_board import Board  # noqa: PLC0415 - see above

            board = Board(library, handle, device, self.settings, self._clock)
        elif board.calls.library is not library or not same(board.calls.handle, handle):
            board.resolve(library, handle)
        board.index = index
        board.retry_at = now
        return board

    def _keep_lost(
        self, library: Library, found: dict[str, Board], unseen: dict[int, int], now: Seconds
    ) -> None:
        """Keep boards that do not say who they are, as long as NVML counts that many of them.

        What remains in `unseen` was never known.
        """
        missing = [board for board in self._boards.values() if board.device not in found]
        for board in sorted(missing, key=lambda board: board.index not in unseen):
            if not unseen:
                return
            index = board.index if board.index in unseen else min(unseen)
            code = unseen.pop(index)
            if not board.lost_why or now >= board.retry_at:
                board.lose(now, library.text(code))
            found[board.device] = board


def _unseen(library: Library, index: int, code: int) -> Problem:
    """Return what is said of a board that NVML counts and does not show."""
    why = f"it cannot be opened: {library.text(code)}"
    if code == NO_PERMISSION:
        return Problem(f"GPU {index}", why, REMEDY_PERMISSION, "permission")
    return Problem(f"GPU {index}", why, REMEDY_LOST, "lost")
