"""A year of quarters of an hour in one cell a day, where that changes no figure.

Every KPI goes through the cells of its meters. A day that each meter either knows completely, or
not at all, gives the same sums in one piece, for whichever of the meters.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Final, TypeVar

from agent.site.cells import COMPLETE, Cell

DAY_SECONDS: Final = 86400.0
Key = TypeVar("Key", bound=Hashable)


def by_day(cells: Mapping[Key, Sequence[Cell]], start: float, end: float) -> dict[Key, list[Cell]]:
    """Return the cells between two moments, those of whole days since `start` put together.

    A cell that lies only partly in the period is left out, as it is of every sum.
    """
    inside = {
        key: [c for c in row if c.start >= start and start < c.end <= end and c.end > c.start]
        for key, row in cells.items()
    }
    whole: dict[Key, dict[int, Cell]] = {}
    mixed: set[int] = set()
    for key, row in inside.items():
        whole[key] = _days(row, start, mixed)
    return {
        key: _merged(row, whole[key].keys() - mixed, whole[key], start)
        for key, row in inside.items()
    }


def _days(row: Sequence[Cell], start: float, mixed: set[int]) -> dict[int, Cell]:
    """Return the days that a meter's cells fill exactly; add those that they touch else."""
    filled: dict[int, Cell] = {}
    for cell in row:
        day = int((cell.start - start) // DAY_SECONDS)
        begin = start + day * DAY_SECONDS
        if cell.end > begin + DAY_SECONDS:
            if cell.start > begin:
                mixed.add(day)
            last = int((cell.end - start) // DAY_SECONDS)
            if cell.end > start + last * DAY_SECONDS:
                mixed.add(last)
            continue
        sofar = filled.get(day, Cell(begin, begin, 0.0, 0.0))
        if cell.start != sofar.end or cell.seconds < COMPLETE * (cell.end - cell.start):
            mixed.add(day)
        else:
            filled[day] = Cell(
                begin, cell.end, sofar.amount + cell.amount, sofar.seconds + cell.seconds
            )
    mixed.update(day for day, cell in filled.items() if cell.end - cell.start != DAY_SECONDS)
    return filled


def _merged(
    row: Sequence[Cell], days: set[int], whole: Mapping[int, Cell], start: float
) -> list[Cell]:
    kept = [
        cell
        for cell in row
        if cell.end - cell.start > DAY_SECONDS
        or int((cell.start - start) // DAY_SECONDS) not in days
    ]
    return sorted([*kept, *(whole[day] for day in days)])
