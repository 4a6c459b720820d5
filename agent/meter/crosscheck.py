"""A device that has a counter and a sensor: what one says over what the other says.

The counter of a board and its power integrated over the same minute should agree within the
sensor's error; Zeus found 1 % on one card and 187 J against 327 J on another (zeus #181).
"""

from typing import Final

MINUTE: Final = 60.0
COVERED: Final = 0.9
"""Of a minute, both must cover this share …"""
ALIKE: Final = 0.02
"""… and no more than this share of it differently."""
STALE_SECONDS: Final = 180.0


class _Minute:
    __slots__ = ("joules", "number", "seconds")

    def __init__(self) -> None:
        self.number = -1.0
        self.joules = [0.0, 0.0]
        self.seconds = [0.0, 0.0]


class CrossChecks:
    """Counter over integral of the last whole minute, for each device that has both."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[str, str, str], _Minute] = {}
        self._ratios: dict[tuple[str, str, str], tuple[float, float]] = {}

    def add(
        self, who: tuple[str, str, str], start: float, until: float, joules: float, *, counter: bool
    ) -> None:
        """Add an interval of one of the two. `who`: source, component, device; times in s."""
        minute = self._minutes.get(who)
        if minute is None:
            minute = self._minutes[who] = _Minute()
        number = until // MINUTE
        if number != minute.number:
            if minute.number >= 0:
                self._close(who, minute)
            minute.number = number
            minute.joules, minute.seconds = [0.0, 0.0], [0.0, 0.0]
        minute.joules[counter] += joules
        minute.seconds[counter] += until - start

    def ratios(self, now: float) -> dict[tuple[str, str, str], float]:
        """Return the ratios that are not too old; 1 is agreement."""
        return {who: r for who, (r, at) in self._ratios.items() if now - at <= STALE_SECONDS}

    def _close(self, who: tuple[str, str, str], minute: _Minute) -> None:
        by_sensor, by_counter = minute.joules
        short, long = sorted(minute.seconds)
        if short >= COVERED * MINUTE and long - short <= ALIKE * MINUTE and by_sensor > 0:
            self._ratios[who] = (by_counter / by_sensor, (minute.number + 1) * MINUTE)
