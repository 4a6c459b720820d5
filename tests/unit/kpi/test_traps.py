"""What makes a PUE better on paper than it is, or adds up what cannot be added."""

import pytest
from unit.kpi.sites import (
    WEEK,
    YEAR,
    by_category,
    kwh,
    meter,
    moment,
    only,
    period,
    site,
    steady,
    virtual,
)

from agent.kpi.compose import site_kpis

HALF = (moment("2025-03-03"), moment("2025-03-06T12:00"), moment("2025-03-10"))


def test_mean_of_ratios():
    """A busy week at PUE 1.2 and an idle one at 2.0: 1.28 by energy, not 1.6."""
    busy, idle = period("2025-03-03", "2025-03-10"), period("2025-03-10", "2025-03-17")
    cells = {
        "utility": [*kwh(108_000, busy), *kwh(20_000, idle)],
        "pdu": [*kwh(90_000, busy), *kwh(10_000, idle)],
    }
    where = site(meter("utility", "total"), meter("pdu", "it"))
    weeks = [only(site_kpis(where, cells, week), "PUE").value for week in (busy, idle)]
    assert weeks == [pytest.approx(1.2), pytest.approx(2.0)]
    both = only(site_kpis(where, cells, period("2025-03-03", "2025-03-17")), "PUE").value
    assert both == pytest.approx(1.28)
    assert both != pytest.approx(sum(weeks) / 2, abs=0.1)


def test_mixed_use_counts_the_data_centre_and_not_the_building():
    """4 GWh of building with 2.2 GWh of offices: mPUE 1.2, not 2.67."""
    meters = [
        meter("building", "none"),
        meter("offices", "none"),
        virtual("data-centre", "total", ["building"], ["offices"]),
        meter("pdu", "it"),
    ]
    cells = {"building": kwh(4_000_000), "offices": kwh(2_200_000), "pdu": kwh(1_500_000)}
    kpi = only(site_kpis(site(*meters, mixed_use=True), cells, YEAR), "PUE")
    assert (kpi.category, kpi.value) == ("mPUE2", pytest.approx(1.2))
    assert "3.1.7" in kpi.definition
    assert kpi.inputs[0].meters == ("building", "offices")
    short = site_kpis(
        site(*meters, mixed_use=True),
        {
            name: [c._replace(start=WEEK.start, end=WEEK.end) for c in row]
            for name, row in cells.items()
        },
        WEEK,
    )
    assert only(short, "PUE").category == "imPUE2"


def test_own_pv_does_not_lower_pue():
    """10 MWh of roof in place of 10 MWh of grid leave PUE where it was, and raise REF."""
    meters = [meter("utility", "total"), meter("pdu", "it")]
    grid_only = site_kpis(site(*meters), {"utility": kwh(60_000), "pdu": kwh(40_000)}, YEAR)
    with_pv = site_kpis(
        site(*meters, meter("roof", "generation", renewable=True)),
        {"utility": kwh(50_000), "roof": kwh(10_000), "pdu": kwh(40_000)},
        YEAR,
    )
    assert only(grid_only, "PUE").value == only(with_pv, "PUE").value == pytest.approx(1.5)
    assert only(with_pv, "REF").value == pytest.approx(10 / 60)
    assert not [kpi for kpi in grid_only if kpi.name == "REF"]


def test_heat_reuse_does_not_lower_pue_and_own_use_of_heat_is_no_reuse():
    """Heat for the data centre's own offices stays inside: only the hand-over counts in ERF."""
    meters = [
        meter("utility", "total"),
        meter("pdu", "it"),
        meter("district", "reused_heat"),
        meter("own-heating", "none"),
    ]
    cells = {"utility": kwh(100_000), "pdu": kwh(80_000), "district": kwh(20_000)}
    cells["own-heating"] = kwh(15_000)
    found = site_kpis(site(*meters), cells, YEAR)
    assert only(found, "ERF").value == pytest.approx(0.20)
    assert only(found, "PUE").value == pytest.approx(1.25)


def test_hand_over_less_own_use_by_a_virtual_meter():
    found = site_kpis(
        site(
            meter("utility", "total"),
            meter("heat-pump", "none"),
            meter("own-heating", "none"),
            virtual("hand-over", "reused_heat", ["heat-pump"], ["own-heating"]),
        ),
        {"utility": kwh(100_000), "heat-pump": kwh(35_000), "own-heating": kwh(15_000)},
        YEAR,
    )
    assert only(found, "ERF").value == pytest.approx(0.20)


def test_category_changes_within_the_period():
    """UPS meters for the first half, PDU meters for the second: no figure for the whole."""
    start, middle, end = HALF
    cells = {
        "utility": steady(150.0),
        "ups": steady(110.0, holes=[(middle, end)]),
        "pdu": steady(100.0, holes=[(start, middle)]),
    }
    where = site(meter("utility", "total"), meter("ups", "ups"), meter("pdu", "it"))
    pues = by_category(site_kpis(where, cells, WEEK), "PUE")
    assert pues["iPUE1"].value == pytest.approx(150 / 110)
    assert pues["iPUE2"].value == pytest.approx(150 / 100)
    for kpi in pues.values():
        assert kpi.coverage == pytest.approx(0.5)
        assert not kpi.is_complete
        assert "50.0% of the period only" in kpi.note


def test_meters_of_two_categories_are_not_added():
    """Half of the IT measured at the UPS and half at the PDU: two figures that warn of it."""
    where = site(meter("utility", "total"), meter("ups", "ups"), meter("pdu", "it"))
    cells = {"utility": kwh(150), "ups": kwh(70), "pdu": kwh(30)}
    pues = by_category(site_kpis(where, cells, YEAR), "PUE")
    assert pues["PUE1"].value == pytest.approx(150 / 70)
    assert pues["PUE2"].value == pytest.approx(150 / 30)
    assert all("do not see the same load" in kpi.note for kpi in pues.values())


def test_two_categories_of_the_same_load_need_no_warning():
    where = site(meter("utility", "total"), meter("ups", "ups"), meter("pdu", "it"))
    cells = {"utility": kwh(150), "ups": kwh(105), "pdu": kwh(100)}
    pues = by_category(site_kpis(where, cells, YEAR), "PUE")
    assert [kpi.note for kpi in pues.values()] == ["", ""]
    assert pues["PUE1"].value < pues["PUE2"].value


def test_below_one_is_shown_and_flagged():
    where = site(meter("utility", "total"), meter("pdu", "it"))
    kpi = only(site_kpis(where, {"utility": kwh(95), "pdu": kwh(100)}, YEAR), "PUE")
    assert kpi.value == pytest.approx(0.95)
    assert kpi.note.startswith("below 1, which cannot be")


def test_a_meter_that_counts_twice_is_refused():
    where = site(
        meter("utility", "total"),
        meter("pdu-a", "it"),
        meter("pdu-b", "it"),
        virtual("all-it", "it", ["pdu-a", "pdu-b"]),
    )
    cells = {"utility": kwh(150), "pdu-a": kwh(50), "pdu-b": kwh(50)}
    kpi = only(site_kpis(where, cells, YEAR), "PUE")
    assert kpi.value is None
    assert kpi.note == "pdu-a is counted twice in E_IT, by pdu-a and by all-it"


def test_a_hole_is_left_out_of_both_sides_and_not_scaled():
    """The chiller doubles the load in the very hours that the PDU's meter is silent."""
    silent = (moment("2025-03-04"), moment("2025-03-05"))
    day = period("2025-03-04", "2025-03-05")
    hot = [*steady(150.0, holes=[silent]), *steady(300.0, day)]
    cells = {"utility": sorted(hot), "pdu": steady(100.0, holes=[silent])}
    where = site(meter("utility", "total"), meter("pdu", "it"))
    kpi = only(site_kpis(where, cells, WEEK), "PUE")
    assert kpi.value == pytest.approx(1.5)
    assert kpi.coverage == pytest.approx(6 / 7)
    assert [each.amount for each in kpi.inputs] == [
        pytest.approx(150 * 144 / 3.6e6),
        pytest.approx(100 * 144 / 3.6e6),
    ]
    assert "pdu knows 85.7%" in kpi.note
