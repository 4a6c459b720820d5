"""What a formula refuses, and in which words."""

import math

import pytest

from agent.kpi.carbon_water import cue, wue
from agent.kpi.pue import dcie, itue, mpue, ppue, pue, pue_name
from agent.kpi.servers import computing_efficiency, iteesv, iteusv
from agent.kpi.shares import cer, erf, ref
from agent.kpi.work import dcep, work_per_it_energy

RATIOS = [pue, mpue, dcie, ppue, itue, cue, wue, ref, erf, cer, dcep, work_per_it_energy, iteusv]


@pytest.mark.parametrize("divide", RATIOS)
@pytest.mark.parametrize("by", [0.0, -1.0, math.nan, math.inf])
def test_nothing_to_divide_by(divide, by):
    amounts = (by, 1.0) if divide is dcie else (1.0, by)
    with pytest.raises(ValueError, match=r"nothing to divide by|cannot be"):
        divide(*amounts)


@pytest.mark.parametrize("divide", RATIOS)
def test_a_negative_amount_cannot_be(divide):
    amounts = (1.0, -0.5) if divide is dcie else (-0.5, 1.0)
    with pytest.raises(ValueError, match="cannot be: look at the meters"):
        divide(*amounts)


def test_more_heat_out_than_energy_in():
    with pytest.raises(ValueError, match=r"1\.20 times E_DC"):
        erf(120.0, 100.0)


def test_busier_than_there_is_time():
    with pytest.raises(ValueError, match=r"1\.50 times the time"):
        iteusv(150.0, 100.0)


def test_servers_without_power():
    with pytest.raises(ValueError, match="SMPO is 0"):
        iteesv([(2.0, 100.0, 0.0)])
    with pytest.raises(ValueError, match="nothing to divide by"):
        computing_efficiency([])


@pytest.mark.parametrize(
    ("category", "is_year", "mixed_use", "name"),
    [
        (1, True, False, "PUE1"),
        (2, False, False, "iPUE2"),
        (3, True, True, "mPUE3"),
        (2, False, True, "imPUE2"),
    ],
)
def test_the_name_says_what_it_is(category, is_year, mixed_use, name):
    assert pue_name(category, is_year=is_year, mixed_use=mixed_use) == name
