"""Whether what a meter's registers say can be: words that are swapped, totals that leap. Pure.

A total with its words swapped can look quite normal by itself; how it rises gives it away: the
high word, which should stand still, moves. What is withheld here is shown as a problem that says
what the other order would give, so that one look at the meter's display decides.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from agent.collector import Transient
from agent.site.settings import Register
from collectors.modbus_numbers import count_of, decode, is_tiny, swapped

LEEWAY: Final = 20.0
"""So much more than its power now a meter's total may have risen by: power changes in between."""
STEPS: Final = 10.0
"""And so many of its smallest steps."""
WINDOW_SECONDS: Final = 900.0
"""Over so long its total and its power are compared at least."""
CONTRADICTION: Final = 5.0
"""Total and power that differ by more than this factor cannot both be right."""


class Reading(NamedTuple):
    """A register as it was read."""

    what: str
    """energy, power or temperature, as the settings call it."""
    register: Register
    words: tuple[int, ...]
    absent: str = ""

    def value(self) -> float | None:
        """Return it in its unit; None: not available."""
        return decode(self.words, self.register, self.absent)

    def other(self) -> float | None:
        """Return it as the other order of words has it; None: not available, or a single word."""
        if count_of(self.register) == 1:
            return None
        return decode(self.words, swapped(self.register), self.absent)

    def order(self) -> str:
        """Return the other order as it stands in the settings."""
        return f'words = "{swapped(self.register).words}"'


class _Total(NamedTuple):
    at: float
    """s of a steady clock."""
    amount: float
    other: float | None


Amount = Callable[[Reading, float], float]
"""Returns a value in base units (J, l, W, l/s). Raises `Transient` where it cannot be."""


def sensible(reading: Reading, amount: Amount) -> float:
    """Return a reading's value in its unit. Raises `Transient` where it cannot be."""
    value = reading.value()
    if value is None:
        raise Transient(
            f'its {reading.what} register {reading.register.address} says "not available"',
            "absent",
            "look whether this model measures that, and how it is wired",
        )
    wrong = _wrong(reading, value, amount)
    if wrong is None:
        return value
    other = reading.other()
    if other is None or _wrong(reading, other, amount) is not None:
        raise wrong
    raise Transient(
        f"{wrong.why}; with {reading.order()} it would be {other:.10g} {reading.register.unit}",
        "garbage",
        f"if that is what it shows, set {reading.order()}",
    )


def step(reading: Reading, value: float, amount: Amount) -> float:
    """Return the least by which a total can rise, in J or l."""
    register = reading.register
    if register.type == "float64":
        return 0.0
    smallest = abs(value) / 2**23 if register.type == "float32" else abs(register.scale)
    return amount(reading, smallest)


def _wrong(reading: Reading, value: float, amount: Amount) -> Transient | None:
    """Return why a value cannot be, None if it can."""
    if is_tiny(value, reading.register):
        why = f"its {reading.what} is {value:g} {reading.register.unit}"
        return Transient(why, "garbage", "mend address, type or word order")
    try:
        amount(reading, value)
    except Transient as wrong:
        return wrong
    return None


class Sense:
    """What one meter's totals did so far."""

    def __init__(self, amount: Amount, most_per_second: float) -> None:
        """`most_per_second`: the most that can flow, in W or l/s."""
        self._amount = amount
        self._most = most_per_second
        self._last: _Total | None = None
        self._rate = 0.0
        self._swapped = False
        self._start: _Total | None = None
        self._expected = 0.0
        self._notice: Transient | None = None

    def total(
        self, reading: Reading, value: float, at: float, rate: float | None
    ) -> Transient | None:
        """Judge a total by those before; return what is to be said where it is used all the same.

        Raises `Transient` where its words seem swapped: then it must not be used. `at`: s of a
        steady clock. `rate`: what flows now in W or l/s, None where that is not known.
        """
        amount, smallest = self._amount(reading, value), step(reading, value, self._amount)
        other = reading.other()
        if other is not None:
            other = None if _wrong(reading, other, self._amount) else self._amount(reading, other)
        now, last = _Total(at, amount, other), self._last
        self._last = now
        if last is not None and at > last.at:
            self._swapped = self._seems_swapped(last, now, smallest, rate)
            if rate is not None:
                self._expected += rate * (at - last.at)
        self._rate = rate or 0.0
        if self._swapped:
            order = reading.order()
            raise Transient(
                f"its total leaps as no meter's does; with {order} it rises steadily",
                "garbage",
                f"set {order}, or compare with the meter's display",
            )
        return None if rate is None else self._compare(now, last, smallest)

    def _seems_swapped(
        self, last: _Total, now: _Total, smallest: float, rate: float | None
    ) -> bool:
        seconds = now.at - last.at
        most = self._most * seconds
        if rate is not None:
            most = min(most, LEEWAY * max(rate, self._rate) * seconds + STEPS * smallest)
        rise = now.amount - last.amount
        if rise == 0:
            return self._swapped
        if 0 < rise <= most or now.other is None or last.other is None:
            return False
        return self._swapped or 0 < now.other - last.other <= most

    def _compare(self, now: _Total, last: _Total | None, smallest: float) -> Transient | None:
        """Return what is to be said where total and rate contradict each other."""
        start = self._start
        if (
            start is None
            or last is None
            or now.amount < start.amount
            or now.at - last.at > WINDOW_SECONDS / 3
        ):
            self._start, self._expected = now, 0.0
            return self._notice
        rise, expected = now.amount - start.amount, self._expected
        high, low = max(rise, expected), min(rise, expected)
        if now.at - start.at < WINDOW_SECONDS or high < 10 * STEPS * smallest:
            return self._notice
        self._start, self._expected, self._notice = now, 0.0, None
        if high > CONTRADICTION * low:
            kind = "more" if rise > expected else "less"
            times = f"{high / low:.3g} times {kind}" if low > 0 else f"much {kind}"
            self._notice = Transient(
                f"its total rose by {times} than its power says",
                "garbage",
                "compare both with the meter's display: unit, scale, transformer ratio",
            )
        return self._notice
