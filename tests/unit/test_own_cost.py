import pytest

from agent import own_cost
from agent.own_cost import OwnCost


@pytest.fixture
def clock(monkeypatch):
    """Monotonic time and the CPU seconds that the process has used, both set by the test."""
    at = {"now": 0.0, "cpu": 0.0}

    class Usage:
        ru_stime = 0.0

        @property
        def ru_utime(self):
            return at["cpu"]

    monkeypatch.setattr(own_cost.time, "monotonic", lambda: at["now"])
    monkeypatch.setattr(own_cost.resource, "getrusage", lambda _: Usage())
    monkeypatch.setattr(own_cost.os, "cpu_count", lambda: 4)
    return at


def test_it_has_its_share_of_busy_time_of_the_cpus_energy(clock):
    cost = OwnCost({})
    cost.account(None, lambda: 100.0)
    clock.update(now=10.0, cpu=2.0)
    cost.account(0.5, lambda: 100.0)  # 4 cores half busy: 20 s of CPU time in all, 2 are ours
    assert cost.view().cpu_seconds == 2.0
    assert cost.view().joules == pytest.approx(100.0 * 10.0 * 2.0 / 20.0)


def test_it_never_has_more_than_all_of_it(clock):
    cost = OwnCost({})
    cost.account(0.0, lambda: 100.0)
    clock.update(now=10.0, cpu=3.0)
    cost.account(0.0, lambda: 100.0)
    assert cost.view().joules == pytest.approx(1000.0)


def test_unknown_power_or_load_adds_no_energy_and_is_no_zero(clock):
    cost = OwnCost({})
    cost.account(None, lambda: 0.0)
    clock.update(now=10.0, cpu=1.0)
    cost.account(None, lambda: 100.0)
    assert (cost.view().cpu_seconds, cost.view().joules) == (1.0, None)


def test_it_goes_on_from_an_earlier_lifes_totals(clock):
    cost = OwnCost({own_cost.CPU_SECONDS: 7.0, own_cost.JOULES: 5.0})
    clock.update(cpu=1.0)
    cost.account(0.5, lambda: 1.0)
    assert (cost.view().cpu_seconds, cost.view().joules) == (8.0, 5.0)
    assert cost.view().resident_bytes > 1e6
