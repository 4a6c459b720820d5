"""A site's polled meters: registers, roll-overs, new meters, silences, restarts and reboots."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.quantities import Seconds
from agent.quarters import Quarters
from agent.samples import MeterCounter, MeterRate
from agent.site.book import BookState, SiteBook
from agent.site.settings import SiteSettings

KWH = 3.6e6
WALL = 1_760_000_400.0
"""At boottime 0; a whole quarter of an hour."""


def site(**meters):
    table = [
        {"name": name, "source": "http", "url": "http://meter", "energy": "/e"} | keys
        for name, keys in meters.items()
    ]
    return msgspec.convert({"name": "gz-1", "meter": table}, SiteSettings)


class Life:
    """A book on virtual time; `wall_offset` is what the wall clock is off by."""

    def __init__(self, settings):
        self.settings = settings
        self.quarters = Quarters()
        self.book = SiteBook(settings, self.quarters)
        self.book.begin("boot-1")
        self.offset = WALL
        self.now = 0.0

    def register(self, at, total, meter="a", **more):
        self.now = at
        sample = MeterCounter("meter_http", meter, Seconds(at), total, **more)
        self.book.take(sample, at, at + self.offset)
        self.book.settle(at, at + self.offset)

    def rate(self, at, per_second, meter="a"):
        self.now = at
        self.book.take(
            MeterRate("meter_http", meter, Seconds(at), per_second), at, at + self.offset
        )
        self.book.settle(at, at + self.offset)

    def wait(self, until):
        self.now = until
        self.book.settle(until, until + self.offset)

    def restart(self, boot="boot-1", now=None, offset=None):
        body = msgspec.msgpack.encode((self.book.state, self.quarters.state))
        state, quarters = msgspec.msgpack.decode(
            body, type=tuple[BookState, type(self.quarters.state)]
        )
        self.quarters = Quarters(quarters)
        self.book = SiteBook(self.settings, self.quarters, state)
        self.book.begin(boot)
        self.now = self.now if now is None else now
        self.offset = self.offset if offset is None else offset

    def view(self, meter="a"):
        views = {v.name: v for v in self.book.views(self.now, self.now + self.offset)}
        return views[meter]

    def covered(self):
        return sum(p.seconds for p in self.quarters.peek())


def test_a_registers_rise_is_counted():
    life = Life(site(a={"role": "total"}))
    for n in range(7):
        life.register(10.0 * n, 5000 * KWH + n * 1000.0)
    view = life.view()
    assert (view.amount, view.gap_seconds, view.resets) == (6000.0, 0.0, 0)
    assert view.rate == pytest.approx(100.0)
    assert life.covered() == pytest.approx(60.0)


def test_what_a_register_rose_by_over_a_long_silence_is_counted_and_spread():
    life = Life(site(a={"role": "total"}))
    life.register(0.0, 1000 * KWH)
    life.register(10.0, 1000 * KWH + 1e5)
    life.wait(9000.0)
    assert life.view().rate is None  # silent: its power is unknown
    life.register(36_010.0, 1000 * KWH + 1e5 + 3.6e8)
    assert life.view().amount == pytest.approx(1e5 + 3.6e8)
    by_quarter = [p.amount for p in life.quarters.close(WALL + 36_000.0)]
    assert by_quarter[5] == pytest.approx(900 * 1e4)  # 10 kW on average
    assert life.view().gap_seconds == 0.0


def test_a_32_bit_register_rolls_over():
    life = Life(site(a={"role": "it"}))
    wraps_at = 2**32 * 3600.0  # Wh
    life.register(0.0, wraps_at - 7200.0, wraps_at=wraps_at)
    life.register(10.0, wraps_at - 3600.0, wraps_at=wraps_at)
    life.register(20.0, 1800.0, wraps_at=wraps_at)
    assert life.view().amount == pytest.approx(3600.0 + 5400.0)
    assert life.view().resets == 0


def test_a_meter_that_was_replaced_is_no_roll_over():
    life = Life(site(a={"role": "it"}))
    wraps_at = 2**32 * 3600.0
    for n in range(4):
        life.register(10.0 * n, 3.9e9 * 3600.0 + n * 1e6, wraps_at=wraps_at)
    life.register(3630.0, 12 * KWH, wraps_at=wraps_at)  # the new one came with 12 kWh on it
    life.register(3640.0, 12 * KWH + 1e6, wraps_at=wraps_at)
    view = life.view()
    assert view.amount == pytest.approx(3e6 + 1e6)
    assert (view.gap_seconds, view.resets) == (3600.0, 1)


def test_garbage_is_a_gap_and_not_energy():
    life = Life(site(a={"role": "it"}))
    life.register(0.0, 1e9, max_per_second=1e6)
    life.register(10.0, 1e18, max_per_second=1e6)
    life.register(20.0, 1e9 + 1e6, max_per_second=1e6)
    assert life.view().amount == 0.0
    assert life.view().gap_seconds == pytest.approx(20.0)


def test_a_rate_is_integrated_and_its_silence_is_a_gap():
    life = Life(site(a={"role": "total"}))
    for n in range(5):
        life.rate(10.0 * n, 100.0 * n)
    assert life.view().amount == pytest.approx(400.0 / 2 * 40)
    life.wait(60.0)
    assert life.view().gap_seconds == 0.0  # it may come yet
    life.wait(100.0)
    assert life.view().gap_seconds == pytest.approx(60.0)
    life.rate(140.0, 400.0)
    life.rate(150.0, 400.0)
    view = life.view()
    assert view.gap_seconds == pytest.approx(100.0)
    assert view.amount == pytest.approx(8000.0 + 4000.0)


def test_a_meter_with_register_and_rate_is_counted_once():
    life = Life(site(a={"role": "total"}))
    life.rate(0.0, 500.0)
    for n in range(1, 5):
        life.register(10.0 * n, n * 1000.0)
        life.rate(10.0 * n, 123.0)
    view = life.view()
    assert view.amount == pytest.approx(3000.0)
    assert view.rate == 123.0  # its own word, not the mean


def test_a_reboot_loses_nothing_of_a_register():
    life = Life(site(a={"role": "total"}))
    life.register(5000.0, 1e9)
    life.restart("boot-2", now=30.0, offset=WALL + 5000.0 + 600.0 - 30.0)  # off for 10 minutes
    life.register(30.0, 1e9 + 6e7)
    assert life.view().amount == pytest.approx(6e7)
    assert life.covered() == pytest.approx(600.0)


def test_a_clock_that_was_set_back_over_a_reboot_loses_no_energy():
    life = Life(site(a={"role": "total"}))
    life.register(5000.0, 1e9)
    life.restart("boot-2", now=30.0, offset=WALL - 90_000.0)
    life.register(30.0, 1e9 + 6e7)
    assert life.view().amount == pytest.approx(6e7)


def test_a_restart_within_a_boot_uses_the_clock_that_never_steps():
    life = Life(site(a={"role": "total"}))
    life.rate(0.0, 100.0)
    life.rate(10.0, 100.0)
    life.restart(offset=WALL + 7200.0)  # the wall clock was set meanwhile
    life.rate(20.0, 100.0)
    assert life.view().amount == pytest.approx(2000.0)
    assert life.view().gap_seconds == 0.0


def test_the_same_reading_twice_is_passed_over():
    life = Life(site(a={"role": "total"}))
    life.register(0.0, 1000.0)
    life.register(10.0, 2000.0)
    life.register(10.0, 9000.0)
    life.register(20.0, 3000.0)
    assert life.view().amount == pytest.approx(2000.0)


def test_virtual_meters_are_sums_and_differences():
    settings = msgspec.convert(
        {
            "meter": [
                {"name": n, "source": "http", "url": "http://m", "energy": "/e"} for n in "abc"
            ]
            + [
                {
                    "name": "v",
                    "role": "total",
                    "source": "virtual",
                    "add": ["a", "b"],
                    "subtract": ["c"],
                }
            ]
        },
        SiteSettings,
    )
    life = Life(settings)
    for n in range(3):
        for meter, watts in (("a", 100.0), ("b", 50.0)):
            life.register(10.0 * n, n * 10 * watts, meter)
    assert {v.name for v in life.book.views(20.0, WALL + 20.0)} == {"a", "b"}
    for n in range(3, 6):
        for meter, watts in (("a", 100.0), ("b", 50.0), ("c", 30.0)):
            life.register(10.0 * n, n * 10 * watts, meter)
    assert life.view("v").rate == pytest.approx(120.0)
    assert life.view("v").amount == pytest.approx(150.0 * 50 - 30.0 * 20)
    shown = life.view("v").amount
    life.register(60.0, 1e5, "c")  # what is taken off runs ahead: the sum stands still
    assert life.view("v").amount == shown


def test_water_of_a_meter_that_only_a_virtual_one_uses_is_in_litres():
    settings = msgspec.convert(
        {
            "meter": [
                {
                    "name": "w",
                    "source": "http",
                    "url": "http://m",
                    "energy": "/e",
                    "energy_unit": "m3",
                },
                {"name": "v", "role": "water_in", "source": "virtual", "add": ["w"]},
            ]
        },
        SiteSettings,
    )
    life = Life(settings)
    life.register(0.0, 0.0, "w")
    life.register(10.0, 5.0, "w")
    (posting,) = life.quarters.peek()
    assert posting.series.unit == "l"
    assert life.view("v").quantity == "water"


STEPS = st.lists(
    st.tuples(
        st.floats(0.5, 5000.0),
        st.floats(0, 1e6),
        st.sampled_from(["", "", "", "restart", "reboot", "replaced"]),
    ),
    min_size=1,
    max_size=30,
)


@given(STEPS)
def test_counted_and_gap_are_the_time_since_the_first_reading(steps):
    """And what is counted is what the register rose by, wherever it did not begin anew."""
    life = Life(site(a={"role": "total"}))
    total, true, elapsed, dark = 1e9, 0.0, 0.0, 0.0
    life.register(0.0, total, max_per_second=1e9)
    for seconds, watts, event in steps:
        rise = watts * seconds
        elapsed += seconds
        if event == "replaced" and total > 0:
            total = 0.0  # and no modulus is known: it began anew
            dark += seconds
        else:
            total += rise
            true += rise
        if event == "restart":
            life.restart()
        now = life.now + seconds
        if event == "reboot":
            life.restart("boot-x" + str(elapsed), now=5.0, offset=life.offset + now - 5.0)
            now = 5.0
        life.register(now, total, max_per_second=1e9)
    view = life.view()
    assert view.amount == pytest.approx(true, rel=1e-9, abs=1e-3)
    assert view.gap_seconds == pytest.approx(dark, rel=1e-6, abs=1e-3)
    assert life.covered() + view.gap_seconds == pytest.approx(elapsed, rel=1e-6, abs=1e-3)
