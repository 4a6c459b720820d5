"""Which loads are run, in which order and in which rhythm. Pure.

The form is that of SPECpower_ssj2008 (Run and Reporting Rules 2.3.2, Result File Fields 4.1 to
4.4): the throughput at full speed is calibrated first, then come target loads as shares of it in
falling order, and active idle last. A share is kept by pacing work, not by slowing it down.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, Literal

import msgspec

LEVELS: Final = (1.0, 0.75, 0.5, 0.25, 0.0)
"""Target loads as shares of the calibrated throughput, in the order in which they are run."""
PERIOD_SECONDS: Final = 0.11
"""Work and rest alternate in this period. It is not 100 ms on purpose: a GPU's sensor looks at 25
of every 100 ms (Yang et al., arXiv 2312.02741) and would always see the same phase of it."""
TICK_SECONDS: Final = 0.25
"""Seconds between readings of the meter."""
MOST_THREADS: Final = 64
"""Per process: numpy's own OpenBLAS is built for so many (`MAX_THREADS=64`, `show_config`)."""
LONGEST_PRODUCT_SECONDS: Final = 0.025
"""The matrix is chosen so that a product takes no longer: a quarter of a period."""
SIZES: Final = (512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384)
"""Matrix sizes to choose from."""

Device = Literal["cpu", "gpu"]
PRECISIONS: Final[Mapping[Device, tuple[str, ...]]] = {
    "cpu": ("fp64", "fp32"),
    "gpu": ("fp64", "fp32", "tf32", "fp16", "bf16"),
}
"""What each kind of device can be asked for."""
USUAL: Final[Mapping[Device, tuple[str, ...]]] = {
    "cpu": ("fp64", "fp32"),
    "gpu": ("fp64", "fp32", "fp16"),
}
"""What is run unless `--precision` says otherwise."""
ARITHMETIC: Final[Mapping[str, str]] = {
    "fp64": "64-bit floating point; on a GPU on its FP64 tensor cores where it has some",
    "fp32": "32-bit floating point; on a GPU TF32 is switched off",
    "tf32": "32-bit numbers, multiplied as TF32 on tensor cores",
    "fp16": "16-bit floating point on tensor cores where there are some, summed in 32 bits",
    "bf16": "bfloat16 on tensor cores where there are some, summed in 32 bits",
}
"""What the labels mean here."""


class Times(msgspec.Struct, frozen=True):
    """How long things take, s."""

    level: float
    """The window that is measured at each level."""
    settle: float
    """Left out at the beginning of each level: clocks, fans and averaging sensors follow late."""
    calibration: float
    """One of three intervals at full speed; the first is for warming up."""


def times(seconds: float) -> Times:
    """Return how long everything takes with windows of `seconds`."""
    return Times(
        level=seconds,
        settle=min(max(0.3 * seconds, 0.5), 3.0),
        calibration=min(max(0.3 * seconds, 0.75), 5.0),
    )


def total_seconds(what: Times, series: int, devices: int) -> float:
    """Return about how long a run takes: `series` of precisions on so many kinds of device."""
    one = what.level + what.settle
    loaded = sum(level > 0 for level in LEVELS)
    return series * (3 * what.calibration + loaded * one) + devices * one


def product_flop(size: int) -> float:
    """Return the operations of one product of two square matrices: 2 n³ (n³ multiply-adds)."""
    return 2.0 * size**3


def size_for(flops: float, largest: int = SIZES[-1]) -> int:
    """Return the largest matrix whose product takes no longer than it should at `flops`."""
    fitting = [
        size
        for size in SIZES
        if size <= largest and product_flop(size) <= flops * LONGEST_PRODUCT_SECONDS
    ]
    return fitting[-1] if fitting else SIZES[0]


class Pace:
    """How much work is due when a share of the calibrated throughput is asked for.

    Time is cut into periods from `start` on. At the beginning of each, all that is due by its end
    is done at full speed, and the rest of it is rest. What one period did too much or too little
    (products are whole) the next one makes up for.
    """

    def __init__(self, flops: float, start: float, period_seconds: float = PERIOD_SECONDS) -> None:
        """`flops`: operations per second to keep on average; `start`: CLOCK_BOOTTIME, s."""
        self._flops = flops
        self._start = start
        self._period = period_seconds

    def ends(self, now: float) -> float:
        """Return when the period that `now` is in ends, s."""
        return self._start + self._period * (self._number(now) + 1)

    def due(self, now: float) -> float:
        """Return the operations that should have been done by the end of this period."""
        return self._flops * self._period * (self._number(now) + 1)

    def forgiven(self, done: float, now: float, product: float) -> float:
        """Return what counts as done: at most one period, or one product, is made up for.

        Else a load that was held up for a while would then run above its share.
        """
        return max(done, self.due(now) - max(2 * self._flops * self._period, product))

    def _number(self, now: float) -> int:
        # a wait that ends a breath early must not do the same period again
        return int((now - self._start) / self._period + 1e-6)


def core_groups(
    cores: Mapping[int, tuple[int, int]], most: int = MOST_THREADS
) -> list[tuple[int, ...]]:
    """Return the CPUs of each process of the load: one per socket, split where there are many.

    `cores`: for each CPU that may be used, its socket and the first CPU of its core. Each core is
    used once: a second thread of it adds nothing to a matrix product, whose units are busy.
    """
    first_of: dict[tuple[int, int], int] = {}
    for cpu, key in sorted(cores.items()):
        first_of.setdefault(key, cpu)
    by_socket: dict[int, list[int]] = {}
    for (socket, _), cpu in first_of.items():
        by_socket.setdefault(socket, []).append(cpu)
    groups: list[tuple[int, ...]] = []
    for _, cpus in sorted(by_socket.items()):
        parts = -(-len(cpus) // most)
        edges = [len(cpus) * part // parts for part in range(parts + 1)]
        groups += [tuple(sorted(cpus)[a:b]) for a, b in pairwise(edges)]
    return groups


def precisions(device: Device, asked: Sequence[str]) -> tuple[str, ...]:
    """Return what is run on a device: what was asked for as far as it can be, or the usual."""
    if not asked:
        return USUAL[device]
    return tuple(dict.fromkeys(name for name in asked if name in PRECISIONS[device]))
