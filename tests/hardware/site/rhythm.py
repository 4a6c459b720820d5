"""How busy something is over a week, and scripts of power that a test may change while they run.

Scenario time is seconds since the site was switched on; before 0 lies the past, in which every
script repeats its week. So one script says what a meter shows now and what a Prometheus would have
scraped eight days ago.
"""

import math
import random
import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hardware.power import Power, Steps

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
WEEK = 7 * DAY
QUARTER = 900.0
UTC_OFFSET_HOURS = 8
"""Of the site's local time, which people's days follow: Guangzhou, without summer time."""


@dataclass(frozen=True)
class Rhythm:
    """The shape of a load: everything is a share of a machine's capacity, 0 to 1."""

    mean: float
    day: float = 0.0
    """How far it swings up by day (15:00) and down by night (3:00)."""
    weekend: float = 0.0
    """What Saturdays and Sundays have less."""
    wave: float = 0.02
    """A swing over seven minutes, so that a person who looks sees it move."""
    noise: float = 0.02
    seed: int = 0

    def at(self, wall: float, dice: random.Random) -> float:
        """Return the load at a moment, Unix time, between 0.01 and 0.97."""
        local = datetime.fromtimestamp(wall, UTC) + timedelta(hours=UTC_OFFSET_HOURS)
        hours = local.hour + local.minute / 60
        value = self.mean + self.day * math.cos(math.tau * (hours - 15.0) / 24.0)
        value -= self.weekend * (local.weekday() >= 5)
        value += self.wave * math.sin(math.tau * wall / (7 * MINUTE) + self.seed)
        return min(max(value + dice.uniform(-self.noise, self.noise), 0.01), 0.97)


def week(epoch: float, value: Callable[[float], float]) -> Steps:
    """Return a week of one-minute steps, from `epoch` (Unix time of scenario time 0) on, for ever.

    `value` is asked once for each minute of Unix time, in order.
    """
    minutes = round(WEEK / MINUTE)
    return Steps(tuple(value(epoch + n * MINUTE) for n in range(minutes)), MINUTE)


def busy_week(epoch: float, rhythm: Rhythm) -> Steps:
    """Return how busy something with this rhythm is, 0 to 1; the same for the same seed."""
    dice = random.Random(rhythm.seed)
    return week(epoch, lambda wall: rhythm.at(wall, dice))


class Changing:
    """A script that may be replaced while it runs; what was until then stays true."""

    def __init__(self, power: Power) -> None:
        self._starts = [float("-inf")]
        self._powers: list[Power] = [power]

    @property
    def now(self) -> Power:
        """The script that counts from now on."""
        return self._powers[-1]

    @property
    def first(self) -> Power:
        """The script before any change."""
        return self._powers[0]

    def change(self, t: float, power: Power) -> None:
        """From `t` on it is this one; changes come in order of time."""
        self._starts.append(t)
        self._powers.append(power)

    def watts(self, t: float) -> float:
        """Return the value at a moment."""
        return self._powers[bisect_right(self._starts, t) - 1].watts(t)

    def joules(self, t: float) -> float:
        """Return the integral from 0 to `t`."""
        last = bisect_right(self._starts, t) - 1
        total, begin = 0.0, 0.0
        for index in range(last):
            end = self._starts[index + 1]
            total += self._powers[index].joules(end) - self._powers[index].joules(begin)
            begin = end
        return total + self._powers[last].joules(t) - self._powers[last].joules(begin)


class Integrated:
    """A rate that is no sum of scripts, with its integral by the trapezoid rule on a fixed grid.

    The grid depends on nobody's asking, so a meter's register is the same whenever it is read.
    """

    def __init__(self, rate: Callable[[float], float], step_seconds: float = 5.0) -> None:
        self._rate = rate
        self._step = step_seconds
        self._sums = [0.0]
        self._last = rate(0.0)
        self._lock = threading.Lock()

    def watts(self, t: float) -> float:
        """Return the rate at a moment."""
        return self._rate(t)

    def joules(self, t: float) -> float:
        """Return the integral from 0 to `t`, which is not before 0."""
        index = int(t // self._step)
        with self._lock:
            while len(self._sums) <= index:
                value = self._rate(len(self._sums) * self._step)
                self._sums.append(self._sums[-1] + (self._last + value) / 2 * self._step)
                self._last = value
        begin = index * self._step
        middle = (self._rate(begin) + self._rate(t)) / 2
        return self._sums[index] + middle * (t - begin)


def quarter_means(powers: Sequence[Power], first_quarter: float) -> list[float]:
    """Return the mean of a sum of weekly scripts in each quarter of an hour of one week.

    `first_quarter`: scenario time at which the first of the 672 begins.
    """
    edges = [first_quarter + n * QUARTER for n in range(round(WEEK / QUARTER) + 1)]
    sums = [sum(power.joules(edge) for power in powers) for edge in edges]
    return [(b - a) / QUARTER for a, b in pairwise(sums)]
