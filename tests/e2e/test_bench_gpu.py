"""`wattlas bench` on stand-in GPUs, and benchmarks/real_gpu.py as far as it goes without CUDA."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.agents import settings, wattlas
from hardware.nvml import Standin, h100
from hardware.power import Constant

pytestmark = pytest.mark.e2e

CHECKOUT = Path(__file__).parents[2]
WATTS = (310.0, 290.0)


@pytest.fixture
def standin(tmp_path):
    boards = [h100(n, power=Constant(watts)) for n, watts in enumerate(WATTS)]
    return Standin(tmp_path / "nvml.state", boards, is_real=True)


def environment(standin):
    return os.environ | standin.environment()


def test_each_gpu_has_its_own_load_and_energy(tmp_path, standin):
    buses = [f"0000:{board.bus:02X}:00.0" for board in standin.boards]
    result = wattlas(
        "bench", "--config", settings(tmp_path / "wattlas.toml"), "--device", "gpu",
        "--precision", "fp32", "--precision", "bf16", "--seconds", 1, "--size", 512, "--json",
        env=environment(standin)
        | {
            "PYTHONPATH": str(CHECKOUT / "tests/e2e/cupy_standin"),
            "BENCH_BUSES": ",".join(buses),
            "OPENBLAS_NUM_THREADS": "1",
        },
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["notes"][0] == "not done: gpu: CuPy does not multiply bf16 here"
    (series,) = found["series"]
    assert series["devices"] == [board.uuid for board in standin.boards]
    assert (series["library"], series["processes"]) == ("CuPy", 2)
    for level in series["levels"]:
        gpu = level["component"]
        # an energy counter that is read 0.1 s late over a window of a second
        assert gpu["power_watts"] == pytest.approx(sum(WATTS), rel=0.12)
        assert gpu["quality"] == "measured"
        assert [row["device"] for row in level["by_device"]] == series["devices"]
        assert sum(row["flop"] for row in level["by_device"]) == pytest.approx(level["flop"])
        if level["target_load"]:
            assert gpu["flops_per_watt"] == pytest.approx(level["flops"] / gpu["power_watts"])
            assert all(row["flops_per_watt"] > 0 for row in level["by_device"])


@pytest.mark.parallel
def test_what_is_tried_on_a_real_gpu_runs_up_to_where_cuda_is_needed(tmp_path, standin):
    out = tmp_path / "out"
    result = subprocess.run(
        [sys.executable, CHECKOUT / "benchmarks/real_gpu.py", "--quick", "--output", out],
        env=environment(standin), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = json.loads((out / "real-gpu.json").read_text())
    assert [row["collector"] for row in found["idle"]["phases"]] == ["off", "on", "on", "off"]
    for row in found["idle"]["phases"]:
        assert row["counter_watts"] == pytest.approx(WATTS[0], rel=0.05)
        assert row["buffer_watts"] == pytest.approx(WATTS[0], rel=0.05)
    cost = found["idle"]["cost"]
    assert cost["nvml_calls"]["mean"] > 1
    assert 0 < cost["own_python_cpu_seconds"]["median"] < cost["cpu_seconds"]["max"]
    if "known" not in found:
        assert any("libcuda.so.1" in note or "CUDA" in note for note in found["notes"])
    assert (out / "real-gpu.md").read_text().startswith("# What a real GPU answered")
    replayed = wattlas("replay", out / "nvml-trace.jsonl", "--json")
    assert replayed.returncode == 0, replayed.stderr
    devices = {row["device"] for row in json.loads(replayed.stdout)["components"]}
    assert devices == {board.uuid for board in standin.boards}
