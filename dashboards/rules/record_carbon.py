"""Emissions, the rest of the life, and budgets."""

from dashboards.rules.model import Group, Record
from dashboards.rules.record_energy import SITE_HOSTS_HOUR, SITE_HOUR, SITE_RATE
from dashboards.rules.words import HOSTS

OPERATION_HOUR = "site_basis:wattlas_operation_grams:increase1h"
OPERATION_RATE = "site_basis:wattlas_operation_grams:rate5m"
BURN = "site:wattlas_budget_burn:ratio_rate5m"
ENERGY_BUDGET = "site:wattlas_energy_budget_watts:limit"
CARBON_BUDGET = "site:wattlas_carbon_budget_grams_per_second:limit"
SITE_INTENSITY = "site:wattlas_grid_carbon_intensity_grams_per_kwh:avg"
EMISSIONS_SO_FAR = "site_stage:wattlas_emissions_grams:sum"
EMISSIONS_HOUR = "site_stage:wattlas_emissions_grams:increase1h"
_OPERATION = 'stage="operation", scope="2"'


def carbon_group() -> Group:
    """Return emissions of the last hour, and what hosts have in them."""
    return Group(
        "wattlas_carbon",
        "2m",
        (
            Record(
                EMISSIONS_HOUR,
                "sum by (site, scope, basis, stage) (\n"
                "  sum by (job, instance, scope, basis, stage)"
                " (increase(wattlas_emissions_grams_total[1h]))\n"
                f"  * on (job, instance) group_left (site) {HOSTS}\n"
                ")",
                "What a site's hosts emitted, by the stage of their life, g CO2e.",
            ),
            Record(
                OPERATION_HOUR,
                f"sum by (site, basis) ({EMISSIONS_HOUR}{{{_OPERATION}}})\n"
                "* on (site) group_left ()\n"
                f"({SITE_HOUR} / {SITE_HOSTS_HOUR})",
                "What a site emitted by operation, g CO2e: that of its hosts, for all the energy"
                " that the site took beside theirs.",
            ),
            Record(
                SITE_INTENSITY,
                "avg by (site, grid_zone, provider, basis, factor) (\n"
                "  avg by (job, instance, grid_zone, provider, basis, factor)"
                " (wattlas_grid_carbon_intensity_grams_per_kwh)\n"
                f"  * on (job, instance) group_left (site) {HOSTS}\n"
                ")",
                "What a kWh emits where a site's hosts are, g CO2e.",
            ),
            Record(
                EMISSIONS_SO_FAR,
                "sum by (site, scope, basis, stage) (\n"
                "  sum by (job, instance, scope, basis, stage) (wattlas_emissions_grams_total)\n"
                f"  * on (job, instance) group_left (site) {HOSTS}\n"
                ")",
                "What a site's hosts emitted since their ledgers began, g CO2e. It falls where a"
                " host goes: for amounts over a time take the one of an hour.",
            ),
            Record(
                "site_stage:wattlas_embodied_grams:sum",
                "sum by (site, stage, bound) (\n"
                "  sum by (job, instance, stage, bound) (wattlas_embodied_grams)\n"
                f"  * on (job, instance) group_left (site) {HOSTS}\n"
                ")",
                "What it takes to make a site's hosts and to dispose of them, g CO2e.",
            ),
            Record(
                "site_workload:wattlas_work:rate5m",
                "sum by (site, workload, unit) (\n"
                "  sum by (job, instance, workload, unit) (rate(wattlas_work_total[5m]))\n"
                f"  * on (job, instance) group_left (site) {HOSTS}\n"
                ")",
                "Work that a site does, units/s.",
            ),
            Record(
                "site_workload:wattlas_work_energy_joules_per_unit:avg",
                "sum by (site, workload, unit) (\n"
                "  sum by (job, instance, workload, unit) (rate(wattlas_work_total[5m]))\n"
                "  * on (job, instance, workload, unit) wattlas_work_energy_joules_per_unit\n"
                f"  * on (job, instance) group_left (site) {HOSTS}\n"
                ")\n"
                "/ (site_workload:wattlas_work:rate5m > 0)",
                "Energy per unit of work, J, hosts weighted by the work that they do.",
            ),
        ),
    )


def budget_group() -> Group:
    """Return how fast budgets are used: 1 is just what lasts to the end."""
    return Group(
        "wattlas_budget",
        "1m",
        (
            Record(
                OPERATION_RATE,
                "sum by (site, basis) (\n"
                "  sum by (job, instance, basis)"
                f" (rate(wattlas_emissions_grams_total{{{_OPERATION}}}[5m]))\n"
                f"  * on (job, instance) group_left (site) {HOSTS}\n"
                ")\n"
                "* on (site) group_left ()\n"
                f"({SITE_RATE} / on (site) sum by (site) (\n"
                "  sum by (job, instance) (rate(wattlas_host_energy_joules_total[5m]))\n"
                f"  * on (job, instance) group_left (site) {HOSTS}\n"
                "))",
                "What a site emits by operation, g CO2e per second; see the same of an hour.",
            ),
            Record(
                BURN,
                f"{SITE_RATE} / on (site) {ENERGY_BUDGET}",
                "Pace of a site's energy over the even pace of its budget.",
                {"of": "energy"},
            ),
            Record(
                BURN,
                f'max by (site) ({OPERATION_RATE}{{basis="location"}}) / on (site) {CARBON_BUDGET}',
                "The same of its CO2e, location-based.",
                {"of": "carbon"},
            ),
        ),
    )
