"""Site meters that something else has read already: an exporter's page, or a PromQL server.

    [[site.meter]]
    name = "pdu-a"
    role = "it"
    source = "prometheus"
    url = "http://10.0.0.9:9116/snmp?target=pdu-a"
    metric = 'outlet_energy_joules_total{outlet="all"}'    # exactly one series of the page

    [[site.meter]]
    name = "hall-1-it"
    role = "it"
    source = "prometheus"
    url = "http://prometheus:9090"
    query = "sum(pdu_power_watts)"                         # exactly one value
    unit = "W"

Several meters of one page cost one request. Task page: docs/meters.md.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from agent.collector import Context, Transient
from agent.http_access import Access
from agent.site.settings import PrometheusMeter
from collectors.fetching import Fetcher, what_is_wrong_with
from collectors.fetching_shared import Shared
from collectors.meter_json import MOST_BYTES, Liveness, document_of
from collectors.meter_promql import ERROR_STATUSES, query_request, shown_labels, value_of
from collectors.meter_selector import Selector, selector_of
from collectors.metering import Metering, MeteringSettings, Value
from collectors.scraping import Scraper

if TYPE_CHECKING:
    from prometheus_client.samples import Sample as PageSample

LOG_IN: Final = "user and password_file, or token_file"


class _Page(NamedTuple):
    """What makes two requests for a page the same."""

    url: str
    access: Access
    timeout_seconds: float


class MeterPrometheus(Metering[PrometheusMeter]):
    """All meters with `source = "prometheus"`."""

    Settings: ClassVar[type[MeteringSettings]] = MeteringSettings
    name: ClassVar[str] = "meter_prometheus"
    source: ClassVar[str] = "prometheus"
    kind = PrometheusMeter

    def __init__(self, settings: MeteringSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._shared = Shared()
        self._liveness = {meter.name: Liveness() for meter in self.meters}
        self._selectors = {meter.name: _selector(meter) for meter in self.meters if meter.metric}
        wanted: dict[_Page, set[str]] = {}
        for meter in self.meters:
            selector = self._selectors.get(meter.name)
            if isinstance(selector, Selector):
                wanted.setdefault(self._page(meter), set()).add(selector.metric)
        self._scrapers = {
            page: Scraper(
                page.url,
                metrics,
                timeout_seconds=page.timeout_seconds,
                **page.access._asdict(),
            )
            for page, metrics in wanted.items()
        }

    async def poll(self, meter: PrometheusMeter) -> Sequence[Value]:
        """Read the series, or ask the query. Raises `Transient`."""
        if bool(meter.metric) == bool(meter.query):
            raise Transient(
                "set metric (a series of a page) or query (of a PromQL server): one of them",
                "settings",
                "mend it in the settings",
            )
        number = await (self._from_server(meter) if meter.query else self._from_page(meter))
        return [Value(number * meter.scale, meter.unit)]

    def release(self) -> None:
        """End requests that are under way."""
        self._shared.close()

    async def _from_page(self, meter: PrometheusMeter) -> float:
        """Return the value of the one series that is meant. Raises `Transient`."""
        selector = self._selectors[meter.name]
        if isinstance(selector, str):
            raise Transient(selector, "settings", "mend metric in the settings")
        page = self._page(meter)
        scraper = self._scrapers[page]
        samples = await self._shared.get(page, scraper.scrape)
        named = [sample for sample in samples if sample.name == selector.metric]
        found = [sample for sample in named if selector.accepts(sample.labels)]
        if len(found) != 1:
            raise _not_one(meter, scraper.where, named, found)
        (sample,) = found
        if sample.timestamp is not None:
            interval = meter.interval_seconds or self.context.site.interval_seconds
            now = self.context.clock.monotonic()
            moment = f"{float(sample.timestamp):.3f}"
            self._liveness[meter.name].look(moment, now, interval, scraper.where)
        return sample.value

    async def _from_server(self, meter: PrometheusMeter) -> float:
        """Return the value of the query. Raises `Transient`."""
        if wrong := what_is_wrong_with(meter.url):
            raise Transient(wrong, "settings", "mend url in the settings")
        page = self._page(meter)
        url, form = query_request(meter.url, meter.query, page.timeout_seconds)
        fetcher = Fetcher(
            url,
            what="a PromQL server",
            accept="application/json",
            most_bytes=MOST_BYTES,
            timeout_seconds=page.timeout_seconds,
            access=page.access,
        )

        async def ask() -> Any:
            return document_of(await fetcher.fetch(form, errors=ERROR_STATUSES), fetcher, LOG_IN)

        return value_of(await self._shared.get((page, meter.query), ask), fetcher.where)

    def _page(self, meter: PrometheusMeter) -> _Page:
        access = Access(meter.token_file, meter.user, meter.password_file, meter.ca_file)
        return _Page(meter.url, access, self.timeout_seconds(meter))


def _selector(meter: PrometheusMeter) -> Selector | str:
    """Return which series is meant, or what is wrong with how it is written."""
    try:
        return selector_of(meter.metric)
    except ValueError as error:
        return f"metric: {error}"


def _not_one(
    meter: PrometheusMeter,
    where: str,
    named: "Sequence[PageSample]",
    found: "Sequence[PageSample]",
) -> Transient:
    metric = meter.metric
    if found:
        examples = " and ".join(shown_labels(sample.labels) for sample in found[:2])
        return Transient(
            f"{where}: {metric} matches {len(found)} series, e.g. {examples}",
            "many",
            "add labels to metric until one is left",
        )
    if not named:
        return Transient(
            f"{where}: {metric} is not on the page",
            "gone",
            "look at the page with curl; perhaps its device does not answer",
        )
    example = shown_labels(named[0].labels)
    return Transient(
        f"{where}: {metric} matches none of its {len(named)} series, e.g. {example}",
        "gone",
        "look at the page with curl, and at the labels in metric",
    )
