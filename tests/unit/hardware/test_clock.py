"""The virtual clock: shared between processes, and alive after `kill -9`."""

import os
import signal
from pathlib import Path

import pytest
from hardware import VirtualClock, xeon_2s
from hardware.power import Constant
from hardware.timeline import Event, Kind, Timeline

from agent.clock import Clock


def test_the_three_clocks(tmp_path: Path) -> None:
    clock = VirtualClock(tmp_path / "clock", Timeline(epoch=1e9, uptime=100.0))
    as_protocol: Clock = clock
    clock.add(Event(10.0, 20.0, Kind.SUSPEND))
    clock.add(Event(30.0, -3600.0, Kind.WALL_STEP))
    clock.add(Event(40.0, 50.0, Kind.REBOOT))
    seen = {}
    for t in (5.0, 25.0, 35.0, 53.0):
        clock.now = t
        seen[t] = (as_protocol.boottime(), as_protocol.monotonic(), as_protocol.wall())
    assert seen == {
        5.0: (105.0, 105.0, 1e9 + 5),
        25.0: (125.0, 115.0, 1e9 + 25),
        35.0: (135.0, 125.0, 1e9 + 35 - 3600),
        53.0: (3.0, 3.0, 1e9 + 53 - 3600),
    }
    assert clock.advance(2.0) == 55.0
    clock.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_killed_process_leaves_the_clock_and_the_files_as_they_were(tmp_path: Path) -> None:
    clock = VirtualClock(tmp_path / "clock")
    with xeon_2s(tmp_path / "machine", {"package-1": Constant(100.0)}, clock) as machine:
        machine.write(1.0)
        child = os.fork()
        if child == 0:
            # another process, with its own view of the same file: longer and longer numbers
            try:
                for t in range(2, 100_000):
                    machine.write(float(t), proc=False)
            finally:
                os._exit(0)
        while clock.now < 500:
            pass
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        stopped_at = clock.now
        assert stopped_at >= 500
        machine.reboot(stopped_at + 5, off_seconds=10.0)  # short numbers again
        t = stopped_at + 16
        machine.write(t)
        assert clock.now == t
        text = (machine.zone_path("intel-rapl:1") / "energy_uj").read_text()
        assert text.count("\n") == 1
        assert int(text) == pytest.approx(100e6, abs=0.2e6)


def test_another_opener_sees_time_and_events(tmp_path: Path) -> None:
    one = VirtualClock(tmp_path / "clock")
    two = VirtualClock(tmp_path / "clock")
    one.now = 7.0
    one.add(Event(1.0, 0.0, Kind.RESET, "package-0"))
    assert two.now == 7.0
    assert two.timeline == one.timeline
    assert two.timeline.counting_since("package-0", 7.0) == 1.0
    assert two.timeline.counting_since("package-1", 7.0) is None
    one.close()
    two.close()


def test_what_is_no_clock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"x" * 70_000)
    with pytest.raises(ValueError, match="not a virtual clock"):
        VirtualClock(tmp_path / "other")
