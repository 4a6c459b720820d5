"""One collector in its harness: what each outcome does to status, counts and log."""

import asyncio
import threading
from pathlib import Path

from structlog.testing import capture_logs
from unit.collectors.trees import Clock, context

from agent.collector import Absent, BlockingCollector, CollectorSettings, Problem, Transient
from agent.quantities import Component, Ratio, Seconds
from agent.runner import MUST_BE_THERE_RETRY_SECONDS, Runner
from agent.samples import Utilization
from agent.worker import Busy

SAMPLE = Utilization("made", Component.CPU, "all", Seconds(1.0), Ratio(0.5))
TIMEOUT = 0.05


class Made:
    """A collector that does what the test says."""

    def __init__(self):
        self.outcome = [SAMPLE]
        self.trouble = []
        self.polls = self.closed = 0

    async def collect(self):
        self.polls += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if self.outcome == "hang":
            await asyncio.sleep(3600)
        return self.outcome

    def problems(self):
        return self.trouble

    def close(self):
        self.closed += 1


class Rig:
    """A runner, its collector, and all that came of it."""

    def __init__(self, collector=None, **settings):
        self.clock = Clock()
        self.collector = collector or Made()
        self.runner = Runner(
            "made",
            self.collector,
            CollectorSettings(timeout_seconds=TIMEOUT, **settings),
            1.0,
            self.clock,
            {"io": 2},
        )
        self.delivered = []

    async def poll(self, outcome=None):
        """Poll as a tick does, and wait until it is over; nothing if it is not due."""
        if outcome is not None:
            self.collector.outcome = outcome
        if self.runner.is_due:
            self.runner.start(self.delivered.extend)
            await asyncio.wait([self.runner.task])
            assert self.runner.task.exception() is None
        self.clock.now += 1.0
        return self.runner.status()


def played(rig, *outcomes):
    """Poll once for each outcome; return the last status and the log."""

    async def run():
        for outcome in outcomes:
            status = await rig.poll(outcome)
        return status

    with capture_logs() as logs:
        status = asyncio.run(run())
    return status, [(line["log_level"], line["event"]) for line in logs]


def test_before_the_first_poll_nothing_is_known():
    status = Rig().runner.status()
    assert (status.up, status.duration_seconds, status.failures) == (None, None, {"io": 2})


def test_samples_are_delivered():
    rig = Rig()
    status, logs = played(rig, [SAMPLE], [])
    assert (status.up, status.why, status.failures, logs) == (True, "", {"io": 2}, [])
    assert status.duration_seconds == 0.0
    assert rig.delivered == [SAMPLE]


def test_a_failure_is_logged_once_and_counted_each_time_then_recovered():
    rig = Rig()
    failure = Transient("no answer from the BMC", "io", "power it on")
    status, logs = played(rig, failure, failure, failure)
    assert (status.up, status.why, status.remedy) == (
        False,
        "no answer from the BMC",
        "power it on",
    )
    assert status.failures == {"io": 5}
    assert logs == [("warning", "collector_failing")]
    status, logs = played(rig, [SAMPLE], [SAMPLE])
    assert (status.up, status.why, status.remedy, status.failures["io"]) == (True, "", "", 5)
    assert logs == [("info", "collector_recovered")]
    _, logs = played(rig, failure)
    assert logs == [("warning", "collector_failing")]


def test_a_deadline_ends_a_poll_that_hangs():
    rig = Rig()
    status, logs = played(rig, "hang")
    assert (status.up, status.failures) == (False, {"io": 2, "timeout": 1})
    assert status.why == (
        "no answer within 0.05 s; the sensor hangs, or the limit"
        " collectors.made.timeout_seconds is too short"
    )
    assert logs == [("warning", "collector_failing")]
    assert played(rig, [SAMPLE])[0].up


def test_no_second_poll_while_one_is_under_way():
    async def run():
        rig = Rig()
        rig.collector.outcome = "hang"
        rig.runner.start(rig.delivered.extend)
        assert not rig.runner.is_due
        await asyncio.wait([rig.runner.task])
        assert rig.runner.is_due
        return rig.collector.polls

    assert asyncio.run(run()) == 1


def test_busy_is_a_timeout():
    status, _ = played(Rig(), Busy("made"))
    assert status.failures["timeout"] == 1
    assert "has not come back" in status.why


def test_what_the_hardware_does_not_have_is_told_and_no_failure():
    rig = Rig()
    rig.collector.trouble = [Problem("GPU-0 ecc", "not on this board", reason="unsupported")]
    status, logs = played(rig, [SAMPLE], [SAMPLE])
    assert (status.up, status.failures) == (True, {"io": 2})
    assert logs == [("warning", "source_failing")]


def test_absent_is_quiet_and_for_good():
    rig = Rig()
    status, logs = played(rig, Absent("no RAPL here", "modprobe"), [SAMPLE], [SAMPLE])
    assert (status.up, status.why, status.remedy) == (None, "no RAPL here", "modprobe")
    assert (status.duration_seconds, status.failures, logs) == (None, {"io": 2}, [])
    assert (rig.collector.polls, rig.runner.gone, rig.delivered) == (1, True, [])
    assert rig.collector.closed == 1
    rig.runner.close()
    assert rig.collector.closed == 1


def test_gone_after_it_was_there_is_said():
    _, logs = played(Rig(), [SAMPLE], Absent("unplugged"))
    assert logs == [("info", "collector_gone")]


def test_absent_for_now_is_quiet_and_looked_for_again():
    """A driver that is loaded after the agent began."""
    rig = Rig()

    async def life():
        await rig.poll(Absent("no driver", "modprobe", again_seconds=60.0))
        await rig.poll([SAMPLE])
        assert (rig.runner.away, rig.collector.polls, rig.collector.closed) == (True, 1, 0)
        assert rig.runner.status().up is None
        rig.clock.now += 61.0
        await rig.poll([SAMPLE])

    with capture_logs() as logs:
        asyncio.run(life())
    assert (rig.runner.away, rig.runner.status().up) == (False, True)
    assert logs == []


def test_absent_although_it_must_be_there_is_a_failure_and_tried_again_later():
    rig = Rig(enabled=True)
    status, logs = played(rig, Absent("no RAPL here"), [SAMPLE], [SAMPLE])
    assert (status.up, status.failures, rig.collector.polls) == (False, {"io": 2, "absent": 1}, 1)
    assert logs == [("warning", "collector_failing")]
    rig.clock.now += MUST_BE_THERE_RETRY_SECONDS
    assert played(rig, [SAMPLE])[0].up


def test_a_bug_is_logged_once_with_its_traceback():
    rig = Rig()
    status, logs = played(rig, [SAMPLE], KeyError("oops"), KeyError("oops"), ValueError("other"))
    assert logs == [("error", "collector_bug"), ("error", "collector_bug")]
    assert (status.up, status.failures["bug"]) == (False, 3)
    assert "ValueError" in status.why


def test_one_source_that_fails_is_said_once_and_counted_each_time():
    rig = Rig()
    bad = Problem("intel-rapl:1", "permission denied", "chgrp", "permission")
    rig.collector.trouble = [bad]
    status, logs = played(rig, [SAMPLE], [SAMPLE])
    assert (status.up, status.failures["permission"]) == (True, 2)
    assert logs == [("warning", "source_failing")]
    rig.collector.trouble = [Problem("hwmon3", "EIO")]
    status, logs = played(rig, [SAMPLE])
    assert logs == [("warning", "source_failing"), ("info", "source_recovered")]
    rig.collector.trouble = []
    status, logs = played(rig, [SAMPLE], [SAMPLE])
    assert logs == [("info", "source_recovered")]
    assert status.failures == {"io": 3, "permission": 2}
    assert len(rig.delivered) == 5


def test_a_collector_is_closed_only_when_nobody_reads_it():
    async def run():
        rig = Rig()
        rig.collector.outcome = "hang"
        rig.runner.start(rig.delivered.extend)
        rig.runner.close()
        assert rig.collector.closed == 0
        await asyncio.wait([rig.runner.task])
        await asyncio.sleep(0)
        return rig.collector.closed

    assert asyncio.run(run()) == 1


class Hanging(BlockingCollector):
    """Its reading does not come back before the test says so."""

    def __init__(self):
        super().__init__(CollectorSettings(), context(Path("/nowhere")))
        self.come_back = threading.Event()
        self.readings = 0

    def read(self):
        self.readings += 1
        self.come_back.wait(30)
        return [SAMPLE]


def test_a_thread_that_hangs_fails_each_poll_and_comes_back():
    async def run():
        rig = Rig(Hanging())
        said = [(await rig.poll()).why for _ in range(3)]
        assert [why.split(";")[0] for why in said] == [
            "no answer within 0.05 s",
            "the reading before has not come back",
            "the reading before has not come back",
        ]
        assert (rig.collector.readings, rig.delivered) == (1, [])
        rig.collector.come_back.set()
        for _ in range(1000):
            if (await rig.poll()).up:
                break
        assert rig.delivered == [SAMPLE]  # what came too late is not delivered
        rig.runner.close()

    with capture_logs() as logs:
        asyncio.run(run())
    assert [line["event"] for line in logs] == ["collector_failing", "collector_recovered"]


def test_a_slow_collector_is_not_waited_for_until_it_is_quick_again():
    rig = Rig()
    quick = rig.collector.collect

    async def slow():
        rig.clock.now += 0.25
        return await quick()

    rig.collector.collect = slow
    status, _ = played(rig, [SAMPLE])
    assert (rig.runner.quick, status.up, status.duration_seconds) == (False, True, 0.25)
    rig.collector.collect = quick
    played(rig, [SAMPLE])
    assert rig.runner.quick
