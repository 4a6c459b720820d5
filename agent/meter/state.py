"""What the meter must remember to lose nothing when the agent is killed at any moment."""

import msgspec

from agent.quantities import Component, Quality


class StreamIdentity(msgspec.Struct, frozen=True, order=False):
    """One source of energy for one device: the labels of its counter."""

    source: str
    component: Component
    device: str
    quality: Quality
    counted: bool = True


class StreamState(msgspec.Struct, array_like=True):
    """A stream's figures. Times are seconds of CLOCK_BOOTTIME of the boot that the state names."""

    at: float | None = None
    """When the last reading was taken."""
    value: float | None = None
    """The last counter value in J or the last power in W; None: cannot be bridged from."""
    joules: float = 0.0
    """Energy counted."""
    seconds: float = 0.0
    """Time for which energy was counted."""
    gap_seconds: float = 0.0
    """Time for which this source gave no energy."""
    away: list[tuple[float, float]] = []
    """When it was not there at all and stood in nobody's way, newest last: from minus infinity
    to its first reading; from when it was retired to when it came back, or to infinity."""
    counted_until: float | None = None
    """End of the last interval whose energy was counted."""
    dark_until: float | None = None
    """How far its present silence is already a gap; None: it is not."""
    holes: list[tuple[float, float]] = []
    """Gaps that those who could fill them have not all been heard about yet."""
    pending: list[tuple[float, float, float]] = []
    """From, until, joules: counts only where every better source turns out to have a gap."""
    wraps_at: float | None = None
    max_watts: float | None = None
    retired: bool = False
    """The source is gone on purpose: its total stays, its silence is no gap."""
    resets: int = 0
    """How often the counter started anew."""


class MeterState(msgspec.Struct, array_like=True):
    """Everything of the meter that changes from tick to tick."""

    boot_id: str = ""
    wall: float = 0.0
    """Unix time of this state: the only measure of how long a reboot took."""
    boottime: float = 0.0
    streams: list[StreamState] = []
    host_gap_seconds: float = 0.0
    host_gap_ranges: list[tuple[float, float]] = []
    resets: dict[str, int] = {}
    """`source reason` to count."""
    open_minutes: dict[int, dict[int, list[float]]] = {}
    """Minute to stream to joules, seconds, gap seconds not yet in the ledger's minute table."""
