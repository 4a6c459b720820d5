"""What meters' numbers become: units, limits, addresses, secrets."""

from math import inf, nan

import pytest
from unit.collectors.metering_rig import Source, gives, meter
from unit.collectors.virtual_loop import VirtualLoop

from agent.collector import Transient
from agent.samples import MeterCounter, MeterRate
from agent.site.words import Role
from collectors.metering import Value, addressed, secret


def one(number, unit, **keys):
    """Return what one value of one meter becomes: the sample, or what is wrong with it."""
    loop = VirtualLoop()
    source = Source(loop, meter("m", **keys), scripts={"m": gives(Value(number, unit))})

    async def look():
        try:
            return (await source.collect())[0]
        except Transient as failure:
            return failure

    return loop.run(look())


@pytest.mark.parametrize(
    ("number", "unit", "keys", "total"),
    [
        (1234.5, "kWh", {}, 4_444_200_000.0),
        (2.0, "GJ", {}, 2e9),
        (3.0, "m3", {"role": Role.WATER_IN}, 3000.0),
        (10.0, "l", {"kwh_per_unit": 9.8}, 352_800_000.0),  # diesel: 98 kWh
        (0.0, "Wh", {}, 0.0),
    ],
)
def test_totals_become_joules_and_litres(number, unit, keys, total):
    sample = one(number, unit, **keys)
    assert isinstance(sample, MeterCounter)
    assert sample.total == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(
    ("number", "unit", "keys", "rate"),
    [
        (12.5, "kW", {}, 12_500.0),
        (36.0, "m3/h", {"role": Role.WATER_IN}, 10.0),
        (3.0, "l/h", {"kwh_per_unit": 10.0}, 30_000.0),
        (1.0, "m3/min", {"kwh_per_unit": 10.0}, 600_000.0),
        (-4.0, "W", {"role": Role.GENERATION}, 0.0),  # an inverter at night
    ],
)
def test_rates_become_watts_and_litres_a_second(number, unit, keys, rate):
    sample = one(number, unit, **keys)
    assert isinstance(sample, MeterRate)
    assert sample.per_second == pytest.approx(rate, rel=1e-12)


def test_the_roll_over_is_converted_with_the_value():
    loop = VirtualLoop()
    value = Value(5.0, "kWh", wraps_at=100_000.0)
    source = Source(loop, meter("m", max_per_second=5e6), scripts={"m": gives(value)})
    (sample,) = loop.run(source.collect())
    assert (sample.wraps_at, sample.max_per_second) == (3.6e11, 5e6)


@pytest.mark.parametrize(
    ("number", "unit", "keys", "why"),
    [
        (nan, "kWh", {}, "gives no number (nan)"),
        (inf, "kW", {}, "gives no number (inf)"),
        (-5.0, "kWh", {}, "its total is -5 kWh"),
        (1e20, "kWh", {}, "its total is 1e+20 kWh"),
        (-5.0, "kW", {}, "its rate is negative (-5 kW)"),
        (2e6, "kW", {}, "its rate is 2e+06 kW"),
        (2e3, "kW", {"max_per_second": 1e6}, "its rate is 2000 kW"),
        (1.0, "kwh", {}, "'kwh' is no unit that is known"),
        (1.0, "l/day", {"kwh_per_unit": 10.0}, "'l/day' is no rate: write l/h"),
    ],
)
def test_what_can_be_no_figure_of_a_meter_is_a_problem(number, unit, keys, why):
    failure = one(number, unit, **keys)
    assert isinstance(failure, Transient)
    assert failure.why.startswith(f"m: {why}")
    assert failure.remedy


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.5:1502", ("10.0.0.5", 1502)),
        ("10.0.0.5", ("10.0.0.5", 502)),
        ("meter-1.site", ("meter-1.site", 502)),
        ("[fd00::5]:1502", ("fd00::5", 1502)),
        ("[fd00::5]", ("fd00::5", 502)),
        ("fd00::5", ("fd00::5", 502)),
    ],
)
def test_addresses(text, found):
    assert addressed(text, 502) == found


@pytest.mark.parametrize("text", ["", ":502", "x:", "x:0", "x:65536", "x:abc", "x:٣"])
def test_what_is_no_address(text):
    with pytest.raises(Transient, match="is no address") as failure:
        addressed(text, 502)
    assert failure.value.reason == "settings"


def test_a_secret_is_the_first_line_of_its_file(tmp_path):
    file = tmp_path / "community"
    file.write_text("s3cret \nmore\n")
    assert secret(str(file), "community_file") == "s3cret "


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "cannot be read (No such file or directory)"), (b"", "is empty"), (b"\xff", "no")],
)
def test_a_secret_that_is_not_there_is_told_without_it(tmp_path, content, why):
    file = tmp_path / "community"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Transient) as failure:
        secret(str(file), "community_file")
    assert why in failure.value.why
    assert failure.value.why.startswith(f"community_file {file}")
