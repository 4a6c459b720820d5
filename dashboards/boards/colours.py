"""One colour for one meaning, on every dashboard.

Colours are Grafana's own names, which suit its light and its dark theme.
"""

from collections.abc import Mapping
from typing import Any, Final

GOOD: Final = "green"
FAIR: Final = "orange"
BAD: Final = "red"
NEUTRAL: Final = "blue"
UNKNOWN: Final = "#808080"
NOTHING: Final = "transparent"

QUALITY: Final[Mapping[str, str]] = {
    "measured": GOOD,
    "integrated": NEUTRAL,
    "estimated": FAIR,
    "missing": BAD,
}
"""How a figure was obtained; missing: it was not."""
COMPONENTS: Final[Mapping[str, str]] = {
    "cpu": "blue",
    "dram": "#4FB3A5",
    "gpu": "purple",
    "accelerator": "super-light-purple",
    "storage": "yellow",
    "nic": "light-green",
    "fan": "dark-green",
    "psu": "dark-red",
    "platform": "semi-dark-orange",
    "unattributed": UNKNOWN,
}
"""Parts of a server; unattributed: what the wall has and none of them."""


def fixed(colour: str) -> tuple[str, Any]:
    """Return the property that gives a series or column always this colour."""
    return ("color", {"mode": "fixed", "fixedColor": colour})


def by_name(colours: Mapping[str, str]) -> tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]:
    """Return overrides that give each series of a name its colour."""
    return tuple((name, (fixed(colour),)) for name, colour in colours.items())


def line_over(colour: str) -> tuple[tuple[str, Any], ...]:
    """Return properties of a bold line over a stack, itself not stacked."""
    return (
        fixed(colour),
        ("custom.stacking", {"mode": "none", "group": "A"}),
        ("custom.fillOpacity", 0),
        ("custom.lineWidth", 2),
    )


def dashed(colour: str) -> tuple[tuple[str, Any], ...]:
    """Return properties of a dashed line: a limit, or a second opinion."""
    return (*line_over(colour), ("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}))


QUALITIES: Final = by_name(QUALITY)
PARTS: Final = by_name(COMPONENTS)
