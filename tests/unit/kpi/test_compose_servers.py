"""Figures of the servers and their work, from agents and settings."""

import pytest
from unit.kpi.sites import WEEK, YEAR, by_category, kwh, meter, moment, only, site, steady

from agent.kpi.compose import site_kpis
from agent.kpi.fleet import Fleet
from agent.site.settings import Servers


def test_itue_and_tue():
    """By hand: wall 80 of 400 kWh, compute 64: ITUE 1.25; PUE3 by agents 600 / 400: TUE 1.875."""
    fleet = Fleet(it=kwh(400), wall=kwh(80), compute=kwh(64))
    where = site(meter("utility", "total"), meter("pdu", "it"))
    found = site_kpis(where, {"utility": kwh(600), "pdu": kwh(420)}, YEAR, fleet)
    itue, tue = only(found, "ITUE"), only(found, "TUE")
    assert itue.value == pytest.approx(1.25)
    assert "20% of the servers' energy" in itue.note
    assert tue.value == pytest.approx(1.875)
    assert tue.note.startswith("with E_IT by the agents")


def test_tue_prefers_meters_of_category_3():
    fleet = Fleet(it=kwh(400), wall=kwh(400), compute=kwh(320))
    where = site(meter("utility", "total"), meter("rack", "it", category=3))
    kpi = only(site_kpis(where, {"utility": kwh(600), "rack": kwh(500)}, YEAR, fleet), "TUE")
    assert kpi.value == pytest.approx(1.25 * 1.2)
    assert kpi.note == "with E_IT by the meters of category 3"


def test_tue_without_category_3_is_withheld():
    fleet = Fleet(wall=kwh(400), compute=kwh(320))
    where = site(meter("utility", "total"), meter("pdu", "it"))
    found = site_kpis(where, {"utility": kwh(600), "pdu": kwh(500)}, YEAR, fleet)
    assert only(found, "ITUE").value == pytest.approx(1.25)
    assert only(found, "TUE").value is None


def test_servers_of_different_benchmarks_and_precisions_stay_apart():
    where = site(
        servers=(
            Servers(model="a", max_performance=10.0, max_power_watts=2.0, benchmark="x"),
            Servers(model="b", max_performance=30.0, max_power_watts=5.0, benchmark="y"),
            Servers(model="c", max_performance=30.0, benchmark="z"),
            Servers(model="d", peak_gigaflops=100.0, max_power_watts=4.0, precision="fp32"),
            Servers(model="e", peak_gigaflops=900.0, max_power_watts=4.0, precision="fp16"),
            Servers(model="f", peak_gigaflops=900.0, precision="fp8"),
        )
    )
    found = site_kpis(where, {}, YEAR)
    assert {k.category: k.value for k in found if k.name == "ITEEsv"} == {
        "x": 5.0,
        "y": 6.0,
        "z": None,
    }
    assert {k.category: k.value for k in found if k.name == "CE"} == {
        "fp16 peak": 225.0,
        "fp32 peak": 25.0,
        "fp8 peak": None,
    }
    assert by_category(found, "CE")["fp8 peak"].note == "max_power_watts is not set for f"


def test_work_of_each_unit_over_the_time_that_both_know():
    hole = (moment("2025-03-05"), moment("2025-03-07"))
    where = site(meter("utility", "total"))
    fleet = Fleet(
        work={"tokens": steady(1000.0), "requests": steady(10.0, holes=[hole])},
    )
    found = {
        kpi.unit: kpi
        for kpi in site_kpis(where, {"utility": steady(3.6e6 * 2)}, WEEK, fleet)
        if kpi.name == "DCeP"
    }
    assert found["tokens/kWh"].value == pytest.approx(500.0)
    assert found["requests/kWh"].value == pytest.approx(5.0)
    assert found["requests/kWh"].coverage == pytest.approx(5 / 7)
    assert "agents knows 71.4%" in found["requests/kWh"].note
