"""Properties of table columns: links, colours, gauges. They go into `Look.overrides`."""

from typing import Any

from dashboards.boards.panels import Steps

Properties = tuple[tuple[str, Any], ...]


def linked(title: str, url: str) -> Properties:
    """Return a cell that leads to `url`, e.g. `link_to(...)`."""
    return (("links", [{"title": title, "url": url}]),)


def unit(name: str, decimals: int | None = None) -> Properties:
    """Return a column's own unit; an unknown value is a dash."""
    given: Properties = (("unit", name), ("noValue", "–"))
    return given if decimals is None else (*given, ("decimals", decimals))


def coloured(steps: Steps) -> Properties:
    """Return text whose colour says how good the value is."""
    return (
        ("custom.cellOptions", {"type": "color-text"}),
        (
            "thresholds",
            {
                "mode": "absolute",
                "steps": [{"value": value, "color": colour} for value, colour in steps],
            },
        ),
    )


def gauge(least: float, most: float, steps: Steps) -> Properties:
    """Return a small bar in each cell."""
    _, thresholds = coloured(steps)
    return (
        ("custom.cellOptions", {"type": "gauge", "mode": "basic"}),
        thresholds,
        ("min", least),
        ("max", most),
    )


def wide(pixels: int) -> Properties:
    """Return a column's width."""
    return (("custom.width", pixels),)
