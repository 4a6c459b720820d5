"""A collector of SNMP meters as a test sets it, and one poll of one of them."""

import asyncio
from pathlib import Path

import pytest

from agent.collector import Context, Paths, Transient
from agent.quantities import Seconds
from agent.site.settings import SiteSettings, SnmpMeter
from collectors.meter_snmp import MeterSnmp
from collectors.metering import MeteringSettings


class Clock:
    """Stands still."""

    def boottime(self) -> Seconds:
        return Seconds(1000.0)

    monotonic = wall = boottime


def meter(host: str, **keys) -> SnmpMeter:
    return SnmpMeter(**{"name": "pdu", "host": host, "timeout_seconds": 10.0, **keys})


_made: list[MeterSnmp] = []
_runner: list[asyncio.Runner] = []


@pytest.fixture(autouse=True)
def loop():
    """One event loop for all polls of a test; nothing fails or goes on in it unseen."""
    errors: list[object] = []
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(lambda _, said: errors.append(said))
        _runner.append(runner)
        yield
        runner.run(_closed())
        _runner.clear()
        _made.clear()
    assert not errors


async def _closed() -> None:
    for made in _made:
        made.close()
    await asyncio.sleep(0)  # cancelled tasks end in the next round of the loop,
    await asyncio.sleep(0)  # sockets are closed in it
    assert asyncio.all_tasks() == {asyncio.current_task()}


def run(coroutine):
    """Run it in the test's event loop."""
    return _runner[0].run(coroutine)


def collector(*meters: SnmpMeter) -> MeterSnmp:
    nowhere = Paths(Path("/nowhere"), Path("/nowhere"))
    site = SiteSettings(meter=meters)
    context = Context(nowhere, Clock(), lambda _component, _device: None, site=site)
    made = MeterSnmp(MeteringSettings(), context)
    _made.append(made)
    return made


def poll(made: MeterSnmp):
    """Return what one poll gives, in base units; `Transient` parts as they are."""
    wanted = made.meters[0]
    parts = run(made.poll(wanted))
    return [p if isinstance(p, Transient) else made.sample(wanted, p) for p in parts]
