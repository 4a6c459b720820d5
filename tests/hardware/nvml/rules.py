"""A fault that is switched on, and the wait for a process to run into it."""

import time

from hardware.nvml.layout import RuleState


class Rule:
    """What `Standin.fail` returns."""

    def __init__(self, state: RuleState) -> None:
        self._state = state

    @property
    def trials(self) -> int:
        """How many calls it applied to."""
        return int(self._state.trials)

    @property
    def hits(self) -> int:
        """How many calls it struck."""
        return int(self._state.hits)

    @property
    def hanging(self) -> int:
        """How many calls hang in it now."""
        return int(self._state.hanging)

    def wait_until_hanging(self, timeout_seconds: float = 30.0) -> None:
        """Return once a call hangs in it. Raises `TimeoutError`."""
        end = time.monotonic() + timeout_seconds
        while not self.hanging:
            if time.monotonic() > end:
                raise TimeoutError("nobody ran into the rule")
            time.sleep(0.001)

    def clear(self) -> None:
        """Take it away; calls that hang in it return."""
        self._state.active = 0
