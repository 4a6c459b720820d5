"""How long something was so, as three states of a band: not, now and then, mostly."""

from typing import Final

from dashboards.boards.colours import BAD, FAIR, GOOD
from dashboards.boards.panels import Mappings, Steps

SOMETIMES, MOSTLY = 0.01, 0.5
"""Shares of the time from which on a state is the second or third."""
STEPS: Final[Steps] = ((None, GOOD), (1, FAIR), (2, BAD))
HELD: Final[Mappings] = (
    ("0", "free", GOOD),
    ("1", "held down now and then", FAIR),
    ("2", "held down most of the time", BAD),
)
MISSING: Final[Mappings] = (
    ("0", "known", GOOD),
    ("1", "missing now and then", FAIR),
    ("2", "missing most of the time", BAD),
)


def state(share: str) -> str:
    """Return 0, 1 or 2 for a share of the time, e.g. the rate of a counter of seconds."""
    return f"({share} > bool {SOMETIMES}) + ({share} > bool {MOSTLY})"


def rate(counter: str) -> str:
    """Return a counter's rate over the step of the graph."""
    return f"rate({counter}[$__rate_interval])"
