"""A scripted source of meters on the base of all of them, in virtual time."""

import asyncio

from agent.collector import Context, Paths, Transient
from agent.site.settings import HttpMeter, SiteSettings
from collectors.metering import Metering, MeteringSettings


def meter(name, **keys):
    return HttpMeter(name=name, url="http://x", **keys)


class Source(Metering):
    """Each meter does what its script says; every question is kept with its time."""

    name = "meter_script"
    source = "script"
    kind = HttpMeter

    def __init__(self, loop, *meters, scripts=None, settings=None, **site):
        context = Context(
            Paths(), loop, lambda _: None, site=SiteSettings(meter=tuple(meters), **site)
        )
        super().__init__(settings or MeteringSettings(), context)
        self.scripts = scripts or {}
        self.asked = []
        self.released = 0
        self.lock = None

    def turn(self, meter):
        return self.lock if self.lock is not None else super().turn(meter)

    async def poll(self, meter):
        loop = asyncio.get_running_loop()
        self.asked.append((meter.name, loop.time()))
        return await self.scripts[meter.name](loop)

    def release(self):
        self.released += 1

    def times(self, name):
        return [time for who, time in self.asked if who == name]


def gives(*parts, after=0.0):
    async def script(_loop):
        await asyncio.sleep(after)
        return list(parts)

    return script


def fails(why="is broken", reason="io", remedy="mend it"):
    async def script(_loop):
        raise Transient(why, reason, remedy)

    return script


async def hangs(_loop):
    await asyncio.sleep(1e9)
