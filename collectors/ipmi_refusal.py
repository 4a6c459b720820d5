"""After a refused password: wait, because a BMC locks an account after a few refusals.

An Inspur BMC's defaults, for example: locked for 300 s after 3 refusals ("Bad Password Threshold",
"User Lockout Interval" of `ipmitool lan print`).
"""

from pathlib import Path
from typing import Final

from agent.clock import Clock
from agent.collector import Transient
from agent.quantities import Seconds

WAIT_SECONDS: Final = 900.0


class Refusal:
    """Whether the BMC has refused the password that the file holds now."""

    def __init__(self, password_file: str, clock: Clock) -> None:
        self._path = password_file
        self._clock = clock
        self._last: tuple[Seconds, int, Transient] | None = None
        """When it was refused, when the file was written then (ns), and what to say."""

    def note(self, failure: Transient) -> None:
        """Remember a failure if it is a refusal."""
        if failure.reason == "auth":
            self._last = (self._clock.boottime(), self._written(), failure)

    def check(self) -> None:
        """Raise `Transient` while nothing may be tried."""
        if self._last is None:
            return
        since, written, failure = self._last
        left = WAIT_SECONDS - (self._clock.boottime() - since)
        if left <= 0 or written != self._written():
            self._last = None
            return
        why = f"{failure.why}; not tried again for {left / 60:.0f} min, lest it lock the account"
        raise Transient(why, "auth", failure.remedy)

    def _written(self) -> int:
        try:
            return Path(self._path).stat().st_mtime_ns
        except OSError:
            return 0
