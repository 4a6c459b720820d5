"""The systemd unit and its companions: own asserts always, systemd's own tools where they are."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from unit.packaging.units import (
    PACKAGING,
    UNIT,
    exposure,
    needs_offline_analysis,
    open_points,
    parse,
    tool,
)

WORST_EXPOSURE = 15  # tenths, by systemd 252; Debian's own prometheus.service has 40


@pytest.fixture(scope="module")
def service():
    return parse(UNIT.read_text())["Service"]


@pytest.fixture
def startable(tmp_path):
    """The unit with a program that is there: systemd-analyze looks for it."""
    copy = tmp_path / "wattlas.service"
    copy.write_text(UNIT.read_text().replace("/usr/bin/wattlas", "/bin/true"))
    return copy


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("WatchdogSec", "30"),
        ("FileDescriptorStoreMax", "8"),
        ("Restart", "always"),
        ("RestartSec", "100ms"),
        ("User", "wattlas"),
        ("StateDirectory", "wattlas"),
        ("RuntimeDirectory", "wattlas"),
        ("ExecStart", "/usr/bin/wattlas run"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("DevicePolicy", "closed"),
        ("SystemCallErrorNumber", "EPERM"),
    ],
)
def test_it_runs_as_agreed(service, key, value):
    assert service[key] == [value]


def test_it_holds_no_capability(service):
    assert service["CapabilityBoundingSet"] == [""]
    assert service["AmbientCapabilities"] == [""]


def test_wrong_settings_are_not_tried_again(service):
    assert service["RestartPreventExitStatus"] == ["2"]


@pytest.mark.parametrize("key", ["ProcSubset", "PrivateUsers", "PrivateDevices", "IPAddressDeny"])
def test_nothing_blinds_the_agent(service, key):
    assert key not in service


def test_it_starts_with_the_machine_and_never_gives_up():
    unit = parse(UNIT.read_text())
    assert unit["Install"]["WantedBy"] == ["multi-user.target"]
    assert unit["Unit"]["StartLimitIntervalSec"] == ["0"]


@tool("systemd-analyze")
def test_systemd_has_nothing_to_say(startable):
    done = subprocess.run(
        ["systemd-analyze", "verify", startable], capture_output=True, text=True, check=False
    )
    said = [line for line in done.stderr.splitlines() if "wattlas" in line]
    assert (done.returncode, said) == (0, [])


@needs_offline_analysis
def test_its_exposure_stays_low(startable):
    assert exposure(startable) <= WORST_EXPOSURE


@needs_offline_analysis
def test_what_stays_open_is_what_the_agent_needs(startable):
    network = {
        "IPAddressDeny=",
        "PrivateNetwork=",
        "RestrictAddressFamilies=~AF_(INET|INET6)",
        "RestrictAddressFamilies=~AF_UNIX",
    }
    kernel = {"ProcSubset=", "PrivateUsers=", "RootDirectory=/RootImage="}
    assert open_points(startable) <= network | kernel | {"DeviceAllow=", "PrivateDevices="}


@pytest.fixture
def machine(tmp_path):
    """A root directory with RAPL zones and an energy counter of hwmon, closed to all but root."""
    real = "sys/devices/virtual/powercap/intel-rapl"
    for name in ("intel-rapl:0", "intel-rapl:0/intel-rapl:0:1"):
        zone = tmp_path / real / name
        zone.mkdir(parents=True)
        link = tmp_path / "sys/class/powercap" / zone.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path("../../../", real, name))
        (zone / "energy_uj").write_text("1\n")
        (zone / "name").write_text("x\n")
    chip = tmp_path / "sys/class/hwmon/hwmon3"
    chip.mkdir(parents=True)
    (chip / "energy12_input").write_text("1\n")
    tables = tmp_path / "sys/firmware/dmi/tables"
    tables.mkdir(parents=True)
    (tables / "DMI").write_bytes(b"x")
    (tables / "smbios_entry_point").write_bytes(b"x")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nwattlas:x:4711:\n")
    for file in (tmp_path / "sys").rglob("*"):
        if file.is_file():
            file.chmod(0o400)
    return tmp_path


@tool("systemd-tmpfiles")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another group")
def test_the_group_may_read_the_counters_and_nothing_else(machine):
    command = ["systemd-tmpfiles", f"--root={machine}", "--create"]
    subprocess.run([*command, PACKAGING / "wattlas.tmpfiles"], check=True)
    opened = {
        str(file.relative_to(machine)): (file.stat().st_mode & 0o777, file.stat().st_gid)
        for file in (machine / "sys").rglob("*")
        if file.is_file() and file.stat().st_gid
    }
    rapl = "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0"
    assert opened == {
        f"{rapl}/energy_uj": (0o440, 4711),
        f"{rapl}/intel-rapl:0:1/energy_uj": (0o440, 4711),
        "sys/class/hwmon/hwmon3/energy12_input": (0o440, 4711),
        "sys/firmware/dmi/tables/DMI": (0o440, 4711),
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another group")
@pytest.mark.parametrize(
    ("subsystem", "device", "opened"),
    [
        ("powercap", "intel-rapl:0", "energy_uj"),
        ("hwmon", "hwmon3", "energy12_input"),
    ],
)
def test_what_comes_later_is_opened_by_udev(machine, subsystem, device, opened):
    """The rule's own commands, as udev would run them (udev(7): %S, %p)."""
    rules = (PACKAGING / "wattlas.rules").read_text().splitlines()
    (rule,) = [line for line in rules if f'"{subsystem}"' in line and line[:1] != "#"]
    where = f"{machine}/sys/class/{subsystem}/{device}"
    # no group of ours need be on this machine
    rule = rule.replace("%S%p", where).replace("chgrp wattlas", "chgrp 4711")
    for command in re.findall(r'RUN\+="(.*?)"', rule):
        subprocess.run(shlex.split(command), check=True)
    state = (machine / "sys/class" / subsystem / device / opened).stat()
    assert (state.st_mode & 0o777, state.st_gid) == (0o440, 4711)


@tool("systemd-sysusers")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write a root directory's accounts")
def test_the_account_cannot_log_in(tmp_path):
    (tmp_path / "etc").mkdir()
    command = ["systemd-sysusers", f"--root={tmp_path}", PACKAGING / "wattlas.sysusers"]
    subprocess.run(command, check=True, capture_output=True)
    account = (tmp_path / "etc/passwd").read_text().strip().split(":")
    assert account[0] == "wattlas"
    assert account[6].endswith("/nologin")
