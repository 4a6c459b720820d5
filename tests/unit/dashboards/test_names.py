"""Every metric and label that a dashboard or a rule names is exported, or recorded by a rule."""

import re
from pathlib import Path

import pytest
from unit.dashboards.promql import boards, panels, selectors, variable_query

from agent.alerts import all_limits
from dashboards.rules import Record, groups

REFERENCE = Path(__file__).parents[3] / "docs/reference/metrics.md"
EVERYWHERE = {"job", "instance"}
OWN = {"ALERTS": {"alertname", "alertstate", "site", "severity", "host"}, "up": set()}
"""Series that Prometheus itself makes."""
EVERY = all_limits(
    {
        "energy_budget_kwh_per_month": 1.0,
        "carbon_budget_kilograms_per_month": 1.0,
        "electricity_price_per_kwh": 0.1,
        "site": {"x": {"pue_target_ratio": 1.2}},
    }
)
RULES = [rule for group in groups(EVERY) for rule in group.rules]
RECORDED = {rule.name for rule in RULES if isinstance(rule, Record)}


def exported():
    """The generated reference: metric to its labels."""
    found = {}
    for line in REFERENCE.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"\| `(\w+)` \| \w+ \| (.*?) \|", line):
            found[match[1]] = set(re.findall(r"`(\w+)`", match[2])) | EVERYWHERE
    return found


EXPORTED = exported()


def wrong(expression):
    for selector in selectors(expression):
        labels = EXPORTED.get(selector.name) or OWN.get(selector.name)
        if selector.name in RECORDED:
            continue
        if selector.name == "":  # {__name__=~…}
            yield "a selector without a name"
        elif selector.name not in EXPORTED and selector.name not in OWN:
            yield f"nobody exports or records {selector.name}"
        elif unknown := set(selector.matchers) - (labels or set()) - EVERYWHERE:
            yield f"{selector.name} has no label {', '.join(sorted(unknown))}"


def test_the_reference_was_read():
    assert len(EXPORTED) > 70
    assert "component" in EXPORTED["wattlas_component_power_watts"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rules_name_only_what_there_is(rule):
    assert list(wrong(rule.expression)) == []


@pytest.mark.parametrize("name", sorted(boards()))
def test_dashboards_name_only_what_there_is(name):
    board = boards()[name]
    asked = [
        (panel["title"], target["expr"])
        for panel in panels(board)
        for target in panel.get("targets", ())
    ]
    asked += [
        (variable["name"], variable_query(variable)[0])
        for variable in board["templating"]["list"]
        if variable["type"] == "query"
    ]
    asked += [(note["name"], note["expr"]) for note in board["annotations"]["list"]]
    assert len(asked) > 6
    found = [f"{where}: {what}" for where, expr in asked for what in wrong(expr)]
    assert not found, "\n".join(found)


def test_what_nobody_has_is_found():
    assert list(wrong("sum(wattlas_no_such_total)")) == [
        "nobody exports or records wattlas_no_such_total"
    ]
    assert list(wrong('wattlas_ledger_up{shelf="1"}')) == ["wattlas_ledger_up has no label shelf"]


def test_what_is_recorded_is_used():
    """A series that nobody asks for costs every Prometheus something for nothing."""
    texts = [rule.expression for rule in RULES]
    texts += [t["expr"] for b in boards().values() for p in panels(b) for t in p.get("targets", ())]
    docs = REFERENCE.parents[1]
    texts += [page.read_text(encoding="utf-8") for page in docs.glob("*.md")]
    texts += [page.read_text(encoding="utf-8") for page in docs.glob("runbooks/*.md")]
    used = {name for text in texts for name in RECORDED if name in text}
    assert RECORDED - used == set()


def test_names_are_level_metric_operations():
    for name in RECORDED:
        assert re.fullmatch(r"[a-z_]+:wattlas_[a-z_]+:[a-z0-9_]+", name), name
