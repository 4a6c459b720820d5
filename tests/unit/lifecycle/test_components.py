"""The formulas against results that others published, and the ranges around them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.carbon.words import Stage
from agent.lifecycle import components as c
from agent.lifecycle.catalog import board, cpu_dies, published, published_of
from agent.lifecycle.hardware import Chassis
from agent.lifecycle.span import Span

MADE = Stage.MANUFACTURING


def gpu(name: str) -> float:
    return sum(c.gpu_kilograms(board(name)[0]).values())


@pytest.mark.parametrize(
    ("ours", "published"),
    [
        # boaviztapi tests/unit/compute/test_bottom_up.py @1009e6b and conftest.py @0092bf1: gwp
        pytest.param(2 * c.cpu_kilograms(24 * 24.5), 41.45, id="2 CPUs of 588 mm2"),
        pytest.param(c.cpu_kilograms(12 * 40.4), 18.69, id="CPU of 484.8 mm2"),
        pytest.param(12 * c.ram_kilograms(32, 1.79), 534.6, id="12 x 32 GB"),
        pytest.param(c.ssd_kilograms(400, 50.6), 23.73, id="SSD of 400 GB"),
        pytest.param(2 * c.psu_kilograms(2.99), 145.3, id="2 power supplies"),
        pytest.param(c.psu_kilograms(1), 24.3, id="power supply of 1 kg"),
        pytest.param(c.psu_kilograms(5), 121.5, id="power supply of 5 kg"),
        pytest.param(c.BLADE_CASE, 85.9, id="blade"),
        pytest.param(gpu("NVIDIA H100 80GB HBM3"), 575.1, id="H100 SXM"),
        # results of the same formula, standards.md section 5
        pytest.param(gpu("NVIDIA A100-SXM4-40GB"), 273.4, id="A100 SXM4 40 GB"),
        pytest.param(gpu("NVIDIA A100-PCIE-40GB"), 275.7, id="A100 PCIe 40 GB"),
        pytest.param(gpu("NVIDIA L4"), 113.6, id="L4"),
        # another model: Dell's LCA of the R740 by way of Cloud Carbon Footprint's constants
        pytest.param(12 * c.ram_kilograms(32, 1.79), 533.0, id="12 x 32 GB of an R740"),
    ],
)
def test_published_results(ours, published):
    assert ours == pytest.approx(published, rel=0.005)


def test_a_published_server():
    """boaviztapi tests/api/test_server.py: an R740 makes 970 kg, to two figures."""
    server = (
        2 * c.cpu_kilograms(24 * 24.5)
        + 12 * c.ram_kilograms(32, 1.79)
        + c.ssd_kilograms(400, 50.6)
        + 2 * c.psu_kilograms(2.99)
        + c.MOTHERBOARD
        + c.RACK_CASE
        + c.ASSEMBLY
    )
    assert server == pytest.approx(967.83, abs=0.05)  # by hand
    assert float(f"{server:.2g}") == 970


@pytest.mark.parametrize(
    ("bare", "published"),
    [(814, 2808.45), (826, 2876.29), (815, 2814.07), (545, 1500.31), (314, 681.02)],
)
def test_published_effective_areas(bare, published):
    """boaviztapi data/crowdsourcing/gpu_specs.csv @05a289b: H100, A100, V100, T4, P4."""
    assert c.effective_mm2(bare) == pytest.approx(published, rel=1e-5)


def test_a_gpu_by_hand():
    """An L4: 0.142 kg, 93.13 cm2, 390.96 mm2, 12 x 2 GB, a heat sink of 0.0871 kg."""
    stages = c.gpu_kilograms(board("NVIDIA L4")[0])
    assert stages[Stage.RECYCLING] == pytest.approx(0.142 * 1.5062)
    moved = 0.142 * (0.25955 + 1.33e-5 * 19000 + 5.04e-5 * 1000)
    assert stages[Stage.PACKAGING_TRANSPORT] == pytest.approx(moved)
    die = 31.0  # 24 GB x 15.5 mm2 in 12 packages
    side = (math.sqrt(die) + 0.2) ** 2
    count = math.pi * 22500 / side - math.pi * 300 / math.sqrt(2 * side)
    wafer = math.pi * 22500 / count / math.exp(-math.sqrt(side / 1000))
    made = 5.7412 * 0.0871 + 0.032549 * 93.13 + 0.042592 * 390.96 + 0.18379 * 12 * wafer
    assert stages[MADE] == pytest.approx(made)


def test_the_range_of_a_gpu_is_the_published_spread():
    h100 = c.gpu(board("NVIDIA H100 80GB HBM3")[0])
    made = h100[MADE]
    whole = sum((span.high for span in h100.values()), 0.0)
    assert whole == pytest.approx(575.2, rel=0.001)
    assert made.low == pytest.approx(164, rel=0.01)
    assert made.best == pytest.approx(249, rel=0.01)
    a100 = c.gpu(board("NVIDIA A100-SXM4-40GB")[0])[MADE]
    assert a100.low < 127.6 < a100.high  # LCA of a dismantled one, arXiv:2509.00093
    assert a100.best == pytest.approx(127.6, rel=0.1)


def test_a_gpu_with_a_footprint_of_its_maker_only():
    entry = published_of("NVIDIA B200")
    assert (entry.product, entry.devices) == ("NVIDIA HGX B200", 8)
    span = c.gpu_from_pcf(entry.made_kilograms / entry.devices)[MADE]
    assert span.low == pytest.approx(284.25)
    assert span.low < span.best < span.high


def test_an_ssd_lies_between_dense_flash_and_the_mean_of_lcas():
    span = c.ssd(3840)[MADE]
    assert span.low == pytest.approx(3840 / 128 * 2.2 + 6.34)
    assert span.best == pytest.approx(173.3, abs=0.1)
    assert span.high == pytest.approx(0.16 * 3840)
    tiny = c.ssd(8)[MADE]
    assert tiny.high == tiny.best


def test_memory_by_kind():
    assert c.memory(32, "DDR5")[MADE].best < c.memory(32, "DDR4")[MADE].best
    assert c.memory(32)[MADE] == c.memory(32, "DDR4")[MADE]
    assert c.memory(32, "DDR4")[MADE].best == pytest.approx(44.55, abs=0.01)


def test_cases():
    assert c.case(Chassis.BLADE)[MADE].best == pytest.approx(85.9)
    assert c.case(Chassis.UNKNOWN) == c.case(Chassis.RACK)
    assert c.case(Chassis.RACK)[MADE] == Span(105.0, 150.0, 195.0)


@given(
    st.floats(1, 4000),
    st.sampled_from(["", "DDR3", "DDR4", "DDR5"]),
    st.integers(1, 256),
    st.lists(st.floats(20, 900), min_size=1, max_size=16),
)
def test_low_best_and_high_stand_in_order(gigabytes, kind, cores, dies):
    for footprint in (
        c.memory(gigabytes, kind),
        c.ssd(gigabytes),
        c.cpu_unknown(cores),
        c.cpu(tuple(dies)),
        c.psu(),
        c.hdd(),
        c.motherboard(),
        c.assembly(),
    ):
        for span in footprint.values():
            assert 0 < span.low <= span.best <= span.high


def test_cpus_of_the_catalogue():
    assert cpu_dies("skylake-sp", 20) == ((694.0,), cpu_dies("skylake-sp", 28)[1])
    assert sum(cpu_dies("zen2-epyc", 64)[0]) == 1008  # Hardwareluxx: 8 x 74 + 416
    assert cpu_dies("skylake-sp", 99) is None
    assert cpu_dies("skylake-sp", 0) is None
    assert cpu_dies("abacus", 4) is None


def test_every_row_has_a_source():
    assert all(entry.source and entry.licence and entry.what for entry in published())
    assert published_of("Dell Inc. PowerEdge R740").made_kilograms == 1313
    assert published_of("Dell Inc. PowerEdge R740xd") is None
    assert published_of("NVIDIA GB200") is None
    assert board("A100-SXM4-80GB") == board("NVIDIA A100-SXM4-80GB")
    assert board("GeForce 256") is None
