"""The shared thread: one that hangs holds up the others once, and loses none of their samples."""

import asyncio
import threading
import time

import pytest

from agent.clock import SystemClock
from agent.collector import Absent, BlockingCollector, CollectorSettings, Context, Paths, Transient
from agent.lane import Lane
from agent.quantities import Component, Ratio
from agent.runner import Runner
from agent.samples import Utilization

CLOCK = SystemClock()
CONTEXT = Context(Paths(), CLOCK, lambda _component, _device: None)
PATIENCE = 0.1


class Sensor(BlockingCollector):
    """Does what it is told at each reading."""

    def __init__(self, action=lambda: None):
        super().__init__(CollectorSettings(), CONTEXT)
        self.action = action
        self.readings = 0
        self.threads = set()

    def read(self):
        self.readings += 1
        self.threads.add(threading.get_ident())
        self.action()
        return [Utilization("s", Component.CPU, "all", CLOCK.boottime(), Ratio(0.5))]


class Ticks:
    """The part of the agent that polls."""

    def __init__(self, sensors, **settings):
        self.settings = CollectorSettings(**settings)
        self.runners = {
            name: Runner(name, sensor, self.settings, 1.0, CLOCK)
            for name, sensor in sensors.items()
        }
        self.lane = Lane(CLOCK)
        self.delivered = 0

    def deliver(self, samples):
        self.delivered += len(samples)

    async def tick(self):
        due = [r for r in self.runners.values() if r.is_due]
        shared = [r for r in due if r.joins_lane()]
        for runner in due:
            if runner not in shared:
                runner.start(self.deliver)
        if shared:
            future = self.lane.start(shared)
            await asyncio.wait([future], timeout=PATIENCE)
            self.lane.finish(future, self.deliver)

    async def settled(self):
        await asyncio.wait([r.task for r in self.runners.values() if r.task], timeout=5)

    def status(self, name):
        return self.runners[name].status()

    def close(self):
        for runner in self.runners.values():
            runner.close()
        self.lane.stop()


@pytest.fixture
def gate():
    event = threading.Event()
    yield event
    event.set()


def test_all_are_read_in_one_thread():
    sensors = {name: Sensor() for name in "abc"}
    ticks = Ticks(sensors)

    async def main():
        for _ in range(3):
            await ticks.tick()

    asyncio.run(main())
    assert ticks.delivered == 9
    assert len(set.union(*(s.threads for s in sensors.values()))) == 1
    assert all(ticks.status(name).up for name in "abc")
    ticks.close()


def test_each_outcome_is_told_apart():
    def absent():
        raise Absent("none here")

    def transient():
        raise Transient("not now", "io")

    def bug():
        raise KeyError("oops")

    sensors = {"a": Sensor(absent), "b": Sensor(transient), "c": Sensor(bug), "d": Sensor()}
    ticks = Ticks(sensors)

    async def main():
        await ticks.tick()
        await ticks.tick()

    asyncio.run(main())
    assert ticks.delivered == 2
    assert ticks.status("a").up is None
    assert sensors["a"].readings == 1
    assert ticks.status("b").failures == {"io": 2}
    assert ticks.status("c").failures == {"bug": 2}
    ticks.close()


def test_one_that_hangs_holds_up_the_others_once(gate):
    sensors = {"a": Sensor(), "b": Sensor(gate.wait), "c": Sensor()}
    ticks = Ticks(sensors, timeout_seconds=0.4)

    async def main():
        await ticks.tick()
        await asyncio.wait([ticks.runners["c"].task])
        assert ticks.delivered == 2  # c was read by itself
        for _ in range(3):
            start = time.monotonic()
            await ticks.tick()
            assert time.monotonic() - start < PATIENCE
        assert ticks.delivered == 8
        assert sensors["b"].readings == 1
        await asyncio.sleep(0.5)
        assert ticks.status("b").failures == {"timeout": 1}
        await ticks.tick()  # it still hangs: not read a second time
        await ticks.settled()
        assert sensors["b"].readings == 1
        assert ticks.status("b").failures == {"timeout": 2}
        sensors["b"].action = lambda: None
        gate.set()
        await asyncio.sleep(0.1)
        before = ticks.delivered
        for _ in range(3):
            await ticks.tick()
            await ticks.settled()
        assert ticks.delivered == before + 9
        assert ticks.status("b").up
        assert sensors["b"].threads & sensors["a"].threads  # it is back in the lane

    asyncio.run(main())
    ticks.close()


def test_one_that_is_late_still_delivers():
    sensors = {"a": Sensor(lambda: time.sleep(2 * PATIENCE)), "b": Sensor()}
    ticks = Ticks(sensors)

    async def main():
        await ticks.tick()
        await ticks.settled()

    asyncio.run(main())
    assert ticks.delivered == 2
    assert ticks.status("a").up
    assert not ticks.runners["a"].quick
    ticks.close()


def test_a_deadline_shorter_than_the_ticks_patience_holds():
    ticks = Ticks({"a": Sensor(lambda: time.sleep(0.05))}, timeout_seconds=0.01)
    asyncio.run(ticks.tick())
    assert ticks.delivered == 0
    assert ticks.status("a").failures == {"timeout": 1}
    ticks.close()


def test_a_thread_that_has_not_begun_in_time_is_no_sensor_that_hangs(gate):
    """On a machine that is busy enough the thread runs later than the tick waits."""
    sensors = {name: Sensor() for name in "abc"}
    ticks = Ticks(sensors)

    async def main():
        await ticks.tick()
        ticks.lane._worker._calls.put(gate.wait)  # what keeps the thread from beginning
        await ticks.tick()
        await ticks.settled()
        gate.set()
        await ticks.tick()

    asyncio.run(main())
    assert ticks.delivered == 9
    assert [sensor.readings for sensor in sensors.values()] == [3, 3, 3]
    assert all(ticks.status(name).up for name in "abc")
    assert not any(ticks.status(name).failures for name in "abc")
    ticks.close()
