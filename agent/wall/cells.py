"""Energy of the parts that waits for the wall, on a grid of a second: small whatever the host."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from agent.wall.state import COLUMNS, MINUTE, HostState

FINE_SECONDS: Final = 60.0
"""What waits longer than this, and up to a minute more, is kept by the minute."""
NEAR_SECONDS: Final = 30.0
"""… but for what follows the last decision so closely: there the wall may have ended."""


class Lot(NamedTuple):
    """Energy of parts, evenly spread over its time."""

    start: float
    until: float
    joules: list[float]
    """By column."""
    half_width: float


class Cells:
    """Adds up what waits, and gives out what is decided."""

    def __init__(self, state: HostState) -> None:
        self._state = state
        self._fine_from = 0.0

    def coarsen(self, now: float) -> None:
        """Keep by the minute what has waited for long."""
        fine_from = (now - FINE_SECONDS) // MINUTE * MINUTE
        if fine_from <= self._fine_from:
            return
        self._fine_from = fine_from
        cells, near = self._state.cells, self._near()
        for second in [s for s in cells if near <= s < fine_from and cells[s][0] < MINUTE]:
            row = cells.pop(second)
            minute = self._row(int(second // MINUTE * MINUTE), MINUTE)
            for column in range(1, COLUMNS + 2):
                minute[column] += row[column]

    def edge(self, moment: float) -> float:
        """Return where the cell of a moment begins."""
        return moment // 1.0 if self._is_fine(moment) else moment // MINUTE * MINUTE

    def add(
        self, column: int, start: float, until: float, joules: float, half_width: float
    ) -> None:
        """Add energy of a part."""
        length = until - start
        if length > MINUTE:
            self._state.long.append((column, start, until, joules, half_width))
            return
        while start < until:
            fine = self._is_fine(start)
            begin = start // 1.0 if fine else start // MINUTE * MINUTE
            end = begin + (1.0 if fine else MINUTE)
            part = (
                1.0
                if end >= until and start == until - length
                else ((min(end, until) - start) / length)
            )
            row = self._row(int(begin), end - begin)
            row[column + 1] += joules * part
            row[COLUMNS + 1] += half_width * part
            start = end

    def take(self, since: float, edge: float) -> Iterator[Lot]:
        """Take out what lies before an edge; nothing of it lies before `since`."""
        cells = self._state.cells
        for second in sorted(s for s in cells if s < edge):
            length, *joules, half_width = cells.pop(second)
            yield Lot(max(since, float(second)), second + length, joules, half_width)
        later = []
        for column, start, until, j, half_width in self._state.long:
            if start >= edge:
                later.append((column, start, until, j, half_width))
                continue
            end = min(until, edge)
            share = (end - start) / (until - start)
            joules = [0.0] * COLUMNS
            joules[column] = j * share
            yield Lot(start, end, joules, half_width * share)
            if end < until:
                later.append((column, end, until, j - j * share, half_width * (1 - share)))
        self._state.long = later

    def _near(self) -> float:
        return (self._state.done + NEAR_SECONDS) // MINUTE * MINUTE + MINUTE

    def _is_fine(self, moment: float) -> bool:
        if moment >= self._fine_from:
            return True
        row = self._state.cells.get(int(moment // MINUTE * MINUTE))
        return moment < self._near() and (row is None or row[0] < MINUTE)

    def _row(self, second: int, length: float) -> list[float]:
        row = self._state.cells.get(second)
        if row is None:
            row = self._state.cells[second] = [length, *[0.0] * (COLUMNS + 1)]
        return row
