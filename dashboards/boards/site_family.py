"""PUE and its family as one table: each figure by window, with its category and coverage."""

from typing import Final

from dashboards.boards.cells import unit
from dashboards.boards.frame import SITES, Section
from dashboards.boards.panels import Look, Query, table, value_of

_KPIS: Final = {
    "PUE": "wattlas_site_pue_ratio",
    "CUE": "wattlas_site_cue_kilograms_per_kwh",
    "WUE": "wattlas_site_wue_liters_per_kwh",
    "REF": "wattlas_site_ref_ratio",
    "ERF": "wattlas_site_erf_ratio",
    "CER": "wattlas_site_cer_ratio",
}
_WINDOWS: Final = {"24h": "24 hours", "30d": "30 days", "365d": "year"}


def _whole(expression: str) -> str:
    """Return it without the i of interim, so that iPUE2 of a day and PUE2 of a year are one row."""
    return f'label_replace({expression}, "category", "$1", "category", "i(.+)")'


def _kpis(window: str) -> str:
    metrics = "\nor\n".join(
        f"label_replace(max by (site, category)"
        f' ({metric}{{{SITES}, window="{window}"}}), "kpi", "{kpi}", "", "")'
        for kpi, metric in _KPIS.items()
    )
    return _whole(metrics)


def _coverage(window: str) -> str:
    return _whole(
        "max by (site, kpi, category)"
        f' (wattlas_site_kpi_coverage_ratio{{{SITES}, window="{window}"}})'
    )


FAMILY: Final = Section(
    "PUE and its family",
    (
        table(
            "Figures by window",
            "Each figure with its category and the share of the window for which all its meters are"
            " known; of less than a year they are interim (iPUE). An empty figure is withheld"
            " because less than 95 % is known: mend the meter that is silent, see Meters below.",
            "none",
            *(
                Query(expression(window))
                for window in _WINDOWS
                for expression in (_kpis, _coverage)
            ),
            look=Look(
                width=24,
                height=12,
                decimals=3,
                overrides=tuple(
                    (f"{name} known", unit("percentunit", 1)) for name in _WINDOWS.values()
                ),
                no_value="–",
            ),
            columns=(
                ("site", "Site"),
                ("kpi", "Figure"),
                ("category", "Category"),
                *(
                    (value_of(2 * number + which), f"{name}{suffix}")
                    for number, name in enumerate(_WINDOWS.values())
                    for which, suffix in enumerate(("", " known"))
                ),
            ),
            sort="Figure",
            descending=False,
        ),
    ),
)
