"""Formulas refuse what cannot be, with one sentence that becomes the note of the KPI."""

import math
from typing import Final

JOULES_PER_KWH: Final = 3.6e6
"""1 kWh = 3.6 MJ (SI Brochure, 9th ed., table 8)."""


def above_zero(what: str, value: float) -> float:
    """Return the value. Raises ValueError where it cannot be a divisor."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{what} is {value:g}, so there is nothing to divide by")
    return value


def not_below_zero(what: str, value: float) -> float:
    """Return the value. Raises ValueError where it is negative or no number."""
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(
            f"{what} is {value:g}, which cannot be: look at the meters, "
            "and at what virtual ones take off"
        )
    return value
