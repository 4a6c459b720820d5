"""What the host emits: the grid's intensity, grams by scope and stage, and budgets."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agent.snapshot import CarbonView, Snapshot

_BUDGET: Final = ["budget", "of"]


def carbon_families(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield every family."""
    carbon = snapshot.carbon
    yield from _operation(carbon)
    yield from _life(carbon)
    yield from _budgets(carbon)


def _operation(carbon: CarbonView | None) -> Iterator[Metric]:
    labels = ["grid_zone", "provider", "basis", "factor"]
    intensity = GaugeMetricFamily(
        "wattlas_grid_carbon_intensity_grams_per_kwh",
        "What a kWh of the grid emits now. basis: location, market (contracts are only in reports),"
        " marginal (never counted).",
        labels=labels,
    )
    standing = GaugeMetricFamily(
        "wattlas_grid_carbon_intensity_info",
        "How that intensity was obtained; always 1. standing: measured, estimated, forecast,"
        " average (a yearly figure), held (the last known), location (a market figure is missing).",
        labels=[*labels, "standing"],
    )
    emissions = CounterMetricFamily(
        "wattlas_emissions_grams",
        "Emissions of this host as they were counted with what was known then; reports restate"
        " them. Scope 2 is there twice, by location and by market: add only one. basis is empty"
        " where it makes no difference.",
        labels=["scope", "basis", "stage"],
    )
    if carbon is not None:
        for now in carbon.now:
            values = [carbon.zone, now.provider, now.basis, now.factor]
            intensity.add_metric(values, now.grams_per_kwh)
            standing.add_metric([*values, now.standing], 1)
        for key, grams in carbon.totals.items():
            emissions.add_metric([key.scope, key.basis or "", key.stage], grams)
    yield from (intensity, standing, emissions)


def _life(carbon: CarbonView | None) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "wattlas_embodied_grams",
        "Emissions of a part's whole life beside its operation, by stage; a stage that is not known"
        " is absent.",
        labels=["asset", "stage", "bound"],
    )
    for figure in carbon.embodied if carbon is not None else ():
        family.add_metric([figure.asset, figure.stage, figure.bound], figure.grams)
    yield family


def _budgets(carbon: CarbonView | None) -> Iterator[Metric]:
    share = GaugeMetricFamily(
        "wattlas_budget_used_ratio",
        "Share of a budget that is used since its month or year began. of: energy, carbon,"
        " intensity.",
        labels=_BUDGET,
    )
    expected = GaugeMetricFamily(
        "wattlas_budget_expected_ratio",
        "Share of a budget that will be used at its end if the last 30 days' pace goes on.",
        labels=_BUDGET,
    )
    runs_out = GaugeMetricFamily(
        "wattlas_budget_runs_out_timestamp_seconds",
        "When a budget runs out at the last 30 days' pace, Unix time; absent if it does not.",
        labels=_BUDGET,
    )
    coverage = GaugeMetricFamily(
        "wattlas_budget_coverage_ratio",
        "Share of the time since a budget's month or year began for which it is known.",
        labels=_BUDGET,
    )
    for used in carbon.budgets if carbon is not None else ():
        labels = [used.name, used.of]
        coverage.add_metric(labels, used.coverage)
        if used.share is not None:
            share.add_metric(labels, used.share)
        month = next((pace for pace in used.paces if pace.days == 30), None)
        if month is not None and month.expected is not None:
            expected.add_metric(labels, month.expected / used.limit)
        if month is not None and month.runs_out is not None:
            runs_out.add_metric(labels, month.runs_out)
    yield from (share, expected, runs_out, coverage)
