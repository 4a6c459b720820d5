"""A meter's figures over time, and sums over the time that several meters have in common.

A KPI is a ratio of energies of the *same* time. Where one of its meters has a hole, nothing is
scaled up: that time is left out of all its meters alike, and the coverage says how much is left.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

COMPLETE: Final = 0.9999
"""A meter knows a stretch of time if it covers this share of it: a missed poll within a month's
invoice is no hole, and the error that this can make is 0.01 %."""


class Cell(NamedTuple):
    """What a meter counted between two moments, and for how much of the time it knows."""

    start: float
    """Unix time."""
    end: float
    amount: float
    """J or litres."""
    seconds: float
    """Time within it for which the amount stands."""


class Term(NamedTuple):
    """One meter of a sum."""

    cells: Sequence[Cell]
    """In order, without overlaps."""
    factor: float = 1.0
    """-1 where it is taken off."""


class Common(NamedTuple):
    """Sums over the time that all the meters know."""

    sums: tuple[float, ...]
    """One for each quantity, J or litres."""
    seconds: float
    """That time."""


def common(quantities: Sequence[Sequence[Term]], start: float, end: float) -> Common:
    """Return each quantity's sum over the time between `start` and `end` that all terms know.

    `quantities`: for each the meters that make it up. A cell that lies only partly in the period
    is left out: nobody knows what of it fell inside. Cells of different length (a month's invoice
    beside quarters of an hour) are compared over the longer one.
    """
    terms = [term for quantity in quantities for term in quantity]
    pieces = sorted(
        (cell.start, cell.end, index, cell.amount, cell.seconds)
        for index, term in enumerate(terms)
        for cell in term.cells
        if cell.start >= start and cell.end <= end and cell.end > cell.start
    )
    totals = [0.0] * len(terms)
    known = 0.0
    i = 0
    while i < len(pieces):
        begin, until = pieces[i][0], pieces[i][1]
        amounts, seconds = [0.0] * len(terms), [0.0] * len(terms)
        while i < len(pieces) and pieces[i][0] < until:
            _, piece_end, index, amount, covered = pieces[i]
            until = max(until, piece_end)
            amounts[index] += amount
            seconds[index] += covered
            i += 1
        if all(covered >= COMPLETE * (until - begin) for covered in seconds):
            known += until - begin
            totals = [total + amount for total, amount in zip(totals, amounts, strict=True)]
    weighted = iter([total * term.factor for total, term in zip(totals, terms, strict=True)])
    return Common(tuple(sum(next(weighted) for _ in quantity) for quantity in quantities), known)


def covered(cells: Sequence[Cell], start: float, end: float) -> tuple[float, float]:
    """Return what one meter counted in the period, and the seconds for which it knows."""
    inside = [cell for cell in cells if cell.start >= start and cell.end <= end]
    return sum(cell.amount for cell in inside), sum(cell.seconds for cell in inside)
