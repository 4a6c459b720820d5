"""The base of all collectors that poll site meters, driven by a scripted source in virtual time."""

import asyncio
from math import nan

import pytest
from unit.collectors.metering_rig import Source, fails, gives, hangs, meter
from unit.collectors.virtual_loop import VirtualLoop

from agent.collector import Absent, Collector, Receiver, Transient
from agent.site.settings import ModbusMeter
from collectors.metering import KEPT, MeteringSettings, Value


def test_it_is_a_collector_that_is_given_samples():
    loop = VirtualLoop()
    source = Source(loop)
    loop.close()
    assert isinstance(source, Receiver)
    collector: Collector = source
    assert collector.problems() == []


def test_no_meter_of_the_source_is_absence():
    loop = VirtualLoop()
    other = ModbusMeter(name="else", host="x")
    with pytest.raises(Absent, match='no meter with source = "script" is set') as absent:
        loop.run(Source(loop, other).collect())
    assert absent.value.remedy == 'describe it in [[site.meter]], with source = "script"'


def test_meters_are_asked_on_a_grid_of_their_own():
    loop = VirtualLoop()
    source = Source(
        loop,
        meter("slow", interval_seconds=10.0),
        meter("quick", interval_seconds=4.0),
        scripts={"slow": gives(Value(1, "kWh"), after=3.0), "quick": gives(Value(1, "W"))},
    )

    async def run():
        await source.collect()
        await asyncio.sleep(28.0)

    loop.run(run())  # collect took 3 s
    assert source.times("slow") == [0, 10, 20, 30]
    assert source.times("quick") == [0, 4, 8, 12, 16, 20, 24, 28]


def test_a_poll_longer_than_its_interval_leaves_rounds_out_and_stays_on_the_grid():
    loop = VirtualLoop()
    source = Source(
        loop,
        meter("m", timeout_seconds=60.0),
        scripts={"m": gives(Value(1, "kWh"), after=12.0)},
        interval_seconds=10.0,
        settings=MeteringSettings(timeout_seconds=100.0),
    )

    async def run():
        await source.collect()
        await asyncio.sleep(40.0)

    loop.run(run())
    assert source.times("m") == [0, 20, 40]


def test_one_that_hangs_delays_no_other_and_is_named():
    loop = VirtualLoop()
    source = Source(
        loop,
        meter("dead"),
        meter("live", interval_seconds=2.0),
        scripts={"dead": hangs, "live": gives(Value(7, "kW"))},
        timeout_seconds=5.0,
    )

    async def run():
        first = await source.collect()
        at = loop.time()
        await asyncio.sleep(10.0)
        return first, at, source.take()

    first, at, later = loop.run(run())
    assert at == 5.0  # the first look waits until each has answered or missed its deadline
    assert [sample.at for sample in first] == [1000.0, 1002.0, 1004.0]
    assert [sample.at for sample in later] == [1006.0, 1008.0, 1010.0, 1012.0, 1014.0]
    assert source.times("dead") == [0, 10]
    (problem,) = source.problems()
    assert (problem.what, problem.why, problem.reason) == (
        "dead",
        "no answer within 5 s",
        "timeout",
    )
    assert "timeout_seconds" in problem.remedy


def test_the_first_look_ends_before_the_collectors_own_deadline():
    loop = VirtualLoop()
    source = Source(
        loop,
        meter("dead", timeout_seconds=60.0),
        meter("live"),
        scripts={"dead": hangs, "live": gives(Value(7, "kW"))},
        settings=MeteringSettings(timeout_seconds=15.0),
    )

    async def run():
        first = await source.collect()
        return first, loop.time(), source.problems()

    first, at, problems = loop.run(run())
    assert at == 12.0
    assert [sample.meter for sample in first] == ["live", "live"]
    assert [(p.what, p.why) for p in problems] == [("dead", "no answer within 12 s")]


def test_later_looks_do_not_wait():
    loop = VirtualLoop()
    source = Source(loop, meter("m"), scripts={"m": gives(Value(1, "kWh"), after=1.0)})

    async def run():
        await source.collect()
        at = loop.time()
        assert list(await source.collect()) == []
        return loop.time() - at

    assert loop.run(run()) == 0.0


def test_all_failing_is_a_failure_and_recovery_is_none():
    loop = VirtualLoop()
    source = Source(
        loop,
        meter("a"),
        meter("b"),
        scripts={"a": fails("is broken", "io", "mend a"), "b": fails("too")},
        interval_seconds=10.0,
    )

    async def run():
        with pytest.raises(Transient) as failure:
            await source.collect()
        assert (failure.value.why, failure.value.remedy) == (
            "a: is broken (and 1 more)",
            "mend a",
        )
        await asyncio.sleep(1.0)
        with pytest.raises(Transient):  # nothing new yet: still failing
            await source.collect()
        source.scripts["b"] = gives(Value(2, "kWh"))
        await asyncio.sleep(10.0)
        (sample,) = await source.collect()
        assert (sample.meter, sample.total) == ("b", 7.2e6)
        assert [p.what for p in source.problems()] == ["a"]
        source.scripts["a"] = gives(Value(1, "kWh"))
        await asyncio.sleep(10.0)
        assert len(await source.collect()) == 2
        assert source.problems() == []

    loop.run(run())


def test_what_can_be_read_of_a_meter_is_used_though_the_rest_cannot():
    loop = VirtualLoop()
    parts = [Value(1, "kWh"), Transient("its power says nothing", "absent"), Value(nan, "kW")]
    source = Source(loop, meter("m"), scripts={"m": gives(*parts)}, interval_seconds=10.0)

    async def run():
        (sample,) = await source.collect()
        assert sample.total == 3.6e6
        (problem,) = source.problems()
        assert problem.why == "its power says nothing; gives no number (nan)"
        assert list(await source.collect()) == []  # not failing: its total goes on

    loop.run(run())


def test_waiting_for_a_shared_line_does_not_count_against_the_deadline():
    loop = VirtualLoop()
    names = ("a", "b", "c", "d")
    source = Source(
        loop,
        *map(meter, names),
        scripts={
            name: gives(Value(1, "kWh"), after=4.0) if name != "b" else hangs for name in names
        },
        timeout_seconds=5.0,
        settings=MeteringSettings(timeout_seconds=60.0),
    )

    async def run():
        source.lock = asyncio.Lock()
        samples = await source.collect()
        return [(s.meter, s.at) for s in samples], [p.what for p in source.problems()]

    samples, problems = loop.run(run())
    assert samples == [("a", 1004.0), ("c", 1013.0), ("d", 1017.0)]
    assert problems == ["b"]


def test_a_bug_surfaces_once_and_costs_the_others_nothing():
    loop = VirtualLoop()

    async def bug(_loop):
        raise KeyError("x")

    source = Source(
        loop,
        meter("bad", interval_seconds=100.0),
        meter("good", interval_seconds=10.0),
        scripts={"bad": bug, "good": gives(Value(1, "kWh"))},
    )

    async def run():
        with pytest.raises(KeyError):
            await source.collect()
        assert [s.meter for s in await source.collect()] == ["good"]
        assert [p.reason for p in source.problems()] == ["bug"]
        await asyncio.sleep(15.0)
        assert [s.at for s in await source.collect()] == [1010.0]

    loop.run(run())


def test_closing_cancels_polls_and_releases_once_what_was_read_can_still_be_taken():
    loop = VirtualLoop()
    source = Source(
        loop,
        meter("a"),
        meter("b"),
        scripts={"a": hangs, "b": gives(Value(1, "kWh"))},
        interval_seconds=10.0,
    )

    async def run():
        await source.collect()
        await asyncio.sleep(10.0)
        source.close()
        asked = len(source.asked)
        await asyncio.sleep(100.0)
        assert len(source.asked) == asked
        assert source.released == 1
        assert [s.at for s in source.take()] == [1010.0]
        assert len(asyncio.all_tasks()) == 1

    loop.run(run())


def test_readings_that_nobody_takes_do_not_grow_without_limit():
    loop = VirtualLoop()
    source = Source(loop, meter("m"), scripts={"m": gives(*[Value(1, "kWh")] * (KEPT + 5))})
    assert len(loop.run(source.collect())) == KEPT
