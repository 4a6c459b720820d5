"""`wattlas rules` and `wattlas dashboards`: what they print and write, and what they refuse."""

import json
import os
import shutil
import subprocess

import pytest
import yaml
from click.testing import CliRunner

from agent.cli import wattlas
from agent.cli.common import Failure
from agent.settings_error import SettingsError

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None and "CI" not in os.environ,
    reason="promtool is not installed here; scripts/setup --dev does it",
)
SETTINGS = """
[alerts]
pue_target_ratio = 1.4
electricity_price_per_kwh = 0.2
[alerts.site.gz-1]
pue_target_ratio = 1.25
energy_budget_kwh_per_month = 730.5
"""


def run(*arguments):
    done = CliRunner().invoke(wattlas, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "wattlas.toml"
    path.write_text(SETTINGS)
    return path


def rules_of(text, kind):
    return [r for g in yaml.safe_load(text)["groups"] for r in g["rules"] if kind in r]


def test_thresholds_of_each_site_are_in_its_rules(settings):
    text = run("rules", "--config", settings)
    records = rules_of(text, "record")
    targets = {
        r.get("labels", {}).get("site"): r["expr"]
        for r in records
        if r["record"] == "site:wattlas_pue_target_ratio:limit"
    }
    assert targets.keys() == {None, "gz-1"}
    assert targets["gz-1"] == "vector(1.25)"
    assert targets[None].endswith("+ 1.4")
    assert 'site!~"gz-1"' in targets[None]
    budget = [r for r in records if r["record"] == "site:wattlas_energy_budget_watts:limit"]
    assert [(r["labels"], r["expr"]) for r in budget] == [({"site": "gz-1"}, "vector(1000)")]
    drops = [r for r in rules_of(text, "alert") if r["alert"] == "WattlasEfficiencyDrop"]
    assert ['site!~"gz-1"' in r["expr"] for r in drops] == [True, False]
    assert 'site="gz-1"' in drops[1]["expr"]
    assert drops[1]["labels"]["limits"] == "gz-1"


def test_parts_are_the_whole():
    whole = yaml.safe_load(run("rules"))["groups"]
    parts = [
        group
        for part in ("records", "alerts")
        for group in yaml.safe_load(run("rules", "--part", part))["groups"]
    ]
    assert parts == whole
    assert rules_of(run("rules", "--part", "records"), "alert") == []


def test_runbooks_are_where_they_are_said_to_be():
    text = run("rules", "--runbooks", "https://wiki.example.org/wattlas/")
    links = {r["annotations"]["runbook_url"] for r in rules_of(text, "alert")}
    assert all(link.startswith("https://wiki.example.org/wattlas/") for link in links)
    assert "https://wiki.example.org/wattlas/efficiency-drop.md" in links


@needs_promtool
def test_promtool_takes_them(settings, tmp_path):
    file = tmp_path / "rules.yml"
    run("rules", "--config", settings, "--output", file)
    done = subprocess.run(
        ["promtool", "check", "rules", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_bad_thresholds_name_the_key_and_the_line(tmp_path):
    path = tmp_path / "wattlas.toml"
    path.write_text("[alerts]\nidle_load_ratio = -1.0\n")
    with pytest.raises(SettingsError, match=r"wattlas.toml:2: alerts\.idle_load_ratio: must be"):
        run("rules", "--config", path)
    path.write_text("[alerts.site.gz-1]\npue_target = 1.2\n")
    with pytest.raises(SettingsError, match=r"wattlas.toml:2.*pue_target"):
        run("rules", "--config", path)


def test_output_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(Failure, match="cannot be written"):
        run("rules", "--output", tmp_path / "no" / "rules.yml")


@needs_promtool
def test_a_directory_has_all_that_is_needed(settings, tmp_path):
    out = tmp_path / "out"
    said = run("dashboards", "-o", out, "--config", settings, "--prometheus", "http://p:1/")
    boards = sorted((out / "grafana/dashboards").iterdir())
    assert [b.stem for b in boards] == [
        "accelerators",
        "fleet",
        "lifecycle",
        "quality",
        "server",
        "site",
    ]
    assert {json.loads(b.read_text())["uid"] for b in boards} == {
        f"wattlas-{b.stem}" for b in boards
    }
    source = yaml.safe_load((out / "grafana/provisioning/datasources/wattlas.yml").read_text())
    assert source["datasources"][0]["url"] == "http://p:1"
    assert "vector(1.25)" in (out / "prometheus/wattlas.rules.yml").read_text()
    assert "grafana/dashboards/fleet.json" in said
    done = subprocess.run(
        ["promtool", "check", "config", out / "prometheus/prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_somebody_changed_is_not_overwritten(tmp_path):
    out = tmp_path / "out"
    run("dashboards", "-o", out)
    assert "written" not in run("dashboards", "-o", out)  # the same again is no change
    mine = out / "prometheus/prometheus.yml"
    mine.write_text("# mine\n")
    with pytest.raises(Failure, match=r"prometheus.yml: is there and is different.*--force"):
        run("dashboards", "-o", out)
    assert mine.read_text() == "# mine\n"
    run("dashboards", "-o", out, "--force")
    assert mine.read_text() != "# mine\n"


def test_an_address_is_an_address():
    done = CliRunner().invoke(wattlas, ["rules", "--runbooks", "wiki"])
    assert done.exit_code == 2
    assert "it begins with http:// or https://" in done.output
