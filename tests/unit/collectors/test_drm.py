"""Finding cards, and what every collector of cards does when one misbehaves."""

import shutil

import pytest
from unit.collectors.drm_trees import card
from unit.collectors.trees import Clock, context, put, readable_by_all, without_rights

from agent.collector import Absent, Transient
from agent.samples import Accelerator, EnergyCounter, Figures, Inventory
from collectors.drm import scan_cards
from collectors.intel_gpu import IntelGpu

FLEX = {"hwmon__energy1_input": 5_000_000, "hwmon__temp1_input": 40_000}


def make(root, clock=None):
    return IntelGpu(IntelGpu.Settings(), context(root, clock))


def joules(samples):
    return {s.device: s.joules for s in samples if isinstance(s, EnergyCounter)}


def inventories(samples):
    return [s.devices for s in samples if isinstance(s, Inventory)]


def replace_with_directory(path):
    """Make reading fail with EISDIR, as `io`."""
    path.unlink()
    path.mkdir()


def test_cards_are_sorted_by_bus_and_connectors_are_none(tmp_path):
    card(tmp_path, 10, "0000:03:00.0", "i915")
    card(tmp_path, 2, "0000:b3:00.0", "xe")
    card(tmp_path, 1, "0000:01:00.0", "nvidia")
    (tmp_path / "sys/class/drm/card2-DP-1").mkdir()
    (tmp_path / "sys/class/drm/version").write_text("drm 1.1.0 20060810\n")
    found = scan_cards(tmp_path / "sys", ("i915", "xe"))
    assert [(c.address, c.number, c.driver) for c in found.cards] == [
        ("0000:03:00.0", 10, "i915"),
        ("0000:b3:00.0", 2, "xe"),
    ]
    assert found.cards[0].pci_id == "8086:56c0"
    assert not found.problems


def test_a_link_out_of_sysfs_is_not_followed(tmp_path):
    card(tmp_path / "other", 0, "0000:03:00.0", "i915", **FLEX)
    link = tmp_path / "sys/class/drm/card0"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "other/sys/class/drm/card0")
    with pytest.raises(Transient) as caught:
        make(tmp_path).read()
    assert caught.value.reason == "outside"


def test_nothing_is_absence_and_a_driver_loaded_later_is_found(tmp_path):
    gpu = make(tmp_path)
    for _ in range(2):
        with pytest.raises(Absent, match="no discrete card") as caught:
            gpu.read()
        assert caught.value.again_seconds == 60.0
    card(tmp_path, 0, "0000:03:00.0", "i915", **FLEX)
    samples = gpu.read()
    assert inventories(samples) == [("0000:03:00.0",)]
    assert joules(samples) == {"0000:03:00.0": 5.0}


def test_a_card_that_sleeps_is_left_asleep(tmp_path):
    """Its counter would fail if it were read, so a read would not go unseen."""
    device = card(tmp_path, 0, "0000:03:00.0", "i915", **FLEX)
    gpu = make(tmp_path)
    assert joules(gpu.read()) == {"0000:03:00.0": 5.0}
    put(device / "power/runtime_status", "suspended")
    counter = device / "hwmon/hwmon0/energy1_input"
    replace_with_directory(counter)
    for _ in range(2):
        assert list(gpu.read()) == []
        assert [(p.what, p.reason) for p in gpu.problems()] == [("0000:03:00.0", "asleep")]
    counter.rmdir()
    put(counter, 9_000_000)
    put(device / "power/runtime_status", "active")
    assert joules(gpu.read()) == {"0000:03:00.0": 9.0}
    assert not gpu.problems()


def test_a_card_asleep_from_the_start_is_listed(tmp_path):
    device = card(tmp_path, 0, "0000:03:00.0", "i915", **FLEX)
    put(device / "power/runtime_status", "suspended")
    samples = make(tmp_path).read()
    assert [type(s) for s in samples] == [Accelerator, Inventory]


def test_a_kernel_without_runtime_power_management(tmp_path):
    device = card(tmp_path, 0, "0000:03:00.0", "i915", **FLEX)
    (device / "power/runtime_status").unlink()
    assert joules(make(tmp_path).read()) == {"0000:03:00.0": 5.0}


def test_hot_removal_ends_in_an_empty_inventory_then_absence(tmp_path):
    clock = Clock()
    for number, bus in enumerate(("03", "b3")):
        card(tmp_path, number, f"0000:{bus}:00.0", "i915", **FLEX)
    gpu = make(tmp_path, clock)
    assert inventories(gpu.read()) == [("0000:03:00.0", "0000:b3:00.0")]
    assert inventories(gpu.read()) == []
    remove(tmp_path, 1, "0000:b3:00.0")
    first = gpu.read()  # its files are gone: that is seen, and looked into at the next tick
    assert joules(first) == {"0000:03:00.0": 5.0}
    assert [(p.what, p.reason) for p in gpu.problems()] == [("0000:b3:00.0", "gone")]
    second = gpu.read()
    assert inventories(second) == [("0000:03:00.0",)]
    assert not gpu.problems()
    remove(tmp_path, 0, "0000:03:00.0")
    clock.now += 60
    assert inventories(gpu.read()) == [()]
    for _ in range(2):
        with pytest.raises(Absent):
            gpu.read()
    card(tmp_path, 0, "0000:03:00.0", "i915", **FLEX)
    again = gpu.read()
    assert inventories(again) == [("0000:03:00.0",)]
    assert [s.device for s in again if isinstance(s, Accelerator)] == ["0000:03:00.0"]


def remove(root, number, address):
    (root / f"sys/class/drm/card{number}").unlink()
    shutil.rmtree(root / "sys/devices/pci0000:00" / address)


def test_a_driver_unbound_in_mid_run_and_bound_again(tmp_path):
    """Unbinding takes the DRM card, the hwmon chip and the driver link; the PCI device stays."""
    clock = Clock()
    device = card(tmp_path, 0, "0000:03:00.0", "i915", **FLEX)
    gpu = make(tmp_path, clock)
    gpu.read()
    (tmp_path / "sys/class/drm/card0").unlink()
    (device / "driver").unlink()
    shutil.rmtree(device / "hwmon")
    with pytest.raises(Transient) as caught:
        gpu.read()
    assert caught.value.reason == "gone"
    assert inventories(gpu.read()) == [()]
    shutil.rmtree(device)
    card(tmp_path, 0, "0000:03:00.0", "xe", hwmon__energy1_input=7_000_000)
    samples = gpu.read()
    assert joules(samples) == {"0000:03:00.0": 7.0}
    assert [s.driver for s in samples if isinstance(s, Accelerator)] == ["xe"]


def test_one_broken_card_leaves_the_others(tmp_path):
    card(tmp_path, 0, "0000:03:00.0", "i915", **FLEX)
    broken = card(tmp_path, 1, "0000:b3:00.0", "i915", **FLEX)
    replace_with_directory(broken / "hwmon/hwmon1/energy1_input")
    gpu = make(tmp_path)
    samples = gpu.read()
    assert joules(samples) == {"0000:03:00.0": 5.0}
    assert inventories(samples) == [("0000:03:00.0", "0000:b3:00.0")]
    figures = {s.device for s in samples if isinstance(s, Figures)}
    assert figures == {"0000:03:00.0", "0000:b3:00.0"}
    assert [(p.what, p.reason) for p in gpu.problems()] == [("0000:b3:00.0", "io")]


@pytest.mark.parametrize("text", ["", "-1", "12 34", "0x10", "nan", "9" * 40, "\udcff"])
def test_garbage_is_no_energy(tmp_path, text):
    device = card(tmp_path, 0, "0000:03:00.0", "i915", hwmon__energy1_input=1_000_000)
    gpu = make(tmp_path)
    gpu.read()
    data = text.encode(errors="surrogateescape") + b"\n"
    (device / "hwmon/hwmon0/energy1_input").write_bytes(data)
    with pytest.raises(Transient) as caught:
        gpu.read()
    assert caught.value.reason == "garbage"


def test_an_eio_is_transient_and_over_when_it_is_over(tmp_path):
    device = card(tmp_path, 0, "0000:03:00.0", "i915", hwmon__energy1_input=1_000_000)
    gpu = make(tmp_path)
    gpu.read()
    counter = device / "hwmon/hwmon0/energy1_input"
    replace_with_directory(counter)
    with pytest.raises(Transient) as caught:
        gpu.read()
    assert caught.value.reason == "io"
    counter.rmdir()
    put(counter, 2_000_000)
    assert joules(gpu.read()) == {"0000:03:00.0": 2.0}


def test_a_missing_permission_has_a_remedy():
    with readable_by_all() as root:
        device = card(root, 0, "0000:03:00.0", "i915", hwmon__energy1_input=1_000_000)
        (device / "hwmon/hwmon0/energy1_input").chmod(0)

        def attempt():
            gpu = make(root)
            gpu.read()  # says what there is
            try:
                gpu.read()
            except Transient as outcome:
                return outcome.reason, outcome.remedy
            return None

        reason, remedy = without_rights(attempt)
    assert reason == "permission"
    assert "mode 0444" in remedy


def test_a_class_that_cannot_be_listed_takes_no_card_away(tmp_path):
    clock = Clock()
    card(tmp_path, 0, "0000:03:00.0", "i915", hwmon__energy1_input=1_000_000)
    gpu = make(tmp_path, clock)
    gpu.read()
    listing = tmp_path / "sys/class/drm"
    listing.rename(tmp_path / "sys/class/away")
    listing.write_text("not a directory: names() fails with ENOTDIR")
    clock.now += 60
    samples = gpu.read()
    assert inventories(samples) == []
    assert joules(samples) == {"0000:03:00.0": 1.0}
    assert [p.what for p in gpu.problems()] == ["drm"]


def test_files_are_kept_open_and_closed(tmp_path):
    card(tmp_path, 0, "0000:03:00.0", "i915", **FLEX)
    gpu = make(tmp_path)
    gpu.read()
    gpu.read()
    (board,) = gpu._boards
    attributes = [board._counter, board._status, *(g.attribute for g in board.gauges)]
    assert all(attribute._fd >= 0 for attribute in attributes)
    gpu.close()
    assert all(attribute._fd == -1 for attribute in attributes)
