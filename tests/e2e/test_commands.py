"""Every command as a process, against the simulated server and this machine's own kernel."""

import json
import shutil
import signal
import subprocess
import sys

import pytest
from e2e.agents import WATTLAS, until, wattlas
from unit.ledger.rig import rows, sums

pytestmark = [pytest.mark.e2e, pytest.mark.parallel]

QUALITIES = {"measured", "integrated", "estimated"}


def done(result):
    """Return stdout of a command that did what it should and had nothing to complain about."""
    assert (result.returncode, result.stderr) == (0, ""), result
    return result.stdout


def document(*arguments):
    return json.loads(done(wattlas(*arguments, "--json")))


def test_read_of_this_machine_is_a_table_with_a_figure(here):
    lines = done(wattlas("read", "--config", here)).splitlines()
    assert lines[0].split() == ["part", "device", "watts", "±", "quality", "source", "load"]
    (host,) = (line.split() for line in lines if line.startswith("host "))
    assert float(host[2]) > 0
    assert QUALITIES.intersection(host)


def test_read_leaves_a_running_agents_directory_alone(config, tmp_path):
    done(wattlas("read", "--config", config))
    assert not (tmp_path / "state").exists()


def test_check_says_what_can_be_measured(config):
    findings = {f["what"]: f for f in document("check", "--config", config)["findings"]}
    for name in ("settings", "rapl", "hwmon", "host", "estimate", "host power", "address"):
        assert findings[name]["state"] == "ok", findings[name]
    assert "package-0 (measured)" in findings["rapl"]["detail"]
    assert findings["settings"]["detail"] == str(config)


def test_check_of_this_machine_is_a_table(here):
    lines = done(wattlas("check", "--config", here)).splitlines()
    assert lines[0].split() == ["what", "state", "detail"]
    assert any(line.split()[:3] == ["host", "power", "ok"] for line in lines)


def test_check_fails_where_the_settings_demand_what_is_not_there(here):
    here.write_text(
        here.read_text() + "[paths]\nsysfs = '/nowhere'\n[collectors.rapl]\nenabled=true"
    )
    result = wattlas("check", "--config", here)
    assert result.returncode == 1
    assert result.stderr == ("wattlas: the settings demand rapl, which cannot be read; see above\n")


@pytest.mark.parametrize(("code", "status"), [("raise SystemExit(7)", 7), ("", 0)])
def test_measure_exits_as_the_command_does(here, code, status):
    result = wattlas("measure", "--config", here, "--", sys.executable, "-c", code)
    assert (result.returncode, result.stderr) == (status, "")
    assert "\nhost " in result.stdout


def test_measure_hands_signals_on(here):
    code = "import time; print('up', flush=True); time.sleep(60)"
    command = [WATTLAS, "measure", "--config", here, "--", sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        assert "\nhost " in process.stdout.read()
    assert process.returncode == 128 + signal.SIGTERM


def test_measure_keeps_its_report_apart_from_what_the_command_prints(here, tmp_path):
    report = tmp_path / "energy.json"
    result = wattlas(
        "measure", "--config", here, "--json", "--output", report, "--", "echo", "mine alone"
    )
    assert done(result) == "mine alone\n"
    assert json.loads(report.read_text())["energy_joules"]["total"] > 0


def test_measure_does_not_run_the_command_if_its_report_has_no_place(here, tmp_path):
    command = ["touch", tmp_path / "ran"]
    result = wattlas("measure", "--config", here, "--output", tmp_path / "no/e", "--", *command)
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert not (tmp_path / "ran").exists()


def test_measure_passes_the_commands_own_options(here):
    result = wattlas("measure", "--config", here, "--", "echo", "--json", "-x", "--", "--config")
    assert done(result).splitlines()[0] == "--json -x -- --config"


def test_estimate_of_a_described_server():
    described = ["--cpu-model", "Intel(R) Xeon(R) Platinum 8259CL", "--sockets", "2"]
    described += ["--memory-gb", "384", "--utilization", "0.3"]
    found = document("estimate", *described)
    assert set(found) >= {"components", "host"}
    for row in [*found["components"], found["host"]]:
        assert 0 < row["watts"]["low"] <= row["watts"]["best"] <= row["watts"]["high"]
        assert row["method"]
    assert {row["component"] for row in found["components"]} >= {"cpu", "dram", "platform"}
    for bound in ("low", "best", "high"):
        parts = sum(row["watts"][bound] for row in found["components"])
        assert parts == pytest.approx(found["host"]["watts"][bound], abs=0.01)


def test_estimate_of_this_machine_is_a_table():
    assert "host" in done(wattlas("estimate"))


COUNTER = {"collector": "rapl", "component": "cpu", "device": "package-0", "kind": "energy"}
POWER = {"collector": "nvml", "component": "gpu", "device": "GPU-1", "kind": "power", "value": 300}
LOAD = {"collector": "host", "component": "cpu", "device": "all", "kind": "utilization"}
TRACE = [
    {"t": 0.0, **COUNTER, "value": 262100.0, "wraps_at": 262143.32885},
    {"t": 0.0, **POWER},
    {"t": 1.0, **POWER},
    {"t": 1.0, **COUNTER, "value": 56.67115, "wraps_at": 262143.32885},
    {"t": 1.0, **LOAD, "value": 0.42},
    {"t": 1.5, "kind": "restart"},
    {"t": 2.0, **COUNTER, "value": 156.67115, "wraps_at": 262143.32885},
    {"t": 2.0, **POWER},
]


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in TRACE))
    return path


def test_replay_of_the_contracts_form(trace):
    found = document("replay", trace)
    assert set(found) == {"duration_seconds", "components", "host"}
    assert found["duration_seconds"] == 2.0
    energy = {
        (c["component"], c["device"], c["source"]): c["energy_joules"] for c in found["components"]
    }
    assert energy[("cpu", "package-0", "rapl")] == pytest.approx(
        {"measured": 200.0, "integrated": 0.0, "estimated": 0.0}
    )
    assert energy[("gpu", "GPU-1", "nvml")]["integrated"] == pytest.approx(600.0)
    assert found["host"]["energy_joules"] == pytest.approx(
        {"measured": 200.0, "integrated": 600.0, "estimated": 0.0}
    )
    assert found["host"]["gap_seconds"] == 0.0
    for row in found["components"]:
        assert set(row) >= {"component", "device", "source", "energy_joules", "gap_seconds"}
        assert (row["gap_seconds"], row["resets"]) == (0.0, 0)


def test_replay_keeps_a_ledger(trace, tmp_path):
    start = "2026-03-01T08:00:00+08:00"
    done(wattlas("replay", trace, "--start", start, "--state-dir", tmp_path / "state"))
    minute = 1772323200 // 60  # 2026-03-01T00:00:00Z
    path = tmp_path / "state/ledger.db"
    assert {row[0] for row in rows(path, "SELECT minute FROM minute")} == {minute}
    assert sums(tmp_path / "state") == pytest.approx(dict.fromkeys(("minute", "hour", "day"), 800))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_its_shell(shell):
    script = done(wattlas("completion", shell))
    assert "_WATTLAS_COMPLETE" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n", "/dev/stdin"], input=script, text=True, check=True)


@pytest.mark.parametrize(
    "command",
    ["run", "read", "check", "measure", "estimate", "bench", "replay", "work", "completion"],
)
def test_every_command_explains_itself(command):
    text = done(wattlas(command, "--help"))
    assert text.startswith(f"Usage: wattlas {command}")
    assert "Examples:" in text


def test_the_commands_are_listed():
    text = done(wattlas("--help"))
    assert "Exit status: 0 done, 1 it failed, 2" in " ".join(text.split())
    assert done(wattlas("--version")).startswith("wattlas, version ")


@pytest.mark.parametrize("arguments", [["read", "--json"], ["estimate"], ["--help"]])
def test_a_full_disk_under_the_output_is_one_line(arguments):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        result = wattlas(*arguments, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 1
    assert result.stderr == (
        "wattlas: cannot write the output (No space left on device); free its disk\n"
    )


def test_a_reader_that_goes_away_is_no_fault():
    with subprocess.Popen(
        [WATTLAS, "read", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        until("it ends", lambda: process.poll() is not None)
        assert process.stderr.read() == ""
