"""What the nvml collector does when boards, drivers and libraries come and go."""

import pytest
from hardware.nvml import (
    NO_PERMISSION,
    h100,
)
from unit.collectors.nvml_rig import (
    about,
    devices,
    energy,
    figures,
    inventory,
    pipes,
    rigs,
)
from unit.collectors.trees import put

from agent.collector import Absent, Transient


@pytest.fixture
def make(tmp_path):
    yield from rigs(tmp_path)


# A board is lost


def test_a_lost_board_harms_no_other(make):
    rig = make(h100(0), h100(1), h100(2))
    uuids = [board.uuid for board in rig.standin.boards]
    rig.reads(3)
    rig.standin.lose(uuids[1])
    for _ in range(5):
        samples = rig.read()
        assert [s.device for s in energy(samples)] == [uuids[0], uuids[2]]
        assert devices(samples) == [uuids[0], uuids[2]]
        assert rig.reasons == {uuids[1]: "lost"}
        assert inventory(samples) is None, "it is still in the machine"
    (problem,) = rig.collector.problems()
    assert "nvidia-smi" in problem.remedy


def test_a_lost_board_is_asked_less_and_less_and_comes_back(make):
    rig = make(h100(0), h100(1))
    uuid = rig.standin.boards[1].uuid
    rig.reads(3)
    rig.standin.lose(uuid)
    rig.standin.forget_calls()
    rig.reads(120)
    looks = rig.standin.calls("nvmlDeviceGetHandleByIndex_v2") / 2
    assert looks < 10, "5, 10, 20, 40, 60, 60 … seconds apart"
    rig.standin.find_again(uuid)
    samples = rig.reads(65)
    assert uuid in devices(samples)
    assert pipes(samples, uuid)
    assert not rig.collector.problems()
    assert rig.standin.calls("nvmlInitWithFlags") == 0


def test_all_boards_lost(make):
    rig = make(h100(0), h100(1))
    rig.reads(2)
    for board in rig.standin.boards:
        rig.standin.lose(board.uuid)
    with pytest.raises(Transient, match="does not answer") as caught:
        rig.read()
    assert caught.value.reason == "lost"
    for board in rig.standin.boards:
        rig.standin.find_again(board.uuid)
    rig.standin.write(rig.standin.now + 9.0)
    assert len(energy(rig.read())) == 2


def test_a_board_that_is_lost_from_the_start(make):
    rig = make(h100(0), h100(1))
    rig.standin.lose(rig.standin.boards[1].uuid)
    samples = rig.read()
    assert inventory(samples) == (rig.standin.boards[0].uuid,)
    assert rig.reasons == {"GPU 1": "lost"}
    rig.standin.find_again(rig.standin.boards[1].uuid)
    samples = rig.reads(31)
    assert inventory(samples) == tuple(board.uuid for board in rig.standin.boards)
    assert not rig.collector.problems()


def test_a_board_without_permission(make):
    rig = make(h100(0), h100(1))
    uuid = rig.standin.boards[1].uuid
    rig.standin.fail("nvmlDeviceGetHandleByIndex_v2", NO_PERMISSION, uuid=uuid)
    rig.read()
    assert rig.reasons == {"GPU 1": "permission"}
    assert "/dev/nvidia" in rig.collector.problems()[0].remedy


# Boards are taken out and put in


def test_hot_removal(make):
    rig = make(h100(0), h100(1), h100(2))
    uuids = tuple(board.uuid for board in rig.standin.boards)
    rig.reads(3)
    rig.standin.remove(uuids[1])
    samples = rig.reads(3)
    assert inventory(samples) == (uuids[0], uuids[2])
    assert about(samples)[uuids[2]].index == "1", "the others moved up"
    assert not rig.collector.problems()
    last = rig.read()
    assert [s.device for s in energy(last)] == [uuids[0], uuids[2]]
    rig.standin.insert(uuids[1])
    samples = rig.reads(31)
    assert inventory(samples) == uuids
    assert uuids[1] in devices(samples)
    assert about(samples)[uuids[2]].index == "2"


def test_a_board_that_was_not_there_before(make):
    rig = make(h100(0), h100(1, present=False))
    new = rig.standin.boards[1].uuid
    assert inventory(rig.read()) == (rig.standin.boards[0].uuid,)
    rig.standin.insert(new)
    samples = rig.reads(31)
    assert inventory(samples)[1] == new
    assert about(samples)[new].index == "1"
    assert figures(samples, new), "with its slow figures"


def test_one_is_exchanged_for_another_unnoticed(make):
    """The count stays the same; the old handle says that its board is gone."""
    rig = make(h100(0), h100(1), h100(2, present=False))
    uuids = [board.uuid for board in rig.standin.boards]
    rig.reads(3)
    rig.standin.remove(uuids[1])
    rig.standin.insert(uuids[2])
    samples = rig.reads(3)
    assert inventory(samples) == (uuids[0], uuids[2])
    assert not rig.collector.problems()


def test_the_last_board_is_taken_out(make):
    rig = make(h100(0))
    rig.reads(2)
    rig.standin.remove(rig.standin.boards[0].uuid)
    with pytest.raises(Transient):
        rig.read()
    assert inventory(rig.read()) == ()
    with pytest.raises(Absent) as caught:
        rig.read()
    assert caught.value.again_seconds
    rig.standin.insert(rig.standin.boards[0].uuid)
    samples = rig.read()
    assert inventory(samples) == (rig.standin.boards[0].uuid,)
    assert energy(samples)


def test_the_kernel_knows_of_a_change_before_nvml_does(make):
    """NVML lists what was there when it was opened; /proc/driver/nvidia/gpus is newer."""
    rig = make(h100(0))
    put(rig.root / "proc/driver/nvidia/gpus/0000:1b:00.0/information", "")
    rig.reads(2)
    put(rig.root / "proc/driver/nvidia/gpus/0000:43:00.0/information", "")
    samples = rig.reads(31)
    assert rig.standin.calls("nvmlInitWithFlags") == 2
    assert rig.standin.calls("nvmlShutdown") == 1
    assert len(energy(samples)) == 31, "without missing a reading"


def test_nothing_changes_nothing_is_looked_up(make):
    rig = make(h100(0), h100(1))
    rig.reads(100)
    assert rig.standin.calls("nvmlDeviceGetHandleByIndex_v2") == 2
    assert rig.standin.calls("nvmlDeviceGetName") == 2
    assert rig.standin.calls("nvmlDeviceGetCount_v2") == 4
