"""The stand-in's Python side: what the boards do, what goes wrong, and what was true."""

import ctypes
import mmap
import os
import time
from collections.abc import Sequence
from pathlib import Path

from hardware.nvml.boards import Board, Value, curve
from hardware.nvml.build import build
from hardware.nvml.curves import Pool
from hardware.nvml.description import describe_board, describe_slice
from hardware.nvml.layout import (
    BOARDS,
    FUNCTIONS,
    GPM_METRICS,
    MAGIC,
    RULES,
    BoardState,
    Quantity,
    State,
)
from hardware.nvml.rules import Rule
from hardware.power import Pieces, Power

UNINITIALIZED, NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED = 1, 3, 4, 9
GPU_IS_LOST, LIB_RM_VERSION_MISMATCH, UNKNOWN = 15, 18, 999


class Standin:
    """A libnvidia-ml.so.1 with `boards`, its state at `path`; time stands until `write`."""

    def __init__(
        self,
        path: Path,
        boards: Sequence[Board],
        *,
        driver: str = "580.95.05",
        epoch: float = 1_767_225_600.0,
        is_real: bool = False,
        without: tuple[str, ...] = (),
        max_field: int = 307,
        throttle_field: int = 269,
        unknown_metrics: Sequence[int] = (),
    ) -> None:
        """Make the state file.

        `without`: functions (globs) that this library lacks; `max_field`: the largest field id
        that this driver knows; `throttle_field`: where it has the first of the three newer throttle
        times (251 or 269); `unknown_metrics`: GPM metrics that it refuses; `is_real`: time runs by
        CLOCK_BOOTTIME from now on.
        """
        if len(boards) > BOARDS:
            raise ValueError(f"at most {BOARDS} boards")
        self.path = path
        self._without = without
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            os.ftruncate(descriptor, ctypes.sizeof(State))
            self._map = mmap.mmap(descriptor, ctypes.sizeof(State))
        finally:
            os.close(descriptor)
        self.state = State.from_buffer(self._map)
        self._pool = Pool(self.state)
        self._curves: dict[tuple[int, int, int], Power] = {}
        self.boards = list(boards)
        self._numbers = {board.uuid: number for number, board in enumerate(boards)}
        for number, board in enumerate(boards):
            self._write_board(number, board)
        state = self.state
        state.size = ctypes.sizeof(State)
        state.epoch = time.time() if is_real else epoch
        state.boottime = time.clock_gettime(time.CLOCK_BOOTTIME)
        state.is_real, state.max_field, state.board_count = is_real, max_field, len(boards)
        state.throttle_field = throttle_field
        state.unknown_metrics = sum(1 << metric for metric in unknown_metrics)
        state.driver, state.nvml = driver.encode(), f"13.{driver}".encode()
        state.order[: len(boards)] = range(len(boards))
        state.driver_loaded = state.generation = 1
        state.stale_error = UNINITIALIZED
        state.magic = MAGIC

    # How a process gets it.

    @property
    def library(self) -> Path:
        """The compiled library."""
        return build(self._without)

    def environment(self) -> dict[str, str]:
        """Return the variables that make a new process load this one."""
        return {
            "LD_LIBRARY_PATH": str(self.library.parent),
            "WATTLAS_NVML_STATE": str(self.path),
        }

    def preload(self) -> ctypes.CDLL:
        """Load it into this process, where pynvml then finds it; NVML is not initialised.

        A second stand-in takes the first one's place; one with functions missing needs a process
        of its own.
        """
        if self._without:
            raise ValueError("a library that lacks functions needs a process of its own")
        library = ctypes.CDLL(str(self.library), ctypes.RTLD_GLOBAL)
        if library.standin_open(os.fsencode(self.path)) != 0:
            raise OSError(f"{self.path} is not a state file")
        return library

    def close(self) -> None:
        """Let go of the state file, which stays."""
        del self.state, self._pool
        self._map.close()

    # Time, and what is true.

    @property
    def now(self) -> float:
        """Virtual time."""
        return self.state.now

    def write(self, t: float) -> None:
        """Set the moment for which the library answers."""
        self.state.now = t

    def power(self, uuid: str, quantity: Quantity = Quantity.POWER) -> Power:
        """Return the script of what a board draws, changes so far included."""
        return self._curves[self._numbers[uuid], -1, quantity]

    def joules(self, uuid: str, t0: float, t1: float) -> float:
        """Return what a board really took between two moments."""
        power = self.power(uuid)
        return power.joules(t1) - power.joules(t0)

    def set(self, uuid: str, quantity: Quantity | int, value: Value | None) -> None:
        """From now on a board does this; None: it is not supported any more.

        `Quantity.GPM + id` is a metric. A board that is one of a MIG's slices is found by its own
        UUID.
        """
        number, place, curves = self._find(uuid)
        if value is None:
            curves[quantity] = -1
            return
        new = curve(value)
        old = self._curves.get((number, place, quantity))
        if old is not None and self.now > 0:
            new = Pieces([(0.0, old), (self.now, new)])
        self._curves[number, place, quantity] = new
        curves[quantity] = self._pool.add(new)

    # What goes wrong.

    def lose(self, uuid: str) -> None:
        """The board falls off the bus: every call for it says GPU_IS_LOST."""
        self.board(uuid).lost = 1

    def find_again(self, uuid: str) -> None:
        """The lost board answers again, as after a reset of it: its counters start at 0."""
        self.reset_counters(uuid)
        self.board(uuid).lost = 0

    def unload_driver(self, stale_error: int = UNINITIALIZED) -> None:
        """All calls end in `stale_error`, and initialising in DRIVER_NOT_LOADED."""
        self.state.stale_error = stale_error
        self.state.driver_loaded = 0

    def load_driver(self) -> None:
        """The driver is back: old handles are invalid, counters start at 0, no board is lost."""
        for board in self.boards:
            self.find_again(board.uuid)
        self.state.generation += 1
        self.state.driver_loaded = 1

    def remove(self, uuid: str) -> None:
        """Take a board out: the others move up."""
        self.board(uuid).present = 0

    def insert(self, uuid: str, index: int | None = None) -> None:
        """Put a board in, at an index among the slots or where it was; its counters start at 0."""
        number = self._numbers[uuid]
        if index is not None:
            order = [n for n in self.state.order[: len(self.boards)] if n != number]
            order.insert(index, number)
            self.state.order[: len(order)] = order
        self.reset_counters(uuid)
        self.board(uuid).present = 1

    def reset_counters(self, uuid: str) -> None:
        """Energy, throttled time and bytes of a board count from 0 again."""
        self.board(uuid).counting_since = self.now

    def gpm_nan(self, uuid: str, metrics: Sequence[int] = GPM_METRICS) -> None:
        """These metrics are NaN, with a return code of success; none: all is well again."""
        self.board(uuid).gpm_nan = sum(1 << metric for metric in metrics)

    def gpm_error(self, uuid: str, error: int, metrics: Sequence[int] = GPM_METRICS) -> None:
        """These metrics have this return code of their own."""
        self.board(uuid).gpm_error = error
        self.board(uuid).gpm_error_of = sum(1 << metric for metric in metrics)

    def fail(
        self,
        function: str = "",
        error: int = 0,
        *,
        uuid: str | None = None,
        field: int = 0,
        after: int = 0,
        times: int = 0,
        hang_seconds: float = 0.0,
    ) -> Rule:
        """Make calls fail with `error`, after they hung for `hang_seconds`; return the rule.

        `function` "" is any, `uuid` None any board; `field`: only this field id within
        nvmlDeviceGetFieldValues. It strikes after so many such calls and so many times (0: for
        ever, until the rule is cleared).
        """
        number = next((n for n in range(RULES) if not self.state.rules[n].active), None)
        if number is None:
            raise ValueError(f"there are {RULES} rules already")
        rule = self.state.rules[number]
        rule.function = FUNCTIONS.index(function) if function else -1
        rule.board = -1 if uuid is None else self._numbers[uuid]
        rule.error, rule.field, rule.hang_ms = error, field, round(hang_seconds * 1000)
        rule.skip, rule.times = after, times
        rule.trials = rule.hits = rule.hanging = 0
        rule.active = 1
        return Rule(rule)

    # What was asked.

    def calls(self, function: str) -> int:
        """Return how often a function was called, by all processes."""
        return int(self.state.counts[FUNCTIONS.index(function)].calls)

    @property
    def all_calls(self) -> dict[str, int]:
        """Calls of each function that was called."""
        return {f: n for f in FUNCTIONS if (n := self.calls(f))}

    @property
    def seconds_inside(self) -> float:
        """Time spent in the library: the stand-in's, not the caller's own cost."""
        return sum(count.nanoseconds for count in self.state.counts) / 1e9

    def forget_calls(self) -> None:
        """Set all counts to 0."""
        for count in self.state.counts:
            count.calls = count.nanoseconds = 0

    # The state's parts.

    def board(self, uuid: str) -> BoardState:
        """Return a board's part of the state."""
        return self.state.boards[self._numbers[uuid]]

    def slice_uuids(self, uuid: str) -> list[str]:
        """Return the UUIDs of a board's slices."""
        return [s.uuid.decode() for s in self.board(uuid).slices if s.present]

    def _find(self, uuid: str) -> tuple[int, int, ctypes.Array[ctypes.c_int32]]:
        if uuid in self._numbers:
            return self._numbers[uuid], -1, self.board(uuid).curves
        for number in range(len(self.boards)):
            for place, each in enumerate(self.state.boards[number].slices):
                if each.uuid.decode() == uuid:
                    return number, place, each.curves
        raise KeyError(uuid)

    def _write_board(self, number: int, board: Board) -> None:
        into = self.state.boards[number]
        describe_board(into, number, board)
        quantities: dict[int, Value] = {**board.quantities, Quantity.POWER: board.power}
        if board.module_power is not None:
            quantities[Quantity.MODULE_POWER] = board.module_power
        for metric, value in (board.gpm or {}).items():
            quantities[Quantity.GPM + metric] = value
        for quantity, value in quantities.items():
            self.set(board.uuid, quantity, value)
        for place, each in enumerate(board.slices):
            name = describe_slice(into.slices[place], board, each)
            self.set(name, Quantity.MEMORY_USED, each.memory_used)
            for metric, value in each.gpm.items():
                self.set(name, Quantity.GPM + metric, value)
