"""A site's meters and KPIs."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agent.site.words import Quantity
from agent.snapshot import SiteView, Snapshot

_METER: Final = ["site", "meter", "role"]
_PUE: Final = (
    "Power usage effectiveness: energy of the data centre over energy of the IT equipment."
    " category: PUE1 to PUE3 by where IT energy is measured; i: interim, a window of less than a"
    " year; m: mixed use; p: a part of the site (ISO/IEC 30134-2)."
)
_CUE: Final = "Carbon usage effectiveness: kg of CO2 per kWh of the IT equipment (ISO/IEC 30134-8)."
_WUE: Final = (
    "Water usage effectiveness: litres per kWh of the IT equipment; category says which water"
    " (ISO/IEC 30134-9, EU 2024/1364)."
)
_REF: Final = "Renewable energy factor: renewable over all energy (ISO/IEC 30134-3)."
_ERF: Final = "Energy reuse factor: heat handed over, over all energy (ISO/IEC 30134-6)."
_CER: Final = "Cooling efficiency ratio: heat removed per electricity for it (ISO/IEC 30134-7)."
_KPIS: Final = {
    "PUE": ("wattlas_site_pue_ratio", _PUE),
    "CUE": ("wattlas_site_cue_kilograms_per_kwh", _CUE),
    "WUE": ("wattlas_site_wue_liters_per_kwh", _WUE),
    "REF": ("wattlas_site_ref_ratio", _REF),
    "ERF": ("wattlas_site_erf_ratio", _ERF),
    "CER": ("wattlas_site_cer_ratio", _CER),
}


def site_families(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield every family; without samples where this agent reads no site's meters."""
    site = snapshot.site
    yield from _meters(site)
    yield from _kpis(site)


def _meters(site: SiteView | None) -> Iterator[Metric]:
    energy = CounterMetricFamily(
        "wattlas_site_energy_joules",
        "Energy through a meter of the site. A virtual meter's is the sum of others.",
        labels=_METER,
    )
    power = GaugeMetricFamily(
        "wattlas_site_power_watts",
        "Power through a meter of the site; absent while the meter is silent.",
        labels=_METER,
    )
    water = CounterMetricFamily(
        "wattlas_site_water_liters", "Water through a meter of the site.", labels=_METER
    )
    gap = CounterMetricFamily(
        "wattlas_site_gap_seconds",
        "Time for which what went through a meter is not known and will not be: a power meter that"
        " was silent, a register that began anew.",
        labels=_METER,
    )
    silent = GaugeMetricFamily(
        "wattlas_site_meter_silent_seconds",
        "Since a meter's last reading. A register's rise over a silence is counted once it answers"
        " again.",
        labels=_METER,
    )
    temperature = GaugeMetricFamily(
        "wattlas_site_temperature_celsius",
        "Temperature of the air outside, or of that which cools the IT equipment (role), by a"
        " thermometer of the site; absent while it is silent. In no KPI.",
        labels=_METER,
    )
    resets = CounterMetricFamily(
        "wattlas_site_meter_resets",
        "How often a meter's register began anew: replaced, reset, or misread.",
        labels=_METER,
    )
    for meter in site.meters if site is not None else ():
        assert site is not None
        labels = [site.name, meter.name, meter.role]
        silent.add_metric(labels, meter.silent_seconds)
        if meter.quantity is Quantity.TEMPERATURE:
            if meter.celsius is not None:
                temperature.add_metric(labels, meter.celsius)
            continue
        is_water = meter.quantity is Quantity.WATER
        (water if is_water else energy).add_metric(labels, meter.amount)
        if meter.rate is not None and not is_water:
            power.add_metric(labels, meter.rate)
        gap.add_metric(labels, meter.gap_seconds)
        resets.add_metric(labels, meter.resets)
    yield from (energy, power, water, temperature, gap, silent, resets)


def _kpis(site: SiteView | None) -> Iterator[Metric]:
    labels = ["site", "category", "window"]
    families = {
        kpi: GaugeMetricFamily(
            name,
            f"{text} Absent while its meters cover less than 95 % of the window.",
            labels=labels,
        )
        for kpi, (name, text) in _KPIS.items()
    }
    coverage = GaugeMetricFamily(
        "wattlas_site_kpi_coverage_ratio",
        "Share of a window for which all meters of a KPI are known.",
        labels=["site", "kpi", "category", "window"],
    )
    for window, kpis in (site.kpis if site is not None else {}).items():
        assert site is not None
        for kpi in kpis:
            if kpi.name not in families:
                continue
            coverage.add_metric([site.name, kpi.name, kpi.category, window], kpi.coverage)
            if kpi.is_complete:
                assert kpi.value is not None
                families[kpi.name].add_metric([site.name, kpi.category, window], kpi.value)
    yield from families.values()
    yield coverage
