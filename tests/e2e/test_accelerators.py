"""What the agent says of accelerators is what was true, for hours and for each generation."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.accelerator_runs import (
    HMMA_FLOPS,
    TOLERANCE,
    Host,
    close_to_truth,
    covered_seconds,
    without_threads,
)
from e2e.agents import Agent, settings
from hardware import grace_2s, xeon_2s
from hardware.nvml import (
    Slice,
    Standin,
    a100,
    b200,
    compile_into,
    gh200,
    h100,
    h200,
    p40,
    rtx4090,
    v100,
)
from hardware.power import Constant, Sum, busy

from agent.quantities import Component, Quality

pytestmark = [pytest.mark.e2e, pytest.mark.parallel, pytest.mark.timeout(300)]

HOURS_SECONDS = 2 * 3600.0


# -- hours without a fault ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Two hours of two sockets with eight H100."""
    with without_threads():
        boards = [h100(i) for i in range(8)]
        host = Host(tmp_path_factory.mktemp("eight"), xeon_2s, boards, with_host=False)
        asyncio.run(host.run(HOURS_SECONDS))
        yield host
        host.close()


def test_energy_is_true_to_a_tenth_of_a_per_cent(eight: Host) -> None:
    for board in eight.boards:
        stream = eight.stream(board.uuid)
        truth = eight.standin.joules(board.uuid, 1.0, HOURS_SECONDS)
        assert stream.joules == pytest.approx(truth, rel=TOLERANCE)
        assert stream.seconds == pytest.approx(HOURS_SECONDS - 1.0, abs=0.01)
        assert stream.gap_seconds == 0.0
        close_to_truth(eight, board.uuid, 700.0)


def test_nothing_is_counted_twice(eight: Host) -> None:
    truth = sum(eight.standin.joules(b.uuid, 1.0, HOURS_SECONDS) for b in eight.boards)
    truth += sum(
        eight.machine.joules(device, 1.0, HOURS_SECONDS)
        for device in ("package-0", "package-1", "dram-0", "dram-1")
    )
    snapshot = eight.app.snapshot()
    measured = [s for s in snapshot.streams if s.identity.quality is Quality.MEASURED]
    assert sum(s.joules for s in measured) == pytest.approx(truth, rel=TOLERANCE)
    # the simulated ACPI meter knows nothing of the boards; it is the host's figure all the same,
    # and that more goes into the parts is said
    wall = eight.machine.joules("wall", 1.0, HOURS_SECONDS)
    assert sum(snapshot.host_joules.values()) == pytest.approx(wall, rel=0.01)
    assert snapshot.walled is not None
    assert snapshot.walled.parts_exceed_wall
    assert snapshot.host_gap_seconds == 0.0
    assert all(stream.resets == 0 for stream in snapshot.streams)


def test_counter_and_sensor_agree(eight: Host) -> None:
    ratios = {k: v for k, v in eight.app.snapshot().cross_checks.items() if k[0] == "nvml"}
    assert len(ratios) == 8
    assert list(ratios.values()) == pytest.approx([1.0] * 8, rel=0.01)


def test_flops_are_what_the_pipes_clocks_and_sms_give(eight: Host) -> None:
    page = eight.page()
    for board in eight.boards:
        done = {
            labels["precision"]: value
            for name, labels, value in page
            if name == "wattlas_flops_total" and labels["device"] == board.uuid
        }
        expected = HMMA_FLOPS * (HOURS_SECONDS - 1.0)
        assert done["fp16_tensor"] == pytest.approx(expected, rel=TOLERANCE)
        assert done["fp64"] == 0.0


def test_nvml_is_opened_once_and_slow_figures_are_read_every_fifteen_seconds(eight: Host) -> None:
    calls = eight.standin.all_calls
    assert calls["nvmlInitWithFlags"] == 1
    assert "nvmlShutdown" not in calls
    turns = 8 * HOURS_SECONDS / 15
    assert calls["nvmlDeviceGetMemoryInfo_v2"] == pytest.approx(turns, rel=0.02)
    assert calls["nvmlDeviceGetTemperatureV"] == pytest.approx(turns, rel=0.02)
    assert calls["nvmlGpmSampleGet"] == 8 * HOURS_SECONDS
    assert calls["nvmlGpmSampleAlloc"] == 16
    once = ("nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetName", "nvmlDeviceGetUUID")
    assert {name: calls[name] for name in once} == dict.fromkeys(once, 8)


def test_a_host_with_eight_boards_has_under_500_series(tmp_path: Path) -> None:
    """All default metrics, the ledger's among them, after every slow figure was read."""
    with without_threads():
        boards = [h100(i) for i in range(8)]
        host = Host(tmp_path, xeon_2s, boards, with_ledger=True)
        asyncio.run(host.run(60.0))
        page = host.page()
        host.close()
    names = {name for name, _, _ in page}
    assert {
        "wattlas_gpu_info",
        "wattlas_gpu_memory_used_bytes",
        "wattlas_gpu_temperature_celsius",
        "wattlas_gpu_throttled_seconds_total",
        "wattlas_gpu_pipe_active_ratio",
        "wattlas_flops_total",
        "wattlas_flops_per_watt",
        "wattlas_ledger_up",
    } <= names
    assert len(page) < 500


# -- several generations --------------------------------------------------------------------------

MIXED_SECONDS = 1800.0
_SLICES = (
    Slice("3g.40gb", 1, 3, 60, 40448, gpm={2: 90.0, 3: 60.0, 5: 50.0, 7: 50.0}),
    Slice("1g.10gb", 7, 1, 16, 9984, gpm={2: 30.0, 3: 20.0, 5: 10.0, 7: 10.0}),
)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Half an hour of eight boards of seven kinds, two of them cut into slices."""
    boards = [
        v100(0),
        a100(1, slices=(Slice("3g.40gb", 1, 3), Slice("3g.40gb", 2, 3))),
        h100(2, slices=_SLICES),
        h200(3),
        b200(4),
        p40(5),
        rtx4090(6),
        h100(7, name="NVIDIA H100 of the future", cores=17920),
    ]
    with without_threads():
        more = '[collectors.nvml]\nmig = "auto"\n'
        host = Host(tmp_path_factory.mktemp("mixed"), xeon_2s, boards, more=more)
        asyncio.run(host.run(MIXED_SECONDS))
        yield host
        host.close()


def test_every_generation_gives_its_true_energy(mixed: Host) -> None:
    for board in mixed.boards:
        close_to_truth(mixed, board.uuid, board.limits_watts[1])
        covered = covered_seconds(mixed.counted(board.uuid))
        assert covered == pytest.approx(MIXED_SECONDS, abs=3.0), board.name


def test_an_old_card_is_integrated_and_the_others_are_measured(mixed: Host) -> None:
    qualities = {
        view.identity.device: view.identity.quality
        for view in mixed.app.snapshot().streams
        if view.identity.component is Component.GPU and view.joules > 0
    }
    for board in mixed.boards:
        expected = Quality.MEASURED if board.has_energy else Quality.INTEGRATED
        assert qualities[board.uuid] is expected, board.name


def test_a_board_with_slices_counts_once(mixed: Host) -> None:
    snapshot = mixed.app.snapshot()
    devices = {view.identity.device for view in snapshot.streams if view.identity.source == "nvml"}
    assert devices == {board.uuid for board in mixed.boards}
    hopper = mixed.boards[2].uuid
    shares = {
        labels["slice"]: value
        for name, labels, value in mixed.page()
        if name == "wattlas_gpu_slice_attributed_watts" and labels["uuid"] == hopper
    }
    first, second = mixed.standin.slice_uuids(hopper)
    assert {first, second} <= shares.keys()
    assert shares[first] > shares[second] > 0
    # what is attributed is the board's own power, cut in pieces
    watts = mixed.stream(hopper).watts
    assert watts is not None
    assert sum(shares.values()) <= watts * 1.05


def test_an_unknown_card_has_no_flops_and_no_peak(mixed: Host) -> None:
    stranger = mixed.boards[7].uuid
    about = {
        (name, labels.get("device"))
        for name, labels, _ in mixed.page()
        if name in {"wattlas_flops_total", "wattlas_peak_flops", "wattlas_flops_per_watt"}
    }
    assert ("wattlas_flops_total", mixed.boards[3].uuid) in about
    assert not any(device == stranger for _, device in about)
    old = mixed.boards[5].uuid
    assert ("wattlas_flops_total", old) not in about


# -- Grace ----------------------------------------------------------------------------------------


def test_a_grace_modules_power_is_never_added_to_its_processor(tmp_path: Path) -> None:
    seconds = 900.0
    sockets = {f"package-{n}": busy(60.0, 250.0, 100 + n) for n in range(2)}
    boards = []
    for number in range(2):
        board = gh200(number)
        parts = (board.power, sockets[f"package-{number}"], Constant(30.0))
        boards.append(board.but(module_power=Sum(parts)))
    with without_threads():
        host = Host(tmp_path, grace_2s, boards, power=sockets)
        asyncio.run(host.run(seconds))
        snapshot, page = host.app.snapshot(), host.page()
    gpu = {board.uuid: host.standin.joules(board.uuid, 1.0, seconds) for board in boards}
    for uuid, truth in gpu.items():
        assert host.stream(uuid).joules == pytest.approx(truth, rel=TOLERANCE)
    cpu = sum(host.machine.joules(name, 1.0, seconds) for name in sockets)
    known = (Quality.MEASURED, Quality.INTEGRATED)
    total = sum(snapshot.host_joules.get(quality, 0.0) for quality in known)
    assert total == pytest.approx(sum(gpu.values()) + cpu, rel=5e-3)
    modules = {
        labels["device"]: value
        for name, labels, value in page
        if name == "wattlas_crosscheck_power_watts" and labels["source"] == "nvml"
        if labels["component"] == "platform"
    }
    assert len(modules) == 2
    for board, watts in zip(boards, modules.values(), strict=True):
        assert board.module_power is not None
        mean = board.module_power.joules(seconds) - board.module_power.joules(seconds - 1.0)
        assert watts == pytest.approx(mean, rel=0.05)
    host.close()


# -- as a process ---------------------------------------------------------------------------------


def test_wattlas_run_shows_eight_boards_on_any_machine(tmp_path: Path) -> None:
    """The library that `python -m hardware.nvml` leaves behind, with no help from this process."""
    boards = [h100(number) for number in range(8)]
    compile_into(tmp_path)
    Standin(tmp_path / "nvml.state", boards, is_real=True).close()
    config = settings(tmp_path / "wattlas.toml")
    counter = "wattlas_component_energy_joules"
    with Agent(config, LD_LIBRARY_PATH=str(tmp_path)) as agent:
        shown = agent.when(
            "all boards have energy",
            lambda m: sum(v > 0 for _, v in m.series(counter, source="nvml")) == 8,
        )
        assert agent.stop() == 0
    found = {labels["device"] for labels, _ in shown.series(counter, source="nvml")}
    assert found == {board.uuid for board in boards}
