"""The text of a rules file says what the rules are, and nothing else."""

import promql_parser
import pytest
import yaml

from agent.alerts import all_limits
from dashboards.rules import Alert, Group, Record, groups, rules_file
from dashboards.rules.model import RUNBOOKS

TABLES = {
    "defaults": {},
    "budgets": {
        "energy_budget_kwh_per_month": 1e6,
        "carbon_budget_kilograms_per_month": 5e5,
        "electricity_price_per_kwh": 0.12,
    },
    "sites": {
        "energy_budget_kwh_per_month": 1000.0,
        "site": {
            "gz-1": {"efficiency_load_ratio": 0.4, "currency": "CNY"},
            "us.east/2 b": {"efficiency_history_hours": 3.0, "pue_target_ratio": 1.2},
        },
    },
}


@pytest.fixture(params=TABLES.values(), ids=TABLES)
def every(request):
    return list(groups(all_limits(request.param)))


def as_read(rule, runbooks=RUNBOOKS):
    """What Prometheus is to find in the file of this rule."""
    if isinstance(rule, Record):
        found = {"record": rule.name, "expr": rule.expression}
        return found | ({"labels": rule.labels} if rule.labels else {})
    found = {"alert": rule.name, "expr": rule.expression}
    if rule.for_ != "0s":
        found["for"] = rule.for_
    if rule.keep_firing_for:
        found["keep_firing_for"] = rule.keep_firing_for
    return found | {"labels": {"severity": rule.severity} | rule.labels}


def test_it_reads_back_as_the_same_rules(every):
    read = yaml.safe_load(rules_file(every))["groups"]
    assert [(group["name"], group["interval"]) for group in read] == [
        (group.name, group.interval) for group in every
    ]
    for found, group in zip(read, every, strict=True):
        for text, rule in zip(found["rules"], group.rules, strict=True):
            notes = text.pop("annotations", None)
            text["expr"] = text["expr"].strip()
            assert text == as_read(rule)
            assert (notes is not None) == isinstance(rule, Alert)
            if isinstance(rule, Alert):
                assert notes["summary"] == rule.summary
                assert notes["description"] == rule.description
                assert notes["runbook_url"].startswith(f"{RUNBOOKS}{rule.runbook}.md")


def test_every_expression_is_promql(every):
    for group in every:
        for rule in group.rules:
            promql_parser.parse(rule.expression)


def test_names_of_groups_are_unique(every):
    names = [group.name for group in every]
    assert len(set(names)) == len(names)


def test_no_two_rules_are_the_same_series(every):
    """Of a name, each rule has labels, or an expression, of its own; promtool warns of no pair."""
    for group in every:
        marks = [
            (rule.name, rule.expression, tuple(sorted(rule.labels.items()))) for rule in group.rules
        ]
        assert len(set(marks)) == len(marks), group.name


def test_a_site_with_limits_of_its_own_has_alerts_of_its_own():
    every = list(groups(all_limits(TABLES["sites"])))
    common = [g for g in every if g.name.startswith("wattlas_alerts") and ":" not in g.name]
    own = [g for g in every if g.name.endswith(":gz-1")]
    assert [f"{group.name}:gz-1" for group in common] == [group.name for group in own]
    for group in own:
        for alert in group.rules:
            assert alert.labels["limits"] == "gz-1"
            assert 'site="gz-1"' in alert.expression
            assert "us.east" not in alert.expression
    for group in common:
        for alert in group.rules:
            assert "limits" not in alert.labels
            assert 'site!~"gz-1|us[.]east/2 b"' in alert.expression, alert.name


AWKWARD = Alert(
    name="A",
    expression='  up{job="x: y"}\n    == 0',
    severity="info",
    summary='He said: "no" # never',
    description="{{ $labels.x }}: {{ $value }}\n第二行 'quoted'",
    runbook="page",
    labels={"size": "1.0", "empty": ""},
)


def test_awkward_texts_stay_what_they_are():
    record = Record("a:b:c", 'label_replace(up, "a", "$1: #", "b", "(.*)")', "About.\nMore: of it.")
    text = rules_file([Group("g", "1m", (record, AWKWARD))], "A header: with a colon\n# and a hash")
    first, second = yaml.safe_load(text)["groups"][0]["rules"]
    assert first == {"record": record.name, "expr": record.expression}
    assert second["annotations"]["summary"] == AWKWARD.summary
    assert second["annotations"]["description"] == AWKWARD.description
    assert second["labels"] == {"severity": "info", "size": "1.0", "empty": ""}
    assert second["expr"] == 'up{job="x: y"}\n  == 0\n'
    assert all(line.startswith("#") for line in text.splitlines()[:2])


@pytest.mark.parametrize("runbooks", ["https://wiki.example/books", "https://wiki.example/books/"])
def test_runbooks_may_be_elsewhere(runbooks):
    text = rules_file([Group("g", "1m", (AWKWARD,))], runbooks=runbooks)
    address = yaml.safe_load(text)["groups"][0]["rules"][0]["annotations"]["runbook_url"]
    assert address.startswith("https://wiki.example/books/page.md")
