import math
import time

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.collectors.trees import FIXTURES, Clock, context, fixtures, plant, put, replay

from agent.collector import Transient
from agent.quantities import Component
from collectors.host import Host


@pytest.fixture(autouse=True)
def procfs():
    yield
    psutil.PROCFS_PATH = "/proc"


def make(root, clock=None, **options):
    return Host(Host.Settings(**options), context(root, clock))


def stat(root, *cpus, total=None):
    """Write /proc/stat; each CPU is user nice system idle iowait irq softirq steal guest gnice."""
    rows = [total or [sum(column) for column in zip(*cpus, strict=True)], *cpus]
    names = ["cpu ", *(f"cpu{number}" for number in range(len(cpus)))]
    lines = [f"{name} {' '.join(map(str, row))}" for name, row in zip(names, rows, strict=True)]
    put(root / "proc/stat", "\n".join([*lines, "intr 0", "btime 1"]))


def sockets(root, *packages):
    for number, package in enumerate(packages):
        path = root / f"sys/devices/system/cpu/cpu{number}/topology/physical_package_id"
        put(path, package)


def rest(root, busy=0, received=0, sent=0):
    """Write what the slow readings want."""
    memory = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 250 kB\nBuffers: 10 kB\n"
    put(root / "proc/meminfo", memory + "Cached: 100 kB\nActive: 1 kB\nInactive: 1 kB\nShmem: 1 kB")
    disk = " 8 0 sda 1 0 8 1 1 0 8 1 0 {0} 1\n 8 1 sda1 1 0 8 1 1 0 8 1 0 {0} 1"
    put(root / "proc/diskstats", disk.format(busy))
    head = "Inter-| Receive | Transmit\n face |bytes packets|bytes packets\n"
    row = " eth0: {} 0 0 0 0 0 0 0 {} 0 0 0 0 0 0 0"
    put(root / "proc/net/dev", head + row.format(received, sent))


def ratios(samples, component=Component.CPU):
    return {s.device: s.ratio for s in samples if s.component == component}


@pytest.mark.parametrize("folder", fixtures("host"), ids=lambda folder: folder.name)
def test_recorded_machine(folder, tmp_path):
    replay(folder, tmp_path, lambda ctx: Host(Host.Settings(), ctx))


def test_busy_is_neither_idle_nor_waiting_nor_stolen_and_guests_count_once(tmp_path):
    rest(tmp_path)
    stat(tmp_path, [0] * 10)
    sockets(tmp_path, 0)
    host = make(tmp_path)
    assert ratios(host.read()) == {}
    # user 20 (with 5 of guest), nice 4 (with 2 of guest), system 6, irq 1, softirq 1: 32 of 100
    stat(tmp_path, [20, 4, 6, 40, 18, 1, 1, 10, 5, 2])
    assert ratios(host.read()) == {"all": pytest.approx(0.32), "package-0": pytest.approx(0.32)}


def test_each_socket_has_its_own_ratio(tmp_path):
    rest(tmp_path)
    idle, busy = [0, 0, 0, 100, 0, 0, 0, 0, 0, 0], [100, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    stat(tmp_path, *([0] * 10 for _ in range(4)))
    sockets(tmp_path, 0, 0, 1, 1)
    host = make(tmp_path)
    host.read()
    stat(tmp_path, idle, busy, busy, busy)
    assert ratios(host.read()) == {"all": 0.75, "package-0": 0.5, "package-1": 1.0}


def test_an_offline_cpu_leaves_no_hole_in_the_sockets(tmp_path):
    """psutil lists CPUs without numbers; the topology folder of an offline CPU is gone."""
    rest(tmp_path)
    sockets(tmp_path, 0, 0, 1, 1)
    zero, busy = [0] * 10, [100, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    stat(tmp_path, zero, zero, zero, zero)
    host = make(tmp_path)
    host.read()
    (tmp_path / "sys/devices/system/cpu/cpu1/topology/physical_package_id").unlink()
    (tmp_path / "sys/devices/system/cpu/cpu1/topology").rmdir()
    idle = [0, 0, 0, 100, 0, 0, 0, 0, 0, 0]
    stat(tmp_path, idle, busy, busy)
    host.read()
    stat(tmp_path, [0, 0, 0, 200, 0, 0, 0, 0, 0, 0], *([200, *[0] * 9] for _ in range(2)))
    ratio = ratios(host.read())
    assert ratio["package-0"] == 0.0
    assert ratio["package-1"] == 1.0


def test_a_container_that_sees_fewer_cpus_has_all_and_no_sockets(tmp_path):
    rest(tmp_path)
    sockets(tmp_path, 0, 0, 1, 1)
    stat(tmp_path, [0] * 10)
    host = make(tmp_path)
    host.read()
    stat(tmp_path, [50, 0, 0, 50, 0, 0, 0, 0, 0, 0])
    assert ratios(host.read()) == {"all": 0.5}


def test_without_topology_there_is_all(tmp_path):
    rest(tmp_path)
    stat(tmp_path, [0] * 10)
    host = make(tmp_path)
    host.read()
    stat(tmp_path, [50, 0, 0, 50, 0, 0, 0, 0, 0, 0])
    assert ratios(host.read()) == {"all": 0.5}


def test_counters_that_fall_or_stand_still_give_nothing_or_a_ratio_in_bounds(tmp_path):
    rest(tmp_path)
    stat(tmp_path, [50, 0, 0, 50, 20, 0, 0, 0, 0, 0])
    host = make(tmp_path)
    host.read()
    assert ratios(host.read()) == {}
    stat(tmp_path, [60, 0, 0, 50, 15, 0, 0, 0, 0, 0])  # iowait fell
    assert ratios(host.read()) == {"all": 1.0}
    stat(tmp_path, [1, 0, 0, 1, 1, 0, 0, 0, 0, 0])
    assert ratios(host.read()) == {}


def test_memory_disks_and_ports_are_read_every_fifteen_seconds(tmp_path):
    clock = Clock()
    stat(tmp_path, [0] * 10)
    put(tmp_path / "sys/block/sda/size", 1)
    put(tmp_path / "sys/class/net/eth0/speed", 1000)
    put(tmp_path / "sys/class/net/eth0/device/vendor", 1)
    rest(tmp_path)
    host = make(tmp_path, clock)
    assert ratios(host.read(), Component.DRAM) == {"all": 0.75}
    for second in range(1, 15):
        clock.now = 1000 + second
        assert not host.read()
    clock.now = 1014.95  # a tick a little early is the fifteenth
    rest(tmp_path, busy=7475, received=14_950_000, sent=29_900_000)
    samples = host.read()
    assert ratios(samples, Component.DRAM) == {"all": 0.75}
    assert ratios(samples, Component.STORAGE) == {"sda": pytest.approx(0.5)}
    assert ratios(samples, Component.NIC) == {"eth0": pytest.approx(2e6 * 8 / 1e9)}
    assert host.problems() == ()


@pytest.mark.parametrize("speed", ["-1", "0", "65535", "4294967295", "", "garbage", None])
def test_a_port_of_unknown_speed_has_no_ratio(tmp_path, speed):
    clock = Clock()
    stat(tmp_path, [0] * 10)
    rest(tmp_path)
    put(tmp_path / "sys/class/net/eth0/device/vendor", 1)
    if speed is not None:
        put(tmp_path / "sys/class/net/eth0/speed", speed)
    host = make(tmp_path, clock)
    host.read()
    clock.now += 15
    rest(tmp_path, received=1000)
    assert ratios(host.read(), Component.NIC) == {}


def test_counters_that_started_anew_have_no_ratio(tmp_path):
    clock = Clock()
    stat(tmp_path, [0] * 10)
    put(tmp_path / "sys/class/net/eth0/speed", 1000)
    put(tmp_path / "sys/class/net/eth0/device/vendor", 1)
    rest(tmp_path, busy=5000, received=5000)
    host = make(tmp_path, clock)
    host.read()
    clock.now += 15
    rest(tmp_path)
    samples = host.read()
    assert ratios(samples, Component.STORAGE) == {}
    assert ratios(samples, Component.NIC) == {}


def test_without_procfs_it_is_transient_and_reads_no_other_machine(tmp_path):
    host = make(tmp_path)
    with pytest.raises(Transient) as caught:
        host.read()
    assert caught.value.reason == "io"
    assert {p.what for p in host.problems()} == {"cpu", "memory", "disks", "ports"}


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    root = tmp_path_factory.mktemp("machine")
    plant(root, (FIXTURES / "host/server-2s/tree.txt").read_text())
    return root


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # psutil's own, of fields that are missing
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    file=st.sampled_from(["proc/stat", "proc/meminfo", "proc/diskstats", "proc/net/dev"]),
    cut=st.integers(0, 400),
    content=st.one_of(
        st.binary(max_size=120),
        st.from_regex(rb"(cpu[0-9 ]* [0-9 ]+\n)+", fullmatch=True),
        st.from_regex(rb"(MemTotal|MemAvailable|MemFree): +[0-9]{1,30} kB\n", fullmatch=True),
    ),
)
def test_no_text_in_any_file_makes_it_fail_or_invent(machine, file, cut, content):
    path = machine / file
    good = path.read_bytes()
    clock = Clock()
    host = make(machine, clock, slow_interval_seconds=0.0)
    try:
        for text in (good, good[:cut] + content, good):
            path.write_bytes(text)
            try:
                samples = host.read()
            except Transient:
                continue
            clock.now += 1
            for sample in samples:
                assert math.isfinite(sample.ratio)
                assert 0 <= sample.ratio <= 1
    finally:
        path.write_bytes(good)


def test_a_tick_is_cheap(tmp_path):
    """Under 300 us of CPU on the reference machine; the limit allows for a slow one."""
    plant(tmp_path, (FIXTURES / "host/server-2s/tree.txt").read_text())
    host = make(tmp_path)
    host.read()
    best = math.inf
    for _ in range(5):
        start = time.thread_time()
        for _ in range(50):
            host.read()
        best = min(best, (time.thread_time() - start) / 50)
    assert best < 1e-3
