"""From rows of a page to values of devices, by the settings."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from agent.collector import Problem
from agent.quantities import Component
from collectors.prometheus_settings import POWER, PageSettings, SeriesSettings, Unfilled, fill

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "power_watts": (0.0, 1e5),
    "power_limit_watts": (0.0, 1e5),
    "slice_attributed_watts": (0.0, 1e5),
    "temperature_celsius": (0.0, 250.0),
    "clock_hertz": (1e6, 1e11),
    "utilization_ratio": (0.0, 1.005),
    "pipe_active_ratio": (0.0, 1.005),
}
"""A value beyond these (0 is always allowed) was not scaled to the unit of its kind: a wrong
scale of power would be energy a thousand times too much, for ever."""
_RATIOS: Final = frozenset({"utilization_ratio", "pipe_active_ratio"})
_NEVER_OFF: Final = frozenset(
    {Component.ACCELERATOR, Component.GPU, Component.CPU, Component.PLATFORM}
)
"""What answers draws power: 0 W of these is an exporter's way to say that it does not know, as
AMD's does for all but the first partition of a board."""
_ABOUT: Final = ("index", "name", "vendor", "driver", "bus")


class Place(NamedTuple):
    """What a value is of. No two values may have the same."""

    component: Component
    device: str
    kind: str
    which: str


class Value(NamedTuple):
    """A value in the unit of its kind, and the series that said so."""

    value: float
    series: SeriesSettings


class Device(NamedTuple):
    """A device of a page."""

    component: Component
    device: str


class Read(NamedTuple):
    """What a page says."""

    values: dict[Place, Value]
    devices: dict[Device, tuple[str, ...]]
    """Index, name, vendor, driver and PCI address of each."""
    problems: list[Problem]


def read_page(name: str, page: PageSettings, samples: Iterable["Sample"]) -> Read:
    """Return what the samples of a page are, by its settings."""
    rows: dict[str, list[Sample]] = {}
    for sample in samples:
        rows.setdefault(sample.name, []).append(sample)
    result = Read({}, {}, [])
    abouts: dict[Device, dict[str, str]] = {}
    doubled: set[Place] = set()
    for number, series in enumerate(page.series, start=1):
        what = f"{name} series {number} ({series.metric})"
        mine = [row for row in rows.get(series.metric, ()) if _matches(series, row.labels)]
        if not mine:
            why = "is not on the page" if series.metric not in rows else "has no row that matches"
            result.problems.append(
                Problem(what, f"{series.metric} {why}", "look at the page, e.g. with curl", "gone")
            )
            continue
        for place, value in _of_series(what, page, series, mine, abouts, result.problems).items():
            if place in result.values:
                doubled.add(place)
            result.values[place] = Value(value, series)
    for place in doubled:
        del result.values[place]
        result.problems.append(ambiguous(place, f"two series of page {name}"))
    for device, about in abouts.items():
        result.devices[device] = tuple(about.get(field, "") for field in _ABOUT)
        result.problems.extend(_unfilled_about(name, page, device, about))
    return result


def ambiguous(place: Place, by: str) -> Problem:
    """Return the problem of several values for one place."""
    kind = f"{place.kind} {place.which}".strip()
    return Problem(
        f"{place.device} {kind}",
        f"{kind} of {place.device} is said by {by}: neither is used",
        'make device, which or match tell them apart, or set several = "sum", "mean" or "max"',
        "ambiguous",
    )


def _matches(series: SeriesSettings, labels: Mapping[str, str]) -> bool:
    return all(labels.get(name, "") == value for name, value in series.match.items())


def _of_series(
    what: str,
    page: PageSettings,
    series: SeriesSettings,
    rows: Sequence["Sample"],
    abouts: dict[Device, dict[str, str]],
    problems: list[Problem],
) -> dict[Place, float]:
    """Return the values of one series, and what its rows tell of devices."""
    component = Component(series.component or page.component)
    found: dict[Place, list[float]] = {}
    complaints: dict[str, Problem] = {}
    for row in rows:
        try:
            device = fill(series.device or page.device, row.labels)
            which = fill(series.which, row.labels)
        except Unfilled as error:
            complaints["label"] = Problem(what, str(error), "mend that template", "label")
            continue
        _tell(page, row.labels, abouts.setdefault(Device(component, device), {}))
        value = row.value * series.scale
        if not math.isfinite(value) or value < 0:
            continue
        if value == 0 and series.kind == POWER and component in _NEVER_OFF:
            continue
        low, high = LIMITS.get(series.kind, (0.0, math.inf))
        if value != 0 and not low <= value <= high:
            complaints["scale"] = Problem(
                what,
                f"says {value:g} as {series.kind} of {device}, which cannot be",
                f"mend scale: the page has {row.value:g}",
                "scale",
            )
            continue
        if series.kind in _RATIOS:
            value = min(value, 1.0)
        found.setdefault(Place(component, device, series.kind, which), []).append(value)
    problems.extend(complaints.values())
    values: dict[Place, float] = {}
    for place, several in found.items():
        if len(several) > 1 and series.several == "refuse":
            problems.append(ambiguous(place, f"{len(several)} rows of {series.metric}"))
        else:
            values[place] = _one(several, series.several)
    return values


def _one(values: Sequence[float], how: str) -> float:
    if how == "max":
        return max(values)
    total = math.fsum(values)
    return total / len(values) if how == "mean" else total


def _tell(page: PageSettings, labels: Mapping[str, str], about: dict[str, str]) -> None:
    """Fill in what this row knows of its device."""
    for field in _ABOUT:
        template = getattr(page, field)
        if template and field not in about:
            try:
                about[field] = fill(template, labels)
            except Unfilled:
                continue


def _unfilled_about(
    name: str, page: PageSettings, device: Device, about: Mapping[str, str]
) -> Iterable[Problem]:
    for field in _ABOUT:
        template = getattr(page, field)
        if template and field not in about:
            yield Problem(
                f"{name} {field} of {device.device}",
                f"no row of {device.device} has the label that {field} = {template!r} names",
                "mend that template",
                "label",
            )
