"""Units of meters, against figures of NIST SP 811 and the SI Brochure."""

import pytest

from agent.site.units import ALIASES, UNITS, unit_of
from agent.site.words import Quantity


@pytest.mark.parametrize(
    ("text", "quantity", "factor", "is_rate"),
    [
        ("J", Quantity.ENERGY, 1.0, False), ("Wh", Quantity.ENERGY, 3600.0, False),
        ("kWh", Quantity.ENERGY, 3.6e6, False), ("MWh", Quantity.ENERGY, 3.6e9, False),
        ("GWh", Quantity.ENERGY, 3.6e12, False), ("GJ", Quantity.ENERGY, 1e9, False),
        # NIST SP 811, B.8: Btu(IT) 1.055 056 E+03 J, therm (EC) 1.055 06 E+08 J
        ("Btu", Quantity.ENERGY, 1055.056, False), ("therm", Quantity.ENERGY, 1.05506e8, False),
        ("MMBtu", Quantity.ENERGY, 1.055056e9, False),
        ("Btu/h", Quantity.ENERGY, 0.2930711, True),  # NIST SP 811, B.8
        ("W", Quantity.ENERGY, 1.0, True), ("kW", Quantity.ENERGY, 1e3, True),
        ("MW", Quantity.ENERGY, 1e6, True), ("mW", Quantity.ENERGY, 1e-3, True),
        ("l", Quantity.WATER, 1.0, False), ("m3", Quantity.WATER, 1e3, False),
        ("gal", Quantity.WATER, 3.785412, False), ("kgal", Quantity.WATER, 3785.412, False),
        ("l/min", Quantity.WATER, 1 / 60, True), ("m3/h", Quantity.WATER, 0.2777778, True),
        ("gal/min", Quantity.WATER, 0.06309020, True),  # NIST SP 811, B.8: 6.309 020 E-05 m3/s
    ],
)  # fmt: skip
def test_factors(text, quantity, factor, is_rate):
    unit = unit_of(text)
    assert (unit.quantity, unit.is_rate) == (quantity, is_rate)
    assert unit.factor == pytest.approx(factor, rel=4e-6)  # as the figures are rounded


def test_other_ways_to_write_them():
    assert unit_of(" m³ ") == unit_of("m3")
    assert unit_of("MWh_th") == unit_of("MWh")
    assert all(name in UNITS for name in ALIASES.values())
    assert not ALIASES.keys() & UNITS.keys()


@pytest.mark.parametrize(
    ("text", "hint"),
    [("kwh", "did you mean kWh?"), ("KW", "did you mean kW?"), ("M3", "did you mean m3?")],
)
def test_a_unit_in_other_letters_is_not_guessed_but_hinted_at(text, hint):
    with pytest.raises(ValueError, match="is no unit that is known") as caught:
        unit_of(text)
    assert hint in str(caught.value)


@pytest.mark.parametrize("text", ["", "kg", "kVA", "kvarh", "A", "W h"])
def test_what_is_no_energy_and_no_water(text):
    with pytest.raises(ValueError, match="is no unit"):
        unit_of(text)


def test_letters_that_may_mean_either_are_named_both():
    with pytest.raises(ValueError, match=r"did you mean mW or MW\?"):
        unit_of("mw")
