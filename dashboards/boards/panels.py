"""Panels as we draw them: one function for each kind, with our defaults.

Every panel has a title, a unit and a description that says what to do with it. Widths are of 24
columns, heights of 30 px.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from grafana_foundation_sdk.builders import (
    barchart as barcharts,
)
from grafana_foundation_sdk.builders import (
    bargauge,
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
from grafana_foundation_sdk.builders.dashboard import FieldColor
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BarGaugeSizing,
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    HeatmapCellLayout,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Panel,
)
from grafana_foundation_sdk.models.heatmap import CellValues, RowsHeatmapOptions

from dashboards.boards.look import (
    DATASOURCE,
    Built,
    Look,
    Mappings,
    Overrides,
    Query,
    Steps,
    finished,
    hidden_field,
    unplaced,
    value_of,
)

__all__ = [
    "DATASOURCE",
    "Built",
    "Look",
    "Mappings",
    "Overrides",
    "Query",
    "Steps",
    "bar_chart",
    "bars",
    "heatmap",
    "hidden_field",
    "rows_of",
    "series",
    "stat",
    "states",
    "table",
    "unplaced",
    "value_of",
]

_PLAIN: Final = Look()
_SMALL: Final = Look(width=4, height=4)
_HALF: Final = Look(width=12)
_LABELS: Final = frozenset(
    {"Time", "__name__", "job", "instance", "host", "site", "rack", "workload", "unit"}
    | {"component", "device", "source", "quality", "uuid", "gpu", "name", "precision", "method"}
    | {"currency", "basis", "stage", "scope", "limits", "alertstate"}
)
"""Fields that a table hides unless they are among its columns."""


def series(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    look: Look = _PLAIN,
    stacked: bool = False,
    share: bool = False,
    bars: bool = False,
    legend: Literal["list", "table", "none"] = "list",
    axis: str = "",
    centred: bool = False,
) -> Panel:
    """Draw lines over time. `stacked`: parts of a whole; `share`: of 100 %; `bars`: amounts."""
    panel = timeseries.Panel().show_points(VisibilityMode.NEVER).line_width(1)
    several = len(queries) > 1 or any("{{" in query.legend for query in queries)
    panel.fill_opacity(70 if stacked or bars else 0 if several else 8)
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
    return finished(panel, title, description, unit, queries, look)


def stat(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    look: Look = _SMALL,
    spark: bool = True,
    names: bool = False,
) -> Panel:
    """Draw one big figure (or one for each series, with `names`)."""
    if not spark:  # nothing but the value now is shown, so that nothing else is asked for
        queries = tuple(replace(query, instant=True) for query in queries)
    panel = stats.Panel().color_mode(
        BigValueColorMode.VALUE if look.steps or look.mappings else BigValueColorMode.NONE
    )
    panel.graph_mode(BigValueGraphMode.AREA if spark else BigValueGraphMode.NONE)
    panel.reduce_options(_last())
    panel.text_mode(BigValueTextMode.VALUE_AND_NAME if names else BigValueTextMode.VALUE)
    if names:  # one below the other: beside each other two names would be tiny
        panel.orientation(VizOrientation.HORIZONTAL)
    return finished(panel, title, description, unit, queries, look)


def bars(title: str, description: str, unit: str, *queries: Query, look: Look = _PLAIN) -> Panel:
    """Draw one horizontal bar for each series' last value."""
    panel = bargauge.Panel().orientation(VizOrientation.HORIZONTAL)
    panel.display_mode(BarGaugeDisplayMode.GRADIENT if look.steps else BarGaugeDisplayMode.BASIC)
    panel.sizing(BarGaugeSizing.MANUAL).min_viz_height(16).max_viz_height(28)
    panel.reduce_options(_last())
    return finished(panel, title, description, unit, queries, look)


def states(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    look: Look = _PLAIN,
) -> Panel:
    """Draw each series as a band whose colour is its state."""
    panel = statetimeline.Panel().merge_values(True).row_height(0.8).fill_opacity(80)
    panel.color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
    panel.show_value(VisibilityMode.NEVER)
    panel.legend(_legend("list"))
    return finished(panel, title, description, unit, queries, look)


def heatmap(
    title: str, description: str, unit: str, *queries: Query, look: Look = _PLAIN, scheme: str
) -> Panel:
    """Draw series as rows of coloured cells over time."""
    panel = heatmaps.Panel().calculate(False).cell_gap(1)
    panel.color(
        heatmaps.HeatmapColorOptions().mode("scheme").scheme(scheme).steps(64)  # type: ignore[arg-type]
    )
    return finished(panel, title, description, unit, queries, look)


def table(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    look: Look = _HALF,
    columns: Sequence[tuple[str, str]],
    sort: str = "",
    descending: bool = True,
) -> Panel:
    """Draw the last values as rows, one for each set of labels, one column for each query.

    `columns` are (field, heading) in order; every other field is hidden. The values of the queries
    are the fields "Value #A", "Value #B", … (with one query too).
    """
    panel = tables.Panel().show_header(True).min_width(60)  # else 150, and half is out of sight
    if sort:
        panel.sort_by([commons.TableSortByFieldState().display_name(sort).desc(descending)])
    if len(queries) == 1:  # Grafana adds the letter only where there are several
        columns = [(field.replace(value_of(0), "Value"), heading) for field, heading in columns]
    fields = _LABELS | {"Value", *(value_of(n) for n in range(len(queries)))}
    hidden = dict.fromkeys(sorted(fields - {field for field, _ in columns}), True)
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
    for field, heading in columns:
        if not field.startswith("Value"):  # else a rack called "12" is "12 W"
            panel.override_by_name(heading, [DynamicConfigValue(id_val="unit", value="string")])
    return finished(panel, title, description, unit, queries, look, as_table=True)


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


def with_room(panel: Panel, most: float) -> Panel:
    """Let the axis reach to `most` at least, so that zero is a line at the bottom and no riddle."""
    config: Any = panel.field_config
    config.defaults.custom.axis_soft_max = most
    return panel


def rows_of(panel: Panel) -> Panel:
    """Let a heat map's rows be just the series' names, in their order, with the panel's unit."""
    options: Any = panel.options
    options.rows_frame = RowsHeatmapOptions(layout=HeatmapCellLayout.UNKNOWN)
    assert panel.field_config is not None
    options.cell_values = CellValues(unit=panel.field_config.defaults.unit)
    return panel


def bar_chart(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    row: str,
    column: str,
    look: Look = _PLAIN,
) -> Panel:
    """Draw stacked bars: one for each value of the label `row`, parts by the label `column`."""
    panel = barcharts.Panel().orientation(VizOrientation.VERTICAL).x_field(f"{row}\\{column}")
    panel.stacking(StackingMode.NORMAL).show_value(VisibilityMode.NEVER).fill_opacity(80)
    panel.legend(_legend("list"))
    panel.with_transformation(
        DataTransformerConfig(
            id_val="groupingToMatrix",
            options={
                "rowField": row,
                "columnField": column,
                "valueField": "Value",
                "emptyValue": "null",
            },
        )
    )
    panel.with_transformation(
        DataTransformerConfig(
            id_val="sortBy", options={"fields": {}, "sort": [{"field": f"{row}\\{column}"}]}
        )
    )
    return finished(panel, title, description, unit, (query,), look, as_table=True)
