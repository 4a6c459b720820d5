"""Budgets of energy and CO2e: of sites by [alerts], of hosts by [[carbon.budget]]."""

from typing import Final

from dashboards.boards.cells import coloured, gauge, linked, unit
from dashboards.boards.colours import BAD, FAIR, GOOD, NEUTRAL
from dashboards.boards.frame import HOSTS as HOST_MATCHERS
from dashboards.boards.frame import RAW, SITES, Section, link_to
from dashboards.boards.panels import Look, Query, hidden_field, series, stat, table, value_of
from dashboards.rules.record_carbon import BURN, CARBON_BUDGET, ENERGY_BUDGET, OPERATION_HOUR
from dashboards.rules.record_energy import SITE_HOUR
from dashboards.rules.record_limits import MONTH_HOURS
from dashboards.rules.words import HOSTS

_SECONDS: Final = f"({MONTH_HOURS} * 3600)"
_NO_BUDGET: Final = "no budget is set under [alerts]"


def month_carbon(basis: str) -> str:
    """Return what each site's operation emitted since the month began, g CO2e."""
    return (
        f'sum by (site) (sum_over_time({OPERATION_HOUR}{{{SITES}, basis="{basis}"}}[$__range:1h]))'
    )


def _used(amount: str, limit: str) -> str:
    """Return the share of a month's budget that is used; the limit is a pace per second."""
    return f"{amount}\n/ on (site) (max by (site) ({limit}{{{SITES}}}) * {_SECONDS})"


_ENERGY_USED: Final = _used(
    f"sum by (site) (sum_over_time({SITE_HOUR}{{{SITES}}}[$__range:1h]))", ENERGY_BUDGET
)
_CARBON_USED: Final = _used(month_carbon("location"), CARBON_BUDGET)


def _runs_out(used: str) -> str:
    """Return when a budget is used up, in ms as Grafana wants it; absent if not this month.

    The panel's time range is the month so far: its begin is now less the range, and the share used
    grows evenly from there.
    """
    begin = "(time() - $__range_s)"
    end = f"scalar({begin} + 86400 * days_in_month())"
    return f"1000 * (({begin} + $__range_s / ({used} > 0)) < {end})"


RUNS_OUT: Final = Query(
    f'label_replace({_runs_out(_ENERGY_USED)}, "of", "energy", "", "")\n'
    f'or\nlabel_replace({_runs_out(_CARBON_USED)}, "of", "CO₂e", "", "")',
    "{{of}} {{site}}",
    instant=True,
)
_BUDGET: Final = "job, instance, budget, of"
_INSTANCE: Final = "${__data.fields.instance}"
_STEPS: Final = ((None, NEUTRAL), (0.9, FAIR), (1.0, BAD))


def _of_hosts(metric: str) -> str:
    return (
        f"max by ({_BUDGET}) ({metric}{{{RAW}}})\n"
        f"* on (job, instance) group_left (host, site) {HOSTS}{{{HOST_MATCHERS}}}"
    )


_WORST: Final = f"topk(30, {_of_hosts('wattlas_budget_expected_ratio')})"


def _of_worst(metric: str) -> str:
    return f"({_of_hosts(metric)}) and on ({_BUDGET}) {_WORST}"


BUDGETS: Final = Section(
    "Budgets",
    (
        stat(
            "Budget used this month",
            "Share of the month's budget of energy and of CO₂e that each site has used since the"
            " month began. Compare it with the share of the month that is over.",
            "percentunit",
            Query(_ENERGY_USED, "energy {{site}}", instant=True),
            Query(_CARBON_USED, "CO₂e {{site}}", instant=True),
            Query(
                "scalar($__range_s / (86400 * days_in_month())) * vector(1)",
                "of the month",
                instant=True,
            ),
            look=Look(
                width=6,
                height=8,
                decimals=0,
                time_from="now/M",
                says_range=True,
                no_value=_NO_BUDGET,
            ),
            spark=False,
            names=True,
        ),
        series(
            "Pace against the even pace",
            "1 uses the budget up just at the month's end. Above it for days the budget runs out"
            " early; short peaks do no harm. Alerts fire at 14.4 for an hour down to 1 for 3 days.",
            "none",
            Query(f"avg_over_time({BURN}{{{SITES}}}[1h])", "{{of}} {{site}}"),
            look=Look(
                width=18,
                least=0,
                decimals=2,
                steps=((None, GOOD), (1.0, FAIR)),
                no_value=_NO_BUDGET,
            ),
        ),
        table(
            "Budgets of hosts",
            "The 30 host budgets that are expected to end highest if the last 30 days go on. Above"
            " 100 %: cut idle waste or move work away; low coverage means that the figure is a"
            " lower bound.",
            "percentunit",
            Query(_WORST),
            Query(_of_worst("wattlas_budget_used_ratio")),
            Query(f"1000 * ({_of_worst('wattlas_budget_runs_out_timestamp_seconds')})"),
            Query(_of_worst("wattlas_budget_coverage_ratio")),
            look=Look(
                width=24,
                height=10,
                overrides=(
                    ("Host", linked("Open the server", link_to("server", host=_INSTANCE))),
                    ("Expected", (*unit("percentunit", 0), *coloured(_STEPS))),
                    ("Used", (*unit("percentunit", 0), *gauge(0, 1, _STEPS))),
                    ("Runs out", unit("dateTimeAsIso")),
                    ("Known", unit("percentunit", 0)),
                    ("instance", hidden_field()),
                ),
                no_value="–",
            ),
            columns=(
                ("host", "Host"),
                ("instance", "instance"),
                ("site", "Site"),
                ("budget", "Budget"),
                ("of", "Of"),
                (value_of(1), "Used"),
                (value_of(0), "Expected"),
                (value_of(2), "Runs out"),
                (value_of(3), "Known"),
            ),
            sort="Expected",
        ),
    ),
)
