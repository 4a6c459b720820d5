"""Whatever a user gets wrong: one plain line that names culprit and remedy, the right status."""

import json
import re
import socket

import pytest
from e2e.agents import powerless, settings, wattlas

from agent.ledger import Ledger

pytestmark = [pytest.mark.e2e, pytest.mark.parallel]


def complaint(result, status):
    """Return the one line on stderr of a command that failed as it should."""
    assert result.returncode == status, result
    assert "Traceback" not in result.stderr + result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("wattlas: ")
    return line.removeprefix("wattlas: ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command 'nonsense'. (wattlas --help shows how)"),
        (["read", "--wat"], "No such option '--wat'. (wattlas read --help shows how)"),
        (["replay"], "Missing argument 'TRACE'. (wattlas replay --help shows how)"),
        (["measure"], "Missing argument '-- CMD …'. (wattlas measure --help shows how)"),
        (["run", "--log-level", "loud"], "'loud' is not one of 'debug', 'info', "),
        (["completion", "tcsh"], "'tcsh' is not one of 'bash', 'zsh', 'fish'."),
        (["replay", "--start", "soon", "x"], "'soon' is no ISO 8601 time; write e.g. 2026-03-01T"),
        (["estimate", "--sockets", "0"], "--sockets '0' cannot be used: give a whole number"),
        (["estimate", "--cores", "many"], "--cores 'many' cannot be used: give a whole number of"),
        (["estimate", "--utilization", "30"], "--utilization '30' cannot be used: give a share"),
        (["estimate", "--memory-gb", "nan"], "--memory-gb 'nan' cannot be used: give gigabytes"),
        (["estimate", "--frequency-mhz", "2.5"], "--frequency-mhz '2.5' cannot be used: give"),
        (["estimate", "--cpu-model", " "], "--cpu-model is empty: give a name"),
    ],
)
def test_wrong_usage(arguments, says):
    assert says in complaint(wattlas(*arguments), 2)


SETTINGS = [
    ("[agent]\nlissten = ':1'", ":2: agent.lissten: there is no such key; known here are listen,"),
    ("[agent]\ninterval_seconds = 'fast'", ":2: agent.interval_seconds: expected float, got str"),
    ("[agent]\ninterval_seconds = -1", ":2: agent.interval_seconds: must be from 0.1 to 3600"),
    ("[agent]\nlisten = 'all'", ":2: agent.listen: 'all' is no address; write it as"),
    ("[agent", ": not TOML: "),
    ("[collectors.raple]\nenabled = true", ":1: there is no collector named 'raple'; installed"),
    ("[collectors.rapl]\nenabled = 'on'", ":2: collectors.rapl.enabled: invalid enum value"),
    ("[collectors.hwmon]\nskipp = ['x']", ":2: collectors.hwmon.skipp: there is no such key"),
]


@pytest.mark.parametrize("command", ["run", "read"])
@pytest.mark.parametrize(("text", "says"), SETTINGS)
def test_wrong_settings(tmp_path, command, text, says):
    path = tmp_path / "wattlas.toml"
    path.write_text(text)
    assert complaint(wattlas(command, "--config", path), 2).startswith(f"{path}{says}")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("command", [["run"], ["read"], ["check"], ["measure", "--", "true"]])
def test_settings_that_are_not_there(tmp_path, command):
    path = tmp_path / "none.toml"
    first, *rest = command
    said = complaint(wattlas(first, "--config", path, *rest, cwd=tmp_path), 2)
    assert said.startswith(f"{path}: there is no such settings file; check --config")


def test_settings_that_cannot_be_read(here):
    here.chmod(0o000)
    said = complaint(powerless("read", "--config", here), 2)
    assert said == f"{here}: cannot be read (Permission denied); make it readable for this user"


def test_a_port_that_is_taken(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = settings(tmp_path / "wattlas.toml", listen=address)
        trace = tmp_path / "trace.jsonl"
        said = complaint(wattlas("run", "--config", config, "--record", trace), 1)
    assert said == (
        f"{address}: another program listens there; stop it or set agent.listen to a free port"
    )
    assert not trace.exists()  # it would be in the way of the next try


@pytest.mark.parametrize("address", ["192.0.2.1:9760", "bad..name:9760"])
def test_an_address_of_somebody_else(tmp_path, address):
    config = settings(tmp_path / "wattlas.toml", listen=address)
    said = complaint(wattlas("run", "--config", config), 1)
    assert said.startswith(f"{address}: cannot listen (")
    assert said.endswith("; set agent.listen to an address of this host")
    findings = json.loads(wattlas("check", "--config", config, "--json").stdout)["findings"]
    assert {f["what"]: f["state"] for f in findings}["address"] == "problem"


@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_state_directory_that_cannot_be_written(here, tmp_path, mode):
    (tmp_path / "state").mkdir(mode=mode)
    said = complaint(powerless("run", "--config", here), 1)
    assert said == (
        f"{tmp_path}/state: cannot be written (Permission denied); make it writable for this user"
        " or set agent.state_dir to a directory that is"
    )


def test_a_ledger_that_cannot_be_written(here, tmp_path):
    Ledger.open(tmp_path / "state").close()
    ledger = tmp_path / "state/ledger.db"
    ledger.chmod(0o400)
    before = ledger.read_bytes()
    said = complaint(powerless("run", "--config", here), 1)
    assert said.startswith(f"{ledger}: cannot be written (")
    assert said.endswith("; make it writable for this user")
    assert ledger.read_bytes() == before


def test_a_file_where_the_state_directory_should_be(tmp_path):
    config = settings(tmp_path / "wattlas.toml", state_dir=str(tmp_path / "wattlas.toml"))
    said = complaint(wattlas("run", "--config", config), 1)
    assert said.startswith(f"{config}: cannot be written (")


def test_a_record_that_is_there_is_not_overwritten(here, tmp_path):
    kept = tmp_path / "trace.jsonl"
    kept.write_text("mine")
    said = complaint(wattlas("run", "--config", here, "--record", kept), 1)
    assert said == f"{kept}: is there already; choose another name or delete it"
    assert kept.read_text() == "mine"
    said = complaint(wattlas("run", "--config", here, "--record", tmp_path / "no/trace"), 1)
    assert said == f"{tmp_path}/no/trace: cannot be written (No such file or directory)"
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("command", "status", "says"),
    [
        ("/no/such/command", 127, "/no/such/command: there is no such command; check its name"),
        ("/etc/passwd", 126, "/etc/passwd: cannot be run (Permission denied)"),
    ],
)
def test_a_command_that_cannot_be_measured(here, command, status, says):
    assert complaint(wattlas("measure", "--config", here, "--", command), status) == says


def test_nothing_to_read_at_all(tmp_path):
    config = settings(tmp_path / "wattlas.toml", root=tmp_path / "nothing")
    said = complaint(wattlas("read", "--config", config), 1)
    assert said == "no source gave a figure; `wattlas check` says what is missing and why"


GOOD = {"collector": "rapl", "component": "cpu", "device": "package-0", "kind": "energy"}


def lines(*changes):
    return [
        line if isinstance(line, bytes) else json.dumps(GOOD | line).encode() for line in changes
    ]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (b"{", ":3: Input data was truncated; "),
        (b"\xff\xfe\x00", ":3: JSON is malformed: "),
        (b'{"t": 1, "kind": "ener', ":3: JSON is malformed: "),
        ({"t": 1.0, "value": -5}, ":3: the value -5.0 is out of range; "),
        ({"t": 1.0, "value": None}, ":3: a sample needs value; "),
        ({"t": 1.0, "component": "soup", "value": 1}, ":3: Invalid enum value 'soup' "),
        ({"t": -7.0, "value": 1}, ":3: its time -7 is before the 0 of the line before; "),
        ({"t": 1.76e12, "value": 1}, ":3: the time 1760000000000.0 is out of range; "),
        ({"t": 9e8, "value": 1}, ":3: its time 9e+08 is years after the 0 of the line before; "),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_a_broken_line_in_a_trace_costs_only_itself(tmp_path, broken, says, as_json):
    trace = tmp_path / "trace.jsonl"
    good = [{"t": 0.0, "value": 100.0}, broken, {"t": 1.0, "value": 150.0}, b"", b"junk"]
    trace.write_bytes(b"\n".join([b"", *lines(*good)]))
    result = wattlas("replay", trace, *(["--json"] if as_json else []))
    said = complaint(result, 1)
    assert said.startswith(f"{trace}{says}")
    assert said.endswith(
        "; 2 of 4 lines were passed over, the totals are those of the rest; mend or delete them"
    )
    if as_json:
        assert json.loads(result.stdout)["host"]["energy_joules"]["measured"] == 50.0
    else:
        assert "50.0 J" in result.stdout


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: None, ": there is no such trace; check the name"),
        (lambda p: p.mkdir(), ": cannot be read (Is a directory)"),
        (lambda p: p.write_text("\n\n"), ": is empty; record one with `wattlas run --record"),
    ],
)
def test_no_trace(tmp_path, make, says):
    trace = tmp_path / "trace.jsonl"
    make(trace)
    assert complaint(wattlas("replay", trace), 1).startswith(f"{trace}{says}")


def test_a_replay_into_a_directory_that_an_agent_uses(tmp_path):
    import fcntl  # noqa: PLC0415

    trace = tmp_path / "trace.jsonl"
    trace.write_bytes(b"\n".join(lines({"t": 0.0, "value": 1.0})))
    state = tmp_path / "state"
    state.mkdir()
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = complaint(wattlas("replay", trace, "--state-dir", state), 1)
    assert said.startswith(f"{state}: another agent is running on this directory; stop it")


def test_every_remedy_of_the_check_is_a_step(tmp_path):
    """What cannot be measured is named with what would mend it, or with why nothing would."""
    config = settings(tmp_path / "wattlas.toml", root=tmp_path / "nothing")
    result = wattlas("check", "--config", config, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    findings = {f["what"]: f for f in json.loads(result.stdout)["findings"]}
    assert findings["rapl"]["state"] == "absent"
    assert re.search(r"modprobe", findings["rapl"]["remedy"])
    assert findings["host power"]["state"] == "problem"
    assert all(set(f) == {"what", "state", "detail", "remedy"} for f in findings.values())
