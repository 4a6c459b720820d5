import asyncio
import contextlib
import math
import shutil

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from unit.collectors.trees import (
    FIXTURES,
    Clock,
    context,
    fixtures,
    plant,
    put,
    readable_by_all,
    reading,
    replay,
    without_rights,
)

from agent.collector import Absent, Transient
from collectors.rapl import Rapl

RANGE = 262143328850


def make(root, clock=None, **options):
    return Rapl(Rapl.Settings(**options), context(root, clock))


def zone(root, index, name, energy=1_000_000, span=RANGE):
    """Make a zone as a plain folder of the class, as a container may show it."""
    path = root / "sys/class/powercap" / index
    put(path / "name", name)
    put(path / "energy_uj", energy)
    put(path / "max_energy_range_uj", span)
    return path


def joules(samples):
    return {sample.device: sample.joules for sample in samples}


@pytest.mark.parametrize("folder", fixtures("rapl"), ids=lambda folder: folder.name)
def test_recorded_machine(folder, tmp_path):
    replay(folder, tmp_path, lambda ctx: Rapl(Rapl.Settings(), ctx))


def test_the_modulus_is_the_range_and_one_unit(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", span=65532610987)
    (sample,) = make(tmp_path).read()
    assert sample.wraps_at == pytest.approx(2**32 * 15.258e-6, rel=1e-9)
    assert sample.wraps_at > 65532.610987


def test_the_time_is_the_middle_of_the_read(tmp_path):
    class Ticking(Clock):
        def boottime(self):
            self.now += 1.0
            return super().boottime()

    zone(tmp_path, "intel-rapl:0", "package-0")
    zone(tmp_path, "intel-rapl:1", "package-1")
    first, second = make(tmp_path, Ticking()).read()
    assert second.at - first.at == 1.0
    assert (first.at * 2) % 2 == 1.0  # halfway between two whole seconds


def test_no_zone_is_absence_with_the_way_out(tmp_path):
    with pytest.raises(Absent, match="a VM hides RAPL") as caught:
        make(tmp_path).read()
    assert "modprobe intel_rapl_common" in caught.value.remedy
    (tmp_path / "sys/class/powercap/intel-rapl").mkdir(parents=True)
    with pytest.raises(Absent):
        make(tmp_path).read()


def test_the_mmio_twin_alone_is_absence(tmp_path):
    zone(tmp_path, "intel-rapl-mmio:0", "package-0")
    with pytest.raises(Absent, match="intel-rapl-mmio"):
        make(tmp_path).read()


def test_core_and_uncore_are_inside_the_package(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core")
    zone(tmp_path, "intel-rapl:0:1", "uncore")
    zone(tmp_path, "intel-rapl:0:2", "dram", 2_000_000)
    assert joules(make(tmp_path).read()) == {"package-0": 5.0, "dram-0": 2.0}


def test_zones_of_one_name_are_two_devices(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000_000)
    zone(tmp_path, "intel-rapl:1", "package-0", 7_000_000_000)
    assert joules(make(tmp_path).read()) == {"package-0": 5000.0, "package-0-die-1": 7000.0}


def test_without_permission_it_says_how_to_get_it():
    with readable_by_all() as root:
        for index, name in (("0", "package-0"), ("0:0", "dram")):
            (zone(root, f"intel-rapl:{index}", name) / "energy_uj").chmod(0)

        def attempt():
            rapl = make(root)
            try:
                rapl.read()
            except Transient as outcome:
                return outcome.reason, outcome.remedy, [p.reason for p in rapl.problems()]
            return None

        reason, remedy, problems = without_rights(attempt)
    assert reason == "permission"
    assert "z /sys/class/powercap/intel-rapl:*/energy_uj 0440 root wattlas" in remedy
    assert "systemd-tmpfiles --create" in remedy
    assert "as root" in remedy
    assert problems == ["permission", "permission"]


def test_one_zone_without_permission_leaves_the_others():
    with readable_by_all() as root:
        zone(root, "intel-rapl:0", "package-0")
        (zone(root, "intel-rapl:1", "package-1") / "energy_uj").chmod(0)
        outcome = without_rights(lambda: reading(make(root)))
    assert [sample["device"] for sample in outcome["samples"]] == ["package-0"]
    assert outcome["problems"] == [["package-1", "permission"]]


def test_a_broken_zone_leaves_the_others(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0")
    broken = zone(tmp_path, "intel-rapl:1", "package-1")
    (broken / "energy_uj").unlink()
    (broken / "energy_uj").mkdir()
    put(zone(tmp_path, "intel-rapl:2", "package-2") / "energy_uj", "garbage")
    put(zone(tmp_path, "intel-rapl:3", "package-3") / "energy_uj", -1)
    put(zone(tmp_path, "intel-rapl:4", "package-4") / "energy_uj", RANGE + 1)
    put(zone(tmp_path, "intel-rapl:5", "package-5") / "max_energy_range_uj", 0)
    rapl = make(tmp_path)
    assert joules(rapl.read()) == {"package-0": 1.0}
    assert {(p.what, p.reason) for p in rapl.problems()} == {
        ("package-1", "io"),
        ("package-2", "garbage"),
        ("package-3", "garbage"),
        ("package-4", "garbage"),
        ("package-5", "garbage"),
    }
    shutil.rmtree(tmp_path / "sys/class/powercap/intel-rapl:0")
    with pytest.raises(Transient, match="no RAPL zone can be read"):
        rapl.read()


def test_links_out_of_sysfs_are_not_followed(tmp_path):
    outside = zone(tmp_path / "other", "intel-rapl:0", "package-0")
    link = tmp_path / "sys/class/powercap/intel-rapl:0"
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    rapl = make(tmp_path)
    with pytest.raises(Transient) as caught:
        rapl.read()
    assert caught.value.reason == "outside"


def test_zones_that_come_and_go_are_found_at_the_next_scan(tmp_path):
    clock = Clock()
    path = zone(tmp_path, "intel-rapl:0", "package-0")
    rapl = make(tmp_path, clock)
    assert joules(rapl.read()) == {"package-0": 1.0}
    zone(tmp_path, "intel-rapl:1", "package-1")
    assert joules(rapl.read()) == {"package-0": 1.0}
    clock.now += 60
    assert joules(rapl.read()) == {"package-0": 1.0, "package-1": 1.0}
    shutil.rmtree(path)
    assert joules(rapl.read()) == {"package-1": 1.0}
    assert [p.reason for p in rapl.problems()] == ["gone"]
    assert joules(rapl.read()) == {"package-1": 1.0}  # looked again at once
    assert rapl.problems() == ()
    zone(tmp_path, "intel-rapl:0", "package-0", 3_000_000)
    clock.now += 60
    assert joules(rapl.read()) == {"package-0": 3.0, "package-1": 1.0}
    shutil.rmtree(tmp_path / "sys/class/powercap")
    for _ in range(3):
        with pytest.raises(Transient) as caught:
            rapl.read()
        assert caught.value.reason == "gone"
    zone(tmp_path, "intel-rapl:0", "package-0", 9_000_000)
    assert joules(rapl.read()) == {"package-0": 9.0}


class TestDies:
    def dies(self, root, *values):
        for die, value in enumerate(values):
            zone(root, f"intel-rapl:{die}", f"package-0-die-{die}", int(value * 1e6))

    def test_mirrors_count_once_for_as_long_as_they_agree(self, tmp_path):
        clock = Clock()
        rapl = make(tmp_path, clock)
        for value in (100, 400, RANGE / 1e6 - 0.0001, 20):
            self.dies(tmp_path, value, value, value, value)
            assert joules(rapl.read()) == {"package-0": pytest.approx(value)}
            clock.now += 1

    def test_a_turn_between_the_reads_of_two_mirrors_is_no_difference(self, tmp_path):
        self.dies(tmp_path, RANGE / 1e6 - 0.01, 0.02)
        assert list(joules(make(tmp_path).read())) == ["package-0"]

    def test_a_mirror_that_cannot_be_read_is_stood_in_for(self, tmp_path):
        rapl = make(tmp_path)
        self.dies(tmp_path, 100, 100)
        rapl.read()
        self.dies(tmp_path, 110, 110)
        put(tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj", "garbage")
        assert joules(rapl.read()) == {"package-0": 110.0}
        assert [p.what for p in rapl.problems()] == ["package-0-die-0"]

    def test_separate_dies_all_count(self, tmp_path):
        rapl = make(tmp_path)
        self.dies(tmp_path, 100, 300)
        assert joules(rapl.read()) == {"package-0-die-0": 100.0, "package-0-die-1": 300.0}
        self.dies(tmp_path, 500, 500)  # they meet by chance
        assert joules(rapl.read()) == {"package-0-die-0": 500.0, "package-0-die-1": 500.0}

    def test_dies_that_part_lose_nothing(self, tmp_path):
        clock = Clock()
        rapl = make(tmp_path, clock)
        self.dies(tmp_path, 100, 100)
        assert joules(rapl.read()) == {"package-0": 100.0}
        clock.now += 1
        self.dies(tmp_path, 150, 180)
        samples = [(s.device, s.at, s.joules) for s in rapl.read()]
        assert samples == [
            ("package-0-die-0", 1000.0, 100.0),
            ("package-0-die-1", 1000.0, 100.0),
            ("package-0-die-0", 1001.0, 150.0),
            ("package-0-die-1", 1001.0, 180.0),
        ]
        assert len(rapl.read()) == 2

    def test_one_die_alone_at_first_then_found_to_be_a_mirror(self, tmp_path):
        clock = Clock()
        rapl = make(tmp_path, clock)
        self.dies(tmp_path, 100, 100)
        put(tmp_path / "sys/class/powercap/intel-rapl:1/energy_uj", "garbage")
        assert joules(rapl.read()) == {"package-0-die-0": 100.0}
        clock.now += 1
        self.dies(tmp_path, 120, 120)
        samples = [(s.device, s.at, s.joules) for s in rapl.read()]
        assert samples == [("package-0", 1000.0, 100.0), ("package-0", 1001.0, 120.0)]

    def test_a_slow_read_between_two_mirrors_is_no_difference(self, tmp_path):
        class Slow(Clock):
            def boottime(self):
                self.now += 0.2
                return super().boottime()

        self.dies(tmp_path, 100, 160)  # 300 W for 0.2 s
        assert list(joules(make(tmp_path, Slow()).read())) == ["package-0"]


class TestMaxWatts:
    @pytest.mark.parametrize(
        ("constraints", "watts"),
        [
            ({}, None),
            ({0: ("long_term", 205e6, 205e6)}, 205.0),
            ({0: ("long_term", 0, 205e6)}, 205.0),
            ({0: ("long_term", 150e6, 205e6), 1: ("short_term", 240e6, 0)}, 240.0),
            ({0: ("long_term", 4095875000, 125e6)}, None),
            ({0: ("long_term", 125e6, 125e6), 1: ("short_term", 4095875000, 0)}, 125.0),
            ({0: ("long_term", 0, 0)}, None),
            ({0: (None, 205e6, 205e6)}, 205.0),
            ({0: ("long_term", -1, -5)}, None),
        ],
    )
    def test_the_largest_sane_limit(self, tmp_path, constraints, watts):
        path = zone(tmp_path, "intel-rapl:0", "package-0")
        for number, (name, limit, maximum) in constraints.items():
            if name:
                put(path / f"constraint_{number}_name", name)
            put(path / f"constraint_{number}_power_limit_uw", int(limit))
            put(path / f"constraint_{number}_max_power_uw", int(maximum))
        (sample,) = make(tmp_path).read()
        assert sample.max_watts == watts


def test_collect_reads_in_a_thread_and_close_lets_go(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0")
    rapl = make(tmp_path)
    assert joules(asyncio.run(rapl.collect())) == {"package-0": 1.0}
    attribute = rapl._zones[0].energy
    assert attribute._fd >= 0
    rapl.close()
    assert attribute._fd == -1


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A planted machine that each example spoils in one place and puts right again."""
    root = tmp_path_factory.mktemp("machine")
    plant(root, (FIXTURES / "rapl/intel-xeon-2s/tree.txt").read_text())
    return root


FILES = ["name", "energy_uj", "max_energy_range_uj", "constraint_0_name"]
FILES += ["constraint_0_power_limit_uw", "constraint_0_max_power_uw"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    where=st.sampled_from(["intel-rapl:0", "intel-rapl:0/intel-rapl:0:0", "intel-rapl:1"]),
    file=st.sampled_from(FILES),
    content=st.one_of(
        st.binary(max_size=80),
        st.integers().map(lambda number: f"{number}\n".encode()),
        st.from_regex(rb"package-\d+(-die-\d+)?\n", fullmatch=True),
    ),
)
@example("intel-rapl:0", "energy_uj", b"")
@example("intel-rapl:1", "name", b"package-0\n")
@example("intel-rapl:1", "name", b"psys\n")
def test_no_text_in_any_file_makes_it_fail_or_invent(machine, where, file, content):
    path = machine / "sys/devices/virtual/powercap/intel-rapl" / where / file
    good = path.read_bytes()
    spoilt = not content.strip().isdigit()
    path.write_bytes(content)
    rapl = make(machine)
    try:
        with contextlib.suppress(Transient):
            samples = rapl.read()
            devices = [(s.component, s.device) for s in samples]
            assert len(devices) == len(set(devices))
            for sample in samples:
                assert math.isfinite(sample.joules)
                assert 0 <= sample.joules < sample.wraps_at
                assert sample.joules > 0 or not spoilt
                assert sample.max_watts is None or 0 < sample.max_watts < 2000
    finally:
        rapl.close()
        path.write_bytes(good)
