"""Hours of UTC, the grain at which contracts are matched with the load. Pure.

An hour is 3600 s since 1970 UTC divided out, so no clock change makes it longer or shorter and a
leap day is 24 of them. A cell that begins at half past (an hour of a clock with 30 or 45 minutes of
offset) is shared by time between the hours that it touches.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from agent.site.cells import COMPLETE, Cell

HOUR_SECONDS: Final = 3600.0


class Hour(NamedTuple):
    """What cells say of one hour."""

    joules: float
    seconds: float
    """Time of it that they know."""

    @property
    def is_complete(self) -> bool:
        """Whether all of the hour is known."""
        return self.seconds >= COMPLETE * HOUR_SECONDS


def is_hourly(cell: Cell) -> bool:
    """Whether a cell says enough about when its energy flowed to be matched by the hour."""
    return 0 < cell.end - cell.start <= HOUR_SECONDS * (1 + 1e-9)


def split(cell: Cell, step: float = HOUR_SECONDS) -> list[tuple[int, Cell]]:
    """Cut a cell at the hours of UTC, or another step in s; the index counts them since 1970."""
    length = cell.end - cell.start
    found: list[tuple[int, Cell]] = []
    begin = cell.start
    while begin < cell.end:
        index = int(begin // step)
        until = min(cell.end, (index + 1) * step)
        ratio = (until - begin) / length
        found.append((index, Cell(begin, until, cell.amount * ratio, cell.seconds * ratio)))
        begin = until
    return found


def cut(cells: Iterable[Cell], start: float, end: float) -> list[Cell]:
    """Return what lies between two moments; a cell over an edge is shared by time.

    A month that begins at half past cuts an hour of UTC in two. Load and contracts are cut alike,
    so that neither month claims what the other has.
    """
    found: list[Cell] = []
    for cell in cells:
        begin, until = max(cell.start, start), min(cell.end, end)
        if begin == cell.start and until == cell.end:
            found.append(cell)
        elif begin < until:
            ratio = (until - begin) / (cell.end - cell.start)
            found.append(Cell(begin, until, cell.amount * ratio, cell.seconds * ratio))
    return found


def by_hour(cells: Iterable[Cell]) -> dict[int, Hour]:
    """Add up the hourly and shorter cells by hour; longer ones are left out."""
    found: dict[int, Hour] = {}
    for cell in cells:
        if is_hourly(cell):
            for hour, part in split(cell):
                so_far = found.get(hour, _NOTHING)
                found[hour] = Hour(so_far.joules + part.amount, so_far.seconds + part.seconds)
    return found


_NOTHING: Final = Hour(0.0, 0.0)
