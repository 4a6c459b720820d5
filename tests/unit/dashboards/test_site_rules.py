"""Prometheus itself checks the rules, and works the examples of dashboards/tests out."""

import os
import shutil

import pytest
import yaml
from unit.dashboards.rule_tests import EVERY, FILES, needed, promtool

from agent.alerts import all_limits
from dashboards.rules import groups, rules_file

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None and "CI" not in os.environ,
    reason="promtool is not installed here; scripts/setup --dev does it",
)
OWN = {
    "power_missing_ratio": 0.2,
    "site": {"gz-1": {"pue_target_ratio": 1.3}, "us.east/2": {"currency": "USD"}},
}


@pytest.mark.parametrize("table", [{}, OWN], ids=["defaults", "sites"])
def test_promtool_takes_the_rules(table, tmp_path):
    file = tmp_path / "rules.yml"
    file.write_text(rules_file(groups(all_limits(table))), encoding="utf-8")
    promtool("check", "rules", file)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_examples_come_out(path, tmp_path):
    test_file = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert test_file["rule_files"] == ["../wattlas.rules.yml"]
    rules = needed(test_file)
    names = {group.name for group in rules}
    order = test_file.get("group_eval_order", [])
    assert not order or set(order) >= {g.name for g in EVERY}, "a group is missing in the order"
    (tmp_path / "rules.yml").write_text(rules_file(rules), encoding="utf-8")
    test_file["rule_files"] = ["rules.yml"]
    test_file["group_eval_order"] = [name for name in order if name in names]
    copy = tmp_path / path.name
    copy.write_text(yaml.safe_dump(test_file, sort_keys=False), encoding="utf-8")
    promtool("test", "rules", copy)


OWN_TEST = """
rule_files: [rules.yml]
evaluation_interval: 5m
tests:
  - interval: 5m
    input_series:
      - series: wattlas_site_pue_ratio{site="gz-1",category="iPUE2",window="24h"}
        values: 1.4x30
      - series: wattlas_site_pue_ratio{site="gz-2",category="iPUE2",window="24h"}
        values: 1.4x30
    promql_expr_test:
      - expr: count by (alertname, site, limits) (ALERTS{alertstate="firing"})
        eval_time: 2h
        exp_samples:
          - labels: '{alertname="WattlasPueHigh", site="gz-1", limits="gz-1"}'
            value: 1
"""


def test_a_sites_own_limits_hold_for_it_alone(tmp_path):
    """1.3 is the most for gz-1, 1.5 for the others: 1.4 fires once."""
    every = groups(all_limits({"site": {"gz-1": {"pue_target_ratio": 1.3}}}))
    rules = [group for group in every if "alerts_site" in group.name]
    (tmp_path / "rules.yml").write_text(rules_file(rules), encoding="utf-8")
    copy = tmp_path / "own.test.yml"
    copy.write_text(OWN_TEST, encoding="utf-8")
    promtool("test", "rules", copy)
