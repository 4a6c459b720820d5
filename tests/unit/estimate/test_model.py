import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent.estimate.catalog import describe, microarchitectures, parts
from agent.estimate.machine import Activity, Disk
from agent.estimate.model import by_component, evaluate, full_watts, idle_watts, prepare, total
from agent.quantities import Component

names = st.sampled_from(sorted(part.name for part in parts().values()))
loads = st.floats(0, 1)


@st.composite
def machines(draw):
    return describe(
        draw(names | st.sampled_from(["unknown", "Intel Xeon Processor (Skylake)", "AMD EPYC"])),
        sockets=draw(st.none() | st.integers(1, 8)),
        cores=draw(st.none() | st.integers(1, 512)),
        memory_gb=draw(st.none() | st.floats(0.5, 6000)),
        disks=draw(
            st.none()
            | st.lists(
                st.builds(
                    Disk,
                    st.text(min_size=1, max_size=8),
                    st.sampled_from(["nvme", "ssd", "hdd", "virtual"]),
                    st.integers(0, 10**14),
                ),
                max_size=4,
            ).map(tuple)
        ),
    )


@given(machines(), loads, st.none() | st.floats(100, 8000))
def test_bounds_enclose_the_best(machine, load, clock):
    for part in evaluate(prepare(machine), Activity(load, frequency_mhz=clock)):
        assert 0 <= part.watts_low <= part.watts_best <= part.watts_high
        assert part.method


@given(machines(), loads, loads)
def test_more_load_never_draws_less(machine, one, other):
    less, more = sorted((one, other))
    coefficients = prepare(machine)
    before = evaluate(coefficients, Activity(less))
    after = evaluate(coefficients, Activity(more))
    for a, b in zip(before, after, strict=True):
        assert a.watts_best <= b.watts_best * (1 + 1e-12)
        assert a.watts_low <= b.watts_low * (1 + 1e-12)
        assert a.watts_high <= b.watts_high * (1 + 1e-12)


@given(machines(), loads)
def test_parts_sum_to_the_host(machine, load):
    devices = evaluate(prepare(machine), Activity(load))
    host, merged = total(devices), by_component(devices)
    assert [part.component for part in merged][:2] == [Component.CPU, Component.DRAM]
    for bound in ("watts_low", "watts_best", "watts_high"):
        parts_sum = sum(getattr(part, bound) for part in devices)
        assert getattr(host, bound) == pytest.approx(parts_sum)
        assert sum(getattr(part, bound) for part in merged) == pytest.approx(parts_sum)


@given(names, st.integers(1, 4), loads)
def test_a_vm_pays_for_its_share_of_the_whole(name, sockets, load):
    whole = describe(name, sockets=sockets, memory_gb=64)
    cores = sockets * whole.part.cores
    quarter = cores // 4
    assume(quarter >= 1)
    assume(quarter != whole.part.cores)  # one socket's cores mean the whole machine
    slice_ = describe(name, sockets=sockets, cores=quarter, memory_gb=64)
    assert slice_.virtual
    assert slice_.cpu_share == pytest.approx(quarter / cores)
    all_of_it, ours = (
        by_component(evaluate(prepare(machine), Activity(load)))[0] for machine in (whole, slice_)
    )
    assert ours.watts_best == pytest.approx(all_of_it.watts_best * quarter / cores)
    assert ours.watts_best > 0, "idle is paid for too"


@given(names, loads, st.floats(200, 6000), st.floats(200, 6000))
def test_a_slower_clock_never_draws_more(name, load, one, other):
    coefficients = prepare(describe(name))
    slow, fast = (
        evaluate(coefficients, Activity(load, frequency_mhz=clock))[0].watts_best
        for clock in sorted((one, other))
    )
    assert slow <= fast


def test_every_part_idles_below_and_runs_near_its_tdp():
    for part in parts().values():
        assert part.base_mhz <= part.turbo_mhz, part.name
        assert part.cores <= part.threads, part.name
        assert idle_watts(part) < full_watts(part) <= 1.31 * part.tdp_watts, part.name


def test_sockets_are_told_apart():
    machine = describe("Xeon E5-2680 v4", sockets=2)
    first, second, *_ = evaluate(
        prepare(machine), Activity(0.5, package_utilization={"package-0": 1.0, "package-1": 0.0})
    )
    assert (first.device, second.device) == ("package-0", "package-1")
    assert first.watts_best > 2 * second.watts_best


def test_drives_have_their_own_load():
    machine = describe("EPYC 7302P", disks=(Disk("sda", "hdd"), Disk("nvme0n1", "nvme")))
    storage = [
        part
        for part in evaluate(prepare(machine), Activity(0.0, disk_utilization={"sda": 1.0}))
        if part.component is Component.STORAGE
    ]
    assert {part.device: part.watts_best for part in storage} == {"sda": 7.5, "nvme0n1": 4.0}


def test_evaluation_costs_microseconds():
    coefficients = prepare(describe("Xeon Platinum 8259CL", sockets=2))
    activity = Activity(0.4)
    evaluate(coefficients, activity)
    start = time.perf_counter()
    for _ in range(1000):
        evaluate(coefficients, activity)
    assert time.perf_counter() - start < 0.5  # a thousand; usually about 0.03


def test_every_microarchitecture_names_its_source():
    for arch in microarchitectures().values():
        assert arch.source
        assert arch.basis in {"measured", "scaled", "fallback"}
        assert arch.memory in {"DDR3", "DDR4", "DDR5"}
