"""What clients did wrong, in the log: the first of a kind at once, then now and then how many."""

import time
from collections.abc import Callable
from typing import Final

import structlog

AGAIN_SECONDS: Final = 600.0
"""A kind of trouble is told again after so long, with how often it has been."""
MAX_KINDS: Final = 100

log = structlog.get_logger()


class Complaints:
    """Counts refused clients by what was wrong; anyone could fill a log with a line for each."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells seconds that never go back."""
        self._clock = clock
        self._told: dict[str, float] = {}
        self._since: dict[str, int] = {}

    def add(self, why: str, client: str = "") -> None:
        """Count one; `why` has nothing in it that the client chose."""
        if why not in self._told and len(self._told) >= MAX_KINDS:
            why = "other"
        now = self._clock()
        self._since[why] = self._since.get(why, 0) + 1
        if now - self._told.get(why, float("-inf")) < AGAIN_SECONDS:
            return
        self._told[why] = now
        times = self._since.pop(why)
        more = {"times": times} if times > 1 else {}
        log.warning("client_refused", why=why, client=client, **more)
