"""The settings of the nvml collector."""

from typing import Annotated, Literal

import msgspec

from agent.collector import CollectorSettings

Factor = Annotated[float, msgspec.Meta(ge=0.5, le=2.0)]
"""A sensor's gain error is a few per cent (arXiv 2312.02741); more is another mistake."""
Period = Annotated[float, msgspec.Meta(gt=0.0)]


class NvmlSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.nvml]`."""

    timeout_seconds: float = 5.0
    """A reading that takes longer counts as failed; waking an idle driver takes seconds."""
    slow_seconds: Period = 15.0
    """Seconds between readings of temperatures, clocks, limits, throttling, ECC and memory."""
    rescan_seconds: Period = 30.0
    """Seconds between looks for boards that came or went."""
    gpm: bool = True
    """Read the activity of the arithmetic units, where the board tells (Hopper and later)."""
    mig: Literal["auto", "off"] = "off"
    """auto: where MIG is on, attribute the board's power to its slices."""
    links: bool = False
    """Read the traffic over PCIe and NVLink."""
    calibration: dict[str, Factor] = msgspec.field(default_factory=dict)
    """By UUID, what energy and power are multiplied with, as an external meter found it, e.g.
    {"GPU-8f6a…" = 1.04}."""
