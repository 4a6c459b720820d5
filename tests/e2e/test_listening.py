"""Nothing listens that the settings do not name: the kernel's view of a running agent's sockets."""

import contextlib
import re
import signal
import socket
from pathlib import Path

import pytest
from e2e.agents import Agent, settings, until
from unit.exporters.certificates import Authority

pytestmark = [pytest.mark.e2e, pytest.mark.parallel]

LISTEN = "0A"
"""State of a TCP socket in /proc/net/tcp (TCP_LISTEN, include/net/tcp_states.h)."""
STREAM = "0001"
ACCEPTS = 0x10000
"""Flag of a Unix socket in /proc/net/unix (__SO_ACCEPTCON)."""


def listening(pid: int) -> set[str]:
    """Return where a process can be reached by somebody it has not turned to itself."""
    mine = sockets(pid)
    net = Path(f"/proc/{pid}/net")
    found = {
        f"{kind} {address(row[1])}"
        for kind in ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6")
        for row in rows(net / kind)
        if row[9] in mine and (row[3] == LISTEN or not kind.startswith("tcp"))
    }
    for row in rows(net / "unix"):
        bound = row[7] if len(row) > 7 else ""
        if row[6] in mine and (int(row[3], 16) & ACCEPTS or (row[4] != STREAM and bound)):
            found.add(f"unix {bound}")
    return found | {"packet" for row in rows(net / "packet") if row[8] in mine}


def sockets(pid: int) -> set[str]:
    """Return the inodes of a process's sockets."""
    found = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            kind, _, inode = str(fd.readlink()).partition(":")
            if kind == "socket":
                found.add(inode.strip("[]"))
    return found


def rows(table: Path) -> list[list[str]]:
    try:
        return [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return []  # this kernel has no such protocol


def address(text: str) -> str:
    """Turn the kernel's hexadecimal words into address:port."""
    host, port = text.split(":")
    raw = b"".join(
        int(host[at : at + 8], 16).to_bytes(4, "little") for at in range(0, len(host), 8)
    )
    family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
    return f"{socket.inet_ntop(family, raw)} {int(port, 16)}"


def where(agent: Agent) -> str:
    """Return the address that the agent says it listens on."""
    said = re.findall(r"(?:metrics=https?://|address=)(\S+):(\d+)", agent.log)
    host, port = said[-1]
    return f"{'tcp6' if host.startswith('[') else 'tcp'} {host.strip('[]')} {port}"


def test_the_address_and_the_work_socket(tmp_path, machine):
    config = settings(tmp_path / "wattlas.toml", root=machine)
    work = f"unix {tmp_path}/work.sock"
    with Agent(config) as agent:
        pid = agent.process.pid
        until("it takes reports", lambda: work in listening(pid))
        agent.counts()
        assert listening(pid) == {where(agent), work}
        shown = {"0.0.0.0:0": "tcp 0.0.0.0", "[::1]:0": "tcp6 ::1", "[::]:0": "tcp6 ::"}
        for listen, begins in shown.items():
            settings(config, root=machine, listen=listen)
            agent.process.send_signal(signal.SIGHUP)
            until(listen, lambda b=begins: where(agent).startswith(f"{b} "))
            until("the old one is closed", lambda: listening(pid) == {where(agent), work})
        settings(config, root=machine, listen="localhost:0")  # a name that can be two addresses
        agent.process.send_signal(signal.SIGHUP)
        ours = re.compile(r"tcp 127\.0\.0\.1 \d+|tcp6 ::1 \d+")
        until("moved", lambda: all(map(ours.fullmatch, listening(pid) - {work})))
        assert agent.stop() == 0


def test_what_is_turned_off_is_closed_and_what_is_on_besides_opens_nothing(tmp_path, machine):
    Authority(tmp_path).make("server")
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n")
    nobody = "http://127.0.0.1:1"
    more = f"""
[work.scrape.x]
url = "{nobody}"
counters = {{a = "b"}}
[remote_write]
url = "{nobody}/push"
interval_seconds = 1.0
[collectors.redfish]
url = "{nobody}"
[site]
name = "gz-1"
[[site.meter]]
name = "a"
role = "total"
source = "modbus"
host = "127.0.0.1:1"
map = "schneider-pm5000"
"""
    config = settings(
        tmp_path / "wattlas.toml", root=machine, work_socket="", web_config=str(web), more=more
    )
    with Agent(config) as agent:
        agent.says("failing")
        assert listening(agent.process.pid) == {where(agent)}

        settings(config, root=machine, listen="127.0.0.2:0")
        agent.process.send_signal(signal.SIGHUP)
        agent.says("listening")
        work = f"unix {tmp_path}/work.sock"
        until("it takes reports", lambda: work in listening(agent.process.pid))
        (tcp,) = listening(agent.process.pid) - {work}
        assert tcp.startswith("tcp 127.0.0.2 ")

        settings(config, root=machine, listen="127.0.0.2:0", work_socket="")
        agent.process.send_signal(signal.SIGHUP)
        until("it takes no more", lambda: listening(agent.process.pid) == {tcp})
        assert agent.stop() == 0
