import shutil

import pytest
from unit.collectors.drm_trees import card, replay
from unit.collectors.trees import context, fixtures, put

from agent.collector import Transient
from agent.samples import EnergyCounter, Figure, Figures
from collectors.intel_gpu import IntelGpu


def make(root):
    return IntelGpu(IntelGpu.Settings(), context(root))


def joules(samples):
    return {s.device: s.joules for s in samples if isinstance(s, EnergyCounter)}


def figures(samples):
    (sample,) = [s for s in samples if isinstance(s, Figures)]
    return {(figure, label): value for figure, label, value in sample.values}


@pytest.mark.parametrize("folder", fixtures("intel_gpu"), ids=lambda folder: folder.name)
def test_recorded_machine(folder, tmp_path):
    replay(folder, tmp_path, lambda ctx: IntelGpu(IntelGpu.Settings(), ctx))


def test_the_package_counts_where_the_card_register_is_dead(tmp_path):
    """0 J of the card: the counter is not there. The choice stays once it is made."""
    device = card(
        tmp_path, 0, "0000:0b:00.0", "xe", hwmon__energy1_input=0, hwmon__energy2_input=3_000_000
    )
    gpu = make(tmp_path)
    assert joules(gpu.read()) == {"0000:0b:00.0": 3.0}
    put(device / "hwmon/hwmon0/energy1_input", 8_000_000)
    assert joules(gpu.read()) == {"0000:0b:00.0": 3.0}


def test_two_dead_counters_are_no_energy_and_not_zero(tmp_path):
    card(tmp_path, 0, "0000:0b:00.0", "xe", hwmon__energy1_input=0, hwmon__energy2_input=0)
    gpu = make(tmp_path)
    assert joules(gpu.read()) == {}
    with pytest.raises(Transient, match="says 0 J") as caught:
        gpu.read()
    assert caught.value.reason == "garbage"


def test_a_counter_that_falls_to_zero_is_no_reading(tmp_path):
    device = card(tmp_path, 0, "0000:0b:00.0", "xe", hwmon__energy1_input=5_000_000)
    gpu = make(tmp_path)
    gpu.read()
    put(device / "hwmon/hwmon0/energy1_input", 0)
    with pytest.raises(Transient, match="says 0 J"):
        gpu.read()


def test_a_card_without_energy_is_listed_with_what_it_has(tmp_path):
    card(tmp_path, 0, "0000:0b:00.0", "xe", hwmon__temp2_input=55_000, hwmon__temp2_label="pkg")
    gpu = make(tmp_path)
    samples = gpu.read()
    assert joules(samples) == {}
    assert figures(samples) == {(Figure.TEMPERATURE, "core"): 55.0}
    assert [(p.what, p.reason) for p in gpu.problems()] == [("0000:0b:00.0", "unsupported")]


def test_the_limit_that_is_on_is_shown_the_card_before_its_package(tmp_path):
    device = card(
        tmp_path,
        0,
        "0000:0b:00.0",
        "xe",
        hwmon__energy1_input=1,
        hwmon__power1_max=0,
        hwmon__power1_cap=200_000_000,
        hwmon__power2_max=250_000_000,
    )
    gpu = make(tmp_path)
    assert figures(gpu.read()) == {(Figure.POWER_LIMIT, ""): 200.0}
    put(device / "hwmon/hwmon0/power1_max", 180_000_000)
    assert figures(gpu.read()) == {(Figure.POWER_LIMIT, ""): 180.0}


def test_only_known_temperatures_have_a_meaning(tmp_path):
    card(
        tmp_path,
        0,
        "0000:0b:00.0",
        "xe",
        hwmon__energy1_input=1,
        hwmon__temp4_input=70_000,
        hwmon__temp4_label="mctrl",
        hwmon__temp3_input=60_000,
        hwmon__temp3_label="vram",
    )
    assert figures(make(tmp_path).read()) == {(Figure.TEMPERATURE, "memory"): 60.0}


def test_an_integrated_gpu_of_xe_is_left_out(tmp_path):
    device = card(tmp_path, 0, "0000:00:02.0", "xe", **{"tile0/gt0/freq0/act_freq": 1000})
    shutil.rmtree(device / "hwmon")
    card(tmp_path, 1, "0000:03:00.0", "xe", hwmon__energy1_input=2_000_000)
    samples = make(tmp_path).read()
    assert {s.device for s in samples if hasattr(s, "device")} == {"0000:03:00.0"}
