"""Clocks, temperatures and throttling of CPUs: composed trees, and machines that are simulated."""

import json
import shutil

import pytest
from hardware import cloud_vm, epyc_2s, grace_2s, xeon_2s, xeon_12s
from hardware.power import Constant
from unit.collectors.trees import Clock, context, fixtures, plant, put, reading

from agent.collector import Absent, Transient
from agent.samples import Figure
from collectors.thermal import Thermal
from collectors.thermal_files import MOST_CLOCKS, evenly, scan

CPU = "sys/devices/system/cpu"


def make(root, clock=None):
    return Thermal(Thermal.Settings(), context(root, clock))


def shown(collector):
    """Return device, figure and second label to value."""
    return {
        (sample.device, figure.value, which): value
        for sample in collector.read()
        for figure, which, value in sample.values
    }


@pytest.mark.parametrize("folder", fixtures("thermal"), ids=lambda folder: folder.name)
def test_composed_machine(folder, tmp_path):
    """In tree-2 of xeon-2s CPU 0 goes offline: what stays of a socket's counter may not fall."""
    clock = Clock()
    collector = make(tmp_path, clock)
    for number, step in enumerate(json.loads((folder / "expected.json").read_text()), 1):
        if number == 2:
            shutil.rmtree(tmp_path / CPU / "cpu0")
        tree = folder / ("tree.txt" if number == 1 else f"tree-{number}.txt")
        plant(tmp_path, tree.read_text())
        clock.now += step.pop("seconds", 15.0)
        assert json.loads(json.dumps(reading(collector))) == step
    collector.close()


def test_clock_and_temperature_follow_the_load(tmp_path):
    """Idle 45 W: 800 MHz, 25 + 0.35 x 45 = 40.75. Peak 150 W: 3.9 GHz, 77.5, in whole degrees."""
    power = {"package-0": Constant(45.0), "package-1": Constant(150.0)}
    with xeon_2s(tmp_path, power) as machine:
        found = shown(make(machine.root))
    assert found == {
        ("package-0", "clock_hertz", ""): 0.8e9,
        ("package-0", "temperature_celsius", "package"): 41.0,
        ("package-0", "throttled_seconds_total", "thermal"): 0.0,
        ("package-1", "clock_hertz", ""): 3.9e9,
        ("package-1", "temperature_celsius", "package"): 77.0,
        ("package-1", "throttled_seconds_total", "thermal"): 0.0,
    }


def test_a_throttling_is_counted_once_it_is_over_and_begins_anew_with_the_boot(tmp_path):
    with xeon_2s(tmp_path, {"package-1": Constant(150.0)}) as machine:
        machine.throttle(100.0, 142.5, "package-1")
        machine.reboot(500.0)
        collector = make(machine.root)
        key = ("package-1", "throttled_seconds_total", "thermal")
        clock = ("package-1", "clock_hertz", "")
        seen = []
        for t in (99.0, 120.0, 142.5, 400.0):
            machine.write(t)
            values = shown(collector)
            seen.append((values[key], values[clock]))
        assert seen == [(0.0, 3.9e9), (0.0, 1.7e9), (42.5, 3.9e9), (42.5, 3.9e9)]
        assert shown(make(machine.root))[key] == 42.5  # a restart of the agent changes nothing
        machine.write(600.0)
        assert shown(make(machine.root))[key] == 0.0


def test_few_files_however_many_cpus(tmp_path):
    with grace_2s(tmp_path / "grace") as machine:  # 144 CPUs
        clocks = [s for s in scan(machine.sysfs) if s.figure is Figure.CLOCK]
        assert [(s.device, len(s.files)) for s in clocks] == [("package-0", 8), ("package-1", 8)]
        numbers = [f.path.parent.name for f in clocks[1].files]
        assert numbers == [f"policy{n}" for n in range(72, 144, 9)]
    with xeon_12s(tmp_path / "many") as machine:
        clocks = [s for s in scan(machine.sysfs) if s.figure is Figure.CLOCK]
        assert sum(len(s.files) for s in clocks) == 12 <= MOST_CLOCKS


@pytest.mark.parametrize(("count", "most", "places"), [(3, 8, [0, 1, 2]), (10, 4, [0, 2, 5, 7])])
def test_evenly_spread(count, most, places, tmp_path):
    paths = [tmp_path / str(n) for n in range(count)]
    assert evenly(paths, most) == [paths[place] for place in places]


def test_each_socket_of_an_epyc_has_its_own_chip(tmp_path):
    power = {"package-0": Constant(50.0), "package-1": Constant(155.0)}
    with epyc_2s(tmp_path, power) as machine:
        found = shown(make(machine.root))
    assert found["package-0", "temperature_celsius", "tctl"] == 43.0  # 25 + 17.5, to even: 18
    assert found["package-1", "temperature_celsius", "tctl"] == 79.0  # 25 + 54.25
    assert not [key for key in found if key[1] == "throttled_seconds_total"]


def test_a_virtual_machine_has_nothing_to_read(tmp_path):
    with cloud_vm(tmp_path) as machine, pytest.raises(Absent, match="a VM hides them") as absent:
        make(machine.root).read()
    assert absent.value.again_seconds


def test_files_stay_open_and_a_driver_that_is_loaded_later_is_found(tmp_path):
    put(tmp_path / CPU / "online", "0")
    put(tmp_path / CPU / "cpu0/topology/physical_package_id", 0)
    frequency = put(tmp_path / CPU / "cpufreq/policy0/scaling_cur_freq", 1_000_000)
    collector = make(tmp_path)
    assert shown(collector) == {("package-0", "clock_hertz", ""): 1e9}
    (source,) = collector._sources
    put(frequency, 1_200_000)
    assert shown(collector) == {("package-0", "clock_hertz", ""): 1.2e9}
    assert collector._sources == (source,)
    chip = tmp_path / "sys/class/hwmon/hwmon0"
    put(chip / "temp1_label", "Package id 0")
    put(chip / "temp1_input", 55_000)
    put(chip / "name", "coretemp")
    assert shown(collector)["package-0", "temperature_celsius", "package"] == 55.0
    collector.close()


def test_sensors_that_do_not_fit_the_sockets_are_numbered(tmp_path):
    for cpu in (0, 1):
        put(tmp_path / CPU / f"cpu{cpu}/topology/physical_package_id", cpu)
    for chip, label in enumerate((0, 1, 2)):
        path = tmp_path / f"sys/class/hwmon/hwmon{chip}"
        put(path / "name", "coretemp")
        put(path / "temp1_label", f"Package id {label}")
        put(path / "temp1_input", 50_000 + label * 1000)
    assert shown(make(tmp_path)) == {
        (f"sensor-{n}", "temperature_celsius", "package"): 50.0 + n for n in range(3)
    }


@pytest.mark.parametrize("text", ["<unknown>", "0", "", "-5"])
def test_what_is_no_frequency_is_not_zero(text, tmp_path):
    put(tmp_path / CPU / "cpu0/topology/physical_package_id", 0)
    put(tmp_path / CPU / "cpufreq/policy0/scaling_cur_freq", text)
    collector = make(tmp_path, Clock())
    with pytest.raises(Transient, match="nothing of the CPUs can be read") as failure:
        collector.read()
    assert failure.value.reason == "garbage"
    assert [p.what for p in collector.problems()] == ["package-0 clock_hertz"]


def test_where_sockets_are_not_told_all_cpus_are_one(tmp_path):
    put(tmp_path / CPU / "cpufreq/policy0/scaling_cur_freq", 1_000_000)
    put(tmp_path / CPU / "cpufreq/policy1/scaling_cur_freq", 2_000_000)
    assert shown(make(tmp_path)) == {("all", "clock_hertz", ""): 1.5e9}
