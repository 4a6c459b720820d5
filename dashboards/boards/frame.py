"""What all dashboards share: variables, links, rows, and how panels are placed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    DashboardCursorSync,
    DashboardLink,
    DashboardLinkType,
    GridPos,
    Panel,
    RowPanel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards.boards.panels import DATASOURCE, Built, unplaced

COLUMNS: Final = 24
UIDS: Final = {
    "fleet": "wattlas-fleet",
    "site": "wattlas-site",
    "server": "wattlas-server",
    "accelerators": "wattlas-accelerators",
    "lifecycle": "wattlas-lifecycle",
    "quality": "wattlas-quality",
}
"""Dashboards by name, and where Grafana finds them: /d/UID."""
TITLES: Final = {
    "fleet": "Wattlas / Fleet",
    "site": "Wattlas / Site",
    "server": "Wattlas / Server",
    "accelerators": "Wattlas / Accelerators",
    "lifecycle": "Wattlas / Lifecycle carbon",
    "quality": "Wattlas / Data quality",
}
RAW: Final = 'job=~"$job", instance=~"$host"'
"""Matchers of the agents' own series."""
HOSTS: Final = 'job=~"$job", site=~"$site", rack=~"$rack", instance=~"$host"'
"""Matchers of recorded series that have the labels of a host, and of wattlas_host_info."""
SITES: Final = 'site=~"$site"'
_OF_ONE_HOST: Final = frozenset({"server", "accelerators"})
"""Dashboards that show one host at a time; their Board says `one_host`, too."""
_OF_SITES: Final = frozenset({"fleet", "site"})
_KEPT: Final = "${datasource:queryparam}&${job:queryparam}&${__url_time_range}"


@dataclass(frozen=True, slots=True)
class Section:
    """A row of the dashboard and what is below it."""

    title: str
    panels: Sequence[Panel]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard."""

    name: str
    """Key of UIDS and TITLES, and the file's name."""
    description: str
    sections: Sequence[Section]
    device: bool = False
    """Whether it has the variable device."""
    one_host: bool = False
    """Whether it is about one host at a time."""
    since: str = "now-6h"
    refresh: str = "1m"


def link_to(name: str, **variables: str) -> str:
    """Return the address of a dashboard with variables set, e.g. host="${__data.fields.instance}".

    The data source, the job and the time range go along; the other variables as they are here.
    """
    given = [f"var-{key}={value}" for key, value in variables.items()]
    kept = [f"${{{key}:queryparam}}" for key in ("site", "rack", "host") if key not in variables]
    return f"/d/{UIDS[name]}?{'&'.join([_KEPT, *given, *kept])}"


def dashboard(board: Board) -> dict[str, Any]:
    """Return a dashboard's JSON as Grafana 10 and later import it."""
    made = (
        builders.Dashboard(TITLES[board.name])
        .uid(UIDS[board.name])
        .description(board.description)
        .tags(["wattlas"])
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time(board.since, "now")
        .refresh(board.refresh)
        .timezone("browser")
    )
    for variable in _variables(board):
        made.with_variable(variable)
    for name, title in TITLES.items():
        if name != board.name:
            made.link(Built(_link(name, title, board)))
    made.annotation(_alerts())
    result: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(made.build()))
    placed = [json.loads(JSONEncoder(sort_keys=True).encode(p)) for p in _placed(board.sections)]
    result["panels"] = placed
    numbers = [p["id"] for p in _every(placed)]
    if len(numbers) != len(set(numbers)):
        raise ValueError(f"{board.name}: two panels have the same title")
    return result


def _every(panels: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [p for panel in panels for p in (panel, *panel.get("panels", ()))]


def _link(name: str, title: str, board: Board) -> DashboardLink:
    """Return the link in the bar from one dashboard to another.

    Where both are of one kind all variables go along. Down to one host goes no host, since it may
    be All; up from one host to a site or the fleet goes none either, since it is wanted whole.
    """
    one_host = board.one_host
    if name in _OF_ONE_HOST:
        kept = ("datasource", "job", "site", "rack", *(["host"] if one_host else []))
    elif one_host and name in _OF_SITES:
        kept = ("datasource", "job", "site")
    else:
        kept = ()
    variables = "&".join(f"${{{variable}:queryparam}}" for variable in kept)
    link = DashboardLink(
        title=title.removeprefix("Wattlas / "),
        type_val=DashboardLinkType.LINK,
        icon="dashboard",
        url=f"/d/{UIDS[name]}" + (f"?{variables}" if kept else ""),
        keep_time=True,
        include_vars=not kept,
    )
    unplaced(link)
    return link


def _query_variable(
    name: str, label: str, query: str, *, regex: str = "", several: bool = True
) -> builders.QueryVariable:
    variable = (
        builders.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": name, "qryType": 1 if query.startswith("label") else 3})
        .definition(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
    )
    if regex:
        variable.regex(regex)
    if several:
        # ".*" also takes in hosts without a site or rack; job and instance are always there
        return (
            variable.multi(True)
            .include_all(True)
            .all_value(".*" if name in {"site", "rack"} else ".+")
            .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
        )
    return variable


def _variables(board: Board) -> list[Any]:
    found: list[Any] = [
        builders.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _query_variable("job", "Job", "label_values(wattlas_build_info, job)"),
        _query_variable("site", "Site", 'label_values(wattlas_host_info{job=~"$job"}, site)'),
        _query_variable(
            "rack", "Rack", 'label_values(wattlas_host_info{job=~"$job", site=~"$site"}, rack)'
        ),
        _query_variable(
            "host",
            "Host",
            f"query_result({_hosts(board)})",
            regex='/host="(?<text>[^"]+)|instance="(?<value>[^"]+)/g',
            several=not board.one_host,
        ),
    ]
    if board.device:
        found.append(
            _query_variable(
                "device",
                "Device",
                f"query_result(wattlas_gpu_info{{{RAW}}})",
                regex='/gpu="(?<text>[^"]+)|uuid="(?<value>[^"]+)/g',
            )
        )
    return found


def _hosts(board: Board) -> str:
    """Return the hosts that the variable offers: on a dashboard of devices those that have any."""
    every = 'wattlas_host_info{job=~"$job", site=~"$site", rack=~"$rack"}'
    if board.one_host and board.device:
        return f"{every} and on (job, instance) wattlas_gpu_info"
    return every


def _alerts() -> Built[AnnotationQuery]:
    made = (
        builders.AnnotationQuery()
        .name("Alerts")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color("orange")
        .expr('ALERTS{alertname=~"Wattlas.+", alertstate="firing", site=~"$site"}')
    ).build()
    unplaced(made)
    return Built(made)


def _placed(sections: Sequence[Section]) -> list[Panel | RowPanel]:
    """Place panels from left to right, and rows below each other."""
    result: list[Panel | RowPanel] = []
    y = 0
    for number, section in enumerate(sections):
        row = RowPanel(
            title=section.title,
            collapsed=section.folded,
            id_val=number + 1,
            grid_pos=GridPos(h=1, w=COLUMNS, x=0, y=y),
        )
        result.append(row)
        y += 1
        top = y
        x = tallest = 0
        inside: list[Panel | RowPanel] = []
        for panel in section.panels:
            assert panel.grid_pos is not None
            if x + panel.grid_pos.w > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            panel.grid_pos.x, panel.grid_pos.y = x, y
            x += panel.grid_pos.w
            tallest = max(tallest, panel.grid_pos.h)
            inside.append(panel)
        if section.folded:
            row.panels = inside  # type: ignore[assignment]
            y = top
        else:
            result += inside
            y += tallest
    return result
