"""`[site]` in a settings file: what is wrong is named with its line and the remedy."""

import re

import pytest

from agent.settings import parse
from agent.settings_error import SettingsError

METER = """
[site]
name = "gz-1"
[[site.meter]]
name = "a"
role = "total"
"""
HTTP = METER + 'source = "http"\nurl = "http://m/"\n'
MODBUS = METER + 'source = "modbus"\n'


def refused(text):
    with pytest.raises(SettingsError) as caught:
        parse(text.lstrip(), None, {})
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (METER, "settings:3: site.meter.0: source must be given"),
        (
            METER + 'source = "mbus"',
            r'site.meter.0.source: invalid value .mbus.; choose "modbus" or',
        ),
        (METER + 'source = "csv"', "site.meter.0: file must be given"),
        (METER + 'source = "csv"\nfile = ""', "site.meter.0.file: name the file"),
        (HTTP, "site.meter.0.energy: say where the figure is"),
        (
            HTTP + 'energy = "/e"\npasword = "x"',
            "pasword: there is no such key; known here are name",
        ),
        (HTTP + 'energy = "/e"\nenergy_unit = "kwh"', "no unit that is known .*kWh"),
        (
            HTTP + 'energy = "/e"\nenergy_unit = "kW"',
            "kW does not fit here; give a total, e.g. kWh",
        ),
        (HTTP + 'power = "/e"\npower_unit = "m3/h"', "m3/h measures water, but .* role is energy"),
        (HTTP + 'energy = "/e"\ncategory = 2', 'category: belongs to a meter with role = "it"'),
        (HTTP + 'energy = "/e"\nuser = "x"', "needs user and password_file"),
        (HTTP + 'energy = "/e"\ninterval_seconds = 0', "interval_seconds: must be from 0.1"),
        (HTTP.replace("total", "totals"), 'settings:5: .*role.*choose "total" or "it" or'),
        (HTTP.replace('"total"', "3"), "settings:5: site.meter.0.role"),
        (MODBUS + 'host = "h"\nserial = "s"', "give either host .* or serial"),
        (MODBUS + 'map = "m"\nenergy = { address = 1 }', "either name a register map, or describe"),
        (MODBUS + 'host = "h"\nmap = "x"\nunit_id = 256', "unit_id: must be from 0 to 255"),
        (MODBUS + 'host = "h"\nenergy = { address = "3059" }', "energy.address: expected int, got"),
        (
            MODBUS + 'host = "h"\nenergy = { address = 1, type = "f32" }',
            'choose "uint16" or "int16"',
        ),
        (METER + 'source = "snmp"\nhost = "h"\nmap = "x"\nversion = "3"', "version 3 needs a user"),
        (METER + 'source = "prometheus"\nurl = "http://x"', "give either metric .* or query"),
        (METER + 'source = "virtual"', "name the meters that are added"),
        (METER + 'source = "virtual"\nadd = ["b"]', "there is no meter named 'b'"),
        (
            METER + 'source = "virtual"\nadd = ["a"]',
            "a → a: a virtual meter cannot be part of itself",
        ),
        (METER + 'source = "csv"\nfile = "f"\ninvoices = ["z"]', "no other meter named 'z'"),
        (
            '[site]\ntime_zone = "Mars/Base"',
            "settings:2: site.time_zone: 'Mars/Base' is no time zone",
        ),
        ("[site]\ntolerance_percent = -1", "site.tolerance_percent: must not be negative"),
        ("[site]\nmeter = 3", "site.meter: expected list, got int"),
        (
            '[site]\n[[site.partial]]\nname = "h"\ninfrastructure = ["x"]\nit = []',
            "site.partial.0.infrastructure: there is no meter named 'x'",
        ),
        ('[site]\n[[site.servers]]\nmodel = "m"\ncount = 0', "site.servers.0.count: must be more"),
    ],
)
def test_what_is_wrong_is_named(text, message):
    assert re.search(message, refused(text)), refused(text)


def test_the_line_is_that_of_the_second_meter():
    text = (
        HTTP + 'energy = "/e"\n[[site.meter]]\nname = "a"\nsource = "http"\nurl = "u"\npower = "/p"'
    )
    assert refused(text).startswith("settings:10: site.meter.1.name: 'a' is there twice")


def test_water_that_only_a_virtual_meter_uses_may_be_in_litres():
    text = (
        '[site]\n[[site.meter]]\nname = "w"\nsource = "http"\nurl = "u"\nenergy = "/e"\n'
        'energy_unit = "m3"\n'
    )
    assert "measures water" in refused(text)  # nobody uses it: its role would be energy
    virtual = '[[site.meter]]\nname = "v"\nrole = "water_in"\nsource = "virtual"\nadd = ["w"]\n'
    assert parse(text + virtual, None, {}).site.meter[1].add == ("w",)


def test_fuel_in_units_of_its_own():
    text = HTTP + 'energy = "/e"\nenergy_unit = "litres of diesel"\nkwh_per_unit = 9.8\n'
    assert parse(text, None, {}).site.meter[0].kwh_per_unit == 9.8


def test_without_a_site_there_is_none():
    assert parse("", None, {}).site.meter == ()
