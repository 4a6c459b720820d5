"""Expressions about accelerators, each with the labels of its card."""

from typing import Final

from dashboards.boards.frame import RAW

CARD: Final = f'{RAW}, uuid=~"$device"'
"""Matchers of wattlas_gpu_* on a dashboard with the variable device."""
PART: Final = f'{RAW}, device=~"$device", component=~"gpu|accelerator"'
"""Matchers of wattlas_component_*, wattlas_flops_* and the like on such a dashboard."""
EVERY_CARD: Final = RAW
EVERY_PART: Final = f'{RAW}, component=~"gpu|accelerator"'
"""The same of all of a host's cards."""
_LABELS: Final = "job, instance, uuid, gpu, name"


def of_card(expression: str, how: str = "max") -> str:
    """Return figures of wattlas_gpu_* with a card's labels only."""
    return f"{how} by ({_LABELS}) ({expression})"


def of_part(expression: str, cards: str) -> str:
    """Return figures by device with their card's labels; `cards` are matchers of the cards.

    The agent has a device's label in common between energy and cards, and its index on cards only.
    """
    by_uuid = f'sum by (job, instance, uuid) (label_replace({expression}, "uuid", "$1", "device",'
    return (
        f'{by_uuid} "(.+)"))'
        f" * on (job, instance, uuid) group_left (gpu, name)"
        f" {of_card(f'wattlas_gpu_info{{{cards}}}')}"
    )


def of_limit(parts: str, cards: str) -> str:
    """Return each card's power as a share of the limit that is enforced."""
    power = of_part(f"wattlas_component_power_watts{{{parts}}}", cards)
    limit = of_card(f"wattlas_gpu_power_limit_watts{{{cards}}}")
    return f"({power}) / on (job, instance, uuid) group_left () {limit}"
