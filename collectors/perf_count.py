"""Floating-point operations between two readings of a group of counters. No I/O."""

from collections.abc import Sequence
from typing import Final

from collectors.perf_events import Event
from collectors.perf_syscall import Reading

LEAST_ENABLED: Final = 0.9
"""Share of the time between two readings for which the events must have been switched on.

Less: the CPU was offline, or the host slept. Some of the work was not seen.
"""
LEAST_RUNNING: Final = 0.01
"""Share of that time for which they must have counted: from less, nothing can be extrapolated."""
MOST_FLOP_PER_SECOND: Final = 64 * 8e9
"""Of one CPU: two 512-bit FMA a cycle in FP32 are 64, AMD's event counts up to 64 (PPR), at more
than the fastest clock there is. A larger rise is garbage."""


def flop_between(
    before: Reading, after: Reading, events: Sequence[Event], seconds: float
) -> float | None:
    """Return the operations in `seconds` between the readings; None if that is not known.

    Where counters were shared in turn (time running < time enabled), the count is scaled up, on
    the differences, so that a later reading does not carry an earlier one's error
    (Documentation: perf_event_open(2), PERF_FORMAT_TOTAL_TIME_RUNNING).
    """
    enabled = after.enabled_ns - before.enabled_ns
    running = after.running_ns - before.running_ns
    if not was_on(before, after, seconds) or running < LEAST_RUNNING * enabled:
        return None
    counted = 0
    for event, was, now in zip(events, before.values, after.values, strict=True):
        if now < was:
            return None
        counted += event.flop * (now - was)
    flop = counted * max(enabled / running, 1.0)
    return flop if flop <= MOST_FLOP_PER_SECOND * seconds else None


def was_on(before: Reading, after: Reading, seconds: float) -> bool:
    """Tell whether the events were switched on in the `seconds` between two readings."""
    enabled = after.enabled_ns - before.enabled_ns
    return enabled > 0 and enabled >= LEAST_ENABLED * seconds * 1e9
