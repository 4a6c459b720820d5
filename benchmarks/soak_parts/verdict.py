"""What the minutes of a soak say: does anything grow? Pure."""

from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

MIB: Final = 1 << 20
DAY_MINUTES: Final = 1440
FLAT_MIB_PER_DAY: Final = 1.0
"""The promise, after the first hour."""
LEDGER_MB_PER_DAY: Final = 1.0
SHORT_MINUTES: Final = 180
"""A run that is shorter cannot tell a slope of 1 MiB a day from noise: it is judged by growth."""
SHORT_MIB: Final = 1.0
"""By which memory may grow in such a run once it has settled."""
COUNT_SLACK: Final = 1.0
"""Clients that come and go are there or not when a minute is over."""


class Row(NamedTuple):
    """One minute: what the process has at its end."""

    rss: float
    """Bytes, as the kernel has it: nothing was collected or given back for it."""
    descriptors: float
    threads: float
    ledger: float
    """Bytes of ledger.db."""
    wal: float
    """Bytes of its log, which grows to 4 MB and is emptied, again and again."""
    objects: float
    """Blocks that Python has allocated."""
    failures: float
    """Readings that failed so far."""


class Finding(NamedTuple):
    """One line of the verdict."""

    what: str
    value: float
    unit: str
    limit: float

    @property
    def is_met(self) -> bool:
        """Whether it is within its limit."""
        return self.value <= self.limit


def settled(rows: Sequence[Row]) -> Sequence[Row]:
    """Leave out the beginning: the first hour, of a short run the first third."""
    return rows[60:] if len(rows) >= SHORT_MINUTES else rows[len(rows) // 3 :]


def slope_per_day(values: Sequence[float]) -> float:
    """Return the least-squares slope of a value a minute, per day."""
    n = len(values)
    middle = (n - 1) / 2
    mean = sum(values) / n
    spread = sum((i - middle) ** 2 for i in range(n))
    return sum((i - middle) * (v - mean) for i, v in enumerate(values)) / spread * DAY_MINUTES


def growth(values: Sequence[float]) -> float:
    """Return by how much the median of the last quarter is above that of the first."""
    quarter = max(1, len(values) // 4)
    return median(values[-quarter:]) - median(values[:quarter])


def judge(rows: Sequence[Row]) -> list[Finding]:
    """Return what is promised, as found."""
    late = settled(rows)
    rss = [row.rss / MIB for row in late]
    memory = (
        Finding("memory, slope", slope_per_day(rss), "MiB/day", FLAT_MIB_PER_DAY)
        if len(rows) >= SHORT_MINUTES
        else Finding("memory, growth", growth(rss), "MiB", SHORT_MIB)
    )
    found = [
        memory,
        Finding("descriptors, growth", growth([r.descriptors for r in late]), "", COUNT_SLACK),
        Finding("threads, growth", growth([r.threads for r in late]), "", COUNT_SLACK),
    ]
    if len(rows) >= SHORT_MINUTES:
        a_day = slope_per_day([row.ledger / 1e6 for row in late])
        found.append(Finding("ledger", a_day, "MB/day", LEDGER_MB_PER_DAY))
    return found
