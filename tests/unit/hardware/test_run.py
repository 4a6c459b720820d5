"""The simulator as a process of its own, in real time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import hardware
import pytest

TESTS = Path(hardware.__file__).parents[1]


def start(*arguments: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "hardware.run", *arguments],
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_counters_run_in_real_time_until_sigterm(tmp_path: Path) -> None:
    root = tmp_path / "machine"
    simulator = start(str(root), "--preset", "epyc_2s")
    try:
        assert simulator.stdout is not None
        assert simulator.stdout.readline() == f"ready: epyc_2s in {root}\n"
        counter = root / "sys/class/powercap/intel-rapl:1/energy_uj"
        time.sleep(0.3)
        before, began = int(counter.read_text()), time.monotonic()
        time.sleep(1.5)
        joules = (int(counter.read_text()) - before) / 1e6
        watts = joules / (time.monotonic() - began)
        assert 40 < watts < 200  # one socket idles at 50 W and peaks at 155 W
        uptime = float((root / "proc/uptime").read_text().split()[0])
        assert uptime == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=2)
    finally:
        simulator.send_signal(signal.SIGTERM)
        _, errors = simulator.communicate(timeout=10)
    assert (simulator.returncode, errors) == (0, "")


@pytest.mark.parametrize("arguments", [["--preset", "toaster"], ["--speed", "0"], ["--hertz", "0"]])
def test_wrong_use_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    simulator = start(str(tmp_path / "machine"), *arguments)
    _, errors = simulator.communicate(timeout=10)
    assert simulator.returncode == 2
    assert "usage" in errors


def test_a_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    simulator = start(str(tmp_path))
    _, errors = simulator.communicate(timeout=10)
    assert simulator.returncode == 2
    assert "not empty" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
