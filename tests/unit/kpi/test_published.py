"""Worked examples that somebody has published, reproduced to the precision they print.

Where a text could not be read itself, the one that quotes it is named. ITEUsv and DCeP have a
published formula only: no worked example with figures was found, and theirs are worked by hand.
"""

import pytest
from unit.kpi.sites import KWH, YEAR, by_category, kwh, meter, one, only, site

from agent.kpi.carbon_water import cue
from agent.kpi.compose import site_kpis
from agent.kpi.fleet import Fleet
from agent.kpi.pue import dcie, itue, ppue, pue, tue
from agent.kpi.shares import cer, erf, ref
from agent.site.cells import Cell
from agent.site.settings import Partial, Servers


def test_pue_and_dcie_of_a_calculator():
    # calculatorlib.com/data-center-pue-calculator, "Worked Example": 1,500 kW over 1,000 kW
    found = site_kpis(
        site(meter("utility", "total"), meter("pdu", "it")),
        {"utility": kwh(1500), "pdu": kwh(1000)},
        YEAR,
    )
    assert only(found, "PUE").value == pytest.approx(1.5)
    assert f"{only(found, 'DCiE').value:.2%}" == "66.67%"


def test_partial_pue_is_not_pue_white_paper_49():
    # The Green Grid, white paper 49 (2012), section 7, as quoted in a public note on the standard:
    # a container with 25 MWh UPS loss and 475 MWh IT has pPUE 1.05; with 25 MWh transformer loss
    # and 75 MWh chillers outside of it the site's PUE is 600 / 475 = 1.26
    found = site_kpis(
        site(
            meter("utility", "total"),
            meter("container", "it"),
            meter("ups-loss", "none"),
            partial=(Partial(name="container", infrastructure=("ups-loss",), it=("container",)),),
        ),
        {"utility": kwh(600e3), "container": kwh(475e3), "ups-loss": kwh(25e3)},
        YEAR,
    )
    pues = by_category(found, "PUE")
    assert f"{pues['pPUE container'].value:.2f}" == "1.05"
    assert f"{pues['PUE2'].value:.2f}" == "1.26"
    assert f"{ppue(25.0, 475.0):.2f}" == "1.05"


def test_pue_rises_when_servers_get_better_and_tue_falls():
    # Patterson et al., ISC 2013, section 2, as quoted in the same note: servers go from 330 W to
    # 266 W, the building stays at 1.99 MW, so the site goes from 5.3 to about 4.66 MW; PUE rises
    # from 1.6, TUE falls from 2.67 to 2.33. 10,000 servers make 1.99 + 3.3 = 5.3.
    # TUE = ITUE x PUE with their rounded 1.67 x 1.6 and 1.34 x 1.74.
    before, after = pue(1.99e6 + 3.30e6, 3.30e6), pue(1.99e6 + 2.66e6, 2.66e6)
    assert f"{before:.1f}" == "1.6"
    assert f"{1.99 + 3.30:.1f}" == "5.3"
    # they print 1.74, from figures less rounded than the published ones, which give 1.748
    assert after == pytest.approx(1.74, abs=0.01)
    assert after > before
    assert f"{tue(1.67, 1.6):.2f}" == "2.67"
    assert f"{tue(1.34, 1.74):.2f}" == "2.33"
    compute = 3.30e6 / 1.67
    assert f"{itue(3.30e6, compute):.2f}" == "1.67"
    assert f"{itue(2.66e6, compute):.2f}" == "1.35"  # rounded inputs again: they print 1.34


def test_cue_of_a_small_site():
    # matteriality.io, "Please provide the CUE": 1000 kg and 1000 kWh of IT energy make 1
    assert cue(1000.0, 1000 * KWH) == pytest.approx(1.0)


def test_cue_of_a_finnish_handbook():
    # a Finnish guide to green data centres, section P7.3: 50 MWh in a month at 40 g/kWh are
    # 2 t CO2e, and CUE is 0.04 kg/kWh. It sets emissions of IT energy against itself: PUE is 1
    found = site_kpis(
        site(meter("grid", "total", carbon_kilograms_per_kwh=0.040), meter("pdu", "it")),
        {"grid": kwh(50e3), "pdu": kwh(50e3)},
        YEAR,
    )
    kpi = only(found, "CUE")
    assert f"{kpi.value:.2f}" == "0.04"
    assert kpi.inputs[0].amount == pytest.approx(2000.0)


def test_cue_is_pue_times_the_factor_white_paper_32():
    # The Green Grid, white paper 32: with one source of energy CUE = CEF x PUE
    found = site_kpis(
        site(meter("grid", "total", carbon_kilograms_per_kwh=0.5306), meter("pdu", "it")),
        {"grid": kwh(1500), "pdu": kwh(1000)},
        YEAR,
    )
    assert only(found, "CUE").value == pytest.approx(0.5306 * only(found, "PUE").value)


@pytest.mark.parametrize(
    ("taken", "returned", "it", "printed"),
    [(9_500_000, 2_500_000, 4_200_000, "1.667"), (3_800_000, 400_000, 2_750_000, "1.236")],
)
def test_wue_less_what_is_given_back(taken, returned, it, printed):
    # calcsimpler.com/calculators/data-center-water-usage-effectiveness, both examples
    found = site_kpis(
        site(meter("mains", "water_in"), meter("back", "water_out"), meter("ups", "ups")),
        {"mains": one(taken), "back": one(returned), "ups": kwh(it)},
        YEAR,
    )
    assert f"{by_category(found, 'WUE')['WUE2 IT1'].value:.3f}" == printed


def test_ref_has_a_maximum_of_one():
    # EN 50600-4-3:2016, public extract: "REF shall have a maximum value of 1,00"; own generation
    # beyond the need of the data centre does not count. (nlyte.com has an example with
    # 10,000,000 kWh and 1,000,000 kWh made on the site; that share of it is 0.1.)
    assert ref(1_000_000 * KWH, 10_000_000 * KWH) == pytest.approx(0.1)
    assert ref(12_000_000 * KWH, 10_000_000 * KWH) == 1.0


def test_erf_of_a_finnish_handbook():
    # the same guide, section P6.4: 60 MWh of 100 MWh into district heating make ERF 0.6
    found = site_kpis(
        site(meter("grid", "total"), meter("district", "reused_heat")),
        {"grid": kwh(100e3), "district": kwh(60e3)},
        YEAR,
    )
    assert f"{only(found, 'ERF').value:.1f}" == "0.6"


def test_erf_gives_the_green_grids_ere():
    # The Green Grid, white paper 29, as quoted by Ray, arXiv:1208.0593: ERE = (1 - ERF) x PUE, and
    # a PUE of 1.2 with 17 % reused makes 1.0
    total, it, reused = 1200.0, 1000.0, 204.0
    assert f"{(1 - erf(reused, total)) * pue(total, it):.1f}" == "1.0"
    # calcsimpler.com/calculators/energy-reuse-effectiveness: 1,250,000, 820,000, 210,000 kWh: 1.27
    ere = (1 - erf(210_000.0, 1_250_000.0)) * pue(1_250_000.0, 820_000.0)
    assert f"{ere:.2f}" == "1.27"


def test_cer_of_coolmuc():
    # Energie & Technik (2014), on the chillers of CoolMUC at the LRZ: 42 kWh of cold for 12 kWh of
    # electricity are a COP of 3.5. (With adsorption 50 for 12.7, printed as 3.95: 3.94.)
    assert f"{cer(42 * KWH, 12 * KWH):.1f}" == "3.5"
    assert cer(50 * KWH, 12.7 * KWH) == pytest.approx(3.95, abs=0.02)
    found = site_kpis(
        site(meter("cold", "removed_heat"), meter("chillers", "cooling")),
        {"cold": kwh(42), "chillers": kwh(12)},
        YEAR,
    )
    assert f"{only(found, 'CER').value:.1f}" == "3.5"


def test_iteesv_of_two_published_servers():
    # SPECpower_ssj2008 results of ASUS RS720-E9/RS8 (2018-12-06: 5,386,401 ssj_ops and 385 W at
    # 100 %) and RS720Q-E9-RS8 (2019-05-10: 19,257,841 and 1,417 W). The sum over two of the first
    # and one of the second is worked by hand: 30,030,643 / 2,187 = 13,731.4, not the mean of the
    # ratios 13,990.7 and 13,590.6
    found = site_kpis(
        site(
            servers=(
                Servers(
                    model="RS720",
                    count=2,
                    max_performance=5_386_401,
                    max_power_watts=385,
                    benchmark="ssj2008",
                ),
                Servers(
                    model="RS720Q",
                    max_performance=19_257_841,
                    max_power_watts=1417,
                    benchmark="ssj2008",
                ),
                Servers(model="storage"),
            )
        ),
        {},
        YEAR,
    )
    kpi = only(found, "ITEEsv")
    assert f"{kpi.value:.1f}" == "13731.4"
    assert (kpi.category, kpi.note) == ("ssj2008", "of 3 of 4 servers")


@pytest.mark.parametrize(
    ("gigaflops", "kilowatts", "printed"),
    [(167_300.0, 497.60, "336.21")],
)
def test_ce_of_the_green500(gigaflops, kilowatts, printed):
    # Green500, November 2007, rank 4: JUGENE, 497.60 kW, 336.21 MFLOPS/W; its Rmax in the TOP500
    # of the same month is 167.3 TFLOPS. CE is the same ratio over a data centre's servers
    found = site_kpis(
        site(
            servers=(
                Servers(
                    model="Blue Gene/P",
                    peak_gigaflops=gigaflops,
                    max_power_watts=kilowatts * 1e3,
                    precision="fp64",
                ),
            )
        ),
        {},
        YEAR,
    )
    kpi = only(found, "CE")
    assert f"{kpi.value * 1e3:.2f}" == printed
    assert (kpi.unit, kpi.category) == ("GFLOPS/W", "fp64 peak")


def test_iteusv_by_hand():
    # by hand: 3 servers at 10, 20 and 60 % for a year, and one that came for the second half, 50 %:
    # (0.9 x 8760 + 0.5 x 4380) / (3 x 8760 + 4380) = 10074 / 30660
    hours = 3600.0
    half = YEAR.start + YEAR.seconds / 2
    busy = [
        Cell(YEAR.start, half, 0.9 * 4380 * hours, YEAR.seconds / 2),
        Cell(half, YEAR.end, (0.9 + 0.5) * 4380 * hours, YEAR.seconds / 2),
    ]
    present = [
        Cell(YEAR.start, half, 3 * 4380 * hours, YEAR.seconds / 2),
        Cell(half, YEAR.end, 4 * 4380 * hours, YEAR.seconds / 2),
    ]
    kpi = only(site_kpis(site(), {}, YEAR, Fleet(busy=busy, present=present)), "ITEUsv")
    assert kpi.value == pytest.approx(10074 / 30660)
    assert kpi.inputs[1].amount == pytest.approx(30660)


def test_dcep_by_hand():
    # by hand: 9 million tokens for 1500 kWh, of which 1000 kWh went into IT
    found = site_kpis(
        site(meter("utility", "total"), meter("pdu", "it")),
        {"utility": kwh(1500), "pdu": kwh(1000)},
        YEAR,
        Fleet(work={"tokens": one(9e6)}),
    )
    assert (only(found, "DCeP").value, only(found, "DCeP").unit) == (6000.0, "tokens/kWh")
    assert only(found, "work/E_IT").value == 9000.0


def test_dcie_is_the_inverse():
    assert dcie(1500.0, 1000.0) * pue(1500.0, 1000.0) == pytest.approx(1.0)
