"""Time ranges: cut them, take them away from each other, and measure their union.

Lists of ranges are in order and free of overlaps.
"""

from collections.abc import Sequence
from typing import Final

Range = tuple[float, float]
FOREVER: Final = float("inf")
KEPT: Final = 256
"""Ranges that a union remembers at most; the oldest are taken as settled."""


def intersect(xs: Sequence[Range], ys: Sequence[Range]) -> list[Range]:
    """Return what is in both."""
    return [(max(a, c), min(b, d)) for a, b in xs for c, d in ys if max(a, c) < min(b, d)]


def subtract(xs: Sequence[Range], ys: Sequence[Range]) -> list[Range]:
    """Return what of `xs` is not in `ys`."""
    rest = list(xs)
    for c, d in ys:
        rest = [
            piece
            for a, b in rest
            for piece in ((a, min(b, c)), (max(a, d), b))
            if piece[0] < piece[1]
        ]
    return rest


class Union:
    """Total length of all ranges ever added, overlaps counted once."""

    def __init__(self, ranges: Sequence[Range] = ()) -> None:
        self.ranges = list(ranges)

    def add(self, start: float, end: float) -> float:
        """Add a range; return by how much the union grew."""
        if end <= start:
            return 0.0
        grown = sum(b - a for a, b in subtract([(start, end)], self.ranges))
        rest: list[Range] = []
        for a, b in self.ranges:
            if b < start or a > end:
                rest.append((a, b))
            else:
                start, end = min(a, start), max(b, end)
        rest.append((start, end))
        rest.sort()
        self.ranges = rest[-KEPT:]
        return grown

    def forget(self, before: float) -> None:
        """Drop the ranges that nothing to come can touch."""
        if self.ranges and self.ranges[0][1] < before:
            self.ranges = [r for r in self.ranges if r[1] >= before]
