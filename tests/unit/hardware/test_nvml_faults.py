"""What goes wrong in the stand-in for libnvidia-ml.so.1, GPM, and its life of its own."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pynvml
import pytest
from hardware.nvml import (
    FUNCTIONS,
    GPU_IS_LOST,
    LIB_RM_VERSION_MISMATCH,
    NO_PERMISSION,
    Quantity,
    Standin,
    a100,
    h100,
    p40,
)
from hardware.nvml.__main__ import parse_boards
from hardware.nvml.fixtures import Make, fields, make
from hardware.power import Constant

__all__ = ["make"]

TESTS = Path(__file__).parents[2]
energy = pynvml.nvmlDeviceGetTotalEnergyConsumption


def run(standin: Standin, body: str) -> Any:
    """Run code in a process of its own and return the JSON that it prints."""
    code = "import json, pynvml as n\n" + textwrap.dedent(body)
    return json.loads(finished([sys.executable, "-c", code], os.environ | standin.environment()))


def finished(command: list[str], env: dict[str, str]) -> str:
    """Run a command and return what it printed."""
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_lost_gpu_says_so_to_every_call(make: Make) -> None:
    standin = make(h100(0, power=Constant(100.0)), h100(1))
    lost, other = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(2))
    standin.write(10.0)
    standin.lose(standin.boards[0].uuid)
    for call in (energy, pynvml.nvmlDeviceGetUUID, pynvml.nvmlDeviceGetMigMode):
        with pytest.raises(pynvml.NVMLError_GpuIsLost):
            call(lost)
    with pytest.raises(pynvml.NVMLError_GpuIsLost):
        pynvml.nvmlDeviceGetHandleByIndex(0)
    assert energy(other) > 0
    assert pynvml.nvmlDeviceGetCount() == 2
    standin.find_again(standin.boards[0].uuid)
    standin.write(15.0)
    assert energy(lost) == pytest.approx(500_000, abs=10_000)


def test_a_driver_that_is_reloaded(make: Make) -> None:
    standin = make(h100(0, power=Constant(100.0)))
    old = pynvml.nvmlDeviceGetHandleByIndex(0)
    standin.write(10.0)
    standin.unload_driver()
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        energy(old)
    standin.unload_driver(LIB_RM_VERSION_MISMATCH)
    with pytest.raises(pynvml.NVMLError_LibRmVersionMismatch):
        pynvml.nvmlDeviceGetCount()
    with pytest.raises(pynvml.NVMLError_DriverNotLoaded):
        pynvml.nvmlInit()
    standin.load_driver()
    with pytest.raises(pynvml.NVMLError_LibRmVersionMismatch):
        energy(old)  # not before it is closed and opened again
    pynvml.nvmlShutdown()
    pynvml.nvmlInit()
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        energy(old)
    standin.write(12.0)
    assert energy(pynvml.nvmlDeviceGetHandleByIndex(0)) == pytest.approx(200_000, abs=1)


def test_boards_come_and_go(make: Make) -> None:
    standin = make(*(h100(i) for i in range(3)), h100(3, present=False))
    uuids = [board.uuid for board in standin.boards]

    def listed() -> list[str]:
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return [pynvml.nvmlDeviceGetUUID(handle) for handle in handles]

    removed, stays = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in (1, 2))
    standin.remove(uuids[1])
    assert listed() == [uuids[0], uuids[2]]
    assert pynvml.nvmlDeviceGetIndex(stays) == 1
    assert pynvml.nvmlDeviceGetUUID(stays) == uuids[2]
    with pytest.raises(pynvml.NVMLError_GpuIsLost):
        energy(removed)
    standin.insert(uuids[3], index=0)
    assert listed() == [uuids[3], uuids[0], uuids[2]]


def test_a_counter_that_starts_again_and_one_that_disagrees(make: Make) -> None:
    standin = make(h100(0, power=Constant(200.0)))
    uuid = standin.boards[0].uuid
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    standin.write(100.0)
    standin.reset_counters(uuid)
    standin.write(101.0)
    assert energy(handle) == 200_000
    standin.board(uuid).energy_gain = 0.95
    standin.board(uuid).power_gain = 1.05
    assert energy(handle) == 190_000
    assert fields(handle, 185) == [pytest.approx(210_000, abs=1)]
    assert standin.joules(uuid, 0.0, 101.0) == 20_200.0


def test_calls_fail_when_they_are_told_to(make: Make) -> None:
    standin = make(h100(0), h100(1))
    first, second = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(2))
    rule = standin.fail(
        "nvmlDeviceGetPowerUsage", NO_PERMISSION, uuid=standin.boards[0].uuid, after=2, times=1
    )
    outcomes = []
    for _ in range(5):
        pynvml.nvmlDeviceGetPowerUsage(second)
        try:
            pynvml.nvmlDeviceGetPowerUsage(first)
            outcomes.append(0)
        except pynvml.NVMLError_NoPermission as error:
            outcomes.append(error.value)
    assert outcomes == [0, 0, 4, 0, 0]
    assert (rule.trials, rule.hits) == (5, 1)
    rule.clear()
    rule = standin.fail("nvmlDeviceGetFieldValues", 3, field=185)
    assert fields(first, 186, 185, 82)[1] == ("error", 3)
    assert all(isinstance(value, int) for value in (fields(first, 186, 82)))
    rule.clear()
    assert isinstance(fields(first, 185)[0], int)
    standin.fail("nvmlInitWithFlags", LIB_RM_VERSION_MISMATCH)
    with pytest.raises(pynvml.NVMLError_LibRmVersionMismatch):
        pynvml.nvmlInit()
    standin.fail("", GPU_IS_LOST, uuid=standin.boards[1].uuid)
    with pytest.raises(pynvml.NVMLError_GpuIsLost):
        pynvml.nvmlDeviceGetName(second)


def test_a_call_that_hangs_until_it_is_let_go(make: Make) -> None:
    standin = make(h100(0))
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    rule = standin.fail("nvmlDeviceGetPowerUsage", hang_seconds=60.0)
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(pynvml.nvmlDeviceGetPowerUsage(handle)))
    thread.start()
    rule.wait_until_hanging()
    assert pynvml.nvmlDeviceGetName(handle)  # the others go on
    assert not answers
    rule.clear()
    thread.join(30.0)
    assert len(answers) == 1


def test_calls_are_counted_and_timed(make: Make) -> None:
    standin = make(h100(0))
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    standin.forget_calls()
    for _ in range(3):
        pynvml.nvmlDeviceGetPowerUsage(handle)
    pynvml.nvmlDeviceGetName(handle)
    assert standin.all_calls == {"nvmlDeviceGetPowerUsage": 3, "nvmlDeviceGetName": 1}
    assert 0 < standin.seconds_inside < 1


def test_a_process_of_its_own_and_a_library_that_lacks_functions(tmp_path: Path) -> None:
    standin = Standin(
        tmp_path / "state", [a100(0)], without=("nvmlGpm*", "nvmlDeviceGetFieldValues")
    )
    standin.write(60.0)
    assert run(
        standin,
        """
        n.nvmlInit()
        handle = n.nvmlDeviceGetHandleByIndex(0)
        def kind(call, *arguments):
            try:
                return call(*arguments)
            except n.NVMLError as error:
                return type(error).__name__
        print(json.dumps([
            n.nvmlDeviceGetName(handle),
            kind(n.nvmlDeviceGetFieldValues, handle, [186]),
            kind(n.nvmlGpmSampleAlloc),
            n.nvmlDeviceGetTotalEnergyConsumption(handle),
        ]))
        """,
    ) == [
        "NVIDIA A100-SXM4-80GB",
        "NVMLError_FunctionNotFound",
        "NVMLError_FunctionNotFound",
        pytest.approx(standin.joules(standin.boards[0].uuid, 0.0, 60.0) * 1000, rel=2e-3),
    ]
    assert standin.calls("nvmlDeviceGetName") == 1
    with pytest.raises(ValueError, match="process of its own"):
        standin.preload()


def test_it_runs_by_itself_in_real_time(tmp_path: Path) -> None:
    """The command ends; what it left behind goes on."""
    paths = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    command = [
        sys.executable,
        "-m",
        "hardware.nvml",
        str(tmp_path / "lib"),
        "--boards",
        "2xH100,1xP40",
    ]
    said = finished(command, os.environ | {"PYTHONPATH": paths})
    assert said == f"ready: LD_LIBRARY_PATH={tmp_path / 'lib'}\n"
    made = {path.name for path in (tmp_path / "lib").iterdir()}
    assert made == {"libnvidia-ml.so.1", "nvml.state"}
    code = """
import json, os, time, pynvml as n
n.nvmlInit()
handles = [n.nvmlDeviceGetHandleByIndex(i) for i in range(n.nvmlDeviceGetCount())]
first = n.nvmlDeviceGetTotalEnergyConsumption(handles[0])
begun = time.clock_gettime(time.CLOCK_BOOTTIME)
while n.nvmlDeviceGetTotalEnergyConsumption(handles[0]) < first + 300_000:
    assert time.clock_gettime(time.CLOCK_BOOTTIME) < begun + 30
seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - begun
print(json.dumps([list(map(n.nvmlDeviceGetName, handles)), seconds]))
"""
    without_state = {k: v for k, v in os.environ.items() if k != "WATTLAS_NVML_STATE"}
    env = without_state | {"LD_LIBRARY_PATH": str(tmp_path / "lib")}
    names, seconds = json.loads(finished([sys.executable, "-c", code], env))
    assert names == ["NVIDIA H100 80GB HBM3"] * 2 + ["Tesla P40"]
    # 300 J and at most one refresh more, at 70 to 700 W
    assert 300 / 700 - 0.1 < seconds < 370 / 70 + 0.2


def test_boards_are_named_on_the_command_line() -> None:
    boards = parse_boards("2xA100,P40")
    assert [board.name for board in boards] == ["NVIDIA A100-SXM4-80GB"] * 2 + ["Tesla P40"]
    assert len({board.uuid for board in boards}) == 3
    with pytest.raises(ValueError, match="8xH100"):
        parse_boards("8xVoodoo")


def test_the_library_stays_cheap(make: Make) -> None:
    """A stand-in that costs more than the agent would hide the agent's cost."""
    standin = make(*(h100(i) for i in range(8)), p40(0))
    standin.write(86_400.0)
    handle = pynvml.nvmlDeviceGetHandleByIndex(7)
    standin.forget_calls()
    begun = time.perf_counter()
    for _ in range(200):
        fields(handle, 185, 191, 82, 74, 75)
    elapsed = time.perf_counter() - begun
    assert standin.seconds_inside < elapsed
    assert standin.seconds_inside / 200 < 2e-3  # usually some us; a busy machine may hold it up
    assert set(standin.all_calls) <= set(FUNCTIONS)
    assert Quantity.GPM == 30
