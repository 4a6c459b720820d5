"""`wattlas bench` as a process, on a simulated server whose true energy is known."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from e2e.agents import WATTLAS, settings, until, wattlas
from hardware.power import Steps
from hardware.presets import xeon_2s

pytestmark = pytest.mark.e2e

SOCKET = (Steps((60.0, 95.0, 71.0, 130.0), 0.9), Steps((80.0, 50.0, 120.0), 1.3))
"""What the two sockets draw, whatever this machine does: a wrong window shows at once."""
WRITES_PER_SECOND = 100


class Server:
    """A simulated server in real time; its zero is known, so that its truth can be asked for."""

    def __init__(self, root):
        self.machine = xeon_2s(root, power={"package-0": SOCKET[0], "package-1": SOCKET[1]})
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.zero = 0.0

    def _run(self):
        tick = 0
        while not self._end.wait(max(tick / WRITES_PER_SECOND - self._now(), 0.0)):
            now = self._now()
            self.machine.write(now)
            tick = max(tick + 1, int(now * WRITES_PER_SECOND))

    def _now(self):
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.zero

    def __enter__(self):
        self.zero = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        self.machine.close()

    def joules(self, since, until):
        """Return what both packages truly took between two moments of CLOCK_BOOTTIME."""
        return sum(
            self.machine.joules(f"package-{n}", since - self.zero, until - self.zero)
            for n in (0, 1)
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("bench") / "xeon") as running:
        yield running


@pytest.fixture
def config(tmp_path, server):
    return settings(tmp_path / "wattlas.toml", root=server.machine.root)


def without(tmp_path, name):
    """Return an environment in which a library is not there."""
    (tmp_path / f"{name}.py").write_text(
        f'raise ModuleNotFoundError("No module named {name!r}", name={name!r})\n'
    )
    return os.environ | {"PYTHONPATH": str(tmp_path)}


def children_of(process):
    path = f"/proc/{process.pid}/task/{process.pid}/children"
    with open(path) as file:  # noqa: PTH123
        return [int(number) for number in file.read().split()]


def test_flops_per_watt_is_operations_over_true_joules(config, server, tmp_path):
    report = tmp_path / "bench.json"
    result = wattlas(
        "bench", "--config", config, "--device", "cpu", "--precision", "fp64", "--seconds", 3,
        "--json", "--output", report,
    )  # fmt: skip
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    found = json.loads(report.read_text())
    assert found["complete"] is True
    assert found["verdict"].startswith("the component's energy is measured")
    (series,) = found["series"]
    assert (series["library"], series["precision"]) == ("numpy", "fp64")
    assert series["flop_per_product"] == 2 * series["matrix_size"] ** 3
    assert [level["target_load"] for level in series["levels"]] == [1.0, 0.75, 0.5, 0.25, 0.0]
    for level in series["levels"]:
        window, cpu = level["window"], level["component"]
        assert window["seconds"] == pytest.approx(3.0, abs=0.3)
        true = server.joules(window["since_boottime_seconds"], window["until_boottime_seconds"])
        assert cpu["energy_joules"] == pytest.approx(true, rel=0.01)
        assert cpu["quality"] == "measured"
        assert cpu["gap_seconds"] == 0.0
        if level["target_load"]:
            assert cpu["flops_per_watt"] == pytest.approx(level["flop"] / true, rel=0.01)
        else:
            assert (level["flop"], cpu["flops_per_watt"]) == (0.0, None)
    for level in series["levels"][1:]:  # paced: never more; less only where others hold it up
        assert level["achieved_load"] <= level["target_load"] + 0.05
    assert series["levels"][3]["achieved_load"] > 0.2
    summary = series["summary"]["component"]
    best = max(level["component"]["flops_per_watt"] or 0.0 for level in series["levels"])
    assert summary["peak_flops_per_watt"] == best
    idle, full = series["levels"][-1], series["levels"][0]
    expected = idle["component"]["power_watts"] / full["component"]["power_watts"]
    assert summary["idle_power_ratio"] == pytest.approx(expected)


def test_without_numpy_it_says_how_to_get_it(config, tmp_path):
    result = wattlas("bench", "--config", config, env=without(tmp_path, "numpy"))
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(
        "wattlas: numpy is not installed in wattlas' environment, and the CPU's load needs it:"
        rf" {re.escape(str(Path(sys.executable).parent))}/python\S* -m pip install numpy"
        r" \(where pipx keeps wattlas: pipx inject wattlas numpy\)\n",
        result.stderr,
    )


def test_without_a_gpu_library_it_says_which_would_do(config):
    result = wattlas("bench", "--config", config, "--device", "gpu")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.endswith(
        "install CuPy or PyTorch into wattlas' environment, or give --device cpu\n"
    )
    assert len(result.stderr.splitlines()) == 1


def test_a_precision_that_the_device_does_not_know_is_wrong_usage(config):
    result = wattlas("bench", "--config", config, "--device", "cpu", "--precision", "bf16")
    assert (result.returncode, result.stdout) == (2, "")
    assert "--device cpu does not know bf16" in result.stderr


class Running:
    """A bench that is under way."""

    def __init__(self, config, *arguments):
        command = [WATTLAS, "bench", "--config", config, "--device", "cpu", "--json", *arguments]
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def child(self):
        """Return its load once that works."""

        def working():
            for pid in children_of(self.process):
                with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
                    fields = file.read().rsplit(")", 1)[1].split()
                if int(fields[11]) > 50:  # half a second of user time: it multiplies
                    return pid
            return None

        return until("the load works", working)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_load_that_is_killed_is_one_sentence(config):
    with Running(config, "--seconds", 60) as running:
        os.kill(running.child(), signal.SIGKILL)
        out, errors = running.process.communicate(timeout=30)
    assert running.process.returncode == 1
    assert errors == (
        "wattlas: the load on the CPU was ended by SIGKILL; was there enough memory?\n"
    )
    assert json.loads(out)["complete"] is False


def test_ctrl_c_ends_the_load_and_prints_what_is_complete(config):
    with Running(config, "--seconds", 1, "--precision", "fp32") as running:
        child = running.child()
        running.process.send_signal(signal.SIGINT)
        out, errors = running.process.communicate(timeout=30)
        until("the load is gone", lambda: gone(child))
    assert running.process.returncode == 130
    assert errors == "wattlas: stopped before it was complete\n"
    found = json.loads(out)
    assert found["complete"] is False
    assert all(len(series["levels"]) < 5 for series in found["series"])


def test_no_load_is_left_behind_by_a_bench_that_is_killed(config):
    with Running(config, "--seconds", 60) as running:
        child = running.child()
        running.process.kill()
        until("the load is gone", lambda: gone(child))


def test_it_explains_itself():
    result = wattlas("bench", "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("Usage: wattlas bench")
    assert "Examples:" in result.stdout
