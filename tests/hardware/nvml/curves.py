"""Scripts of `hardware/power.py` as the curves of the state file: sums of parts, piece by piece."""

from dataclasses import dataclass
from itertools import accumulate, pairwise

from hardware.nvml.layout import CURVES, LEVELS, PARTS, PIECES, State
from hardware.power import Constant, Linear, Pieces, Power, Scaled, Sine, Steps, Sum

_CONSTANT, _LINEAR, _SINE, _STEPS = range(4)


@dataclass(frozen=True)
class _Part:
    factor: float
    of: Power

    def joules(self, t: float) -> float:
        return self.factor * self.of.joules(t)


_Piece = tuple[float, tuple[_Part, ...]]


def flatten(power: Power) -> list[_Piece]:
    """Return when each piece starts and which parts it is the sum of."""
    match power:
        case Scaled(of, factor):
            return [
                (start, tuple(_Part(factor * part.factor, part.of) for part in parts))
                for start, parts in flatten(of)
            ]
        case Sum(parts):
            each = [flatten(part) for part in parts]
            starts = sorted({start for pieces in each for start, _ in pieces})
            return [(start, sum((_at(p, start) for p in each), ())) for start in starts]
        case Pieces():
            ends = [*power._starts[1:], float("inf")]
            return [
                piece
                for start, end, inner in zip(power._starts, ends, power._powers, strict=True)
                for piece in _between(flatten(inner), start, end)
            ]
        case Constant() | Linear() | Sine() | Steps():
            return [(0.0, (_Part(1.0, power),))]
    raise TypeError(f"no curve for {power!r}")


def _at(pieces: list[_Piece], t: float) -> tuple[_Part, ...]:
    return [parts for start, parts in pieces if start <= t or start == 0.0][-1]


def _between(pieces: list[_Piece], start: float, end: float) -> list[_Piece]:
    return [(start, _at(pieces, start)), *(p for p in pieces if start < p[0] < end)]


class Pool:
    """Writes curves into a state file, one after another; they stay."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._curves = self._pieces = self._parts = self._levels = 0
        self._steps: dict[Steps, int] = {}

    def add(self, power: Power) -> int:
        """Write a curve and return its number."""
        pieces = flatten(power)
        if self._curves >= CURVES or self._pieces + len(pieces) > PIECES:
            raise ValueError("the state file holds no more curves")
        curve = self._state.curves[self._curves]
        curve.first_piece, curve.piece_count = self._pieces, len(pieces)
        before = 0.0
        for (start, parts), following in pairwise([*pieces, (None, ())]):
            piece = self._state.pieces[self._pieces]
            piece.start, piece.before = start, before
            piece.first_part, piece.part_count = self._parts, len(parts)
            for part in parts:
                self._add_part(part)
            if following[0] is not None:
                before += sum(p.joules(following[0]) - p.joules(start) for p in parts)
            self._pieces += 1
        self._curves += 1
        return self._curves - 1

    def _add_part(self, part: _Part) -> None:
        if self._parts >= PARTS:
            raise ValueError("the state file holds no more parts of curves")
        into = self._state.parts[self._parts]
        self._parts += 1
        into.factor = part.factor
        match part.of:
            case Constant(level):
                into.kind, into.a = _CONSTANT, level
            case Linear(start, slope):
                into.kind, into.a, into.b = _LINEAR, start, slope
            case Sine(mean, amplitude, period, phase):
                into.kind = _SINE
                into.a, into.b, into.c, into.d = mean, amplitude, period, phase
            case Steps(levels, seconds) as steps:
                into.kind, into.a = _STEPS, seconds
                into.first_level, into.level_count = self._add_levels(steps), len(levels)

    def _add_levels(self, steps: Steps) -> int:
        first = self._steps.get(steps)
        if first is None:
            first = self._levels
            numbers = [*steps.levels_watts, 0.0, *accumulate(steps.levels_watts)]
            if first + len(numbers) > LEVELS:
                raise ValueError("the state file holds no more levels")
            self._state.levels[first : first + len(numbers)] = numbers
            self._levels += len(numbers)
            self._steps[steps] = first
        return first
