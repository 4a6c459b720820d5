"""Panels as we draw them: one function for each kind, with our defaults.

Every panel has a title, a unit and a description that says what to do with it. Widths are of 24
columns, heights of 30 px.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    prometheus,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.builders import (
    common as commons,
)
from grafana_foundation_sdk.builders import (
    heatmap as heatmaps,
)
from grafana_foundation_sdk.builders import (
    stat as stats,
)
from grafana_foundation_sdk.builders import (
    table as tables,
)
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    DashboardLink,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
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


def series(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    look: Look = Look(),
    stacked: bool = False,
    share: bool = False,
    bars: bool = False,
    legend: Literal["list", "table", "none"] = "list",
    axis: str = "",
    centred: bool = False,
) -> Panel:
    """Draw lines over time. `stacked`: parts of a whole; `share`: of 100 %; `bars`: amounts."""
    panel = timeseries.Panel().show_points(VisibilityMode.NEVER).line_width(1)
    panel.fill_opacity(70 if stacked or bars else 8)
    if stacked or share:
        mode = StackingMode.PERCENT if share else StackingMode.NORMAL
        panel.stacking(commons.StackingConfig().group("A").mode(mode))
    if bars:
        panel.draw_style(GraphDrawStyle.BARS)
    if look.steps:
        panel.thresholds_style(
            commons.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        )
    if axis:
        panel.axis_label(axis)
    if centred:
        panel.axis_centered_zero(True)
    panel.tooltip(
        commons.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    )
    panel.legend(_legend(legend))
    return _finished(panel, title, description, unit, queries, look)


def stat(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    look: Look = Look(width=4, height=4),
    spark: bool = True,
    names: bool = False,
) -> Panel:
    """Draw one big figure (or one for each series, with `names`)."""
    panel = stats.Panel().color_mode(
        BigValueColorMode.VALUE if look.steps or look.mappings else BigValueColorMode.NONE
    )
    panel.graph_mode(BigValueGraphMode.AREA if spark else BigValueGraphMode.NONE)
    panel.reduce_options(_last())
    panel.text_mode(BigValueTextMode.VALUE_AND_NAME if names else BigValueTextMode.VALUE)
    return _finished(panel, title, description, unit, queries, look)


def bars(title: str, description: str, unit: str, *queries: Query, look: Look = Look()) -> Panel:
    """Draw one horizontal bar for each series' last value."""
    panel = bargauge.Panel().orientation(VizOrientation.HORIZONTAL)
    panel.display_mode(BarGaugeDisplayMode.GRADIENT if look.steps else BarGaugeDisplayMode.BASIC)
    panel.reduce_options(_last())
    return _finished(panel, title, description, unit, queries, look)


def states(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    look: Look = Look(),
) -> Panel:
    """Draw each series as a band whose colour is its state."""
    panel = statetimeline.Panel().merge_values(True).row_height(0.8).fill_opacity(80)
    panel.show_value(VisibilityMode.NEVER)
    panel.legend(_legend("list"))
    return _finished(panel, title, description, unit, queries, look)


def heatmap(
    title: str, description: str, unit: str, *queries: Query, look: Look = Look(), scheme: str
) -> Panel:
    """Draw series as rows of coloured cells over time."""
    panel = heatmaps.Panel().calculate(False).cell_gap(1)
    panel.color(
        heatmaps.HeatmapColorOptions().mode("scheme").scheme(scheme).steps(64)  # type: ignore[arg-type]
    )
    return _finished(panel, title, description, unit, queries, look)


def table(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    look: Look = Look(width=12),
    columns: Sequence[tuple[str, str]],
    sort: str = "",
    descending: bool = True,
) -> Panel:
    """Draw the last values as rows, one for each set of labels, one column for each query.

    `columns` are (field, heading) in order; every other field is hidden. The values of the queries
    are the fields "Value #A", "Value #B", … (with one query too).
    """
    panel = tables.Panel().show_header(True)
    if sort:
        panel.sort_by([commons.TableSortByFieldState().display_name(sort).desc(descending)])
    every = {"Time", "__name__", "job", "instance", "host", "site", "rack"}
    hidden = dict.fromkeys(sorted(every - {field for field, _ in columns}), True)
    panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(
        DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": hidden,
                "indexByName": {field: n for n, (field, _) in enumerate(columns)},
                "renameByName": dict(columns),
            },
        )
    )
    return _finished(panel, title, description, unit, queries, look, as_table=True)


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
    """Return the override that hides a table's column which a link needs."""
    return (("custom.hidden", True),)


def _legend(kind: Literal["list", "table", "none"]) -> commons.VizLegendOptions:
    legend = commons.VizLegendOptions().placement(LegendPlacement.BOTTOM)
    match kind:
        case "none":
            return legend.show_legend(False).display_mode(LegendDisplayMode.HIDDEN)
        case "table":
            legend.placement(LegendPlacement.RIGHT).calcs(["lastNotNull", "mean", "max"])
            return legend.show_legend(True).display_mode(LegendDisplayMode.TABLE)
        case "list":
            return legend.show_legend(True).display_mode(LegendDisplayMode.LIST)


def _last() -> commons.ReduceDataOptions:
    return commons.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _finished(
    panel: _Visual,
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    look: Look,
    *,
    as_table: bool = False,
) -> Panel:
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
