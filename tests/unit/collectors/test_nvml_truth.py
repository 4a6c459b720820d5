"""Energy as the meter books it from the collector's samples, against what was really drawn."""

import pytest
from hardware.nvml import a100, gh200, h100, p40
from unit.collectors.nvml_rig import UPTIME, Rig, only

from agent.collector import Transient
from agent.meter.meter import Meter
from agent.quantities import Component, Quality
from agent.samples import EnergyCounter, Inventory, PowerReading


class Books:
    """A meter that takes what a rig reads."""

    def __init__(self, rig):
        self.rig = rig
        self.meter = Meter({"nvml": 1.0})
        self.began = None
        now, wall = rig.clock.boottime(), rig.clock.wall()
        self.meter.begin("boot", now, wall)

    def live(self, seconds):
        for _ in range(seconds):
            try:
                samples = self.rig.read()
            except Transient:
                samples = []
            now, wall = self.rig.clock.boottime(), self.rig.clock.wall()
            for sample in only(samples, Inventory):
                self.meter.keep_only("nvml", sample.component, sample.devices)
            readings = [s for s in samples if isinstance(s, EnergyCounter | PowerReading)]
            self.meter.take(readings, now, wall)
            self.meter.settle(now, wall)
            if readings and self.began is None:
                self.began = readings[0].at - UPTIME

    def booked(self, uuid):
        """Return joules by quality, and seconds of gap, of a board."""
        views = [v for v in self.meter.views() if v.identity.device == uuid]
        joules = {v.identity.quality: v.joules for v in views if v.joules}
        return joules, {v.identity.quality: v.gap_seconds for v in views}

    def truth(self, uuid):
        return self.rig.standin.joules(uuid, self.began, self.rig.standin.now)


@pytest.fixture
def books(tmp_path):
    made = []

    def open_books(*boards):
        made.append(Books(Rig(tmp_path, boards)))
        return made[-1]

    yield open_books
    for each in made:
        each.rig.collector.close()


def test_counters_within_a_thousandth(books):
    kept = books(*(h100(i) for i in range(7)), a100(7))
    kept.live(600)
    for board in kept.rig.standin.boards:
        joules, _ = kept.booked(board.uuid)
        assert joules == {Quality.MEASURED: pytest.approx(kept.truth(board.uuid), rel=0.001)}


def test_without_a_counter_the_buffer_is_as_good(books):
    kept = books(p40(0))
    kept.live(600)
    uuid = kept.rig.standin.boards[0].uuid
    joules, _ = kept.booked(uuid)
    assert joules == {Quality.INTEGRATED: pytest.approx(kept.truth(uuid), rel=0.005)}


def test_one_that_is_lost_and_found(books):
    kept = books(h100(0), h100(1))
    one, other = (board.uuid for board in kept.rig.standin.boards)
    kept.live(100)
    kept.rig.standin.lose(other)
    kept.live(100)
    kept.rig.standin.find_again(other)
    kept.live(100)
    assert kept.booked(one)[0][Quality.MEASURED] == pytest.approx(kept.truth(one), rel=0.001)
    joules, gaps = kept.booked(other)
    known = kept.truth(other) - sum(joules.values())
    assert 99.0 < gaps[Quality.MEASURED] < 165.0, "found at one of the looks, 60 s apart at most"
    assert 0.0 < known < 700.0 * gaps[Quality.MEASURED]


def test_driver_reload(books):
    kept = books(h100(0), h100(1))
    kept.live(100)
    kept.rig.standin.unload_driver()
    kept.live(20)
    kept.rig.standin.load_driver()
    kept.live(100)
    for board in kept.rig.standin.boards:
        joules, gaps = kept.booked(board.uuid)
        missing = kept.truth(board.uuid) - sum(joules.values())
        assert 19.0 < gaps[Quality.MEASURED] < 25.0
        assert 0.0 < missing < 700.0 * gaps[Quality.MEASURED]
        assert sum(v.resets for v in kept.meter.views() if v.identity.device == board.uuid) == 1


def test_a_module_adds_nothing(books):
    kept = books(gh200(0))
    kept.live(100)
    platform = [v for v in kept.meter.views() if v.identity.component is Component.PLATFORM]
    assert [v.joules for v in platform] == [0.0]
    assert platform[0].cross_check
    assert platform[0].watts
