"""Shipped maps against walks of devices, served by a real snmpd; figures worked by hand."""

from pathlib import Path

import pytest
from hardware.snmp.agent import Agent, available
from hardware.snmp.rig import collector, loop, meter, poll

from agent.samples import MeterCounter, MeterRate
from collectors.meter_snmp import known_maps
from collectors.snmp_maps import MAPS

pytestmark = pytest.mark.skipif(not available(), reason="snmpd is not installed")
__all__ = ["loop"]
WALKS = Path(__file__).parents[2] / "fixtures" / "snmp"
KWH = 3.6e6


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    with Agent(tmp_path_factory.mktemp("snmpd")) as running:
        yield running


def read(agent, folder, name, edit=lambda text: text, **keys):
    agent.set(edit((WALKS / folder / "walk.snmprec").read_text()))
    made = collector(meter(agent.host, map=name, community_file=str(agent.community_file), **keys))
    return poll(made)


@pytest.mark.parametrize(
    ("folder", "name", "keys", "joules", "wraps_at", "watts"),
    [
        # 17098.2 kWh; 6.13 kW
        ("apc-rpdu2", "apc-rpdu2", {}, 17098.2 * KWH, None, 6130.0),
        ("eaton-epdu-g3", "eaton-epdu", {}, 1234.567 * KWH, None, 1234.0),
        ("enlogic", "enlogic", {}, 9876.5 * KWH, None, 2750.0),
        # 74 057 676 Wh; a Gauge32, of which the MIB says that it wraps
        ("raritan-px3-5493u", "raritan-px", {}, 266_607_633_600.0, 2**32 * 3600.0, 1665.0),
        ("raritan-px3-5493u", "raritan-px", {"index": "1.1"}, 2.666076336e11, 2**32 * 3600, 1665.0),
        ("raritan-dominion-px", "raritan-px", {}, None, None, 138.0),
        # 8937 tenths of a kWh
        ("servertech-sentry4", "servertech-sentry4", {}, 893.7 * KWH, None, 1701.0),
        ("ups-rfc1628", "ups-mib", {}, None, None, 9100.0),
        ("vertiv-gu2", "vertiv-geist", {}, 9998.999 * KWH, None, 5432.0),
        # the second unit of a chain, which does not measure watts
        ("eaton-epdu-g3", "eaton-epdu", {"index": "2.1"}, 4 * KWH, None, None),
    ],
)
def test_a_map_gives_the_figures_of_its_devices(agent, folder, name, keys, joules, wraps_at, watts):
    samples = read(agent, folder, name, **keys)
    totals = [s for s in samples if isinstance(s, MeterCounter)]
    rates = [s for s in samples if isinstance(s, MeterRate)]
    assert len(totals) + len(rates) == len(samples)
    assert [s.total for s in totals] == (
        [] if joules is None else [pytest.approx(joules, rel=1e-12)]
    )
    assert [s.wraps_at for s in totals] == ([] if joules is None else [wraps_at])
    assert [s.per_second for s in rates] == ([] if watts is None else [pytest.approx(watts)])


def test_every_map_was_read_from_a_walk():
    tested = test_a_map_gives_the_figures_of_its_devices.pytestmark[0].args[1]
    assert {case[1] for case in tested} == set(known_maps()) == set(MAPS)


def test_decimal_digits_of_the_device_count(agent):
    def two_digits(text):
        return text.replace("3.3.4.1.7.1.1.5|66|0", "3.3.4.1.7.1.1.5|66|2").replace(
            "3.3.4.1.7.1.1.8|66|0", "3.3.4.1.7.1.1.8|66|1"
        )

    total, rate = read(agent, "raritan-px3-5493u", "raritan-px", two_digits)
    assert rate.per_second == pytest.approx(16.65)
    assert total.total == pytest.approx(7_405_767.6 * 3600)
    assert total.wraps_at == pytest.approx(429_496_729.6 * 3600)


@pytest.mark.parametrize(
    ("folder", "name", "keys", "old", "new", "says"),
    [
        (  # a VA sensor where watts are expected
            "raritan-px3-5493u",
            "raritan-px",
            {},
            "6.3.3.4.1.6.1.1.5|2|3",
            "6.3.3.4.1.6.1.1.5|2|4",
            "in unit 4, which is not W",
        ),
        (  # both sensors not available
            "raritan-px3-5493u",
            "raritan-px",
            {},
            "5.2.3.1.2.1.1.5|2|1",
            "5.2.3.1.2.1.1.5|2|2",
            None,
        ),
        ("vertiv-gu2", "vertiv-geist", {"index": "2"}, "", "", "is not available now"),
        ("apc-rpdu2", "apc-rpdu2", {}, "|613", "|-1", None),
        ("apc-rpdu2", "apc-rpdu2", {"index": "4"}, "", "", "has no rPDU2DeviceStatusEnergy"),
        ("apc-rpdu2", "apc-rpdu2", {}, "|2|613", "|4|none", "is the text 'none', not a number"),
        ("ups-rfc1628", "ups-mib", {}, "4.3.0|2|3", "4.3.0|2|0", None),
        (
            "ups-rfc1628",
            "ups-mib",
            {},
            "4.4.1.4.2|2|2950",
            "4.4.1.9.2|2|1",
            "has no upsOutputPower",
        ),
    ],
)
def test_what_is_not_measured_is_never_zero(agent, folder, name, keys, old, new, says):
    def edit(text):
        assert old in text
        return text.replace(old, new) if old else text

    if old.endswith("4.3.0|2|3"):
        with pytest.raises(Exception, match="gives 0 as its number of phases"):
            read(agent, folder, name, edit, **keys)
        return
    parts = read(agent, folder, name, edit, **keys)
    failures = [p for p in parts if not isinstance(p, MeterCounter | MeterRate)]
    if says is None:  # only the energy is left, and that is no failure
        assert [type(p) for p in parts] == [MeterCounter]
    else:
        assert any(says in failure.why for failure in failures)
        assert all(p.per_second != 0 for p in parts if isinstance(p, MeterRate))
        assert all(failure.remedy for failure in failures)


def test_a_ups_that_does_not_measure_power_says_so(agent):
    def no_power(text):
        for watts in ("3100", "2950", "3050"):
            text = text.replace(f"|{watts}", "|0")
        return text

    (failure,) = read(agent, "ups-rfc1628", "ups-mib", no_power)
    assert failure.why == "says 0 for upsOutputPower while a current flows: not measured"

    def idle(text):
        return no_power(text).replace("|140", "|0").replace("|133", "|0").replace("|137", "|0")

    (rate,) = read(agent, "ups-rfc1628", "ups-mib", idle)
    assert rate.per_second == 0.0
