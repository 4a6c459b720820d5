"""The driver is unloaded, loaded, updated."""

import pytest
from hardware.nvml import (
    LIB_RM_VERSION_MISMATCH,
    h100,
)
from hardware.power import Constant
from unit.collectors.nvml_rig import (
    about,
    bus,
    energy,
    inventory,
    pipes,
    power,
    rigs,
)

from agent.collector import Absent, Transient


@pytest.fixture
def make(tmp_path):
    yield from rigs(tmp_path)


def test_driver_reload(make):
    rig = make(h100(0), h100(1))
    uuids = tuple(board.uuid for board in rig.standin.boards)
    rig.reads(20)
    rig.standin.unload_driver()
    with pytest.raises(Transient) as caught:
        rig.read()
    assert caught.value.reason == "driver"
    for _ in range(5):
        with pytest.raises(Transient, match="driver is not loaded") as caught:
            rig.read()
        assert "modprobe" in caught.value.remedy
    rig.standin.load_driver()
    samples = rig.read()
    assert [s.device for s in energy(samples)] == list(uuids)
    assert all(s.joules < 1000.0 for s in energy(samples)), "counters began anew"
    assert not rig.collector.problems()
    assert pipes(rig.read(), uuids[1])
    assert rig.standin.calls("nvmlShutdown") >= 1


def test_boards_in_another_order_after_a_reload(make):
    rig = make(h100(0, power=Constant(100.0)), h100(1, power=Constant(500.0)))
    uuids = [board.uuid for board in rig.standin.boards]
    rig.reads(3)
    rig.standin.unload_driver()
    with pytest.raises(Transient):
        rig.read()
    rig.standin.insert(uuids[1], index=0)
    rig.standin.load_driver()
    samples = rig.reads(3)
    assert power(samples, uuids[0])[-1].watts == pytest.approx(100.0)
    assert power(samples, uuids[1])[-1].watts == pytest.approx(500.0)
    assert about(samples)[uuids[1]].index == "0"


def test_a_reload_between_two_readings(make):
    """Only old handles tell of it."""
    rig = make(h100(0), h100(1))
    rig.reads(3)
    rig.standin.unload_driver()
    rig.standin.load_driver()
    with pytest.raises(Transient):
        rig.read()
    assert len(energy(rig.read())) == 2


def test_a_stale_handle_is_taken_anew(make):
    rig = make(h100(0), h100(1))
    uuid = rig.standin.boards[1].uuid
    rig.reads(3)
    rig.standin.fail("nvmlDeviceGetFieldValues", 2, uuid=uuid, times=1)
    assert rig.reasons == {}
    assert len(energy(rig.read())) == 1
    assert len(energy(rig.read())) == 2
    assert not rig.collector.problems()


def test_a_driver_that_stays_away_is_absent(make):
    rig = make(h100(0))
    rig.reads(2)
    rig.standin.unload_driver()
    with pytest.raises(Transient):
        rig.read()
    rig.standin.write(rig.standin.now + 400.0)
    with pytest.raises(Absent) as caught:
        rig.read()
    assert caught.value.again_seconds == 60.0
    rig.standin.load_driver()
    samples = rig.read()
    assert inventory(samples)
    assert energy(samples)


def test_a_card_without_its_driver_is_not_absent(make):
    """It draws power that nobody sees: a gap, not nothing."""
    rig = make(h100(0))
    bus(rig.root, "vfio-pci")
    rig.reads(2)
    rig.standin.unload_driver()
    rig.standin.write(rig.standin.now + 400.0)
    for _ in range(3):
        with pytest.raises(Transient):
            rig.read()


def test_no_driver_at_first(make):
    rig = make(h100(0))
    rig.standin.unload_driver()
    with pytest.raises(Absent, match="driver is not loaded") as caught:
        rig.read()
    assert caught.value.again_seconds == 60.0
    assert "modprobe nvidia" in caught.value.remedy
    rig.standin.load_driver()
    assert energy(rig.read()), "the driver came without a restart of the agent"


def test_two_versions_of_the_driver(make):
    rig = make(h100(0))
    rule = rig.standin.fail("nvmlInitWithFlags", LIB_RM_VERSION_MISMATCH)
    for _ in range(3):
        with pytest.raises(Absent, match="two versions") as caught:
            rig.read()
    assert "reboot" in caught.value.remedy
    rule.clear()
    assert energy(rig.read())


def test_energy_counter_reset(make):
    rig = make(h100(0, power=Constant(500.0)))
    before = energy(rig.reads(60))[-1]
    rig.standin.reset_counters(before.device)
    after = energy(rig.read())[0]
    assert after.joules < before.joules, "as read: the meter says what it means"
