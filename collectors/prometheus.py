"""Any exporter's series as Wattlas samples, by settings: the next accelerator needs no code.

    [collectors.prometheus.page.gaudi]
    url = "http://127.0.0.1:41611/metrics"
    device = "{UUID}"
    name = "Intel Gaudi"
    index = "{id}"

    [[collectors.prometheus.page.gaudi.series]]
    metric = "habanalabs_energy"       # mJ since the driver was loaded (HLML)
    kind = "energy_joules_total"
    scale = 0.001

Settings: `collectors/prometheus_settings.py`; worked examples for Cambricon, Gaudi and AMD:
docs/other-accelerators.md. Rules:

- a value that is not a number, infinite or negative is left out, and so is an energy counter of 0
  and a power of 0 W: what answers draws power. A counter of energy that has not moved is an old
  page: the next reading covers the time;
- two values for one device and kind are a problem and neither is used: which is right, or whether
  they add up, only the settings can say (`match`, `several`);
- one page that fails, or one series that does not fit, harms no other.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import ClassVar

from agent.collector import Absent, CollectorSettings, Context, Problem, Transient
from agent.quantities import Component, Joules, Ratio, Seconds, Watts
from agent.samples import (
    Accelerator,
    EnergyCounter,
    Figure,
    Figures,
    FlopCount,
    Inventory,
    Method,
    PowerReading,
    Sample,
    Utilization,
)
from collectors.prometheus_series import Device, Place, Read, Value, ambiguous, read_page
from collectors.prometheus_settings import (
    ENERGY,
    PageSettings,
    PrometheusSettings,
)
from collectors.scraping import Scraper
from collectors.scraping_roster import Roster

NAME = "prometheus"
_ACCELERATORS = frozenset({Component.GPU, Component.ACCELERATOR})


class _Page:
    """One exporter: its scraper and what is known of it."""

    def __init__(self, name: str, settings: PageSettings, timeout_seconds: float) -> None:
        self.name = name
        self.settings = settings
        self.roster = Roster()
        self.scraper = Scraper(
            settings.url,
            {series.metric for series in settings.series},
            timeout_seconds=timeout_seconds,
            token_file=settings.token_file,
            ca_file=settings.ca_file,
        )

    async def read(self) -> Read | Transient:
        """Return what the page says, or why it could not be read."""
        try:
            samples = await self.scraper.scrape()
        except Transient as error:
            self.roster.was_away()
            return error
        return read_page(self.name, self.settings, samples)


class PrometheusPages:
    """Devices of all pages that the settings name."""

    Settings: ClassVar[type[CollectorSettings]] = PrometheusSettings

    def __init__(self, settings: PrometheusSettings, context: Context) -> None:
        self._clock = context.clock
        self._pages = [
            _Page(name, page, settings.timeout_seconds) for name, page in settings.page.items()
        ]
        self._problems: tuple[Problem, ...] = ()
        self._listed: dict[Component, tuple[str, ...]] = {}
        self._told: dict[Device, tuple[str, ...]] = {}
        self._counters: dict[Place, tuple[float, Seconds]] = {}
        """The newest value of each counter, and when it was read."""

    async def collect(self) -> Sequence[Sample]:
        """Return one reading of all pages. Raises as `Collector.collect` does."""
        if not self._pages:
            raise Absent(
                "no page is set in [collectors.prometheus]",
                "to read another exporter, see docs/other-accelerators.md",
            )
        before = self._clock.boottime()
        reads = await asyncio.gather(*(page.read() for page in self._pages))
        at = Seconds((before + self._clock.boottime()) / 2)
        values: dict[Place, Value] = {}
        devices: dict[Device, tuple[str, ...]] = {}
        problems: list[Problem] = []
        said_by: dict[Place, str] = {}
        for page, read in zip(self._pages, reads, strict=True):
            if isinstance(read, Transient):
                problems.append(Problem(page.name, read.why, read.remedy, read.reason))
                continue
            problems += read.problems
            problems += self._missing(page, read)
            for device, about in read.devices.items():
                if not any(devices.get(device, ())):
                    devices[device] = about
            for place, value in read.values.items():
                if place in said_by:
                    problems.append(ambiguous(place, f"pages {said_by[place]} and {page.name}"))
                    values.pop(place, None)
                else:
                    said_by[place] = page.name
                    values[place] = value
        self._problems = tuple(problems)
        if not values:
            if not problems:
                raise Transient("no page has a value that can be used", "empty")
            first = problems[0]
            raise Transient(f"{first.what}: {first.why}", first.reason, first.remedy)
        return [*self._devices(devices, at), *self._samples(values, at)]

    def problems(self) -> Sequence[Problem]:
        """Return the pages, series and devices that gave nothing at the last `collect`."""
        return self._problems

    def close(self) -> None:
        """Nothing is kept open."""

    def _missing(self, page: _Page, read: Read) -> Iterator[Problem]:
        page.roster.update(f"{device.component} {device.device}" for device in read.devices)
        for who in page.roster.missing:
            yield Problem(
                f"{page.name} {who}",
                f"{page.scraper.where} no longer has {who}",
                "look whether it answers to the vendor's own tool",
                "gone",
            )

    def _devices(
        self, devices: dict[Device, tuple[str, ...]], at: Seconds
    ) -> Iterator[Inventory | Accelerator]:
        """Say which devices there are, where that has changed, and what is new of them."""
        listed: dict[Component, list[str]] = {component: [] for component in self._listed}
        for who in dict.fromkeys(d for page in self._pages for d in page.roster.devices):
            component, _, device = who.partition(" ")
            listed.setdefault(Component(component), []).append(device)
        for component, names in listed.items():
            now = tuple(sorted(names))
            if self._listed.get(component) != now:
                self._listed[component] = now
                for key in [k for k in self._told if k.component == component]:
                    if key.device not in now:
                        del self._told[key]
                yield Inventory(NAME, component, now, at)
        for key, about in devices.items():
            if key.component in _ACCELERATORS and self._told.get(key) != about:
                self._told[key] = about
                yield Accelerator(NAME, key.component, key.device, at, *about)

    def _samples(self, values: dict[Place, Value], at: Seconds) -> Iterator[Sample]:
        figures: dict[Device, list[tuple[Figure, str, float]]] = {}
        for place, said in values.items():
            component, device, kind, which = place
            match kind:
                case "energy_joules_total" | "flops_total":
                    yield from self._counter(place, said, at)
                case "power_watts":
                    yield _power(place, said, at)
                case "utilization_ratio":
                    yield Utilization(NAME, component, device, at, Ratio(said.value))
                case _:
                    entry = (Figure(kind), which, said.value)
                    figures.setdefault(Device(component, device), []).append(entry)
        for (component, device), entries in figures.items():
            yield Figures(NAME, component, device, at, tuple(entries))

    def _counter(self, place: Place, said: Value, at: Seconds) -> Iterator[Sample]:
        """Return what a counter's new value says; nothing if it is not new."""
        last = self._counters.get(place)
        value, series = said
        if last is not None and last[0] == value and place.kind == ENERGY:
            return
        self._counters[place] = (value, at)
        about = (NAME, place.component, place.device)
        if place.kind == ENERGY:
            if value > 0:
                yield EnergyCounter(
                    *about,
                    at,
                    Joules(value),
                    None if series.wraps_at is None else Joules(series.wraps_at),
                    None if series.max_watts is None else Watts(series.max_watts),
                    series.counted,
                    Ratio(0.05 if series.accuracy is None else series.accuracy),
                )
        elif last is not None and value >= last[0] and at > last[1]:
            done = value - last[0]
            yield FlopCount(*about, last[1], at, done, series.precision, Method.COUNTER)


def _power(place: Place, said: Value, at: Seconds) -> PowerReading:
    series = said.series
    return PowerReading(
        NAME,
        place.component,
        place.device,
        at,
        Watts(said.value),
        counted=series.counted,
        accuracy=Ratio(0.10 if series.accuracy is None else series.accuracy),
    )
