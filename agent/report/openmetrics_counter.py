"""A counter of the past: where it stands now, less what was added since. Pure.

Worked out backwards, it ends exactly where the running agent's counter goes on, whatever the ledger
no longer has of the time before.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from agent.report.openmetrics_rows import Row

NANO: Final = 10**9
"""Sums are kept as whole billionths: exact, and the same in whichever order."""

Labels = tuple[tuple[str, str], ...]


class Counter(NamedTuple):
    """One counter: of which amounts it is made, and how."""

    labels: Labels
    ends: Mapping[int, float]
    """Where the amounts of each key of the copy stand, in the tables; at least one."""
    of: str = "amount"
    """amount, or gap_seconds."""
    joined: Callable[[Iterable[float]], float] = sum
    """Makes one value of those of all keys, in the order of `ends`."""
    most: float = float("inf")
    """What the agent's own counter stands at, where it may be less."""


class Family(NamedTuple):
    """The counters of one name."""

    name: str
    """Without _total."""
    unit: str
    about: str
    counters: Sequence[Counter]


def samples(
    counter: Counter, rows: Callable[[], Iterable[Row]], start: float, end: float
) -> Iterator[tuple[int, float]]:
    """Yield (Unix time, value) at each row's end, and at the beginning of each unbroken run.

    `rows` yields those of the counter's keys, in the order of time; it is asked twice.
    """
    to_come = dict.fromkeys(counter.ends, 0)
    for row in rows():
        to_come[row.key] += _nano(row, counter.of)
    value = _value(counter, to_come, 0.0)
    last = None
    for begin, group in groupby(rows(), lambda row: row.begin):
        if begin != last and start <= begin <= end:
            yield begin, value
        until = begin
        for row in group:
            to_come[row.key] -= _nano(row, counter.of)
            until = max(until, row.until)
        value, last = _value(counter, to_come, value), until
        if start <= until <= end:
            yield until, value


def _nano(row: Row, of: str) -> int:
    return round((row.amount if of == "amount" else row.gap_seconds) * NANO)


def _value(counter: Counter, to_come: Mapping[int, int], before: float) -> float:
    """Return what the counter stands at; it never falls."""
    each = (max(0.0, end - to_come[key] / NANO) for key, end in counter.ends.items())
    return max(before, min(counter.most, counter.joined(each)))
