"""Totals of work: nothing lost over restarts, nothing counted twice."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.quantities import Component, Seconds
from agent.samples import FlopCount, Method, WorkCounter, WorkDone
from agent.work import Scope, Tally, WorkState

GPU = "GPU-0"


def flop(at, amount=1e12, since=None, collector="nvml", method=Method.PIPE_ACTIVITY, **more):
    return FlopCount(
        collector,
        Component.GPU,
        GPU,
        Seconds(at - 1.0 if since is None else since),
        Seconds(at),
        amount,
        more.get("precision", "fp16_tensor"),
        method,
    )


def counter(at, total, instance="a", unit="tokens", **more):
    return WorkCounter("work_scrape", "llama", unit, instance, Seconds(at), total, **more)


def done(at, amount, workload="train", unit="steps", **more):
    return WorkDone("work", workload, unit, Seconds(at), amount, **more)


def totals(tally):
    return {(view.workload, view.unit): view.amount for view in tally.work_views(0.0)}


def flops(tally, now=0.0, peaks=()):
    return {(v.precision, v.method): v for v in tally.flop_views(now, dict(peaks))}


def test_flops_per_watt_and_share_of_peak_by_hand():
    tally = Tally()
    for second in range(100):
        tally.take([flop(second + 1.0, 2e14)], {})
        tally.book.post(Component.GPU, GPU, float(second), second + 1.0, 500.0)
        tally.settle(second + 1.0, ())
    peaks = {(Scope(Component.GPU, GPU), "fp16_tensor"): 989.4e12}
    view = flops(tally, 100.0, peaks)["fp16_tensor", Method.PIPE_ACTIVITY]
    assert view.flop == pytest.approx(2e16)
    assert view.flop_per_joule == pytest.approx(4e11)
    assert view.flop_per_second == pytest.approx(2e14)
    assert view.peak_ratio == pytest.approx(0.2021427)


def test_no_peak_no_share():
    tally = Tally()
    for second in range(3):
        tally.book.post(Component.GPU, GPU, float(second), second + 1.0, 500.0)
        tally.take([flop(second + 1.0)], {})
    tally.settle(3.0, ())
    view = flops(tally, 3.0)["fp16_tensor", Method.PIPE_ACTIVITY]
    assert (view.flop_per_joule, view.peak_ratio) == (pytest.approx(2e9), None)


def test_of_two_sources_of_the_same_operations_one_counts():
    tally = Tally()
    for second in range(1, 301):
        samples = []
        if not 100 <= second < 200:
            samples.append(flop(second, 10.0))
        if second % 15 == 0:
            samples.append(flop(second, 150.0, since=second - 15.0, collector="dcgm"))
        tally.take(samples, {})
    # 199 s by NVML; of its silence dcgm's whole intervals once it counted as silent
    total = flops(tally)["fp16_tensor", Method.PIPE_ACTIVITY].flop
    assert total == pytest.approx(10.0 * (300 - 100) + 150.0 * 2, abs=150.0)
    assert total <= 3000.0


def test_an_interval_that_was_counted_in_part_counts_for_the_rest():
    tally = Tally()
    tally.take([flop(10.0, 100.0, since=0.0), flop(20.0, 300.0, since=5.0)], {})
    assert flops(tally)["fp16_tensor", Method.PIPE_ACTIVITY].flop == pytest.approx(300.0)


def test_a_program_that_began_anew_is_counted_on():
    tally = Tally()
    tally.take([counter(0.0, 5000.0)], {})
    assert totals(tally) == {("llama", "tokens"): 0.0}
    tally.take([counter(15.0, 5300.0)], {})
    tally.take([counter(30.0, 40.0)], {})
    tally.take([counter(45.0, 90.0)], {})
    assert totals(tally) == {("llama", "tokens"): 390.0}


def test_totals_and_counters_go_on_after_a_restart_of_the_agent():
    tally = Tally()
    tally.take([counter(0.0, 100.0), counter(15.0, 150.0), done(16.0, 3.0), flop(16.0, 8.0)], {})
    body = msgspec.msgpack.encode(tally.state)
    again = Tally(msgspec.msgpack.decode(body, type=WorkState))
    again.take([counter(100.0, 400.0), done(101.0, 2.0), flop(101.0, 4.0)], {})
    assert totals(again) == {("llama", "tokens"): 300.0, ("train", "steps"): 5.0}
    assert flops(again)["fp16_tensor", Method.PIPE_ACTIVITY].flop == 12.0


def test_tokens_with_operations_per_token_are_application_flops_of_the_named_device():
    tally = Tally()
    devices = {"3": Scope(Component.GPU, GPU)}
    said = {"device": "3", "flop_per_unit": 2e9, "precision": "fp16_tensor"}
    for second in range(0, 61, 15):
        tally.book.post(Component.GPU, GPU, second - 15.0, float(second), 15 * 400.0)
        read = [counter(second, 100.0 * second, **said), counter(second, 0.0, unit="requests")]
        tally.take(read, devices)
        tally.settle(second, ())
    view = flops(tally, 60.0)["fp16_tensor", Method.APPLICATION]
    assert (view.component, view.device) == (Component.GPU, GPU)
    assert view.flop == pytest.approx(6000 * 2e9)
    assert view.flop_per_joule == pytest.approx(100 * 2e9 / 400.0)
    work = {v.unit: v for v in tally.work_views(60.0)}
    assert work["tokens"].joules_per_unit == pytest.approx(4.0)
    assert work["requests"].joules_per_unit is None


def test_reports_of_a_script_take_the_energy_since_the_report_before():
    tally = Tally()
    for second in range(700):
        tally.book.post(Component.CPU, "package-0", float(second), second + 1.0, 100.0)
        tally.book.post(Component.GPU, GPU, float(second), second + 1.0, 300.0)
        if second in {0, 600}:
            tally.take([done(second, 10.0)], {})
        tally.settle(second + 1.0, ())
    (view,) = tally.work_views(700.0)
    assert view.amount == 20.0
    assert view.joules_per_unit == pytest.approx(600 * 400.0 / 10.0)


def test_a_report_that_says_how_long_it_took():
    tally = Tally()
    for second in range(30):
        tally.book.post(Component.GPU, GPU, float(second), second + 1.0, 300.0)
    tally.take([done(20.0, 4.0, since=Seconds(10.0), device="gpu", flop=6e12)], {})
    tally.settle(31.0, ())
    (view,) = tally.work_views(31.0)
    assert view.joules_per_unit == pytest.approx(750.0)
    got = flops(tally, 31.0)["unspecified", Method.APPLICATION]
    assert (got.component, got.device) == (Component.GPU, "all")
    assert got.flop_per_joule == pytest.approx(2e9)


def test_too_many_workloads_are_refused_by_name():
    tally = Tally(max_workloads=2)
    tally.take([done(1.0, 1.0, f"job-{n}") for n in range(5)], {})
    assert len(tally.work_views(0.0)) == 2
    assert set(tally.refused) == {"job-2 steps", "job-3 steps", "job-4 steps"}
    tally.take([done(2.0, 1.0, "job-0")], {})
    assert totals(tally)["job-0", "steps"] == 2.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
def test_nonsense_adds_nothing(bad):
    tally = Tally()
    tally.take([flop(1.0, bad), counter(1.0, bad), flop(2.0, 1.0), counter(2.0, 0.0)], {})
    assert flops(tally)["fp16_tensor", Method.PIPE_ACTIVITY].flop == 1.0
    assert totals(tally) == {("llama", "tokens"): 0.0}


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.booleans(), st.booleans()), min_size=1, max_size=50)
)
def test_a_total_is_what_the_program_did_while_it_was_watched(steps):
    """Against an oracle, over resets of the program and restarts of the agent."""
    tally, truth, shown, first = Tally(), 0, 0, True
    for number, (amount, program_restarts, agent_restarts) in enumerate(steps):
        if agent_restarts:
            body = msgspec.msgpack.encode(tally.state)
            tally = Tally(msgspec.msgpack.decode(body, type=WorkState))
        if program_restarts and amount < shown:
            shown = 0
        shown += amount
        tally.take([counter(15.0 * number, float(shown))], {})
        truth += 0 if first else amount
        first = False
    assert totals(tally) == {("llama", "tokens"): float(truth)}
