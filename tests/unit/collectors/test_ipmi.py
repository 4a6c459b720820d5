"""Wall power from a simulated BMC, through the real ipmi-dcmi, ipmi-sensors and ipmitool."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hardware.ipmi import Analog, Bmc, Supply, power
from unit.collectors.ipmi_rig import figure, make, module, read
from unit.collectors.trees import Clock

from agent.collector import Absent, Transient
from agent.quantities import Component, Quality

SUPPLIES = (
    Analog(2, "PS1 Input Power", 33, entity=(10, 1)),
    Analog(3, "PS2 Input Power", 30, entity=(10, 2)),
    Supply(5, "PS1 Status"),
    Supply(6, "PS2 Status", entity=(10, 2)),
)
DELL = (Analog(1, "Inlet Temp", 24, per_count=1, kind=1, unit=1), Analog(4, "Pwr Consumption", 42))
TOOLS = pytest.mark.parametrize("tool", ["ipmi-dcmi", "ipmitool"])


@pytest.fixture(scope="module")
def dcmi_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return module(tmp_path_factory.mktemp("dcmi"))


@pytest.fixture
def bmc(tmp_path: Path, dcmi_module: Path) -> Iterator[Bmc]:
    """One with DCMI and no sensors."""
    with Bmc(tmp_path / "bmc", dcmi_module) as simulated:
        simulated.says(power(164))
        yield simulated


@TOOLS
def test_dcmi_is_the_host_s_power(tmp_path: Path, bmc: Bmc, tool: str):
    clock = Clock()
    collector = make(tmp_path, clock, **bmc.settings(tool=tool))
    reading = read(collector)
    assert (reading.component, reading.device) == (Component.HOST, "dcmi")
    assert (reading.watts, reading.quality) == (164.0, Quality.INTEGRATED)
    assert reading.accuracy == pytest.approx(10 / 164)  # within 10 W, which is more than 5 %
    assert reading.at == clock.now
    bmc.says(power(800))
    assert read(collector).accuracy == 0.05
    collector.close()


@TOOLS
def test_ipmi_1_5_is_spoken_too(tmp_path: Path, bmc: Bmc, tool: str):
    collector = make(tmp_path, **bmc.settings(tool=tool, protocol="1.5"))
    assert figure(collector) == ("dcmi", 164.0)
    collector.close()


@TOOLS
def test_not_active_and_0_w_are_no_value(tmp_path: Path, bmc: Bmc, tool: str):
    collector = make(tmp_path, **bmc.settings(tool=tool))
    for answer in (power(164, is_active=False), power(0, least=0, mean=0)):
        bmc.says(answer)
        with pytest.raises(Transient, match="does not measure power now") as raised:
            read(collector)
        assert raised.value.reason == "inactive"
        assert "collectors.ipmi.sensor" in raised.value.remedy
    bmc.says(power(165))
    assert figure(collector) == ("dcmi", 165.0)
    collector.close()


def test_the_settings_may_accept_a_figure_that_is_not_active(tmp_path: Path, bmc: Bmc):
    bmc.says(power(319, least=319, most=319, stamp=0, is_active=False))
    collector = make(tmp_path, **bmc.settings(accept_inactive=True))
    assert figure(collector) == ("dcmi", 319.0)
    bmc.says(power(0, least=0, most=0, stamp=0, is_active=False))
    with pytest.raises(Transient, match="0 W"):
        read(collector)
    collector.close()


@TOOLS
@pytest.mark.parametrize("length", [2, 4, 6, 17])
def test_a_cut_off_answer_is_no_value(tmp_path: Path, bmc: Bmc, tool: str, length: int):
    collector = make(tmp_path, **bmc.settings(tool=tool))
    assert figure(collector)[1] == 164.0
    bmc.says(power(164)[:length])
    with pytest.raises(Transient):
        read(collector)
    bmc.says(power(170))
    assert figure(collector) == ("dcmi", 170.0)
    collector.close()


@TOOLS
@pytest.mark.parametrize("code", [0xC0, 0xC3])
def test_a_bmc_that_is_busy_is_asked_again(tmp_path: Path, bmc: Bmc, tool: str, code: int):
    collector = make(tmp_path, **bmc.settings(tool=tool))
    bmc.says(bytes([code]))
    with pytest.raises(Transient) as raised:
        read(collector)
    assert raised.value.reason in {"busy", "timeout"}
    bmc.says(power(164))
    assert figure(collector) == ("dcmi", 164.0)
    collector.close()


@TOOLS
def test_no_dcmi_and_no_sensor_is_absent(tmp_path: Path, bmc: Bmc, tool: str):
    bmc.says(b"")
    collector = make(tmp_path, **bmc.settings(tool=tool))
    for _ in range(2):
        with pytest.raises((Absent, Transient)) as raised:
            read(collector)
    assert isinstance(raised.value, Absent)
    assert "sdr elist" in raised.value.remedy
    assert raised.value.again_seconds
    bmc.says(power(164))  # after an update of its firmware, say
    assert figure(collector) == ("dcmi", 164.0)
    collector.close()


@TOOLS
def test_without_dcmi_a_known_sensor_is_read_and_kept_to(
    tmp_path: Path, dcmi_module: Path, tool: str
):
    with Bmc(tmp_path / "bmc", dcmi_module, (*DELL, *SUPPLIES)) as bmc:
        collector = make(tmp_path, **bmc.settings(tool=tool))
        assert figure(collector) == ("Pwr Consumption", 168.0)  # 42 x 4 W
        bmc.says(power(164))
        assert figure(collector) == ("Pwr Consumption", 168.0)
        collector.close()


@TOOLS
def test_dcmi_that_gave_a_figure_is_kept_to(tmp_path: Path, dcmi_module: Path, tool: str):
    with Bmc(tmp_path / "bmc", dcmi_module, DELL) as bmc:
        bmc.says(power(164))
        collector = make(tmp_path, **bmc.settings(tool=tool))
        assert figure(collector) == ("dcmi", 164.0)
        for answer in (b"", power(0, least=0), power(164, is_active=False)):
            bmc.says(answer)
            with pytest.raises(Transient):
                read(collector)
        bmc.says(power(166))
        assert figure(collector) == ("dcmi", 166.0)
        collector.close()


@TOOLS
def test_dcmi_without_a_figure_leaves_it_to_the_sensors(
    tmp_path: Path, dcmi_module: Path, tool: str
):
    with Bmc(tmp_path / "bmc", dcmi_module, SUPPLIES) as bmc:
        bmc.says(power(0, least=0))
        collector = make(tmp_path, **bmc.settings(tool=tool))
        assert figure(collector) == ("psu_inputs", 252.0)  # 33 x 4 W + 30 x 4 W
        assert figure(collector) == ("psu_inputs", 252.0)
        collector.close()


@TOOLS
@pytest.mark.parametrize("is_present", [True, False])
def test_a_supply_without_a_value(tmp_path: Path, dcmi_module: Path, tool: str, is_present: bool):
    sensors = (
        SUPPLIES[0],
        Analog(3, "PS2 Input Power", None, entity=(10, 2)),
        SUPPLIES[2],
        Supply(6, "PS2 Status", is_present, (10, 2)),
    )
    with Bmc(tmp_path / "bmc", dcmi_module, sensors) as bmc:
        collector = make(tmp_path, **bmc.settings(tool=tool))
        if is_present:
            with pytest.raises(Transient, match="PS2 Input Power gives no value"):
                read(collector)
        else:
            assert figure(collector) == ("psu_inputs", 132.0)
        collector.close()


@TOOLS
def test_the_sensor_of_the_settings_goes_before_dcmi(tmp_path: Path, dcmi_module: Path, tool: str):
    with Bmc(tmp_path / "bmc", dcmi_module, (*DELL, Analog(9, "Sum of all", 50))) as bmc:
        bmc.says(power(164))
        collector = make(tmp_path, **bmc.settings(tool=tool, sensor="Sum of all"))
        assert figure(collector) == ("Sum of all", 200.0)
        collector.close()
        collector = make(tmp_path, **bmc.settings(tool=tool, sensor="Sum"))
        with pytest.raises(Absent, match="no sensor 'Sum'"):
            read(collector)
        collector.close()


@TOOLS
def test_sensors_that_are_renumbered_are_found_again(tmp_path: Path, dcmi_module: Path, tool: str):
    with Bmc(tmp_path / "bmc", dcmi_module, SUPPLIES[:2]) as bmc:
        collector = make(tmp_path, **bmc.settings(tool=tool))
        assert figure(collector) == ("psu_inputs", 252.0)
        bmc.restart((Analog(40, "Fan Power", 3), Analog(41, "Pwr Consumption", 60)))
        failures = 0
        for _ in range(10):
            try:
                now = figure(collector)
            except Transient:
                failures += 1
                continue
            break
        assert 0 < failures <= 7
        assert now == ("Pwr Consumption", 240.0)
        collector.close()


def test_a_bmc_that_says_the_same_for_ever_stands_still(tmp_path: Path, bmc: Bmc):
    collector = make(tmp_path, **bmc.settings())
    for _ in range(6):
        assert figure(collector)[1] == 164.0
    with pytest.raises(Transient, match="stands still") as raised:
        read(collector)
    assert raised.value.reason == "stale"
    bmc.says(power(164, stamp=1400853802))
    assert figure(collector)[1] == 164.0
    collector.close()


@TOOLS
def test_a_refused_password_is_not_tried_again_soon(tmp_path: Path, bmc: Bmc, tool: str):
    clock = Clock()
    settings = bmc.settings(tool=tool)
    bmc.password_file.write_text("not-the-one\n")
    collector = make(tmp_path, clock, **settings)
    with pytest.raises(Transient, match="refuses this user and password") as raised:
        read(collector)
    assert raised.value.reason == "auth"
    assert "not-the-one" not in str(raised.value) + raised.value.remedy
    bmc.freeze()  # whoever asked it now would hang
    clock.now += 890.0
    with pytest.raises(Transient, match="not tried again for 0 min"):
        read(collector)
    bmc.thaw()
    clock.now += 20.0
    with pytest.raises(Transient, match="refuses") as raised:
        read(collector)
    assert "not tried again" not in raised.value.why
    bmc.password_file.write_text("secret-of-bmc\n")  # mended: it is tried at once
    assert figure(collector) == ("dcmi", 164.0)
    collector.close()


@TOOLS
def test_a_bmc_that_hangs_and_comes_back(tmp_path: Path, bmc: Bmc, tool: str):
    collector = make(tmp_path, **bmc.settings(tool=tool, timeout_seconds=60.0))
    assert figure(collector) == ("dcmi", 164.0)
    collector.close()
    bmc.freeze()
    collector = make(tmp_path, **bmc.settings(tool=tool, timeout_seconds=1.5))
    with pytest.raises(Transient) as raised:
        read(collector)
    assert raised.value.reason == "timeout"
    bmc.thaw()
    collector.close()


def test_too_few_rights_are_said(tmp_path: Path, bmc: Bmc):
    collector = make(tmp_path, **bmc.settings(tool="ipmitool", privilege="user"))
    with pytest.raises(Transient, match="rights") as raised:
        read(collector)
    assert "privilege" in raised.value.remedy
    collector.close()


@pytest.mark.parametrize("content", ["", "\n", "x" * 21, "a\0b"])
def test_a_file_that_holds_no_password(tmp_path: Path, content: str):
    path = tmp_path / "password"
    path.write_text(content)
    collector = make(tmp_path, host="127.0.0.1", user="a", password_file=str(path))
    with pytest.raises(Transient, match="no IPMI password") as raised:
        read(collector)
    assert raised.value.reason == "permission"
    collector.close()


def test_a_password_file_that_is_not_there(tmp_path: Path):
    collector = make(tmp_path, host="127.0.0.1", password_file=str(tmp_path / "nothing"))
    with pytest.raises(Transient, match="cannot be read"):
        read(collector)
    collector.close()
