"""Budgets of energy and CO2e: a pace in four windows, and what the agents themselves expect."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from agent.alerts import Limits
from dashboards.rules.model import Alert, Group, Severity
from dashboards.rules.record_carbon import BURN
from dashboards.rules.words import located, matching, number

_KNOWN: Final = 0.9
"""Share of the long window for which the pace must be known: what a meter counts for a silence in
one go, when it answers again, is not to be taken for the pace of the little that is known."""


class _Window(NamedTuple):
    """A long window says that it matters, a short one that it is still so."""

    long: str
    short: str
    long_minutes: int
    step_minutes: int
    """Between the moments at which the long window is asked whether the pace was known."""
    factor: float
    for_: str
    severity: Severity


def budget_alerts(limits: Limits, where: str) -> Group:
    """Return them; those of a pace only where a budget is set in [alerts]."""
    budgets = (limits.energy_budget_kwh_per_month, limits.carbon_budget_kilograms_per_month)
    paces = _paces(limits, where) if any(each is not None for each in budgets) else ()
    return Group("wattlas_alerts_budget", "1m", (*paces, _will_run_out(where)))


def _windows(limits: Limits) -> tuple[_Window, ...]:
    return (
        _Window("1h", "5m", 60, 5, limits.burn_1h_ratio, "2m", "critical"),
        _Window("6h", "30m", 360, 5, limits.burn_6h_ratio, "15m", "critical"),
        _Window("1d", "2h", 1440, 15, limits.burn_1d_ratio, "1h", "warning"),
        _Window("3d", "6h", 4320, 60, limits.burn_3d_ratio, "3h", "warning"),
    )


def _paces(limits: Limits, where: str) -> Iterator[Alert]:
    burn = BURN + matching(where)
    for each in _windows(limits):
        least = number(_KNOWN * each.long_minutes / each.step_minutes)
        factor = number(each.factor)
        yield Alert(
            name="WattlasBudgetBurn",
            expression=(
                f"avg_over_time({burn}[{each.long}]) > {factor}\n"
                f"and avg_over_time({burn}[{each.short}]) > {factor}\n"
                f"and count_over_time({burn}[{each.long}:{each.step_minutes}m]) >= {least}"
            ),
            for_=each.for_,
            severity=each.severity,
            summary="A site uses its monthly budget of energy or CO2e too fast",
            description=(
                "Over {{ $labels.window }} {{ $labels.site }} has used {{ $labels.of }} at"
                " {{ $value | humanize }} times the pace at which a month's budget lasts a month."
                " Find what draws more than usual on the fleet's and the site's dashboard; put off"
                " what can wait, or have the budget changed."
            ),
            runbook="budget-burn",
            labels={"window": each.long},
        )


def _will_run_out(where: str) -> Alert:
    expected = "max by (job, instance, budget, of) (wattlas_budget_expected_ratio)"
    return Alert(
        name="WattlasBudgetWillRunOut",
        expression=f"(\n{located(expected, where)}\n) > 1",
        for_="1h",
        severity="warning",
        summary="A budget of an agent will be used up before its month or year ends",
        description=(
            "At the pace of the last 30 days {{ $value | humanizePercentage }} of"
            " {{ $labels.budget }} ({{ $labels.of }}) of {{ $labels.host }}"
            " ({{ $labels.instance }}) will be used when its period ends."
            " Run `wattlas report carbon` to see day by day where it went; use less, or have the"
            " budget changed."
        ),
        runbook="budget-burn",
    )
