"""What `[collectors.prometheus]` may say, and what is wrong with it.

A series names a metric of a page and what it becomes (`kind`). Kinds are called as Wattlas' own
metrics, so the unit to scale to is in the name.
"""

import math
import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from agent.collector import CollectorSettings
from agent.samples import Figure
from collectors.scraping import what_is_wrong_with

Kind = Literal[
    "energy_joules_total",
    "power_watts",
    "utilization_ratio",
    "flops_total",
    "memory_used_bytes",
    "memory_total_bytes",
    "temperature_celsius",
    "clock_hertz",
    "power_limit_watts",
    "throttled_seconds_total",
    "ecc_errors_total",
    "pipe_active_ratio",
    "link_bytes_total",
    "slice_attributed_watts",
]
ComponentName = Literal[
    "accelerator", "gpu", "cpu", "dram", "storage", "nic", "fan", "psu", "platform", "host"
]
FIGURES: Final = frozenset(Figure)
ENERGY: Final = "energy_joules_total"
POWER: Final = "power_watts"
UTILIZATION: Final = "utilization_ratio"
FLOPS: Final = "flops_total"
SECOND_LABEL: Final[Mapping[str, str]] = {
    "temperature_celsius": "core, memory or hotspot",
    "clock_hertz": "sm or memory",
    "throttled_seconds_total": "the reason",
    "ecc_errors_total": "corrected or uncorrected",
    "pipe_active_ratio": "the pipe, e.g. tensor",
    "link_bytes_total": "the link, e.g. pcie_received",
    "slice_attributed_watts": "the slice, e.g. {slice_uuid}",
}
"""Kinds that tell several apart, and by what."""
_PLACE: Final = re.compile(r"\{([^{}]*)\}")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class SeriesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[collectors.prometheus.page.NAME.series]]`: one metric, and what it becomes."""

    metric: str
    """Its name, as it stands on the page."""
    kind: Kind
    """What it becomes; the unit is in the name."""
    scale: float = 1.0
    """To that unit: value x scale. 0.001 for mW or mJ, 1e-6 for uJ, 0.01 for %, 1e6 for MHz."""
    which: str = ""
    """Which of several: a clock, a sensor, a reason. Labels in braces are filled in."""
    match: dict[str, str] = {}
    """Only rows whose labels have these values; "": only rows without that label."""
    several: Literal["refuse", "sum", "mean", "max"] = "refuse"
    """What to make of several rows for one device."""
    device: str = ""
    """The device's label, e.g. "{uuid}"; "": as the page says."""
    component: ComponentName | None = None
    """Which part of the server it is about; none: as the page says."""
    wraps_at: float | None = None
    """Joules at which an energy counter starts again; none: it does not."""
    max_watts: float | None = None
    """The most that the device can draw; tells a wrap from a reset."""
    counted: bool = True
    """false: energy and power are shown as a second opinion and never added."""
    accuracy: float | None = None
    """Half-width of the uncertainty of energy or power as a share; none: 0.05 and 0.10."""
    precision: str = ""
    """For flops_total: fp64, fp32, fp16, fp64_tensor, fp16_tensor, …."""


class PageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.prometheus.page.NAME]`: one exporter. Labels in braces are filled in."""

    url: str
    """Its page, e.g. "http://127.0.0.1:30108/metrics"."""
    series: tuple[SeriesSettings, ...] = ()
    """What to read from it."""
    token_file: str = ""
    """File with a bearer token for the page."""
    ca_file: str = ""
    """PEM certificates that may have signed the page's; "": those of the system."""
    component: ComponentName = "accelerator"
    """Which part of the server its devices are; host: meters of the whole, such as PDU outlets."""
    device: str = ""
    """The devices' label: what tells them apart and stays, e.g. "{uuid}"."""
    name: str = ""
    """The devices' model, e.g. "{model}": the peaks table matches on it."""
    index: str = ""
    """Their number in the vendor's own tool, e.g. "{mlu}"."""
    vendor: str = ""
    """Who made them."""
    driver: str = ""
    """The driver's version, e.g. "{driver}"."""
    bus: str = ""
    """Their PCI address, e.g. "{pci_bus_id}"."""


class PrometheusSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.prometheus]`."""

    page: dict[str, PageSettings] = {}  # noqa: RUF012 - msgspec copies it
    """Exporters to read; one table each."""
    interval_seconds: float | None = 15.0
    """Seconds between readings of all pages; exporters refresh theirs every 5 to 30 s."""
    timeout_seconds: float = 5.0
    """A page that takes longer counts as failed."""

    def __post_init__(self) -> None:
        """Raise ValueError for the first thing that is wrong, with where it is."""
        for name, page in self.page.items():
            if wrong := _wrong_page(page):
                raise ValueError(f"page.{name}: {wrong}")


class Unfilled(Exception):
    """A template names a label that the row does not have (or that is empty)."""

    def __init__(self, template: str, label: str, labels: Mapping[str, str]) -> None:
        has = ", ".join(sorted(labels)) or "none"
        super().__init__(
            f'{template!r} names the label "{label}", which is not there or empty; there are {has}'
        )


def fill(template: str, labels: Mapping[str, str]) -> str:
    """Return the template with the labels in braces filled in. Raises `Unfilled`."""
    if "{" not in template:
        return template

    def value(place: re.Match[str]) -> str:
        found = labels.get(place[1], "")
        if not found:
            raise Unfilled(template, place[1], labels)
        return found

    return _PLACE.sub(value, template)


def _wrong_page(page: PageSettings) -> str:
    if wrong := what_is_wrong_with(page.url):
        return f"url: {wrong}"
    if not page.series:
        return "it names no series; add a [[...series]] table with metric and kind"
    for field in ("device", "name", "index", "vendor", "driver", "bus"):
        if wrong := _wrong_template(getattr(page, field)):
            return f"{field}: {wrong}"
    for number, series in enumerate(page.series, start=1):
        if wrong := _wrong_series(page, series):
            return f"series {number} ({series.metric}): {wrong}"
    return ""


def _wrong_series(page: PageSettings, series: SeriesSettings) -> str:
    kind = series.kind
    if not series.metric:
        return "metric: name it as it stands on the page"
    if not (series.device or page.device):
        return 'device: say what tells the devices apart, e.g. device = "{uuid}", here or above'
    for field in ("device", "which"):
        if wrong := _wrong_template(getattr(series, field)):
            return f"{field}: {wrong}"
    if not (math.isfinite(series.scale) and series.scale > 0):
        return "scale: must be more than 0"
    if kind in SECOND_LABEL and not series.which:
        return f"which: {kind} needs it: {SECOND_LABEL[kind]}"
    if kind not in SECOND_LABEL and series.which:
        return f"which: {kind} has none"
    if kind in FIGURES and (series.component or page.component) not in {"gpu", "accelerator"}:
        return f"component: {kind} is only known of a gpu or an accelerator"
    return _wrong_numbers(series)


def _wrong_numbers(series: SeriesSettings) -> str:
    kind = series.kind
    if (kind == FLOPS) != bool(series.precision):
        return f"precision: {'flops_total needs it' if kind == FLOPS else f'{kind} has none'}"
    if kind not in {ENERGY, POWER} and not (series.counted and series.accuracy is None):
        return f"counted and accuracy are for energy and power, not for {kind}"
    for field in ("wraps_at", "max_watts"):
        value = getattr(series, field)
        if value is None:
            continue
        if kind != ENERGY:
            return f"{field} is for {ENERGY}, not for {kind}"
        if not (math.isfinite(value) and value > 0):
            return f"{field}: must be more than 0"
    if series.accuracy is not None and not 0 < series.accuracy <= 1:
        return "accuracy: must be more than 0 and at most 1"
    return ""


def _wrong_template(template: str) -> str:
    """Return what is wrong with a template; "" if nothing."""
    rest = _PLACE.sub("", template)
    if "{" in rest or "}" in rest:
        return f"{template!r} has a brace without its partner"
    for name in _PLACE.findall(template):
        if not _LABEL.fullmatch(name):
            return f'{template!r}: "{name}" is no name of a label'
    return ""
