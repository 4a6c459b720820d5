"""The 17 checks of Grafana's dashboard linter, on our dashboards.

After https://github.com/grafana/dashboard-linter/tree/main/docs/rules (Apache-2.0): what is checked
is the same, the code is ours. Where ours differ from its letter, EXCEPTIONS says why.
"""

import re
from pathlib import Path

import pytest
from unit.dashboards.promql import (
    RATE_INTERVAL,
    RATES,
    boards,
    filled,
    panels,
    selectors,
    variable_query,
)

UNITS = set((Path(__file__).parents[2] / "fixtures/grafana/units.txt").read_text().split())
BOARDS = boards()
WINDOWED = re.compile(r"\[(\d+[smhdwy])")
SITE_WIDE = re.compile(r"^(site|rack|zone)(_\w+)?:")
"""Recorded over hosts: they have neither job nor instance."""

EXCEPTIONS = {
    ("template-instance", "*", "*"): "the variable is called host and shows host names; its value"
    " is the label instance",
    ("target-job", "fleet", "Alerts firing now"): "an alert about a site has no job",
    ("target-instance", "fleet", "Alerts firing now"): "an alert about a site has no instance",
    ("target-rate-interval", "*", "fixed"): "an hour, a day or a month is what the panel is about",
}
"""(rule, dashboard, panel or variable) to the reason why it may differ."""


def variables(board):
    return {v["name"]: v for v in board["templating"]["list"]}


def targets(board):
    for panel in panels(board):
        for target in panel.get("targets", ()):
            yield panel, target["expr"]


def template_datasource(board):
    variable = variables(board).get("datasource")
    if not variable or variable["type"] != "datasource" or variable["query"] != "prometheus":
        yield "datasource", "there is no variable datasource of type prometheus"
    elif variable["label"] != "Data source":
        yield "datasource", "is not labelled Data source"


def _template(board, name, label):
    variable = variables(board).get(name)
    if variable is None:
        yield name, "there is no such variable"
        return
    for key, value in {
        "type": "query",
        "label": label,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
    }.items():
        if variable.get(key) != value:
            yield name, f"{key} is {variable.get(key)!r}, not {value!r}"


def template_job(board):
    yield from _template(board, "job", "Job")


def template_instance(board):
    if "instance" in variables(board):
        return
    host = variables(board)["host"]
    assert host["regex"] == '/host="(?<text>[^"]+)|instance="(?<value>[^"]+)/g'
    yield "*", "there is no variable instance"


def template_label_promql(board):
    for name, variable in variables(board).items():
        if variable["type"] == "query":
            try:
                list(selectors(variable_query(variable)[0]))
            except ValueError as error:
                yield name, str(error)


def template_on_time_change_reload(board):
    for name, variable in variables(board).items():
        if variable["type"] == "query" and variable["refresh"] != 2:
            yield name, "is not asked again when the time range changes"


def panel_datasource(board):
    wanted = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels(board):
        if panel["datasource"] != wanted or any(
            t["datasource"] != wanted for t in panel["targets"]
        ):
            yield panel["title"], "does not ask the data source of the variable"


def panel_title_description(board):
    for panel in panels(board):
        if not panel.get("title"):
            yield str(panel["id"]), "has no title"
        if len(panel.get("description", "")) < 40 or not panel["description"].endswith("."):
            yield panel["title"], "has no description that says what to do with it"


def panel_units(board):
    for panel in panels(board):
        defaults = panel["fieldConfig"]["defaults"]
        units = [defaults.get("unit", "")]
        for override in panel["fieldConfig"].get("overrides", ()):
            units += [p["value"] for p in override["properties"] if p["id"] == "unit"]
        for unit in units:
            if unit not in UNITS and not re.match(
                r"(suffix|prefix|si|time|count|currency):.+", unit
            ):
                yield panel["title"], f"Grafana knows no unit {unit!r}"


def panel_no_targets(board):
    for panel in panels(board):
        if not panel.get("targets"):
            yield panel["title"], "asks nothing"


def target_promql(board):
    for panel, expression in targets(board):
        try:
            list(selectors(expression))
        except ValueError as error:
            yield panel["title"], f"{error}: {expression}"


def target_rate_interval(board):
    for panel, expression in targets(board):
        for selector in selectors(expression):
            if selector.range_seconds is None or not RATES & set(selector.inside):
                continue
            if f"[{RATE_INTERVAL}" not in filled(expression):
                yield "fixed", f"{panel['title']}: {expression}"


def _matches(board, label, variable):
    for panel, expression in targets(board):
        for selector in selectors(expression):
            if SITE_WIDE.match(selector.name) or label in selector.matchers:
                continue
            if selector.name.startswith("wattlas_site_"):  # by site and meter, whoever reads them
                continue
            yield panel["title"], f'{selector.name} without {label}=~"${variable}": {expression}'


def target_job(board):
    yield from _matches(board, "job", "job")


def target_instance(board):
    yield from _matches(board, "instance", "host")


def target_counter_agg(board):
    for panel, expression in targets(board):
        for selector in selectors(expression):
            if selector.name.endswith("_total") and not RATES & set(selector.inside):
                yield panel["title"], f"{selector.name} is a counter: {expression}"


def uneditable_dashboard(board):
    if board["editable"]:
        yield "*", "can be edited"


def target_logql(board):
    for panel in panels(board):
        if any(t["datasource"]["type"] == "loki" for t in panel["targets"]):
            yield panel["title"], "asks Loki, whose queries nobody checks here"


def target_logql_auto(board):
    for panel in panels(board):
        if any("$__auto" in t["expr"] for t in panel["targets"]):
            yield panel["title"], "$__auto is Loki's"


RULES = [
    template_datasource,
    template_job,
    template_instance,
    template_label_promql,
    template_on_time_change_reload,
    panel_datasource,
    panel_title_description,
    panel_units,
    panel_no_targets,
    target_promql,
    target_rate_interval,
    target_job,
    target_instance,
    target_counter_agg,
    uneditable_dashboard,
    target_logql,
    target_logql_auto,
]


def name_of(rule):
    return rule.__name__.replace("_", "-")


def excused(rule, board, where):
    return any((name_of(rule), b, w) in EXCEPTIONS for b in (board, "*") for w in (where, "*"))


def test_there_are_six_dashboards_and_17_checks():
    assert sorted(BOARDS) == ["accelerators", "fleet", "lifecycle", "quality", "server", "site"]
    assert len(RULES) == 17


@pytest.mark.parametrize("rule", RULES, ids=name_of)
@pytest.mark.parametrize("board", sorted(BOARDS))
def test_lint(board, rule):
    found = [
        f"{where}: {what}" for where, what in rule(BOARDS[board]) if not excused(rule, board, where)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("exception", EXCEPTIONS, ids="/".join)
def test_exceptions_are_needed_and_have_a_reason(exception):
    assert len(EXCEPTIONS[exception]) > 20
    name, board, where = exception
    rule = next(r for r in RULES if name_of(r) == name)
    chosen = BOARDS.values() if board == "*" else [BOARDS[board]]
    hits = [w for b in chosen for w, _ in rule(b) if where in {"*", w}]
    assert hits, "nothing needs it any more"


def broken(**changes):
    """A dashboard with one panel that has everything wrong."""
    panel = {
        "type": "stat",
        "id": 1,
        "title": "",
        "datasource": {"type": "loki", "uid": "x"},
        "targets": [
            {
                "expr": 'wattlas_work_total + rate(x{job="y"}[5m]) $__auto',
                "datasource": {"type": "loki", "uid": "x"},
            }
        ],
        "fieldConfig": {"defaults": {"unit": "wattt"}},
    }
    variable = {
        "name": "host",
        "type": "query",
        "refresh": 1,
        "regex": '/host="(?<text>[^"]+)|instance="(?<value>[^"]+)/g',
        "query": {"query": "query_result(sum(()"},
    }
    return {"editable": True, "panels": [panel | changes], "templating": {"list": [variable]}}


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_every_check_can_fail(rule):
    """On a dashboard that has everything wrong each check finds something."""
    changes = {}
    if rule in {target_rate_interval, target_job, target_instance, target_counter_agg}:
        target = {"expr": "wattlas_work_total + rate(x[5m])", "datasource": {"type": "prometheus"}}
        changes = {"targets": [target]}
    if rule is panel_no_targets:
        changes = {"targets": []}
    assert list(rule(broken(**changes)))


def test_every_window_is_one_that_people_ask_for():
    windows = {
        window
        for board in BOARDS.values()
        for _, expression in targets(board)
        for window in WINDOWED.findall(expression)
    }
    assert windows <= {"5m", "10m", "30m", "1h", "6h", "1d", "3d", "7d", "28d", "30d"}, windows
