"""Sums and differences of meters, taken apart."""

import pytest

from agent.site.cells import Cell
from agent.site.settings import CsvMeter, SiteSettings, VirtualMeter
from agent.site.virtual import VirtualError, factors, terms, water_meters
from agent.site.words import Role


def real(*names, role=Role.NONE):
    return {name: CsvMeter(name=name, role=role, file="x") for name in names}


def virtual(name, add, subtract=(), role=Role.NONE):
    return {name: VirtualMeter(name=name, add=tuple(add), subtract=tuple(subtract), role=role)}


def test_sums_and_differences():
    meters = real("a", "b", "c") | virtual("v", ["a", "b"], ["c"])
    assert factors(["v"], meters) == {"a": 1.0, "b": 1.0, "c": -1.0}


def test_virtual_meters_of_virtual_meters():
    meters = (
        real("building", "offices", "kitchen")
        | virtual("others", ["offices", "kitchen"])
        | virtual("data-centre", ["building"], ["others"])
    )
    assert factors(["data-centre"], meters) == {"building": 1.0, "offices": -1.0, "kitchen": -1.0}


def test_what_cancels_is_left_out():
    meters = real("a", "b") | virtual("less", ["a"], ["b"])
    assert factors(["less", "b"], meters) == {"a": 1.0}


def test_twice_is_two():
    meters = real("a") | virtual("v", ["a"])
    assert factors(["a", "v"], meters) == {"a": 2.0}


def test_used_twice_but_not_within_itself():
    meters = real("a", "b") | virtual("v", ["a"]) | virtual("w", ["v", "b"], ["v"])
    assert factors(["w"], meters) == {"b": 1.0}


def test_an_unknown_meter():
    with pytest.raises(VirtualError, match="there is no meter named 'b'"):
        factors(["v"], real("a") | virtual("v", ["a", "b"]))


def test_a_meter_that_is_part_of_itself():
    meters = virtual("v", ["w"]) | virtual("w", ["x"]) | virtual("x", ["v"])
    with pytest.raises(VirtualError, match="v → w → x → v: a virtual meter cannot be part"):
        factors(["v"], meters)


def test_terms_of_a_meter_without_cells():
    cells = [Cell(0.0, 1.0, 5.0, 1.0)]
    found = terms(["v"], real("a", "b") | virtual("v", ["a"], ["b"]), {"a": cells})
    assert [(term.cells, term.factor) for term in found] == [(cells, 1.0), ((), -1.0)]


def test_water_by_role_and_by_the_virtual_meters_they_are_in():
    meters = [
        *real("pdu", role=Role.IT).values(),
        *real("mains", role=Role.WATER_IN).values(),
        *real("well", "garden").values(),
        *virtual("used", ["well"], ["garden"], Role.WATER_IN).values(),
        *virtual("wrong", ["nobody"], (), Role.WATER_OUT).values(),
    ]
    assert water_meters(SiteSettings(meter=tuple(meters))) == {"mains", "well", "garden"}
