"""The IPMI tools as processes: in band, through scripts that stand for them, and their faults."""

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from unit.collectors.ipmi_rig import Tools, figure, make, read
from unit.collectors.trees import put

from agent.collector import Absent, Transient
from agent.samples import Sample
from collectors import tool
from collectors.ipmi import Ipmi

ANSWER = """Current Power                        : 164 Watts
Minimum Power over sampling duration : 40 watts
Maximum Power over sampling duration : 294 watts
Average Power over sampling duration : 163 watts
Time Stamp                           : 05/23/2014 - 14:03:12
Statistics reporting time period     : 1000 milliseconds
Power Measurement                    : Active
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """No tool is installed, and there is a BMC."""
    stand_in = Tools(tmp_path)
    monkeypatch.setenv("PATH", str(stand_in.folder))
    monkeypatch.setattr(tool, "_SYSTEM_FOLDERS", ())
    put(tmp_path / "dev" / "ipmi0", "")
    return stand_in


def is_gone(path: Path) -> bool:
    """Return whether the processes whose ids a file lists end: they were killed, if at all."""
    for pid in path.read_text().split():
        until = time.monotonic() + 20.0
        while runs(pid):
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
    return True


def runs(pid: str) -> bool:
    """Return whether a process is there and no zombie that init has yet to reap."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def has_begun(path: Path) -> bool:
    """Return whether a script has written its ids."""
    return path.exists() and len(path.read_text().split()) == 2


async def until_it_has_begun(path: Path, waiting: asyncio.Future[Any]) -> None:
    """Give the loop its turns meanwhile."""
    while not has_begun(path):
        assert not waiting.done()
        await asyncio.sleep(0.005)


HANGS = "/bin/sleep 600 & echo $$ $! > '{root}/pids'; wait"


def test_without_a_device_it_is_absent_before_anything_else(tmp_path: Path):
    collector = make(tmp_path)
    with pytest.raises(Absent, match="no IPMI device") as raised:
        read(collector)
    assert "modprobe ipmi_devintf" in raised.value.remedy
    assert raised.value.again_seconds == 300.0
    put(tmp_path / "dev" / "ipmi0", "")  # the driver was loaded
    with pytest.raises((Absent, Transient)) as after:
        read(collector)
    assert "no IPMI device below" not in str(after.value)
    collector.close()


@pytest.mark.parametrize("node", ["ipmi0", "ipmi/0", "ipmidev/0"])
def test_each_name_of_the_device_is_known(tools: Tools, node: str):
    (tools.root / "dev" / "ipmi0").unlink()
    put(tools.root / "dev" / node, "")
    tools.does(f"echo \"$*\" > '{tools.root}/asked'; exec /bin/cat '{tools.root}/answer'")
    (tools.root / "answer").write_text(ANSWER)
    collector = make(tools.root)
    assert figure(collector) == ("dcmi", 164.0)
    asked = (tools.root / "asked").read_text()
    assert f"--driver-device={tools.root}/dev/{node}" in asked
    assert "hostname" not in asked
    collector.close()


def test_without_a_tool_it_is_absent_with_the_packages(tools: Tools):
    collector = make(tools.root)
    with pytest.raises(Absent, match="neither ipmi-dcmi nor ipmitool") as raised:
        read(collector)
    assert "freeipmi-tools" in raised.value.remedy
    tools.prints(ANSWER)
    assert figure(collector) == ("dcmi", 164.0)
    collector.close()


def test_the_tool_of_the_settings_must_be_there(tools: Tools):
    tools.prints(ANSWER)
    with pytest.raises(Absent, match="ipmitool is not installed"):
        read(make(tools.root, tool="ipmitool"))


def test_a_tool_that_is_removed_meanwhile(tools: Tools):
    tools.prints(ANSWER)
    collector = make(tools.root)
    assert figure(collector)[1] == 164.0
    (tools.folder / "ipmi-dcmi").unlink()
    with pytest.raises(Transient, match="not installed any more"):
        read(collector)
    collector.close()


def test_the_tool_speaks_english_and_utc(tools: Tools, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    words = "$LC_ALL $LANG $LANGUAGE $TZ"
    tools.does(f"echo \"{words}\" > '{tools.root}/said'; exec /bin/cat '{tools.root}/answer'")
    (tools.root / "answer").write_text(ANSWER)
    collector = make(tools.root)
    assert figure(collector)[1] == 164.0
    assert (tools.root / "said").read_text().split() == ["C", "C", "C", "UTC"]
    collector.close()


@pytest.mark.parametrize("tool", ["ipmi-dcmi", "ipmitool"])
def test_no_password_on_the_command_line_nor_in_the_environment(tools: Tools, tool: str):
    secret = tools.root / "password"
    secret.write_text("hunter 2#x\n")
    tools.does(
        f"{{ echo \"$*\"; /usr/bin/env; }} > '{tools.root}/seen'\n"
        "for word; do case $word in --config-file=*) file=${word#*=} ;; esac; done\n"
        '[ -n "$file" ] || while [ "$1" != -f ]; do shift; done\n'
        f"/bin/cat \"${{file:-$2}}\" > '{tools.root}/given'\n"
        "echo 'password invalid' >&2; exit 1",
        tool,
    )
    collector = make(tools.root, tool=tool, host="127.0.0.1", user="me", password_file=str(secret))
    with pytest.raises(Transient, match="refuses") as raised:
        read(collector)
    assert "hunter" not in (tools.root / "seen").read_text() + str(raised.value)
    given = (tools.root / "given").read_text()
    expected = 'username me\npassword "hunter 2\\#x"\n' if tool == "ipmi-dcmi" else "hunter 2#x\n"
    assert given == expected
    collector.close()


def test_a_tool_that_hangs_is_ended_with_all_that_it_started(tools: Tools):
    tools.does(HANGS.format(root=tools.root))
    collector = make(tools.root, timeout_seconds=2.0)
    with pytest.raises(Transient, match="printed no end") as raised:
        read(collector)
    assert raised.value.reason == "timeout"
    assert is_gone(tools.root / "pids")
    tools.prints(ANSWER)
    assert figure(collector) == ("dcmi", 164.0)
    collector.close()


def test_a_reading_that_is_cancelled_leaves_nothing_behind(tools: Tools):
    tools.does(HANGS.format(root=tools.root))
    collector = make(tools.root)

    async def run() -> None:
        reading = asyncio.ensure_future(collector.collect())
        await until_it_has_begun(tools.root / "pids", reading)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert is_gone(tools.root / "pids")

    asyncio.run(run())
    collector.close()


def test_one_that_is_cancelled_while_it_starts_is_ended_too(tools: Tools):
    """The tool runs before we know of it: with children that hold its pipes, as a hung one has."""
    tools.does(HANGS.format(root=tools.root))
    collector = make(tools.root)

    async def run() -> None:
        for steps in range(30):
            reading = asyncio.ensure_future(collector.collect())
            for _ in range(steps):
                await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(reading, 60)

    asyncio.run(run())
    collector.close()


def test_close_ends_what_runs(tools: Tools):
    tools.does(HANGS.format(root=tools.root))
    collector = make(tools.root)

    async def run() -> None:
        reading = asyncio.ensure_future(collector.collect())
        await until_it_has_begun(tools.root / "pids", reading)
        collector.close()
        with pytest.raises(Transient):
            await reading
        assert is_gone(tools.root / "pids")

    asyncio.run(run())


def test_the_list_of_sensors_may_take_longer_than_a_reading(tools: Tools):
    tools.does("exit 1")  # is not asked: the settings name the sensor
    gate = tools.root / "gate"
    os.mkfifo(gate)
    tools.does(
        f"case \"$*\" in *record-ids*) ;; *) read go < '{gate}' ;; esac\n"
        "echo '4,Pwr Consumption,Current,168.00,W,0000h'",
        "ipmi-sensors",
    )
    collector = make(tools.root, sensor="Pwr Consumption", timeout_seconds=0.5)

    async def run() -> None:
        for _ in range(2):
            with pytest.raises(Transient, match="still being read"):
                await collector.collect()
        await asyncio.to_thread(gate.write_text, "go\n")
        samples: Sequence[Sample] = ()
        while not samples:
            with suppress(Transient):
                samples = await collector.collect()
        assert [getattr(sample, "watts", None) for sample in samples] == [168.0]
        collector.close()

    asyncio.run(run())


def test_closed_while_sensors_are_listed(tools: Tools):
    tools.does("exit 1")  # is not asked: the settings name the sensor
    tools.does(HANGS.format(root=tools.root), "ipmi-sensors")
    collector = make(tools.root, sensor="Pwr Consumption", timeout_seconds=0.5)

    async def run() -> None:
        with pytest.raises(Transient, match="still being read"):
            await collector.collect()
        listing = collector._listing
        assert listing is not None
        await until_it_has_begun(tools.root / "pids", listing)
        collector.close()
        with pytest.raises(asyncio.CancelledError):
            await listing
        assert is_gone(tools.root / "pids")

    asyncio.run(run())


@pytest.mark.parametrize(
    "script",
    [
        "exec /usr/bin/head -c 2000000 /dev/zero",
        "exec /usr/bin/head -c 2000 /dev/urandom",
        "echo 'Current Power : 164 Watts'",
        "echo 'Aktuelle Leistung : 164 Watt'",
        "exit 0",
        "exit 3",
        "kill -9 $$",
        "echo 'ipmi_ctx_open_inband: internal system error' >&2; exit 1",
    ],
)
def test_what_is_no_answer_is_no_value(tools: Tools, script: str):
    tools.does(script)
    collector = make(tools.root)
    with pytest.raises(Transient) as raised:
        read(collector)
    assert len(raised.value.why) < 250
    tools.prints(ANSWER)
    assert figure(collector) == ("dcmi", 164.0)
    collector.close()


def test_a_tool_that_may_not_be_run(tools: Tools):
    tools.does("exit 0")
    (tools.folder / "ipmi-dcmi").write_text("#!/nowhere/at/all\n")
    with pytest.raises(Transient, match="cannot be started"):
        read(make(tools.root))


def test_no_permission_names_the_remedy(tools: Tools):
    tools.does("echo \"insufficient permission on driver device '/dev/ipmi0'\" >&2; exit 1")
    with pytest.raises(Transient) as raised:
        read(make(tools.root))
    assert raised.value.reason == "permission"
    assert "--drop-in ipmi" in raised.value.remedy


def test_closing_twice_or_unused_is_no_trouble(tmp_path: Path):
    collector: Ipmi = make(tmp_path)
    collector.close()
    collector.close()
