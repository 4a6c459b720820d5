"""Detail given up for memory while the disk cannot take it."""

from collections.abc import Sequence
from typing import Final

from agent.meter import Posting

STRETCHES_MINUTES: Final = (60, 1440, 30 * 1440, 10**9)


def fold(postings: Sequence[Posting], at_most: int) -> list[Posting]:
    """Add up the minutes of each hour in its first minute; if that leaves too many, of each day.

    Energy and time are kept. Takes the shortest stretch that leaves at most `at_most`.
    """
    folded = list(postings)
    for stretch in STRETCHES_MINUTES:
        if len(folded) <= at_most:
            break
        sums: dict[tuple[int, int], list[float]] = {}
        for p in folded:
            row = sums.setdefault((p.minute - p.minute % stretch, p.stream), [0.0] * 3)
            row[0] += p.joules
            row[1] += p.seconds
            row[2] += p.gap_seconds
        folded = [Posting(minute, stream, *row) for (minute, stream), row in sorted(sums.items())]
    return folded
