"""The Modbus collector with the meters that a test names, against real servers."""

import asyncio
import struct
from collections.abc import Callable

from hardware.modbus.unit import Unit

from agent.clock import SystemClock
from agent.collector import Context, Paths
from agent.samples import MeterCounter, MeterRate
from agent.site.settings import ModbusMeter, Register, SiteSettings
from collectors.meter_modbus import MeterModbus
from collectors.metering import MeteringSettings

WAIT_SECONDS = 30.0
PM = "schneider-pm5000"
SHORT = 0.5
"""A deadline that is meant to pass, in s."""
GOOD = (1234 * 3600.0, 12_500.0)
TOTAL = Register(address=100, type="uint32", unit="Wh")


def meter(name="m", **keys):
    if "map" not in keys and "energy" not in keys and "power" not in keys:
        keys["map"] = PM
    return ModbusMeter(name=name, **keys)


def made(*meters, **site):
    site = {"interval_seconds": 0.1, "timeout_seconds": WAIT_SECONDS, **site}
    context = Context(
        Paths(), SystemClock(), lambda _: None, site=SiteSettings(meter=meters, **site)
    )
    return MeterModbus(MeteringSettings(timeout_seconds=2 * WAIT_SECONDS), context)


def run(collector, work):
    """Run what a test does with a collector, and close it."""

    async def whole():
        try:
            return await work(collector)
        finally:
            collector.close()
            await asyncio.sleep(0)

    return asyncio.run(whole())


def look(*meters, **site):
    """Return what asking each meter once gives: values and problems by meter."""

    async def work(collector):
        return await first(collector), {p.what: p for p in collector.problems()}

    return run(made(*meters, **site), work)


async def first(collector):
    """Let each meter be asked once; return the samples by meter, totals and rates."""
    await asyncio.gather(*(collector._ask(meter) for meter in collector.meters))
    return found(collector)


def found(collector):
    """Return what was read since: (total, rate) of the last of each meter."""
    values = {}
    for sample in collector.take():
        total, rate = values.get(sample.meter, (None, None))
        match sample:
            case MeterCounter():
                values[sample.meter] = (sample.total, rate)
            case MeterRate():
                values[sample.meter] = (total, sample.per_second)
    return values


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110 - of another thread
            await asyncio.sleep(0.005)


def pm5000(number=1, **keys):
    """Return a Schneider PM5000 with 1234 Wh and 12.5 kW."""
    unit = Unit(number, **keys)
    unit.put(3203, "0000 0000 0000 04D2")
    unit.put(3059, "4148 0000")
    return unit


def answered(request, words):
    """Return the right answer by TCP, in hex words."""
    head, unit = request[:4], request[6]
    raw = bytes.fromhex(words)
    return head + struct.pack(">HBBB", 3 + len(raw), unit, 3, len(raw)) + raw


def only(problems):
    """Return the one problem, which must say what to do."""
    (problem,) = problems.values()
    assert problem.remedy
    return problem
