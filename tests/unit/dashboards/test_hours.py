"""The heat map's rows are the hours of the day that ends at each column; hours count by energy."""

import json

import pytest
from unit.dashboards.promql import boards, panels
from unit.dashboards.rule_tests import promtool

BOARD = boards()["lifecycle"]
INTENSITY = (
    'site:wattlas_grid_carbon_intensity_grams_per_kwh:avg{site="a", grid_zone="DE",'
    ' provider="p", basis="location", factor="direct"}'
)
SHARE = 'site:wattlas_renewable_energy:ratio_increase1h{site="a"}'
ENERGY = 'site:wattlas_energy_joules:increase1h{site="a"}'


def expression(title):
    panel = next(p for p in panels(BOARD) if p["title"] == title)
    text = panel["targets"][0]["expr"]
    return text.replace("$site", ".*").replace("$__range", "2h")


def check(tmp_path, series, text, at, samples):
    case = {"expr": text, "eval_time": at, "exp_samples": samples}
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "30m", "input_series": inputs, "promql_expr_test": [case]}
    path = tmp_path / "hours.test.yml"
    path.write_text(json.dumps({"tests": [test]}))
    promtool("test", "rules", path)


@pytest.mark.parametrize("day", [1, 2])
def test_each_row_is_an_hour_of_the_day_that_ended(tmp_path, day):
    """One value in the middle of each hour: 100 x its day + its hour."""
    values = " ".join(f"_ {100 * d + hour}" for d in (1, 2) for hour in range(24))
    rows = [{"labels": f'{{hour="{hour:02}:00"}}', "value": 100 * day + hour} for hour in range(24)]
    text = expression("Grid intensity by hour and day")
    check(tmp_path, {INTENSITY: values}, text, f"{24 * day}h", rows)


def test_a_midnight_is_what_the_columns_are_asked_for():
    panel = next(p for p in panels(BOARD) if p["title"] == "Grid intensity by hour and day")
    assert panel["targets"][0]["interval"] == "1d"
    assert panel["timeFrom"] == "now-30d/d"


def test_carbon_free_hours_count_by_their_energy(tmp_path):
    """An hour of 3 kWh wholly carbon-free and one of 1 kWh not at all: three quarters."""
    series = {SHARE: "_ _ 1 1 0 0", ENERGY: "_ _ 3 3 1 1"}
    wanted = [{"labels": '{site="a"}', "value": 0.75}]
    check(tmp_path, series, expression("Carbon-free energy"), "2h", wanted)
