"""Meters that hang cost no other collector a tick: the real App, in virtual time.

Real sockets, virtual clock: time passes only where everybody waits, so how late a tick is does not
depend on how busy the machine is.
"""

import asyncio

import pytest
from hardware.modbus.server import Gateway, bound
from hardware.modbus.unit import Unit
from unit.collectors.virtual_loop import VirtualLoop

from agent.app import GRACE_SECONDS, App
from agent.collector import CollectorSettings, Found
from agent.quantities import Component, Ratio
from agent.samples import Utilization
from agent.settings import parse
from collectors.meter_modbus import MeterModbus
from collectors.modbus_library import load

SETTINGS = """
[agent]
interval_seconds = {tick}
work_socket = ""
[site]
name = "test"
timeout_seconds = 5.0
interval_seconds = 2.0
"""
METER = """
[[site.meter]]
name = "{name}"
source = "modbus"
host = "{host}"
unit_id = {unit}
map = "schneider-pm5000"
"""


class Steady:
    """A collector that is due at every tick."""

    Settings = CollectorSettings
    times: list[float]

    def __init__(self, _settings, context):
        self.clock = context.clock
        self.__class__.times = []

    async def collect(self):
        self.times.append(self.clock.monotonic())
        return [Utilization("steady", Component.CPU, "all", self.clock.boottime(), Ratio(0.5))]

    def problems(self):
        return ()

    def close(self):
        pass


def drive(text, tick, ticks):
    """Tick on the grid; return when each tick began and how long it took, and the last status."""
    load()  # importing it takes real time
    loop = VirtualLoop(patience_seconds=0.002)
    classes = {"meter_modbus": MeterModbus, "steady": Steady}
    settings = parse(text, None, {name: cls.Settings for name, cls in classes.items()})
    app = App(settings, Found(classes, {}), loop, ledger=None)

    async def run():
        app.start()
        begun, took = [], []
        for n in range(ticks):
            await asyncio.sleep(max(0.0, n * tick - loop.time()))
            begun.append(loop.time())
            await app.tick()
            took.append(loop.time() - begun[-1])
        statuses = {status.name: status for status in app._crew.statuses()}
        await app.stop()
        return begun, took, statuses

    return loop.run(run())


@pytest.mark.parametrize("fault", ["silent", "half"])
@pytest.mark.parametrize("tick", [0.1, 1.0])
def test_hanging_meters_make_no_tick_late(fault, tick):
    dead, live = Unit(1, fault=fault), Unit(2)
    for unit in (dead, live):
        unit.put(3203, "0000 0000 0000 04D2")
        unit.put(3059, "4148 0000")
    ticks = round(40 / tick)
    with Gateway(dead, live) as gateway, bound(0) as refusing:
        hosts = [gateway.host, gateway.host, f"127.0.0.1:{refusing.getsockname()[1]}"]
        meters = [METER.format(name=f"m{n}", host=host, unit=n) for n, host in enumerate(hosts, 1)]
        text = SETTINGS.format(tick=tick) + "".join(meters)
        begun, took, statuses = drive(text, tick, ticks)
    assert begun == [pytest.approx(n * tick, abs=1e-6) for n in range(ticks)]
    assert max(took) <= min(tick, GRACE_SECONDS) + 1e-6
    assert Steady.times == [pytest.approx(time, abs=1e-6) for time in begun]
    assert statuses["steady"].failures == {}
    assert statuses["meter_modbus"].up is True  # the one that lives is read
    assert len(live.asked) >= 2 * 15
    assert len(dead.asked) in range(2, 4)  # 40 s of which it may take a fifth
