"""Scripts of true power over time, with the energy in closed form.

Every script is a pure function of virtual time (seconds from the scenario's start), so what an
agent reports can be compared with what was true, to the last bit of a float.
"""

import math
import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Protocol


class Power(Protocol):
    """What one device draws."""

    def watts(self, t: float) -> float:
        """Return the power at `t`."""
        ...

    def joules(self, t: float) -> float:
        """Return the energy from 0 to `t`, exactly; the integral of `watts`."""
        ...


@dataclass(frozen=True)
class Constant:
    """The same power for ever."""

    level_watts: float

    def watts(self, t: float) -> float:
        return self.level_watts

    def joules(self, t: float) -> float:
        return self.level_watts * t


@dataclass(frozen=True)
class Linear:
    """A ramp that starts at `start_watts` and changes by `watts_per_second`."""

    start_watts: float
    watts_per_second: float

    def watts(self, t: float) -> float:
        return self.start_watts + self.watts_per_second * t

    def joules(self, t: float) -> float:
        return (self.start_watts + self.watts_per_second * t / 2) * t


@dataclass(frozen=True)
class Sine:
    """A wave around `mean_watts`."""

    mean_watts: float
    amplitude_watts: float
    period_seconds: float
    phase: float = 0.0
    """Radians."""

    def watts(self, t: float) -> float:
        return self.mean_watts + self.amplitude_watts * math.sin(self._angle(t))

    def joules(self, t: float) -> float:
        swing = math.cos(self.phase) - math.cos(self._angle(t))
        return self.mean_watts * t + self.amplitude_watts * self.period_seconds / math.tau * swing

    def _angle(self, t: float) -> float:
        return math.tau * t / self.period_seconds + self.phase


@dataclass(frozen=True)
class Steps:
    """Levels that follow one another every `step_seconds`, then start again."""

    levels_watts: tuple[float, ...]
    step_seconds: float

    @cached_property
    def _before(self) -> list[float]:
        return [0.0, *accumulate(self.levels_watts)]

    def watts(self, t: float) -> float:
        return self.levels_watts[int(t // self.step_seconds) % len(self.levels_watts)]

    def joules(self, t: float) -> float:
        step, rest_seconds = divmod(t, self.step_seconds)
        turns, index = divmod(int(step), len(self.levels_watts))
        whole = turns * self._before[-1] + self._before[index]
        return whole * self.step_seconds + self.levels_watts[index] * rest_seconds


def noise(seed: int, spread_watts: float, step_seconds: float = 1.0, count: int = 4096) -> Steps:
    """Return steps between -`spread_watts` and +`spread_watts`, the same ones for one seed."""
    dice = random.Random(seed)
    return Steps(
        tuple(dice.uniform(-spread_watts, spread_watts) for _ in range(count)), step_seconds
    )


@dataclass(frozen=True)
class Sum:
    """Several scripts at once."""

    parts: tuple[Power, ...]

    def watts(self, t: float) -> float:
        return sum(part.watts(t) for part in self.parts)

    def joules(self, t: float) -> float:
        return sum(part.joules(t) for part in self.parts)


@dataclass(frozen=True)
class Scaled:
    """A share or a multiple of another script."""

    of: Power
    factor: float

    def watts(self, t: float) -> float:
        return self.factor * self.of.watts(t)

    def joules(self, t: float) -> float:
        return self.factor * self.of.joules(t)


class Pieces:
    """One script after another: `[(0.0, Constant(90)), (60.0, Sine(…))]`.

    A piece keeps the scenario's time: at t = 61 the second piece is asked for t = 61.
    """

    def __init__(self, pieces: Sequence[tuple[float, Power]]) -> None:
        if not pieces or pieces[0][0] != 0.0:
            raise ValueError("the first piece starts at 0.0")
        self._starts = [start for start, _ in pieces]
        if self._starts != sorted(set(self._starts)):
            raise ValueError("pieces start one after another")
        self._powers = [power for _, power in pieces]
        self._before = [0.0]
        for (start, power), end in zip(pieces, self._starts[1:], strict=False):
            self._before.append(self._before[-1] + power.joules(end) - power.joules(start))

    def watts(self, t: float) -> float:
        return self._powers[self._at(t)].watts(t)

    def joules(self, t: float) -> float:
        index = self._at(t)
        power = self._powers[index]
        return self._before[index] + power.joules(t) - power.joules(self._starts[index])

    def _at(self, t: float) -> int:
        return max(bisect_right(self._starts, t) - 1, 0)


def busy(idle_watts: float, peak_watts: float, seed: int, period_seconds: float = 300.0) -> Power:
    """Return a load that swings between idle and peak with noise on it, never outside them."""
    span = peak_watts - idle_watts
    phase = random.Random(seed).uniform(0, math.tau)
    wave = Sine((idle_watts + peak_watts) / 2, 0.38 * span, period_seconds, phase)
    return Sum((wave, noise(seed, 0.12 * span, 2.0)))
