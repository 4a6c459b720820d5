"""What every kind of panel has: queries, the place and looks, the words around it."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    DashboardLink,
    DashboardLinkType,
    DataSourceRef,
    DynamicConfigValue,
    GridPos,
    Panel,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

T = TypeVar("T")
DATASOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
Steps = Sequence[tuple[float | None, str]]
"""Colours from a value on, the first from None: ((None, "green"), (0.8, "red"))."""
Overrides = Sequence[tuple[str, Sequence[tuple[str, Any]]]]
"""Properties of single columns or series by their name: (("Power", (("unit", "watt"),)),)."""
Mappings = Sequence[tuple[str, str, str]]
"""Value, text and colour instead of a number: (("1", "yes", "green"),)."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel."""

    expression: str
    legend: str = ""
    """Grafana's legend format, e.g. "{{component}}"."""
    instant: bool = False
    """Only the value now, as a table's row."""
    interval: str = ""
    """Least step, e.g. "1h" for series that have one value an hour."""


class _Visual(Protocol):
    """What the SDK's panel builders have in common."""

    def title(self, title: str) -> Any: ...
    def description(self, description: str) -> Any: ...
    def unit(self, unit: str) -> Any: ...
    def datasource(self, datasource: DataSourceRef) -> Any: ...
    def id(self, id_val: int) -> Any: ...
    def grid_pos(self, grid_pos: GridPos) -> Any: ...
    def with_target(self, target: Builder[Any]) -> Any: ...
    def thresholds(self, thresholds: Builder[Any]) -> Any: ...
    def override_by_name(self, name: str, properties: list[DynamicConfigValue]) -> Any: ...
    def mappings(self, mappings: list[ValueMapping]) -> Any: ...
    def data_links(self, links: list[Builder[DashboardLink]]) -> Any: ...
    def no_value(self, no_value: str) -> Any: ...
    def time_from(self, time_from: str) -> Any: ...
    def hide_time_override(self, hide_time_override: bool) -> Any: ...
    def build(self) -> Panel: ...


@dataclass(frozen=True, slots=True)
class Look:
    """What any panel may have beside its queries."""

    width: int = 8
    height: int = 8
    decimals: int | None = None
    least: float | None = None
    most: float | None = None
    steps: Steps = ()
    overrides: Overrides = ()
    mappings: Mappings = ()
    links: Sequence[tuple[str, str]] = ()
    """Title and address of links at each value."""
    no_value: str = ""
    """What is written where there is no data: why, and what would bring it."""
    time_from: str = ""
    """A time range of the panel's own, e.g. "now/M"."""
    says_range: bool = False
    """Whether the title says that range already, so that Grafana need not."""


class Built(Builder[T]):
    """Something built already, for a method of the SDK that asks for a builder."""

    def __init__(self, built: T) -> None:
        self._built = built

    def build(self) -> T:
        """Return it."""
        return self._built


def unplaced(thing: DashboardLink | AnnotationQuery) -> None:
    """Say that it is in the bar, as in Grafana 10: the SDK 0.0.21 forgets to set this."""
    setattr(thing, "placement", None)  # noqa: B010 - typed as never None


def value_of(number: int) -> str:
    """Return the name of a query's value in a table: "Value #A" for 0."""
    return f"Value #{chr(ord('A') + number)}"


def hidden_field() -> tuple[tuple[str, Any], ...]:
    """Return the override that hides a table's column which a link needs.

    Grafana to 12.1 calls it hidden, later ones hideFrom; each leaves out what it does not know.
    """
    return (("custom.hidden", True), ("custom.hideFrom.viz", True))


def finished(
    panel: _Visual,
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    look: Look,
    *,
    as_table: bool = False,
) -> Panel:
    """Give a panel what all panels have, and return it as it goes into the file."""
    panel.title(title)
    panel.description(description)
    panel.unit(unit)
    panel.datasource(DATASOURCE)
    panel.id(zlib.crc32(title.encode()) % 1_000_000 + 1)  # stays when others come or go
    panel.grid_pos(GridPos(h=look.height, w=look.width, x=0, y=0))
    for number, query in enumerate(queries):
        panel.with_target(_target(query, chr(ord("A") + number), as_table=as_table))
    steps = look.steps or ((None, "blue" if not as_table else "text"),)
    panel.thresholds(
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=value, color=color) for value, color in steps])
    )
    properties: dict[str, Any] = {"decimals": look.decimals, "min": look.least, "max": look.most}
    for name, value in properties.items():
        if value is not None:
            getattr(panel, name)(value)
    for name, values in look.overrides:
        panel.override_by_name(
            name, [DynamicConfigValue(id_val=key, value=value) for key, value in values]
        )
    if look.mappings:
        panel.mappings([_mapping(look.mappings)])
    if look.links:
        panel.data_links([Built(_link(name, url)) for name, url in look.links])
    if look.no_value:
        panel.no_value(look.no_value)
    if look.time_from:
        panel.time_from(look.time_from)
        panel.hide_time_override(look.says_range)
    return panel.build()


def _link(title: str, url: str) -> DashboardLink:
    link = DashboardLink(title=title, url=url, type_val=DashboardLinkType.LINK)
    unplaced(link)
    return link


def _mapping(mappings: Mappings) -> ValueMap:
    return ValueMap(
        options={
            value: ValueMappingResult(text=text, color=color, index=n)
            for n, (value, text, color) in enumerate(mappings)
        }
    )


def _target(query: Query, ref: str, *, as_table: bool) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expression).ref_id(ref).datasource(DATASOURCE)
    if query.legend:
        target.legend_format(query.legend)
    if query.interval:
        target.interval(query.interval)
    if as_table:
        target.format(PromQueryFormat.TABLE)
    if query.instant or as_table:
        return target.instant()
    return target.range()
