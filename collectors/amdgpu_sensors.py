"""What amdgpu's sysfs files are called: figures, the power sensor and the UUID of a board.

Names and units: drivers/gpu/drm/amd/pm/amdgpu_pm.c (doc: hwmon, unique_id) and amdgpu_vram_mgr.c.
"""

import re
from pathlib import Path
from typing import Final

from agent.samples import Figure
from collectors.drm import Card, Chip
from collectors.drm_boards import AS_IS, MICRO, MILLI, Board, Gauge, is_unsupported
from collectors.sysfs import Attribute, Unreadable, optional_text, read_text

_TEMPERATURES: Final = {"edge": "core", "junction": "hotspot", "mem": "memory"}
"""amdgpu_pm.c, temp_label."""
_CLOCKS: Final = {"sclk": "sm", "mclk": "memory"}
_UNIQUE_ID: Final = re.compile(r"[0-9a-f]{1,16}")


def device_gauges(board: Board) -> list[Gauge]:
    """Return what the PCI device's files say of memory, in bytes."""
    used, total = (board.card.device / f"mem_info_vram_{what}" for what in ("used", "total"))
    return [
        *board.gauge(Figure.MEMORY_USED, "", used, AS_IS, zero_is_unknown=False),
        *board.gauge(Figure.MEMORY_TOTAL, "", total, AS_IS, zero_is_unknown=True),
    ]


def chip_gauges(board: Board, chip: Chip) -> list[Gauge]:
    """Return the hwmon chip's figures: millidegrees, hertz, microwatts."""
    gauges: list[Gauge] = []
    for number in (1, 2, 3):
        said = optional_text(board.root, chip.path / f"temp{number}_label") or "edge"
        path = chip.path / f"temp{number}_input"
        if sensor := _TEMPERATURES.get(said):
            gauges += board.gauge(Figure.TEMPERATURE, sensor, path, MILLI, zero_is_unknown=False)
    for number in (1, 2):
        said = optional_text(board.root, chip.path / f"freq{number}_label") or ""
        path = chip.path / f"freq{number}_input"
        if clock := _CLOCKS.get(said):
            gauges += board.gauge(Figure.CLOCK, clock, path, AS_IS, zero_is_unknown=True)
    limit = chip.path / "power1_cap"
    return gauges + board.gauge(Figure.POWER_LIMIT, "", limit, MICRO, zero_is_unknown=True)


def label(root: Path, card: Card) -> str:
    """Return the UUID of a card, its PCI address where it has none.

    Raises `Unreadable` if it has one that cannot be read now: a label must not change later.
    """
    try:
        said = read_text(root, card.device / "unique_id").lower()
    except Unreadable as error:
        if error.reason in {"gone", "garbage"} or is_unsupported(error):
            return card.address
        raise
    if not _UNIQUE_ID.fullmatch(said) or not int(said, 16):
        return card.address
    return f"GPU-{said:0>16}"


def power_sensor(root: Path, chip: Chip | None) -> Attribute | None:
    """Return the power sensor; a mean is preferred to a moment."""
    for file in ("power1_average", "power1_input"):
        if chip is not None and file in chip.files:
            return Attribute(root, chip.path / file)
    return None
