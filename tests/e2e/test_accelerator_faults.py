"""What the agent says of accelerators is what was true, through every fault."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.accelerator_runs import (
    HMMA_FLOPS,
    REFRESH_SECONDS,
    TOLERANCE,
    Host,
    close_to_truth,
    covered_seconds,
    without_threads,
)
from hardware import xeon_2s
from hardware.nvml import NO_PERMISSION, h100

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

END = 2000.0
LOST_SECONDS = REMOVED_SECONDS = 300.0
NOTICED_SECONDS = 35.0
"""NVML is asked every 30 s which boards there are."""
LOST, NAN, RESET, RELOADED, REMOVED, REFUSED = range(6)
"""Which board has which fault; the reload is everybody's."""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Half an hour in which everything happens once."""
    with without_threads():
        boards = [h100(i) for i in range(8)]
        host = Host(tmp_path_factory.mktemp("faulty"), xeon_2s, boards, with_host=False)
        standin = host.standin
        uuids = [board.uuid for board in boards]
        refusals = []

        def refuse() -> None:
            rule = standin.fail("nvmlDeviceGetFieldValues", NO_PERMISSION, uuid=uuids[REFUSED])
            refusals.append(rule)

        events = {
            200.0: lambda: standin.lose(uuids[LOST]),
            500.0: lambda: standin.find_again(uuids[LOST]),
            600.0: lambda: standin.gpm_nan(uuids[NAN]),
            660.0: lambda: standin.gpm_nan(uuids[NAN], ()),
            900.0: lambda: standin.reset_counters(uuids[RESET]),
            1100.0: standin.unload_driver,
            1120.0: standin.load_driver,
            1300.0: lambda: standin.remove(uuids[REMOVED]),
            1600.0: lambda: standin.insert(uuids[REMOVED]),
            1800.0: refuse,
            1830.0: lambda: refusals.pop().clear(),
        }
        asyncio.run(host.run(END, events))
        yield host
        host.close()


def test_with_faults_what_was_counted_is_true(faulty: Host) -> None:
    for board in faulty.boards:
        close_to_truth(faulty, board.uuid, 700.0)


def test_covered_and_gap_are_the_time(faulty: Host) -> None:
    for number, board in enumerate(faulty.boards):
        stream = faulty.stream(board.uuid)
        away = REMOVED_SECONDS if number == REMOVED else 0.0
        there = stream.seconds + stream.gap_seconds
        assert there == pytest.approx(END - 1.0 - away, abs=NOTICED_SECONDS if away else 0.05), (
            number
        )


def test_energy_is_off_by_no_more_than_the_gap_can_hold(faulty: Host) -> None:
    for number, board in enumerate(faulty.boards):
        intervals = faulty.counted(board.uuid)
        joules = sum(energy for _, _, energy in intervals)
        truth = faulty.standin.joules(board.uuid, 1.0, END)
        gap = faulty.stream(board.uuid).gap_seconds
        if number == REMOVED:
            gap += REMOVED_SECONDS + NOTICED_SECONDS
        missing = truth - joules
        assert -TOLERANCE * truth < missing < gap * 700.0 + TOLERANCE * truth


def test_each_fault_costs_what_it_must_and_no_more(faulty: Host) -> None:
    gaps = [faulty.stream(board.uuid).gap_seconds for board in faulty.boards]
    # 20 s without a driver, for everybody; one board lost for 300 s, and asked again every minute
    reload = gaps[7]
    assert 19.0 <= reload <= 30.0
    assert LOST_SECONDS <= gaps[LOST] - reload <= LOST_SECONDS + 65.0
    assert gaps[NAN] == pytest.approx(reload, abs=1.1)
    assert gaps[REFUSED] == pytest.approx(reload, abs=1.1)  # its counter went on counting
    assert gaps[RESET] <= reload + 2.1
    covered = covered_seconds(faulty.counted(faulty.boards[REMOVED].uuid))
    assert covered == pytest.approx(END - REMOVED_SECONDS - reload, abs=NOTICED_SECONDS)


def test_resets_are_counted_as_such(faulty: Host) -> None:
    resets = [faulty.stream(board.uuid).resets for board in faulty.boards]
    # the reload is one for each; the lost board and the reset one have another
    assert resets[7] == 1
    assert resets[RESET] == 2
    assert resets[LOST] == 2
    assert resets[NAN] == 1


def test_nan_is_no_activity_and_no_operations(faulty: Host) -> None:
    done = {
        labels["device"]: value
        for name, labels, value in faulty.page()
        if name == "wattlas_flops_total" and labels["precision"] == "fp16_tensor"
    }
    missing = done[faulty.boards[7].uuid] - done[faulty.boards[NAN].uuid]
    assert missing / HMMA_FLOPS == pytest.approx(60.0, abs=2.0)


def test_indices_shift_and_labels_do_not(faulty: Host) -> None:
    infos = {
        labels["uuid"]: labels["gpu"]
        for name, labels, _ in faulty.page()
        if name == "wattlas_gpu_info"
    }
    assert infos == {board.uuid: str(n) for n, board in enumerate(faulty.boards)}


def test_the_other_collectors_were_on_time_throughout(faulty: Host) -> None:
    for device in ("package-0", "dram-1"):
        times = sorted(set(faulty.heard[device]))
        assert times == [float(t) for t in range(1, int(END) + 1)]
    uninvolved = sorted(set(faulty.heard[faulty.boards[7].uuid]))
    assert len(uninvolved) >= END - 25  # but for the time without a driver


def test_nvml_was_opened_again_only_for_the_reload(faulty: Host) -> None:
    # at each second without a driver once, and once when it was back
    assert faulty.standin.calls("nvmlInitWithFlags") <= 1 + 22
    assert faulty.collector("nvml").up is True


# -- a call that hangs ----------------------------------------------------------------------------


def test_a_call_that_hangs_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    """With threads and the agent's own grace, as in life."""
    host = Host(tmp_path, xeon_2s, [h100(0), h100(1)], grace_seconds=0.25)
    uuid = host.boards[1].uuid

    async def live() -> None:
        await host.run(5.0)
        rule = host.standin.fail("nvmlDeviceGetFieldValues", uuid=uuid, hang_seconds=60.0)
        began = time.monotonic()
        await host.run(15.0)
        assert rule.hanging == 1
        assert time.monotonic() - began < 5.0
        rule.clear()
        end = time.monotonic() + 30.0
        while max(host.heard[uuid]) < 15.0:
            assert time.monotonic() < end, "the board did not come back"
            await host.run(host.clock.now + 1.0)
            await asyncio.sleep(0.01)
        await host.run(host.clock.now + 3.0)  # the reading that hung has the middle of its time

    try:
        asyncio.run(live())
        now = host.clock.now
        assert sorted(set(host.heard["package-0"])) == [float(t) for t in range(1, int(now) + 1)]
        # the counter went on counting meanwhile
        stream = host.stream(uuid)
        assert stream.gap_seconds == 0.0
        truth = host.standin.joules(uuid, 1.0, 1.0 + stream.seconds)
        assert stream.joules == pytest.approx(truth, abs=700.0 * REFRESH_SECONDS)
    finally:
        host.close()
