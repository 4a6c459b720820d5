"""A real SNMP agent: net-snmp's snmpd on loopback and a free UDP port, serving a tree of a test's.

The tree is a file of lines `OID|tag|value` as snmpsim and LibreNMS keep recorded walks, which
`answers.py` gives to snmpd through `pass_persist`; it is read anew at each request, so a test can
let time go on.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Self

ANSWERS = Path(__file__).with_name("answers.py")
START_SECONDS = 20.0
READY = "1.3.6.1.2.1.1.1.0"

COMMUNITY = "s3cret-community"
USERS = {
    # name: (auth, passphrase, privacy, passphrase), as snmpd.conf names the protocols
    "full": ("SHA-256", "auth-passphrase-1", "AES", "priv-passphrase-1"),
    "sha1": ("SHA", "auth-passphrase-2", "DES", "priv-passphrase-2"),
    "md5": ("MD5", "auth-passphrase-3", "AES", "priv-passphrase-3"),
    "sha224": ("SHA-224", "auth-passphrase-4", "AES", "priv-passphrase-4"),
    "sha384": ("SHA-384", "auth-passphrase-5", "AES-192", "priv-passphrase-5"),
    "sha512": ("SHA-512", "auth-passphrase-6", "AES-256", "priv-passphrase-6"),
    "short": ("SHA", "auth-passphrase-7", "AES-256", "priv-passphrase-7"),
    "signed": ("SHA-256", "auth-passphrase-8", "", ""),
    "open": ("", "", "", ""),
    "Zähler": ("SHA-256", "Größenwahn-8", "AES", "Größenwahn-9"),
}


def speaks_v6() -> bool:
    """Return whether this machine has the IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as there:
            there.bind(("::1", 0))
    except OSError:
        return False
    return True


def available() -> bool:
    """Return whether snmpd is installed."""
    return shutil.which("snmpd", path=_path()) is not None


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


class Agent:
    """snmpd. Use as `with Agent(folder) as agent:`."""

    def __init__(self, folder: Path, tree: str = "", *, v6: bool = False) -> None:
        self.folder = folder
        self.tree = folder / "tree.snmprec"
        self.community_file = folder / "community"
        self.community_file.write_text(COMMUNITY + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self._boots = 0
        self.port = _free_port()
        self._v6 = f",udp6:[::1]:{self.port}" if v6 else ""
        self.set(tree)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def set(self, tree: str) -> None:
        """Serve this from now on; lines `OID|tag|value`."""
        fresh = self.tree.with_suffix(".new")
        fresh.write_text(tree)
        fresh.replace(self.tree)

    def secret(self, text: str) -> str:
        """Return the path of a file with this in it."""
        path = self.folder / f"secret-{abs(hash(text))}"
        path.write_text(text + "\n")
        return str(path)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *, forget: bool = False) -> None:
        """Start it; `forget`: with another engine id, as after a replacement."""
        state = self.folder / "state"
        if forget:
            shutil.rmtree(state, ignore_errors=True)
        state.mkdir(exist_ok=True)
        settings = self.folder / "settings"
        settings.mkdir(exist_ok=True)
        (settings / "snmpd.conf").write_text(self._settings("replaced" if forget else "first"))
        self._process = subprocess.Popen(
            [
                str(shutil.which("snmpd", path=_path())),
                *("-f", "-r"),
                *("-Lf", str(self.folder / "snmpd.log"), "-p", str(self.folder / "pid")),
            ],
            env=self._environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def stop(self) -> None:
        """End it cleanly; it keeps how often it has booted."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(START_SECONDS)
            self._process = None

    def _environment(self) -> dict[str, str]:
        """Return what keeps net-snmp to this folder, and away from MIBs."""
        state = str(self.folder / "state")
        return {
            "PATH": _path(),
            "MIBS": "",
            "SNMPCONFPATH": f"{self.folder / 'settings'}:{state}",
            "SNMP_PERSISTENT_DIR": state,
        }

    def _settings(self, identity: str) -> str:
        lines = [
            f"agentaddress udp:127.0.0.1:{self.port}{self._v6}",
            f"engineID wattlas-{identity}",
            f"rocommunity {COMMUNITY}",
            *([f"rocommunity6 {COMMUNITY}"] if self._v6 else []),
            f"pass_persist .1.3.6.1.4.1 {sys.executable} {ANSWERS} {self.tree}",
            f"pass_persist .1.3.6.1.2.1.33 {sys.executable} {ANSWERS} {self.tree}",
        ]
        for name, (auth, auth_passphrase, privacy, privacy_passphrase) in USERS.items():
            line = f"createUser {name}"
            if auth:
                line += f' {auth} "{auth_passphrase}"'
            if privacy:
                line += f' {privacy} "{privacy_passphrase}"'
            lines.append(line)
            lines.append(f"rouser {name} {'priv' if privacy else 'auth' if auth else 'noauth'}")
        return "\n".join(lines) + "\n"

    def _wait(self) -> None:
        """Wait until it answers: snmpget is the referee, not the code under test."""
        until = monotonic() + START_SECONDS
        asked = ["snmpget", "-v2c", "-c", COMMUNITY, "-r0", "-t1", "-m", "", self.host, READY]
        while subprocess.run(
            asked, env=self._environment(), capture_output=True, check=False
        ).returncode:
            assert self._process is not None
            if self._process.poll() is not None or monotonic() > until:
                raise RuntimeError((self.folder / "snmpd.log").read_text())
            sleep(0.02)  # between two looks at whether another process is up


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
