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
    replay,
    without_rights,
)

from agent.collector import Absent, Transient
from agent.quantities import Component
from agent.samples import EnergyCounter
from collectors.hwmon import Hwmon


def make(root, clock=None):
    return Hwmon(Hwmon.Settings(), context(root, clock))


def chip(root, number, name, **files):
    """Make a chip as a plain folder of the class."""
    path = root / f"sys/class/hwmon/hwmon{number}"
    put(path / "name", name)
    for file, content in files.items():
        put(path / file, content)
    return path


def watts(samples):
    return {sample.device: sample.watts for sample in samples}


@pytest.mark.parametrize("folder", fixtures("hwmon"), ids=lambda folder: folder.name)
def test_recorded_machine(folder, tmp_path):
    replay(folder, tmp_path, lambda ctx: Hwmon(Hwmon.Settings(), ctx))


def test_only_documented_parts_count(tmp_path):
    """What is not known to be one part of the server is never added to it."""
    chip(tmp_path, 1, "ina226", power1_input=30_000_000)
    chip(tmp_path, 2, "never_heard_of", power1_input=30_000_000, energy1_input=5)
    samples = make(tmp_path).read()
    assert len(samples) == 3
    assert not any(sample.counted for sample in samples)


class TestAcpiMeter:
    """Of the whole server, where it is the only one and no battery's."""

    def test_alone_it_counts_with_its_own_accuracy(self, tmp_path):
        files = {"power1_average": 400_000_000, "power1_accuracy": "98.5%"}
        chip(tmp_path, 0, "power_meter", power1_is_battery=0, **files)
        (sample,) = make(tmp_path).read()
        assert (sample.component, sample.counted) == (Component.HOST, True)
        assert sample.accuracy == pytest.approx(0.015)

    @pytest.mark.parametrize("said", ["", "100.0%", "0.0%", "very", "-5%", "12345678%"])
    def test_an_accuracy_that_cannot_be_is_the_usual_one(self, tmp_path, said):
        chip(tmp_path, 0, "power_meter", power1_average=400_000_000, power1_accuracy=said)
        (sample,) = make(tmp_path).read()
        assert sample.accuracy == 0.10

    def test_of_several_none_counts(self, tmp_path):
        for number in range(2):
            chip(tmp_path, number, "power_meter", power1_average=(4 + number) * 10**8)
        samples = make(tmp_path).read()
        assert {sample.component for sample in samples} == {Component.HOST}
        assert not any(sample.counted for sample in samples)
        assert len(watts(samples)) == 2

    def test_a_batterys_meter_does_not_count(self, tmp_path):
        chip(tmp_path, 0, "power_meter", power1_average=40_000_000, power1_is_battery=1)
        (sample,) = make(tmp_path).read()
        assert not sample.counted

    def test_beside_the_rails_of_a_grace_it_does_not_count(self, tmp_path):
        files = {"power1_average": 90_000_000, "power1_oem_info": "Grace Power Socket 0"}
        chip(tmp_path, 0, "power_meter", **files)
        chip(tmp_path, 1, "power_meter", power1_average=400_000_000)
        whole = [s for s in make(tmp_path).read() if s.component is Component.HOST]
        assert [sample.counted for sample in whole] == [False]


def test_no_sensor_is_absence(tmp_path):
    with pytest.raises(Absent, match="class/hwmon"):
        make(tmp_path).read()
    chip(tmp_path, 0, "coretemp", temp1_input=40_000)
    chip(tmp_path, 1, "amdgpu", power1_average=40_000_000)
    chip(tmp_path, 3, "i915_gt0", energy1_input=40_000_000)
    chip(tmp_path, 2, "amd_energy", energy1_input=4, energy1_label="Ecore000")
    with pytest.raises(Absent):
        make(tmp_path).read()


def test_a_counter_is_a_counter(tmp_path):
    chip(tmp_path, 0, "zenergy", energy9_input=2**63 // 1000, energy9_label="Esocket0")
    (sample,) = make(tmp_path).read()
    assert isinstance(sample, EnergyCounter)
    assert sample.joules == pytest.approx(2**63 / 1e9)
    assert sample.wraps_at is None
    assert sample.counted


def test_without_a_permission_it_says_how_to_get_it():
    with readable_by_all() as root:
        path = chip(root, 0, "amd_energy", energy1_input=4, energy1_label="Esocket0")
        (path / "energy1_input").chmod(0)

        def attempt():
            try:
                make(root).read()
            except Transient as outcome:
                return outcome.reason, outcome.remedy
            return None

        reason, remedy = without_rights(attempt)
    assert reason == "permission"
    assert "z /sys/class/hwmon/hwmon*/energy*_input 0440 root wattlas" in remedy


def test_a_broken_chip_leaves_the_others(tmp_path):
    chip(tmp_path, 0, "ina226", power1_input=30_000_000)
    broken = chip(tmp_path, 1, "ina238", power1_input=1)
    (broken / "power1_input").unlink()
    (broken / "power1_input").mkdir()
    (chip(tmp_path, 2, "", power1_input=1) / "name").unlink()
    hwmon = make(tmp_path)
    assert watts(hwmon.read()) == {"ina226-power1": 30.0}
    assert {(p.what, p.reason) for p in hwmon.problems()} == {
        ("ina238-power1", "io"),
        ("hwmon2", "gone"),
    }


def test_links_out_of_sysfs_are_not_followed(tmp_path):
    outside = chip(tmp_path / "other", 0, "ina226", power1_input=30_000_000)
    link = tmp_path / "sys/class/hwmon/hwmon0"
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(Transient) as caught:
        make(tmp_path).read()
    assert caught.value.reason == "outside"


def test_chips_that_come_go_and_are_switched_off(tmp_path):
    clock = Clock()
    path = chip(tmp_path, 0, "ina226", power1_input=30_000_000, power1_enable=1)
    hwmon = make(tmp_path, clock)
    assert watts(hwmon.read()) == {"ina226-power1": 30.0}
    chip(tmp_path, 1, "ltc2945", power1_input=5_000_000)
    put(path / "power1_enable", 0)
    clock.now += 60
    assert watts(hwmon.read()) == {"ltc2945-power1": 5.0}
    shutil.rmtree(tmp_path / "sys/class/hwmon")
    for _ in range(2):
        with pytest.raises(Transient) as caught:
            hwmon.read()
        assert caught.value.reason == "gone"
    chip(tmp_path, 0, "ltc2945", power1_input=6_000_000)
    assert watts(hwmon.read()) == {"ltc2945-power1": 6.0}
    attributes = [file for channel, _ in hwmon._channels for file in channel.files]
    assert all(attribute._fd >= 0 for attribute in attributes)
    hwmon.close()
    assert all(attribute._fd == -1 for attribute in attributes)


def test_two_chips_of_one_name_and_place_stay_two_devices(tmp_path):
    for number in (0, 1):
        files = {"power1_label": "VRM", "power2_input": 7_000_000, "power2_label": "VRM"}
        chip(tmp_path, number, "acme", power1_input=5_000_000, **files)
    samples = make(tmp_path).read()
    assert sorted(sample.watts for sample in samples) == [5.0, 5.0, 7.0, 7.0]
    assert len(watts(samples)) == 4


def test_a_label_becomes_a_plain_device_name(tmp_path):
    label = " +12V / rail \t№1 " * 20
    chip(tmp_path, 0, "acme", power1_input=5_000_000, power1_label=label.strip())
    (sample,) = make(tmp_path).read()
    assert sample.device.isascii()
    assert sample.device.isprintable()
    assert len(sample.device) <= 80


@pytest.mark.parametrize(
    ("volts", "amperes", "expected"),
    [
        ("vout1", "iout1", 24.0),
        ("+12V", "+12V", 24.0),
        ("vin", "iin", None),
        ("VDD", "VCC", None),
        ("", "", None),
    ],
)
def test_volts_times_amperes_only_where_the_pair_is_sure(tmp_path, volts, amperes, expected):
    path = chip(tmp_path, 0, "acme", in1_input=12_000, curr1_input=2_000)
    if volts:
        put(path / "in1_label", volts)
        put(path / "curr1_label", amperes)
    try:
        (sample,) = make(tmp_path).read()
        assert sample.watts == expected
    except Absent:
        assert expected is None


def test_one_label_on_two_voltages_is_no_pair(tmp_path):
    chip(tmp_path, 0, "acme", in1_input=12_000, in2_input=5_000, curr1_input=2_000)
    for file in ("in1_label", "in2_label", "curr1_label"):
        put(tmp_path / "sys/class/hwmon/hwmon0" / file, "rail")
    with pytest.raises(Absent):
        make(tmp_path).read()


def test_no_volts_times_amperes_beside_a_power_file(tmp_path):
    chip(tmp_path, 0, "ina3221", in1_input=12_000, curr1_input=2_000, power1_input=23_000_000)
    assert watts(make(tmp_path).read()) == {"ina3221-power1": 23.0}


@pytest.mark.parametrize("entry", ["hwmonx", "hwmon", "hwmon-1", "other"])
def test_other_names_in_the_class_are_no_chips(tmp_path, entry):
    put(tmp_path / "sys/class/hwmon" / entry / "power1_input", 5)
    with pytest.raises(Absent):
        make(tmp_path).read()


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """Planted machines that each example spoils in one place and puts right again."""
    roots = {}
    for name in ("sentinel", "ina3221", "nvidia-grace", "amd-energy-epyc", "acpi-power-meter"):
        roots[name] = tmp_path_factory.mktemp(name)
        plant(roots[name], (FIXTURES / "hwmon" / name / "tree.txt").read_text())
    return {name: [root, attributes(root)] for name, root in roots.items()}


def attributes(root):
    return sorted(p for p in (root / "sys/devices").rglob("*") if p.is_file())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(["sentinel", "ina3221", "nvidia-grace", "amd-energy-epyc"]),
    pick=st.integers(0, 10_000),
    content=st.one_of(
        st.binary(max_size=80),
        st.integers().map(lambda number: f"{number}\n".encode()),
        st.sampled_from([b"Esocket0\n", b"Grace Power Socket 0\n", b"vout1\n", b"power_meter\n"]),
    ),
)
@example("nvidia-grace", 0, b"")
def test_no_text_in_any_file_makes_it_fail_or_invent(machines, name, pick, content):
    root, files = machines[name]
    path = files[pick % len(files)]
    good = path.read_bytes()
    path.write_bytes(content)
    hwmon = make(root)
    try:
        with contextlib.suppress(Transient, Absent):
            samples = hwmon.read()
            devices = [(s.component, s.device) for s in samples]
            assert len(devices) == len(set(devices))
            for sample in samples:
                is_counter = isinstance(sample, EnergyCounter)
                value = sample.joules if is_counter else sample.watts
                assert math.isfinite(value)
                assert value >= 0
                assert is_counter or value <= 100_000
                assert value > 0 or content.strip().lstrip(b"-").isdigit()
    finally:
        hwmon.close()
        path.write_bytes(good)
