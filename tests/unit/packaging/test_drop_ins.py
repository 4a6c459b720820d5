"""The drop-ins: what each opens beyond the unit, and what systemd makes of the two together."""

import re
import shutil
import subprocess

import pytest
from unit.packaging.units import (
    DROP_INS,
    PACKAGING,
    UNIT,
    exposure,
    needs_offline_analysis,
    parse,
    tool,
)

EXPOSURE = {"ascend": 15, "ipmi": 14, "perf": 17, "process-io": 20, "serial": 15}
"""Tenths, by systemd 252; docs/service.md has the same figures."""


def test_each_is_judged_here():
    assert {file.stem for file in DROP_INS.glob("*.conf")} == set(EXPOSURE)


@pytest.fixture
def together(tmp_path, request):
    """The unit with a program that is there, and one drop-in."""
    unit = tmp_path / "wattlas.service"
    unit.write_text(UNIT.read_text().replace("/usr/bin/wattlas", "/bin/true"))
    folder = tmp_path / "wattlas.service.d"
    folder.mkdir()
    shutil.copy(DROP_INS / f"{request.param}.conf", folder)
    return unit


@needs_offline_analysis
@pytest.mark.parametrize(("together", "tenths"), EXPOSURE.items(), indirect=["together"])
def test_its_exposure_is_as_documented(together, tenths):
    assert exposure(together) <= tenths


@tool("systemd-analyze")
@pytest.mark.parametrize("together", EXPOSURE, indirect=True)
def test_systemd_has_nothing_to_say(together):
    done = subprocess.run(
        ["systemd-analyze", "verify", together], capture_output=True, text=True, check=False
    )
    said = [line for line in done.stderr.splitlines() if "wattlas" in line]
    assert (done.returncode, said) == (0, [])


@pytest.mark.parametrize("name", EXPOSURE)
def test_it_says_what_it_opens(name):
    text = (DROP_INS / f"{name}.conf").read_text()
    assert re.search(r"^# Opens: ", text, re.MULTILINE)
    assert text.startswith("# For ")


@pytest.mark.parametrize(
    ("name", "capability"), [("perf", "CAP_PERFMON"), ("process-io", "CAP_SYS_PTRACE")]
)
def test_it_opens_one_capability(name, capability):
    keys = parse((DROP_INS / f"{name}.conf").read_text())["Service"]
    assert keys["CapabilityBoundingSet"] == keys["AmbientCapabilities"] == [capability]


@pytest.mark.parametrize("name", ["ascend", "ipmi", "serial"])
def test_devices_need_no_capability(name):
    keys = parse((DROP_INS / f"{name}.conf").read_text())["Service"]
    assert set(keys) <= {"DeviceAllow", "SupplementaryGroups"}
    assert all(re.fullmatch(r"(char-|/dev/)\S+ rw", value) for value in keys["DeviceAllow"])


def test_the_package_removes_each_when_it_is_purged():
    purged = re.search(r"for name in (.*); do", (PACKAGING / "deb/postrm").read_text())
    assert purged[1].split() == sorted(EXPOSURE)
