import asyncio

import pytest

from agent.collector import CollectorSettings, Context, Paths, Transient
from agent.quantities import Component, Quality
from collectors.estimate import Estimate


class Clock:
    def boottime(self):
        return 100.0

    def monotonic(self):
        return 100.0

    def wall(self):
        return 1.7e9


@pytest.fixture
def make(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "sys/block/sda/queue").mkdir(parents=True)
    (tmp_path / "sys/block/sda/size").write_text("1000000\n")
    (tmp_path / "sys/block/sda/queue/rotational").write_text("1\n")
    blocks = [
        f"processor : {n}\nmodel name : Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz\n"
        f"physical id : {n // 14}\ncore id : {n % 14}\nflags : fpu\n"
        for n in range(28)
    ]
    (tmp_path / "proc/cpuinfo").write_text("\n".join(blocks))
    (tmp_path / "proc/meminfo").write_text("MemTotal: 131072000 kB\n")
    made = []

    def _make(latest=lambda _component, _device: None):
        context = Context(Paths(tmp_path / "proc", tmp_path / "sys"), Clock(), latest)
        collector = Estimate(CollectorSettings(), context)
        made.append(collector)
        return collector, tmp_path / "proc/stat"

    yield _make
    for collector in made:
        collector.close()


def test_one_estimated_reading_per_device(make):
    collector, _ = make(lambda component, _device: 0.5 if component is Component.CPU else None)
    readings = asyncio.run(collector.collect())
    assert [(r.component, r.device) for r in readings] == [
        (Component.CPU, "package-0"),
        (Component.CPU, "package-1"),
        (Component.DRAM, "all"),
        (Component.STORAGE, "sda"),
        (Component.PLATFORM, "all"),
    ]
    for reading in readings:
        assert reading.quality is Quality.ESTIMATED
        assert reading.collector == "estimate"
        assert reading.at == 100.0
        assert 0 < reading.low_watts <= reading.watts <= reading.high_watts


def test_each_socket_has_its_own_load(make):
    known = {
        (Component.CPU, "all"): 0.5,
        (Component.CPU, "package-0"): 1.0,
        (Component.CPU, "package-1"): 0.0,
        (Component.STORAGE, "sda"): 1.0,
    }
    collector, _ = make(lambda component, device: known.get((component, device)))
    first, second, _, drive, _ = collector.read()
    assert first.watts > 3 * second.watts
    assert drive.watts == 7.5


def test_without_the_host_collector_it_reads_the_load_itself(make):
    collector, stat = make()
    stat.write_text("cpu 100 0 100 800 0 0 0 0 50 0\ncpu0 1\n")
    assert collector.read() == ()  # one reading of a counter says nothing yet
    stat.write_text("cpu 100 0 100 900 0 0 0 0 50 0\ncpu0 1\n")
    idle = collector.read()
    stat.write_text("cpu 200 0 100 900 0 0 0 0 150 0\ncpu0 1\n")
    busy = collector.read()
    assert busy[0].watts > 4 * idle[0].watts
    assert collector.read() == ()  # the counter stood still: nothing is known, nothing is said


@pytest.mark.parametrize(
    "text", [None, "", "cpu a b c d e f g h\n", "intr 1 2 3 4 5 6 7\n", "cpu 1\n"]
)
def test_no_load_is_a_passing_fault(make, text):
    collector, stat = make()
    if text is not None:
        stat.write_text(text)
    with pytest.raises(Transient):
        collector.read()
