"""Which figures a site gets, what they are called, and when they are withheld."""

import pytest
from unit.kpi.sites import (
    HOUR,
    WEEK,
    YEAR,
    by_category,
    kwh,
    meter,
    moment,
    one,
    only,
    period,
    site,
    steady,
    virtual,
)

from agent.kpi.compose import site_kpis
from agent.kpi.fleet import Fleet
from agent.site.settings import Partial

WATER = [
    meter("utility", "total"),
    meter("pdu", "it"),
    meter("mains", "water_in"),
    meter("reclaimed", "water_in", freshwater=False),
]
WATER_CELLS = {
    "utility": kwh(1300),
    "pdu": kwh(1000),
    "mains": one(400.0),
    "reclaimed": one(600.0),
    "drain": one(250.0),
}


def test_nothing_asked_for_nothing_said():
    assert site_kpis(site(), {}, YEAR) == []


def test_it_energy_is_missing():
    kpi = only(site_kpis(site(meter("utility", "total")), {"utility": kwh(1)}, YEAR), "PUE")
    assert (kpi.value, kpi.coverage) == (None, 0.0)
    assert kpi.note == "no meter has the role it or ups, and no agents are known: E_IT is missing"


def test_total_is_missing():
    kpi = only(site_kpis(site(meter("pdu", "it")), {"pdu": kwh(1)}, YEAR), "PUE")
    assert (kpi.value, kpi.note) == (None, "no meter has the role total")
    assert kpi.category == "PUE2"


def test_generation_alone_is_no_total():
    where = site(meter("roof", "generation"), meter("pdu", "it"))
    kpi = only(site_kpis(where, {"roof": kwh(5), "pdu": kwh(1)}, YEAR), "PUE")
    assert kpi.note == "no meter has the role total"


def test_one_pue_for_each_category():
    where = site(
        meter("utility", "total"),
        meter("ups", "ups"),
        meter("ups-2", "it", category=1),
        meter("pdu", "it"),
        meter("rack", "it", category=3),
    )
    cells = {"utility": kwh(150), "ups": kwh(63), "ups-2": kwh(42), "pdu": kwh(102)}
    pues = by_category(site_kpis(where, cells | {"rack": kwh(100)}, YEAR), "PUE")
    assert {name: round(kpi.value, 4) for name, kpi in pues.items()} == {
        "PUE1": round(150 / 105, 4),
        "PUE2": round(150 / 102, 4),
        "PUE3": 1.5,
    }
    assert pues["PUE1"].inputs[1].meters == ("ups", "ups-2")
    assert pues["PUE1"].inputs[1].amount == pytest.approx(105.0)


def test_fuel_enters_by_its_weight():
    where = site(meter("utility", "total"), meter("gas", "total", weight=0.35), meter("pdu", "it"))
    kpi = only(
        site_kpis(where, {"utility": kwh(110), "gas": kwh(40), "pdu": kwh(100)}, YEAR), "PUE"
    )
    assert kpi.value == pytest.approx((110 + 0.35 * 40) / 100)


def test_a_silent_meter_withholds_and_is_named():
    where = site(meter("utility", "total"), meter("pdu", "it"))
    kpi = only(site_kpis(where, {"utility": steady(10.0)}, WEEK), "PUE")
    assert kpi.value is None
    assert kpi.note == "there is no time that all inputs know: pdu knows 0.0%"
    assert kpi.inputs == ()


def test_an_invoice_that_reaches_beyond_the_period_says_nothing_of_it():
    where = site(meter("utility", "total"), meter("pdu", "it"))
    cells = {"utility": kwh(100, period("2025-03-01", "2025-04-01")), "pdu": steady(5.0)}
    assert only(site_kpis(where, cells, WEEK), "PUE").value is None


def test_agents_step_in_only_without_an_it_meter():
    fleet = Fleet(it=kwh(900))
    alone = only(
        site_kpis(site(meter("utility", "total")), {"utility": kwh(1350)}, YEAR, fleet), "PUE"
    )
    assert (alone.category, alone.value) == ("PUE3", pytest.approx(1.5))
    assert "sum of the agents" in alone.note
    assert alone.inputs[1].meters == ("agents",)
    metered = site_kpis(
        site(meter("utility", "total"), meter("pdu", "it")),
        {"utility": kwh(1350), "pdu": kwh(1000)},
        YEAR,
        fleet,
    )
    assert list(by_category(metered, "PUE")) == ["PUE2"]


def test_partials():
    where = site(
        meter("crac-1", "cooling"),
        meter("pdu-1", "it"),
        partial=(
            Partial(name="hall-1", infrastructure=("crac-1",), it=("pdu-1",)),
            Partial(name="hall-2", infrastructure=("crac-1", "pdu-1"), it=("pdu-1",)),
            Partial(name="hall-3", infrastructure=("nobody",), it=("pdu-1",)),
        ),
    )
    cells = {"crac-1": steady(20.0), "pdu-1": steady(100.0)}
    pues = by_category(site_kpis(where, cells, WEEK), "PUE")
    assert pues["ipPUE hall-1"].value == pytest.approx(1.2)
    assert pues["ipPUE hall-2"].value is None
    assert "counted twice" in pues["ipPUE hall-2"].note
    assert pues["ipPUE hall-3"].note == "there is no meter named 'nobody'"


def test_partial_whose_it_is_a_virtual_meter_of_the_same_feed():
    where = site(
        meter("feed", "none"),
        meter("crac", "none"),
        virtual("hall-it", "none", ["feed"], ["crac"]),
        partial=(Partial(name="hall", infrastructure=("crac",), it=("hall-it",)),),
    )
    kpi = only(site_kpis(where, {"feed": kwh(120), "crac": kwh(20)}, YEAR), "PUE")
    assert kpi.value == pytest.approx(1.2)


def test_cue_needs_the_factor_of_every_source():
    meters = [meter("pdu", "it"), meter("roof", "generation", carbon_kilograms_per_kwh=0.0)]
    cells = {"grid": kwh(1000), "roof": kwh(500), "pdu": kwh(1000)}
    without = only(site_kpis(site(meter("grid", "total"), *meters), cells, YEAR), "CUE")
    assert (without.value, without.note) == (None, "carbon_kilograms_per_kwh is not set for grid")
    grid = meter("grid", "total", carbon_kilograms_per_kwh=0.4)
    kpi = only(site_kpis(site(grid, *meters), cells, YEAR), "CUE")
    assert kpi.value == pytest.approx(0.4)
    assert (kpi.category, kpi.inputs[0].unit) == ("IT2", "kg")
    assert kpi.inputs[0].amount == pytest.approx(400.0)


def test_water_without_a_meter_of_what_goes_back():
    found = by_category(site_kpis(site(*WATER), WATER_CELLS, YEAR), "WUE")
    assert {name: kpi.value for name, kpi in found.items()} == {
        "WUE1 IT2": 1.0,
        "WUE EU-2024 IT2": 1.0,
        "WUE EU-2026 IT2": 0.4,
    }
    assert "category 1" in found["WUE EU-2024 IT2"].note
    assert "not in force" in found["WUE EU-2026 IT2"].note


def test_water_with_one():
    where = site(*WATER, meter("drain", "water_out"))
    found = by_category(site_kpis(where, WATER_CELLS, YEAR), "WUE")
    assert {name: kpi.value for name, kpi in found.items()} == {
        "WUE1 IT2": 1.0,
        "WUE2 IT2": 0.75,
        "WUE EU-2024 IT2": 0.75,
        "WUE EU-2026 IT2": 0.4,
    }
    assert [each.unit for each in found["WUE2 IT2"].inputs] == ["l", "l", "kWh"]


def test_only_water_that_is_not_fresh():
    where = site(meter("pdu", "it"), WATER[3])
    found = by_category(site_kpis(where, WATER_CELLS, YEAR), "WUE")
    assert found["WUE EU-2026 IT2"].value == 0.0
    unknown = by_category(site_kpis(where, {"pdu": kwh(1000)}, YEAR), "WUE")
    assert unknown["WUE EU-2026 IT2"].value is None


def test_water_by_the_eus_first_choice_of_it_energy():
    found = site_kpis(site(*WATER, meter("ups", "ups")), WATER_CELLS | {"ups": kwh(1030)}, YEAR)
    assert list(by_category(found, "WUE")) == ["WUE1 IT1", "WUE EU-2024 IT1", "WUE EU-2026 IT1"]


def test_a_period_under_a_year_says_so_everywhere():
    where = site(
        *WATER[:3],
        meter("certificates", "renewable"),
        meter("district", "reused_heat"),
        meter("cold", "removed_heat"),
        meter("chillers", "cooling"),
    )
    cells = {each.name: steady(1.0) for each in where.meter}
    found = site_kpis(where, cells, WEEK)
    assert only(found, "PUE").category == "iPUE2"
    assert next(iter(by_category(found, "WUE"))) == "iWUE1 IT2"
    for name in ("REF", "ERF", "CER"):
        assert "12 consecutive months" in only(found, name).note


def test_ref_is_capped_and_says_so():
    where = site(meter("grid", "total"), meter("certificates", "renewable"))
    kpi = only(site_kpis(where, {"grid": kwh(90), "certificates": kwh(100)}, YEAR), "REF")
    assert (kpi.value, kpi.inputs[0].amount) == (1.0, pytest.approx(100.0))
    assert kpi.note == "capped at 1: more renewable energy than the data centre used"
    exact = only(site_kpis(where, {"grid": kwh(90), "certificates": kwh(90)}, YEAR), "REF")
    assert (exact.value, exact.note) == (1.0, "")


def test_certificates_of_a_year_beside_meters_by_the_hour():
    """Cells of different length are compared over the longer."""
    where = site(meter("grid", "total"), meter("certificates", "renewable"))
    cells = {"grid": steady(10 * 3.6e6, YEAR, step=6 * HOUR), "certificates": kwh(43_800)}
    kpi = only(site_kpis(where, cells, YEAR), "REF")
    assert (kpi.value, kpi.coverage) == (pytest.approx(0.5), 1.0)
    week = only(site_kpis(where, cells, WEEK), "REF")
    assert week.value is None


def test_erf_above_one_is_withheld():
    where = site(meter("grid", "total"), meter("district", "reused_heat"))
    kpi = only(site_kpis(where, {"grid": kwh(90), "district": kwh(100)}, YEAR), "ERF")
    assert kpi.value is None
    assert "1.11 times E_DC" in kpi.note


def test_cer_needs_the_coolings_electricity():
    kpi = only(site_kpis(site(meter("cold", "removed_heat")), {"cold": kwh(9)}, YEAR), "CER")
    assert (kpi.value, kpi.note) == (None, "no meter has the role cooling")


def test_a_virtual_meter_that_is_wrong_withholds():
    where = site(virtual("utility", "total", ["nobody"]), meter("pdu", "it"))
    kpi = only(site_kpis(where, {"pdu": kwh(1)}, YEAR), "PUE")
    assert kpi.note == "there is no meter named 'nobody'"


def test_coverage_is_of_each_figures_own_inputs():
    """A hole in the water meter costs WUE its time, not PUE."""
    hole = (moment("2025-03-05"), moment("2025-03-06"))
    cells = {"utility": steady(13.0), "pdu": steady(10.0), "mains": steady(4.0, holes=[hole])}
    found = site_kpis(site(*WATER[:3]), cells, WEEK)
    assert only(found, "PUE").coverage == 1.0
    assert by_category(found, "WUE")["iWUE1 IT2"].coverage == pytest.approx(6 / 7)


def test_a_little_missing_is_in_the_coverage_alone():
    hole = (moment("2025-03-05"), moment("2025-03-05T04:00"))
    cells = {"utility": steady(13.0, holes=[hole]), "pdu": steady(10.0)}
    kpi = only(site_kpis(site(*WATER[:2]), cells, WEEK), "PUE")
    assert kpi.coverage == pytest.approx(164 / 168)
    assert kpi.is_complete
    assert kpi.note == ""
