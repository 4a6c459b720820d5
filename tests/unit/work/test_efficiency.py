"""Amount and energy of the same time."""

import pytest

from agent.quantities import Component
from agent.work.efficiency import Efficiency
from agent.work.energy import EnergyBook, Scope

GPU = Scope(Component.GPU, "GPU-0")


def running(watts=500.0, seconds=300):
    book = EnergyBook()
    for second in range(seconds):
        book.post(*GPU, float(second), second + 1.0, watts)
    return book


def test_amount_over_joules_of_the_last_minute():
    book, efficiency = running(), Efficiency(GPU)
    for second in range(200):
        efficiency.add(float(second), second + 1.0, 1000.0 if second < 100 else 3000.0)
        efficiency.settle(book, second + 1.0)
    rate = efficiency.rate(200.0)
    assert rate.amount / rate.joules == pytest.approx(3000.0 / 500.0)
    assert rate.seconds == pytest.approx(60.0)


def test_work_without_known_energy_is_in_neither():
    book, efficiency = EnergyBook(), Efficiency(GPU)
    for second in range(30):
        if not 10 <= second < 20:
            book.post(*GPU, float(second), second + 1.0, 100.0)
    for second in range(30):
        efficiency.add(float(second), second + 1.0, 700.0)
    efficiency.settle(book, 100.0)
    rate = efficiency.rate(31.0)
    assert rate.amount / rate.joules == pytest.approx(7.0)


def test_two_programs_at_once_share_the_energy_of_the_time():
    book, efficiency = running(100.0), Efficiency(GPU)
    efficiency.add(0.0, 10.0, 50.0)
    efficiency.add(0.0, 10.0, 150.0)
    efficiency.add(5.0, 12.0, 40.0)
    efficiency.settle(book, 300.0)
    rate = efficiency.rate(13.0)
    assert rate.amount == pytest.approx(240.0)
    assert rate.joules == pytest.approx(1200.0)


def test_a_pause_between_two_reports_is_in_neither():
    book, efficiency = running(100.0), Efficiency(GPU)
    efficiency.add(0.0, 10.0, 50.0)
    efficiency.add(40.0, 50.0, 50.0)
    efficiency.settle(book, 300.0)
    rate = efficiency.rate(51.0)
    assert (rate.amount, rate.joules) == (pytest.approx(100.0), pytest.approx(2000.0))


def test_it_fades_after_a_minute_and_a_long_report_stays_as_long_as_it_was():
    book, efficiency = running(), Efficiency(GPU)
    efficiency.add(0.0, 10.0, 5.0)
    efficiency.settle(book, 10.0)
    assert efficiency.rate(69.0) is not None
    assert efficiency.rate(71.0) is None
    efficiency.add(10.0, 210.0, 5.0)
    efficiency.settle(book, 210.0)
    assert efficiency.rate(400.0).joules == pytest.approx(200 * 500.0)
    assert efficiency.rate(411.0) is None


def test_what_has_no_length_is_no_interval():
    book, efficiency = running(), Efficiency(GPU)
    efficiency.add(10.0, 10.0, 5.0)
    efficiency.add(10.0, 9.0, 5.0)
    efficiency.add(0.0, 4000.0, 5.0)
    efficiency.settle(book, 300.0)
    assert efficiency.rate(300.0) is None


def test_nothing_done_is_zero_and_not_unknown():
    book, efficiency = running(), Efficiency(GPU)
    for second in range(100):
        efficiency.add(float(second), second + 1.0, 1e15 if second < 30 else 0.0)
        efficiency.settle(book, second + 1.0)
    assert efficiency.rate(100.0).amount == 0.0


def test_one_interval_whose_energy_is_known_does_not_wait_for_the_next():
    book, efficiency = running(100.0, seconds=2), Efficiency(GPU)
    efficiency.add(0.5, 1.5, 10.0)
    efficiency.add(1.5, 2.5, 10.0)
    efficiency.settle(book, 2.5)
    rate = efficiency.rate(2.5)
    assert (rate.amount, rate.joules) == (10.0, pytest.approx(100.0))


def test_a_flood_of_reports_is_taken_together_and_complete():
    book, efficiency = running(100.0), Efficiency(GPU)
    for n in range(10_000):
        efficiency.add(n / 1000, (n + 1) / 1000, 1.0)
    efficiency.settle(book, 300.0)
    rate = efficiency.rate(11.0)
    assert (rate.amount, rate.joules) == (pytest.approx(10_000.0), pytest.approx(1000.0))
