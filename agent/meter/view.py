"""One stream as others see it."""

import msgspec

from agent.meter.state import StreamIdentity


class StreamView(msgspec.Struct, frozen=True):
    """A stream's totals and its power now."""

    identity: StreamIdentity
    joules: float
    seconds: float
    gap_seconds: float
    watts: float | None
    half_width_watts: float
    counts_now: bool
    """Its power is part of the host's at this moment."""
    cross_check: bool
    """Never counted while the source it doubles is there."""
    retired: bool
    resets: int
    """How often the counter started anew."""
