"""SNMPv2c against a real snmpd, and against peers that misbehave."""

import asyncio
import subprocess
import sys

import pytest
from hardware.snmp.agent import COMMUNITY, Agent, available, speaks_v6
from hardware.snmp.peers import Between, Silent
from hardware.snmp.rig import collector, loop, meter, poll, run

from agent.collector import Absent, Transient
from agent.samples import MeterCounter, MeterRate
from collectors.meter_snmp import known_maps

pytestmark = pytest.mark.skipif(not available(), reason="snmpd is not installed")
__all__ = ["loop"]
ENERGY = "1.3.6.1.4.1.99999.1.0"
POWER = "1.3.6.1.4.1.99999.2.0"
KWH = 3.6e6


def tree(energy="65|1000", power="66|250"):
    return f"{ENERGY}|{energy}\n{POWER}|{power}\n"


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    with Agent(tmp_path_factory.mktemp("snmpd")) as running:
        yield running


def made(agent, host="", **keys):
    keys = {"energy_oid": ENERGY, "power_oid": f".{POWER}", **keys}
    keys.setdefault("community_file", str(agent.community_file))
    return collector(meter(host or agent.host, **keys))


@pytest.mark.parametrize(
    ("energy", "keys", "total", "wraps_at"),
    [
        (
            "65|4294967290",
            {"energy_unit": "kWh", "energy_scale": 0.1},
            429_496_729.0,
            429_496_729.6,
        ),
        ("70|5000000000", {}, 5e6, 2**64 / 1e3),
        ("66|12345", {"energy_unit": "kWh"}, 12345.0, None),
        ("2|12345", {"energy_unit": "kWh"}, 12345.0, None),
        ("2|99", {"energy_unit": "kWh", "energy_scale": 0.1, "energy_wraps_at": 1e6}, 9.9, 1e6),
        ("4| 12.5 ", {"energy_unit": "kWh"}, 12.5, None),
    ],
)
def test_the_type_says_where_a_total_rolls_over(agent, energy, keys, total, wraps_at):
    agent.set(tree(energy))
    counter, rate = poll(made(agent, **keys))
    assert isinstance(counter, MeterCounter)
    assert counter.collector == "meter_snmp"
    assert counter.meter == "pdu"
    assert counter.total == pytest.approx(total * KWH, rel=1e-12)
    if wraps_at is None:
        assert counter.wraps_at is None
    else:
        assert counter.wraps_at == pytest.approx(wraps_at * KWH, rel=1e-12)
    assert rate == MeterRate("meter_snmp", "pdu", 1000.0, 250.0)


def test_a_counter32_rolls_over(agent):
    """5 before the end to 3 after it are 8 counts of 0.1 kWh."""
    read = made(agent, energy_unit="kWh", energy_scale=0.1)
    agent.set(tree("65|4294967291"))
    before = poll(read)[0]
    agent.set(tree("65|3"))
    after = poll(read)[0]
    assert after.total < before.total
    assert after.total + after.wraps_at - before.total == pytest.approx(0.8 * KWH, rel=1e-6)


@pytest.mark.parametrize(
    ("served", "why"),
    [
        (tree("4|twelve"), f"{ENERGY} is the text 'twelve', not a number"),
        (tree("6|1.3.6.1"), f"{ENERGY} is a ObjectIdentifier, not a number"),
        (f"{POWER}|66|250\n", f"has no energy_oid ({ENERGY}: noSuchInstance)"),
    ],
)
def test_one_bad_figure_does_not_harm_the_other(agent, served, why):
    agent.set(served)
    failure, rate = poll(made(agent))
    assert rate.per_second == 250.0
    assert failure.why == why
    assert failure.remedy


def test_a_negative_number_is_no_total(agent):
    agent.set(tree("2|-1"))
    with pytest.raises(Transient, match="its total is -1"):
        poll(made(agent))


def test_an_oid_outside_all_trees_is_named(agent):
    agent.set(tree())
    (failure,) = poll(made(agent, energy_oid="1.3.6.1.9.9", power_oid=""))
    assert failure.why == "has no energy_oid (1.3.6.1.9.9: noSuchObject)"


def fails(read):
    with pytest.raises(Transient) as caught:
        poll(read)
    return caught.value


def test_a_wrong_community_is_silence_and_never_told(agent):
    agent.set(tree())
    failure = fails(made(agent, community_file=agent.secret("another-secret"), timeout_seconds=0.5))
    assert failure.reason == "timeout"
    assert "silent, too, where the community is wrong" in failure.why
    assert "another-secret" not in f"{failure.why} {failure.remedy}"


def test_a_device_that_never_answers_is_told_in_time(agent):
    with Silent() as silent:
        failure = fails(made(agent, silent.host, timeout_seconds=0.5))
    assert failure.reason == "timeout"
    assert f"{silent.host} did not answer in SNMPv2c within 0.45 s" in failure.why


def test_a_device_is_missed_and_found_again(tmp_path):
    with Agent(tmp_path, tree()) as own:
        read = made(own, timeout_seconds=1.0)
        assert poll(read)[0].total == 1000 * 3600
        own.stop()
        assert fails(read).reason == "timeout"
        own.set(tree("65|2000"))
        own.start()
        assert poll(read)[0].total == 2000 * 3600


def test_a_lost_datagram_is_sent_again(agent):
    agent.set(tree())
    with Between(agent.port, lambda n, answer: [answer] if n else []) as between:
        assert poll(made(agent, between.host, timeout_seconds=2.0))[1].per_second == 250.0
        assert between.requests == 2


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(lambda answer: b"\x00\xff not SNMP", id="other bytes"),
        pytest.param(lambda answer: answer[: len(answer) // 2], id="half"),
        pytest.param(lambda answer: answer[:-1], id="all but one byte"),
        pytest.param(lambda answer: b"\x30\x84\x7f\xff\xff\xff", id="a length of 2 GB"),
        pytest.param(lambda answer: b"\x30\x80" * 200, id="nested without end"),
        pytest.param(lambda answer: answer.replace(b"\xa2", b"\xa0", 1), id="a request"),
        pytest.param(lambda answer: b"", id="nothing"),
    ],
)
def test_what_is_no_answer_is_not_taken_for_one(agent, before):
    agent.set(tree())
    with Between(agent.port, lambda _, answer: [before(answer), answer]) as between:
        assert poll(made(agent, between.host))[1].per_second == 250.0
    with Between(agent.port, lambda _, answer: [before(answer)]) as between:
        failure = fails(made(agent, between.host, timeout_seconds=0.5))
    assert failure.reason == "timeout"
    assert "did not answer in SNMPv2c" in failure.why


def test_an_answer_from_elsewhere_is_not_believed(agent):
    agent.set(tree())
    with Between(agent.port, lambda _, answer: [answer], from_elsewhere=True) as between:
        assert fails(made(agent, between.host, timeout_seconds=0.5)).reason == "timeout"
        assert between.requests


@pytest.mark.skipif(not speaks_v6(), reason="no IPv6 here")
def test_a_device_may_have_an_address_of_ipv6(tmp_path):
    with Agent(tmp_path, tree(), v6=True) as own:
        assert poll(made(own, f"[::1]:{own.port}"))[1].per_second == 250.0
        assert poll(made(own, f"localhost:{own.port}"))[1].per_second == 250.0


def test_a_name_that_nobody_knows_is_told(agent):
    failure = fails(made(agent, "a..b"))  # no label of a name is empty: never asked of DNS
    assert failure.reason == "io"
    assert failure.why.startswith("a..b: cannot be reached (")


def test_an_old_answer_is_not_taken_for_a_new_one(agent):
    kept = []

    def repeat(n, answer):
        kept.append(answer)
        return [kept[0], answer] if n else [answer]

    with Between(agent.port, repeat) as between:
        read = made(agent, between.host)
        agent.set(tree("65|1"))
        assert poll(read)[0].total == 3600
        agent.set(tree("65|2"))
        assert poll(read)[0].total == 7200


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"energy_oid": "", "power_oid": ""}, "neither map nor energy_oid nor power_oid is set"),
        ({"energy_oid": "pduTotalEnergy.1"}, "energy_oid 'pduTotalEnergy.1' is no OID in numbers"),
        ({"energy_oid": "1.40.1"}, "energy_oid '1.40.1' is no OID in numbers"),
        ({"energy_oid": "1.3"}, "energy_oid '1.3' is no OID in numbers"),
        ({"map": "apc-rpdu2"}, "both a map and an OID of its own are set"),
        ({"index": "1"}, "index is set, but no map"),
        ({"map": "apc", "energy_oid": "", "power_oid": ""}, "map 'apc' is not shipped"),
        (
            {"map": "raritan-px", "index": "1", "energy_oid": "", "power_oid": ""},
            "index '1' does not fit map 'raritan-px'",
        ),
        (
            {"map": "ups-mib", "index": "1", "energy_oid": "", "power_oid": ""},
            "map 'ups-mib' has no index",
        ),
        ({"host": "10.0.0.1:pdu"}, "'10.0.0.1:pdu' is no address"),
        ({"energy_unit": "kwh"}, "did you mean kWh?"),
    ],
)
def test_settings_that_cannot_be_are_named(agent, keys, why):
    agent.set(tree())
    failure = fails(made(agent, **keys))
    assert failure.reason == "settings"
    assert why in failure.why
    assert failure.remedy


@pytest.mark.parametrize("content", [None, ""])
def test_a_file_without_a_community_is_named(agent, content, tmp_path):
    path = tmp_path / "community"
    if content is not None:
        path.write_text(content)
    failure = fails(made(agent, community_file=str(path)))
    assert str(path) in failure.why
    assert failure.reason in {"permission", "settings"}


def test_one_hanging_device_harms_no_other(agent):
    agent.set(tree())
    keys = {"energy_oid": ENERGY, "community_file": str(agent.community_file)}

    async def look(silent):
        both = collector(
            meter(silent.host, name="hangs", timeout_seconds=0.3, **keys),
            meter(agent.host, name="good", interval_seconds=0.01, timeout_seconds=5.0, **keys),
        )
        try:
            samples = list(await both.collect())
            problems = both.problems()
            while len(samples) < 3:  # the good one goes on at its own pace
                await asyncio.sleep(0.01)
                samples += await both.collect()
        finally:
            both.close()
        return samples, problems

    with Silent() as silent:
        samples, problems = run(look(silent))
    assert {sample.meter for sample in samples} == {"good"}
    assert [(problem.what, problem.reason) for problem in problems] == [("hangs", "timeout")]


def test_without_meters_there_is_nothing():
    with pytest.raises(Absent, match='source = "snmp"'):
        run(collector().collect())


def test_without_pysnmp_the_remedy_is_named(agent, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("pysnmp")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "pysnmp", None)
    monkeypatch.delitem(sys.modules, "collectors.snmp_engine", raising=False)
    failure = fails(made(agent))
    assert failure.why == "pysnmp is not installed"
    assert failure.remedy == "pip install 'wattlas[site]'"


def test_pysnmp_is_not_imported_before_it_is_needed():
    code = (
        "import sys; from collectors.meter_snmp import known_maps; print(known_maps());"
        "assert not {'pysnmp', 'pyasn1', 'cryptography'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(known_maps())


def test_the_community_is_in_no_message(agent):
    agent.set("")
    (first, second) = poll(made(agent))
    assert COMMUNITY not in f"{first.why}{first.remedy}{second.why}{second.remedy}"
