"""Modbus meters that answer as they should: maps, types, orders, roll-over, shared lines."""

import asyncio
import re
from pathlib import Path

import pytest
from hardware.modbus.server import Gateway
from hardware.modbus.unit import Unit
from hardware.power import Linear
from unit.collectors.modbus_rig import TOTAL, first, look, made, meter, run, until

from agent.collector import Absent
from agent.samples import MeterCounter
from agent.site.settings import Register
from collectors.modbus_maps import known_maps, maps

# What stands in a meter's registers, worked out by hand from its data sheet: the total (address,
# words in hex, function) and the rate, and what they are in J and W.
METERS = {
    # 1 234 567 890 123 Wh as INT64; 12.5 kW as FLOAT32 = 1.5625 x 2^3
    "schneider-pm5000": (
        ("holding", 3203, "0000 011F 71FB 04CB"),
        ("holding", 3059, "4148 0000"),
        1_234_567_890_123 * 3600.0,
        12_500.0,
    ),
    # 98 304 Wh = 1.5 x 2^16; 750 W = 1.46484375 x 2^9
    "janitza-umg": (
        ("holding", 19068, "47C0 0000"),
        ("holding", 19026, "443B 8000"),
        98_304 * 3600.0,
        750.0,
    ),
    # 4 295 067 295 x 0.01 kWh = 2^32 + 99 999; 123 456 x 0.01 W
    "abb-b": (
        ("holding", 0x5000, "0000 0001 0001 869F"),
        ("holding", 0x5B14, "0001 E240"),
        42_950_672.95 * 3.6e6,
        1234.56,
    ),
    # 1234.5 kWh = 1.20556640625 x 2^10; 2300 W = 1.123046875 x 2^11
    "eastron-sdm": (
        ("input", 72, "449A 5000"),
        ("input", 52, "450F C000"),
        1234.5 * 3.6e6,
        2300.0,
    ),
    "eastron-sdm-single": (
        ("input", 72, "449A 5000"),
        ("input", 12, "450F C000"),
        1234.5 * 3.6e6,
        2300.0,
    ),
    # 1 000 001 x 0.1 kWh = F4241h, low word first; 65 541 x 0.1 W = 10005h
    "gavazzi-em": (
        ("input", 0x34, "4241 000F"),
        ("input", 0x28, "0005 0001"),
        100_000.1 * 3.6e6,
        6554.1,
    ),
    # 1e9 Wh as FLOAT64 = 1.862645149230957 x 2^29; 100 W = 1.5625 x 2^6
    "siemens-pac": (
        ("holding", 801, "41CD CD65 0000 0000"),
        ("holding", 65, "42C8 0000"),
        1e9 * 3600.0,
        100.0,
    ),
    # 70 000 kWh = 11170h; 1234 x 0.01 kW
    "socomec-countis": (
        ("holding", 0xC652, "0001 1170"),
        ("holding", 0xC568, "0000 04D2"),
        70_000 * 3.6e6,
        12_340.0,
    ),
}


def unit_of(name, number=1):
    unit = Unit(number)
    for table, address, words in METERS[name][:2]:
        unit.put(address, words, table)
    return unit


@pytest.mark.parametrize("name", known_maps())
def test_each_shipped_map_end_to_end(name):
    total, rate = METERS[name][2:]
    with Gateway(unit_of(name)) as gateway:
        values, problems = look(meter(host=gateway.host, map=name))
    assert problems == {}
    assert values["m"] == (pytest.approx(total, rel=1e-12), pytest.approx(rate, rel=1e-12))


@pytest.mark.parametrize("framing", ["rtu", "serial"])
def test_rtu_frames_over_tcp_and_over_a_serial_line(framing):
    units = [unit_of(name, number) for number, name in enumerate(METERS, 1)]
    with Gateway(*units, framing=framing) as gateway:
        where = (
            {"serial": gateway.serial, "parity": "none", "baud": 115200}
            if framing == "serial"
            else {"host": gateway.host, "framing": "rtu"}
        )
        meters = [meter(name, unit_id=n, map=name, **where) for n, name in enumerate(METERS, 1)]
        values, problems = look(*meters)
    assert problems == {}
    expected = {
        name: (pytest.approx(total, rel=1e-12), pytest.approx(rate, rel=1e-12))
        for name, (_, _, total, rate) in METERS.items()
    }
    assert values == expected


def test_every_map_says_where_it_comes_from():
    assert set(maps()) == set(METERS)
    for found in maps().values():
        assert found.title
        assert all(len(source) > 30 for source in found.sources)
        assert found.sources


def test_the_documentation_has_every_map():
    page = (Path(__file__).parents[3] / "docs" / "meters-modbus.md").read_text(encoding="utf-8")
    for name in known_maps():
        assert re.search(rf'map = "{name}"', page), name


@pytest.mark.parametrize(
    ("register", "words", "value"),
    [
        ({"type": "uint16", "unit": "kWh"}, "FFFE", 65534 * 3.6e6),
        ({"type": "int16", "unit": "kWh"}, "7FFF", 32767 * 3.6e6),
        ({"type": "uint32"}, "8000 0000", 2147483648 * 3600.0),
        ({"type": "int32"}, "7FFF FFFE", 2147483646 * 3600.0),
        ({"type": "uint64", "unit": "J"}, "0000 0001 0000 0000", 4294967296.0),
        ({"type": "int64", "unit": "J"}, "0000 0001 0000 0000", 4294967296.0),
        ({"type": "float32", "unit": "kWh"}, "3FC0 0000", 1.5 * 3.6e6),
        ({"type": "float64", "unit": "kWh"}, "3FF8 0000 0000 0000", 1.5 * 3.6e6),
        ({"type": "uint32", "words": "little"}, "0002 0001", 65538 * 3600.0),
        ({"type": "float64", "words": "little"}, "0000 0000 0000 3FF8", 1.5 * 3600.0),
        ({"type": "uint32", "bytes": "little"}, "0100 0200", 65538 * 3600.0),
        ({"type": "float32", "bytes": "little", "words": "little"}, "0000 C03F", 1.5 * 3600.0),
        ({"type": "uint16", "scale": 0.1, "unit": "MWh"}, "000F", 1.5 * 3.6e9),
        ({"type": "uint16", "table": "input"}, "0003", 3 * 3600.0),
    ],
)
def test_types_and_orders(register, words, value):
    energy = Register(address=7, **register)
    unit = Unit(1)
    unit.put(7, words, energy.table)
    with Gateway(unit) as gateway:
        values, problems = look(meter(host=gateway.host, energy=energy))
    assert (values, problems) == ({"m": (pytest.approx(value, rel=1e-12), None)}, {})


@pytest.mark.parametrize(
    ("register", "wraps_at"),
    [
        ({"type": "uint16", "scale": 0.1, "unit": "kWh"}, 6553.6 * 3.6e6),
        ({"type": "int16", "unit": "kWh"}, 32768 * 3.6e6),
        ({"type": "uint32", "scale": 10.0}, 42_949_672_960 * 3600.0),
        ({"type": "int32", "scale": 0.1, "unit": "kWh"}, 214_748_364.8 * 3.6e6),
        ({"type": "uint32", "unit": "kWh", "wraps_at": 999_999.0}, 999_999 * 3.6e6),
        ({"type": "uint64"}, None),
        ({"type": "int64"}, None),
        ({"type": "float32"}, None),
        ({"type": "float64", "wraps_at": 1e12}, 1e12 * 3600.0),
    ],
)
def test_where_a_register_rolls_over(register, wraps_at):
    unit = Unit(1)
    unit.put(7, "0000 0000 0000 0000")

    async def work(collector):
        await collector._ask(collector.meters[0])
        return collector.take()

    with Gateway(unit) as gateway:
        energy = Register(address=7, **register)
        (sample,) = run(made(meter(host=gateway.host, energy=energy)), work)
    assert sample.wraps_at == (None if wraps_at is None else pytest.approx(wraps_at, rel=1e-12))


def test_a_total_that_rolls_over_is_handed_on_as_it_is():
    at = {"Wh": 2**32 - 2}
    unit = Unit(1)
    unit.live(100, "uint32", lambda: at["Wh"] % 2**32)

    async def work(collector):
        totals = []
        for _ in range(3):
            totals.append((await first(collector))["m"][0])
            at["Wh"] += 3
        return totals, collector.problems()

    with Gateway(unit) as gateway:
        totals, problems = run(made(meter(host=gateway.host, energy=TOTAL)), work)
    assert totals == [(2**32 - 2) * 3600.0, 1 * 3600.0, 4 * 3600.0]
    assert problems == []


def test_power_alone_is_a_rate():
    unit = Unit(1)
    unit.put(7, "0FA0")
    with Gateway(unit) as gateway:
        power = Register(address=7, type="uint16", unit="W")
        values, _ = look(meter(host=gateway.host, power=power))
    assert values == {"m": (None, 4000.0)}


def test_what_is_reported_is_what_was_true_along_a_script_of_power():
    now = {"t": 0.0}
    power = Linear(10_000.0, 5.0)  # from 10 kW, 5 W more each second
    unit = Unit(1)
    unit.meter(power, lambda: now["t"])

    async def work(collector):
        seen = []
        for _ in range(5):
            seen.append((await first(collector))["m"])
            now["t"] += 600.0
        return seen, collector.problems()

    with Gateway(unit) as gateway:
        seen, problems = run(made(meter(host=gateway.host)), work)
    assert problems == []
    # by hand: P = 10 kW + 5 W/s t; E = 10 kW t + 2.5 W/s t^2, in whole Wh
    assert [rate for _, rate in seen] == [10_000.0, 13_000.0, 16_000.0, 19_000.0, 22_000.0]
    watt_hours = [0, 1916, 4333, 7250, 10666]
    assert [total for total, _ in seen] == [each * 3600.0 for each in watt_hours]


def test_meters_of_one_gateway_share_a_connection_that_is_kept():
    units = [unit_of("abb-b", number) for number in (1, 2, 3)]
    with Gateway(*units) as gateway:
        meters = [meter(f"m{n}", unit_id=n, map="abb-b", host=gateway.host) for n in (1, 2, 3)]

        async def work(collector):
            for _ in range(4):
                assert len(await first(collector)) == 3
            return gateway.connections

        assert run(made(*meters), work) == 1
        assert [len(unit.asked) for unit in units] == [8, 8, 8]


def test_as_a_collector_it_asks_by_itself_and_hangs_up_when_closed():
    with Gateway(unit_of("abb-b")) as gateway:

        async def work(collector):
            samples = list(await collector.collect())
            while len(samples) < 6:
                await asyncio.sleep(0.01)
                samples += collector.take()
            collector.close()
            await until(lambda: gateway.open == 0)
            return samples

        samples = run(made(meter(host=gateway.host, map="abb-b")), work)
    totals = [sample for sample in samples if isinstance(sample, MeterCounter)]
    assert {sample.collector for sample in samples} == {"meter_modbus"}
    assert [sample.at for sample in totals] == sorted({sample.at for sample in totals})


def test_without_a_modbus_meter_it_is_absent_and_pymodbus_is_not_asked_for():
    with pytest.raises(Absent):
        run(made(), lambda collector: collector.collect())
