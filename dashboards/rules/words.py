"""Pieces that the expressions are made of."""

from typing import Final

from agent.alerts import AllLimits

HOST: Final = "job, instance, host, site, rack"
"""Labels of every series of one agent that our rules record."""
HOSTS: Final = "instance:wattlas_host_info:max"
"""1 for each agent, with the labels HOST."""


def located(expression: str, where: str = "") -> str:
    """Give what has the labels job and instance its host, site and rack too.

    `where` are matchers of those labels, e.g. `site="gz-1"`.
    """
    return (
        f"{expression}\n* on (job, instance) group_left (host, site, rack) {HOSTS}{matching(where)}"
    )


def matching(*matchers: str) -> str:
    """Return matchers as `{a, b}`, leaving out empty ones; nothing for none."""
    given = ", ".join(m for m in matchers if m)
    return f"{{{given}}}" if given else ""


def number(value: float) -> str:
    """Return a number as PromQL has it."""
    return f"{value:.12g}"


def other_sites(every: AllLimits) -> str:
    """Return a matcher of all sites that have no limits of their own; "" where none has."""
    names = "|".join(name.replace(".", "[.]") for name in every.by_site)
    return f'site!~"{names}"' if names else ""
