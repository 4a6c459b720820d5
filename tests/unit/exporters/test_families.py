"""What is printed of a snapshot: the golden pages, and what holds for every page.

`WATTLAS_GOLDEN=write pytest tests/unit/exporters` writes the golden pages anew; read the diff.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics
from unit.exporters.made import bare, snapshot, stream, walled
from unit.exporters.made_carbon import emitting
from unit.exporters.made_site import at_site

from agent.quantities import Component, Quality
from exporters.prometheus import PrometheusPages

GOLDEN = Path(__file__).parents[2] / "fixtures/exporter"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"

CONTRACT = {
    "wattlas_build_info": ("gauge", "version revision python"),
    "wattlas_host_info": ("gauge", "host site rack grid_zone cpu_model machine_id"),
    "wattlas_component_energy_joules": ("counter", "component device source quality"),
    "wattlas_component_power_watts": ("gauge", "component device source quality"),
    "wattlas_crosscheck_power_watts": ("gauge", "component device source"),
    "wattlas_component_utilization_ratio": ("gauge", "component device"),
    "wattlas_component_clock_hertz": ("gauge", "component device"),
    "wattlas_component_temperature_celsius": ("gauge", "component device sensor"),
    "wattlas_component_throttled_seconds": ("counter", "component device reason"),
    "wattlas_host_energy_joules": ("counter", "quality"),
    "wattlas_host_power_watts": ("gauge", "quality source"),
    "wattlas_host_power_uncertainty_ratio": ("gauge", ""),
    "wattlas_energy_gap_seconds": ("counter", "component device source"),
    "wattlas_counter_resets": ("counter", "collector reason"),
    "wattlas_collector_up": ("gauge", "collector"),
    "wattlas_collector_duration_seconds": ("gauge", "collector"),
    "wattlas_collector_failures": ("counter", "collector reason"),
    "wattlas_agent_cpu_seconds": ("counter", ""),
    "wattlas_agent_resident_bytes": ("gauge", ""),
    "wattlas_agent_energy_joules": ("counter", ""),
}


def page(of, accept=""):
    return PrometheusPages(lambda: of).page(accept, gzipped=False).body.decode()


def families(text):
    return {family.name: family for family in parser.text_string_to_metric_families(text)}


def series(text):
    """Return name and labels of every sample to its value; no sample may come twice."""
    found = {}
    for family in families(text).values():
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"{key} comes twice"
            found[key] = sample.value
    return found


WALL_CONTRACT = {
    "wattlas_wall_energy_joules": ("counter", "device source quality"),
    "wattlas_wall_power_watts": ("gauge", "device source quality"),
    "wattlas_wall_gap_seconds": ("counter", "device source"),
    "wattlas_host_unattributed_joules": ("counter", ""),
    "wattlas_host_parts_excess_joules": ("counter", ""),
    "wattlas_host_parts_exceed_wall": ("gauge", ""),
    "wattlas_host_itue_ratio": ("gauge", "quality"),
}


SITE_CONTRACT = {
    "wattlas_site_energy_joules": ("counter", "site meter role"),
    "wattlas_site_power_watts": ("gauge", "site meter role"),
    "wattlas_site_water_liters": ("counter", "site meter role"),
    "wattlas_site_temperature_celsius": ("gauge", "site meter role"),
    "wattlas_site_gap_seconds": ("counter", "site meter role"),
    "wattlas_site_pue_ratio": ("gauge", "site category window"),
    "wattlas_site_wue_liters_per_kwh": ("gauge", "site category window"),
    "wattlas_site_erf_ratio": ("gauge", "site category window"),
    "wattlas_site_cer_ratio": ("gauge", "site category window"),
    "wattlas_site_kpi_coverage_ratio": ("gauge", "site kpi category window"),
}


CARBON_CONTRACT = {
    "wattlas_grid_carbon_intensity_grams_per_kwh": ("gauge", "grid_zone provider basis factor"),
    "wattlas_grid_carbon_intensity_info": ("gauge", "grid_zone provider basis factor standing"),
    "wattlas_emissions_grams": ("counter", "scope basis stage"),
    "wattlas_embodied_grams": ("gauge", "asset stage bound"),
    "wattlas_budget_used_ratio": ("gauge", "budget of"),
    "wattlas_budget_coverage_ratio": ("gauge", "budget of"),
}


@pytest.mark.parametrize(
    ("name", "of", "accept"),
    [
        ("metrics.txt", snapshot(), ""),
        ("openmetrics.txt", snapshot(), OPENMETRICS),
        ("wall.txt", walled(), ""),
        ("site.txt", at_site(), ""),
        ("carbon.txt", emitting(), ""),
    ],
)
def test_the_page_is_the_golden_one(name, of, accept):
    text = page(of, accept)
    if os.environ.get("WATTLAS_GOLDEN") == "write":
        (GOLDEN / name).write_text(text)
    assert text == (GOLDEN / name).read_text()


@pytest.mark.parametrize(
    ("of", "contract"),
    [
        (snapshot(), CONTRACT),
        (walled(), CONTRACT | WALL_CONTRACT),
        (at_site(), SITE_CONTRACT),
        (emitting(), CARBON_CONTRACT),
    ],
)
def test_names_types_and_labels_are_the_contracts(of, contract):
    found = families(page(of))
    for name, (kind, labels) in contract.items():
        assert found[name].type == kind, name
        shown = {" ".join(sorted(sample.labels)) for sample in found[name].samples}
        assert shown == {" ".join(sorted(labels.split()))}, name
        total = "_total" if kind == "counter" else ""
        assert {sample.name for sample in found[name].samples} == {name + total}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed here")
@pytest.mark.parametrize(
    "of", [snapshot(), snapshot(resets={}), bare(), walled(), at_site(), emitting()]
)
def test_promtool_has_nothing_to_say_but_about_one_name_of_the_contract(of):
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=page(of),
        capture_output=True,
        text=True,
        check=False,
    )
    # It counts resets of counters; promlint takes the word for the metric's own type.
    word = "wattlas_counter_resets_total metric name should not include type 'counter'\n"
    assert done.stdout + done.stderr == (word if of.resets else "")


@pytest.mark.parametrize("of", [snapshot(), bare(), walled()])
def test_openmetrics_says_the_same_as_text(of):
    strict = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in openmetrics.text_string_to_metric_families(page(of, OPENMETRICS))
        for sample in family.samples
    }
    assert strict == series(page(of))


def test_what_is_unknown_is_not_there():
    text = page(bare())
    assert not [name for name in families(text) if "power" in name or "component" in name]
    for absent in ("collector_up", "agent_energy", "ledger", "uncertainty"):
        assert absent not in text


def test_nothing_counted_is_zero_and_never_read_is_absent():
    values = series(page(snapshot()))
    package_1 = {"component": "cpu", "device": "package-1", "source": "rapl"}
    measured = package_1 | {"quality": "measured"}
    energy = ("wattlas_component_energy_joules_total", tuple(sorted(measured.items())))
    power = ("wattlas_component_power_watts", tuple(sorted(measured.items())))
    gap = ("wattlas_energy_gap_seconds_total", tuple(sorted(package_1.items())))
    assert (values[energy], power in values, values[gap]) == (0.0, False, 12.5)


def test_the_parts_sum_to_the_host():
    values = series(page(snapshot()))

    def total(name):
        return sum(value for (found, _), value in values.items() if found == name)

    parts = total("wattlas_component_energy_joules_total")
    assert parts == total("wattlas_host_energy_joules_total")
    assert total("wattlas_component_power_watts") == pytest.approx(
        total("wattlas_host_power_watts")
    )


def test_one_source_with_a_counter_and_a_sensor_is_one_series_without_quality():
    values = series(page(snapshot()))
    board = {"component": "platform", "device": "board", "source": "hwmon"}
    gap = ("wattlas_energy_gap_seconds_total", tuple(sorted(board.items())))
    second = ("wattlas_crosscheck_power_watts", tuple(sorted(board.items())))
    assert (values[gap], values[second]) == (7.0, 4.0)


def test_a_meter_of_the_whole_is_no_part():
    values = series(page(walled()))
    shown = {name: dict(labels) for name, labels in values if dict(labels).get("component")}
    assert "host" not in {
        dict(labels)["component"]
        for name, labels in values
        if "component" in dict(labels) and "crosscheck" not in name
    }
    assert shown["wattlas_component_power_watts"]
    second = {"component": "host", "device": "power_meter", "source": "hwmon"}
    assert values["wattlas_crosscheck_power_watts", tuple(sorted(second.items()))] == 380.0
    who = {"device": "System.Embedded.1", "source": "redfish"}
    assert values["wattlas_wall_gap_seconds_total", tuple(sorted(who.items()))] == 5.0


def test_a_kpi_that_covers_too_little_or_has_no_value_is_absent():
    found = families(page(at_site()))
    assert "wattlas_site_cue_kilograms_per_kwh" not in found
    assert "wattlas_site_ref_ratio" not in found
    shown = {(s.labels["kpi"], s.value) for s in found["wattlas_site_kpi_coverage_ratio"].samples}
    assert {("REF", 0.94), ("CUE", 0.0)} <= shown  # but how much it covers is said


def test_without_a_wall_nothing_speaks_of_one():
    text = page(snapshot())
    for absent in ("wattlas_wall", "unattributed", "parts_ex", "itue"):
        assert absent not in text.replace("wattlas_wall_clock", "")


watts = st.none() | st.floats(0, 1e6)
views = st.builds(
    stream,
    st.sampled_from(["rapl", "hwmon"]),
    st.sampled_from(list(Component)),
    st.sampled_from(["a", 'b "\\\n', "ü", ""]),
    st.sampled_from(list(Quality)),
    st.floats(0, 1e15),
    watts=watts,
    gap_seconds=st.floats(0, 1e9),
    counts_now=st.booleans(),
    cross_check=st.booleans(),
)


@given(st.lists(views, max_size=12, unique_by=lambda view: view.identity))
def test_no_series_comes_twice_whatever_the_streams(streams):
    values = series(page(snapshot(streams=streams)))
    shown = [value for (name, _), value in values.items() if "component_energy" in name]
    assert sorted(shown) == sorted(
        v.joules
        for v in streams
        if v.identity.component is not Component.HOST and (v.joules or not v.cross_check)
    )


@given(st.lists(st.tuples(views, views), max_size=6))
def test_gaps_never_fall_when_a_stream_joins(pairs):
    """Prometheus would take a fall for a restart of the counter."""
    streams = list({view.identity: view for pair in pairs for view in pair}.values())

    def gaps(of):
        values = series(page(snapshot(streams=of)))
        return {key: value for key, value in values.items() if "energy_gap" in key[0]}

    after = gaps(streams)
    assert all(after[key] >= value for key, value in gaps(streams[: len(pairs)]).items())
