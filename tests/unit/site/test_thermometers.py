"""Temperatures of a site: settings, units, each source on loopback, what is shown and what not."""

import asyncio
import re

import msgspec
import pytest
from hardware.modbus.server import Gateway
from hardware.modbus.unit import Unit
from hardware.pages import Pages
from hardware.snmp.agent import Agent, available
from unit.collectors.modbus_rig import made as modbus
from unit.collectors.modbus_rig import run as run_modbus
from unit.collectors.trees import Clock, context

from agent.cli.check_site import site_findings
from agent.collector import Context, Found, Paths, Transient
from agent.kpi.compose import site_kpis
from agent.kpi.period import Period
from agent.quantities import Seconds
from agent.quarters import Quarters
from agent.report.missing import covers
from agent.samples import MeterCounter, MeterTemperature
from agent.session import Session
from agent.settings import parse
from agent.settings_error import SettingsError
from agent.site.book import BookState, SiteBook
from agent.site.cells import Cell
from agent.site.settings import (
    HttpMeter,
    ModbusMeter,
    PrometheusMeter,
    Register,
    SiteSettings,
    SnmpMeter,
)
from agent.site.units import celsius, unit_of
from agent.site.words import Quantity, Role
from collectors.meter_http import MeterHttp
from collectors.meter_prometheus import MeterPrometheus
from collectors.meter_snmp import MeterSnmp
from collectors.metering import MeteringSettings
from exporters.prometheus import PrometheusPages

OUTSIDE = Role.OUTSIDE_TEMPERATURE
ROOF = """
[site]
name = "gz-1"
[[site.meter]]
name = "roof"
role = "outside_temperature"
"""
HTTP = ROOF + 'source = "http"\nurl = "http://m/"\n'
MODBUS = ROOF + 'source = "modbus"\nhost = "h"\n'
SNMP = ROOF + 'source = "snmp"\nhost = "h"\n'
PROMETHEUS = ROOF + 'source = "prometheus"\nurl = "http://m/"\nmetric = "t"\n'
FEED = '[[site.meter]]\nname = "feed"\nrole = "total"\nsource = "http"\nurl = "u"\nenergy = "/e"\n'


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        HTTP + 'temperature = "/t"',
        HTTP.replace("outside_temperature", "supply_air_temperature") + 'temperature = "/t"',
        HTTP + 'temperature = "/t"\ntemperature_unit = "F"',
        MODBUS + 'temperature = { address = 7, type = "int16", scale = 0.1, unit = "C" }',
        SNMP + 'temperature_oid = "1.3.6.1.4.1.9.1"\ntemperature_scale = 0.1',
        PROMETHEUS + 'unit = "°C"',
    ],
)
def test_what_a_thermometer_may_have(text):
    assert "_temperature" in parse(text, None, {}).site.meter[0].role.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HTTP, "site.meter.0.temperature: say where the temperature is"),
        (HTTP + 'power = "/p"\ntemperature = "/t"', "site.meter.0.power: a thermometer has none"),
        (HTTP + 'temperature = "/t"\nkwh_per_unit = 2.0', "kwh_per_unit: a thermometer has none"),
        (HTTP + 'temperature = "/t"\ntemperature_unit = "c"', 'choose "C" or "F" or "K"'),
        (MODBUS + 'map = "abb-b"', "site.meter.0.temperature: say where"),
        (MODBUS + "temperature = { address = 7 }", "Wh measures energy, but .* role is temperat"),
        (SNMP + 'map = "raritan-px"', "site.meter.0.temperature_oid: say where"),
        (PROMETHEUS, "J measures energy, but the meter's role is temperature"),
        (ROOF + 'source = "csv"\nfile = "f"', "site.meter.0.role: a temperature is read from a"),
        (ROOF + 'source = "virtual"\nadd = ["x"]', "site.meter.0.role: a temperature is read"),
        (
            HTTP.replace("outside_temperature", "total") + 'energy = "/e"\ntemperature = "/t"',
            "temperature: belongs to a meter whose role is a temperature",
        ),
        (
            HTTP.replace("outside_temperature", "total") + 'energy = "/e"\nenergy_unit = "C"',
            "C measures temperature, but the meter's role is energy",
        ),
        (
            HTTP + 'temperature = "/t"\n[[site.meter]]\nname = "sum"\nrole = "it"\n'
            'source = "virtual"\nadd = ["roof"]',
            "site.meter.1.add: roof measures something else than sum",
        ),
        (
            HTTP + 'temperature = "/t"\n[[site.meter]]\nname = "bill"\nsource = "csv"\n'
            'file = "f"\ninvoices = ["roof"]',
            "site.meter.1.invoices: roof is a thermometer",
        ),
        (
            HTTP + 'temperature = "/t"\n' + FEED + '[[site.partial]]\nname = "hall"\n'
            'infrastructure = ["roof"]\nit = ["feed"]',
            "site.partial.0.infrastructure: roof is a thermometer",
        ),
    ],
)
def test_what_does_not_fit_a_thermometer_is_named(text, message):
    with pytest.raises(SettingsError) as caught:
        parse(text, None, {})
    assert re.search(message, str(caught.value)), caught.value


# -- units -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "unit", "degrees"),
    [
        (21.5, "C", 21.5), (-12.25, "°C", -12.25), (0.0, "celsius", 0.0), (32.0, "F", 0.0),
        (-40.0, "F", -40.0), (98.6, "°F", 37.0), (273.15, "K", 0.0), (250.0, "K", -23.15),
    ],
)  # fmt: skip
def test_scales_of_temperature(number, unit, degrees):
    assert celsius(number, unit_of(unit)) == pytest.approx(degrees, abs=1e-12)


@pytest.mark.parametrize(
    ("number", "unit"), [(-127.0, "C"), (3276.7, "C"), (-999.0, "F"), (0.0, "K"), (250.0, "F")]
)
def test_what_no_air_has(number, unit):
    with pytest.raises(ValueError, match="which no air has"):
        celsius(number, unit_of(unit))


# -- sources ---------------------------------------------------------------------------------------


def polled(cls, meter):
    """Return what asking a thermometer once gives."""
    nowhere = Paths()

    async def ask():
        full = context(nowhere.sysfs, Clock())
        site = SiteSettings(meter=(meter,))
        collector = cls(
            MeteringSettings(),
            Context(nowhere, full.clock, full.latest_utilization, site=site),
        )
        try:
            (part,) = await collector.poll(meter)
            return part if isinstance(part, Transient) else collector.sample(meter, part)
        finally:
            collector.close()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    return asyncio.run(ask())


def test_json_over_http():
    with Pages() as pages:
        pages.set('{"weather": {"out": 14.0}}')
        keys = {"temperature": "/weather/out", "temperature_unit": "F"}
        found = polled(MeterHttp, HttpMeter(name="roof", role=OUTSIDE, url=pages.url(), **keys))
        assert isinstance(found, MeterTemperature)
        assert found.celsius == pytest.approx(-10.0)
        pages.set('{"weather": {"out": null}}')
        failure = polled(MeterHttp, HttpMeter(name="roof", role=OUTSIDE, url=pages.url(), **keys))
    assert isinstance(failure, Transient)


def test_a_series_of_a_page():
    with Pages() as pages:
        pages.set('outside{at="roof"} 2981.5\noutside{at="hall"} 3001\n')
        meter = PrometheusMeter(
            name="roof",
            role=OUTSIDE,
            url=pages.url("/metrics"),
            metric='outside{at="roof"}',
            unit="K",
            scale=0.1,
        )
        assert polled(MeterPrometheus, meter).celsius == pytest.approx(25.0)


@pytest.mark.parametrize(
    ("register", "words", "degrees"),
    [
        ({"type": "int16", "scale": 0.1, "unit": "C"}, "FF9C", -10.0),  # -100
        ({"type": "int16", "scale": 0.1, "unit": "C"}, "0000", 0.0),
        ({"type": "float32", "unit": "F"}, "42C5 3333", 37.0),  # 98.6
        ({"type": "uint16", "scale": 0.01, "unit": "K"}, "724B", 19.44),  # 29 259
    ],
)
def test_modbus(register, words, degrees):
    unit = Unit(1)
    unit.put(7, words)
    register = Register(address=7, **register)

    async def ask(collector):
        await collector._ask(collector.meters[0])
        assert not collector.problems()
        return collector.take()

    with Gateway(unit) as gateway:
        meter = ModbusMeter(name="roof", role=OUTSIDE, host=gateway.host, temperature=register)
        (sample,) = run_modbus(modbus(meter), ask)
    assert sample.celsius == pytest.approx(degrees, abs=1e-4)


def test_a_wrong_type_of_register_is_seen():
    """-10.0 degC as an unsigned number is 6543.6 degC."""
    unit = Unit(1)
    unit.put(7, "FF9C")

    async def ask(collector):
        await collector._ask(collector.meters[0])
        return collector.take(), [problem.why for problem in collector.problems()]

    register = Register(address=7, type="uint16", scale=0.1, unit="C")
    with Gateway(unit) as gateway:
        meter = ModbusMeter(name="roof", role=OUTSIDE, host=gateway.host, temperature=register)
        found = run_modbus(modbus(meter), ask)
    assert found == ([], ["its temperature is 6543.6 C, which no air has"])


@pytest.mark.skipif(not available(), reason="snmpd is not installed")
def test_snmp(tmp_path):
    oid = "1.3.6.1.4.1.99999.7.0"
    with Agent(tmp_path) as agent:
        agent.set(f"{oid}|2|-35\n")
        meter = SnmpMeter(
            name="roof",
            role=OUTSIDE,
            host=agent.host,
            community_file=str(agent.community_file),
            temperature_oid=oid,
            temperature_scale=0.1,
            timeout_seconds=10.0,
        )
        assert polled(MeterSnmp, meter).celsius == pytest.approx(-3.5)


# -- the book --------------------------------------------------------------------------------------


def book_of(*meters, state=None):
    table = [{"source": "http", "url": "http://m"} | keys for keys in meters]
    site = msgspec.convert({"name": "gz-1", "meter": table, "interval_seconds": 10.0}, SiteSettings)
    quarters = Quarters()
    book = SiteBook(site, quarters, state)
    book.begin("boot-1")
    return book, quarters


THERMOMETER = {"name": "roof", "role": "outside_temperature", "temperature": "/t"}


def test_the_newest_is_shown_until_the_meter_is_silent():
    book, quarters = book_of(THERMOMETER)
    assert book.views(0.0, 0.0) == []
    for at, degrees in ((10.0, 1.5), (20.0, -3.25)):
        book.take(MeterTemperature("meter_http", "roof", Seconds(at), degrees), at, 1e9 + at)
        book.settle(at, 1e9 + at)
    (view,) = book.views(55.0, 1e9 + 55.0)  # 3.5 intervals of 10 s
    assert (view.quantity, view.celsius, view.silent_seconds) == (
        Quantity.TEMPERATURE,
        -3.25,
        35.0,
    )
    (view,) = book.views(56.0, 1e9 + 56.0)
    assert (view.celsius, view.silent_seconds) == (None, 36.0)
    book.settle(4000.0, 1e9 + 4000.0)
    (view,) = book.views(4000.0, 1e9 + 4000.0)
    assert (view.amount, view.rate, view.gap_seconds, view.resets) == (0.0, None, 0.0, 0)
    assert quarters.peek() == []


def test_a_restart_knows_how_long_it_has_been_silent_but_not_the_temperature():
    book, _ = book_of(THERMOMETER)
    book.take(MeterTemperature("meter_http", "roof", Seconds(10.0), 21.0), 10.0, 1e9)
    body = msgspec.msgpack.encode(book.state)
    again, _ = book_of(THERMOMETER, state=msgspec.msgpack.decode(body, type=BookState))
    (view,) = again.views(12.0, 1e9 + 2.0)
    assert (view.celsius, view.silent_seconds) == (None, 2.0)


def test_a_meter_that_becomes_a_thermometer_has_no_gap_of_the_past():
    book, quarters = book_of({"name": "roof", "role": "total", "energy": "/e"})
    book.take(MeterCounter("meter_http", "roof", Seconds(0.0), 5.0), 0.0, 1e9)
    other, _ = book_of(THERMOMETER, state=book.state)
    other.take(MeterTemperature("meter_http", "roof", Seconds(9.0), 21.0), 9.0, 1e9 + 9.0)
    other.settle(900.0, 1e9 + 900.0)
    assert other.views(900.0, 1e9 + 900.0)[0].gap_seconds == 0.0
    assert quarters.peek() == []


# -- what is shown, and what not -------------------------------------------------------------------


def test_the_agent_shows_it_and_check_too():
    with Pages() as pages:
        pages.set('{"t": -7.5}')
        text = HTTP.replace("http://m/", pages.url()) + 'temperature = "/t"\nnote = "north side"\n'
        found = Found({"meter_http": MeterHttp}, {})
        settings = parse(text, None, {"meter_http": MeteringSettings})

        async def read():
            async with Session(settings, found) as session:
                await session.app.tick()
                return session.app.snapshot(), session.app.problems()

        snapshot, problems = asyncio.run(read())
    page = PrometheusPages(lambda: snapshot).page("", gzipped=False).body.decode()
    lines = [line for line in page.splitlines() if 'meter="roof"' in line]
    labels = '{meter="roof",role="outside_temperature",site="gz-1"}'
    assert f"wattlas_site_temperature_celsius{labels} -7.5" in lines
    names = {line.partition("{")[0] for line in lines}
    assert names == {"wattlas_site_temperature_celsius", "wattlas_site_meter_silent_seconds"}
    finding = next(f for f in site_findings(settings.site, snapshot, problems) if "roof" in f.what)
    assert finding.state == "ok"
    assert finding.detail == "http, outside_temperature: north side; answers, -7.5 °C"


def test_it_is_in_no_kpi_and_no_report_misses_it():
    it = {"name": "it", "role": "it", "source": "http", "url": "u", "energy": "/e"}
    feed = it | {"name": "feed", "role": "total"}
    roof = {"source": "http", "url": "u"} | THERMOMETER
    period = Period(0.0, 86400.0, "UTC")
    cells = {
        "it": [Cell(0.0, 86400.0, 1e9, 86400.0)],
        "feed": [Cell(0.0, 86400.0, 1.5e9, 86400.0)],
    }
    with_roof, without = (
        msgspec.convert({"name": "gz-1", "meter": table}, SiteSettings)
        for table in ([it, feed, roof], [it, feed])
    )
    kpis = site_kpis(with_roof, cells, period)
    assert kpis == site_kpis(without, cells, period)
    assert next(k for k in kpis if k.name == "PUE").value == pytest.approx(1.5)
    assert [each.meter for each in covers(with_roof, cells, period)] == ["it", "feed"]
