"""Starts and ends `ipmi_sim`."""

import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hardware.ipmi.records import Analog, Supply

USER, PASSWORD = "wattlas", "secret-of-bmc"
TRIES = 5
WAIT_SECONDS = 20.0
PING = bytes([6, 0, 0xFF, 6, 0, 0, 0x11, 0xBE, 0x80, 1, 0, 0])
"""RMCP presence ping (ASF 2.0 section 3.2.4.2), which needs no session."""
SETTINGS = """name "wattlas"
loadlib "{module}" "{answer}"
startlan 1
  addr 127.0.0.1 {port}
  priv_limit admin
  allowed_auths_callback none md2 md5 straight
  allowed_auths_user none md2 md5 straight
  allowed_auths_operator none md2 md5 straight
  allowed_auths_admin none md2 md5 straight
  guid a123456789abcdefa123456789abcdef
endlan
user 2 true "{user}" "{password}" admin 10 none md2 md5 straight
"""
CONTROLLER = (
    "mc_setbmc 0x20",
    "mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02",
    "mc_enable 0x20",
)


class NoSimulator(Exception):
    """ipmi_sim, a tool or a C compiler is not installed."""


def build_module(folder: Path) -> Path:
    """Compile `dcmi.c`. Raises `NoSimulator`."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or shutil.which("ipmi_sim") is None:
        raise NoSimulator("ipmi_sim (openipmi) or a C compiler is not installed")
    source, module = Path(__file__).with_name("dcmi.c"), folder / "dcmi.so"
    arguments = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC"]
    subprocess.run([compiler, *arguments, "-o", module, source], check=True)
    return module


class Bmc:
    """The simulator. `module`: what `build_module` made."""

    def __init__(self, folder: Path, module: Path, sensors: Sequence[Analog | Supply] = ()) -> None:
        self.folder = folder
        self.port = 0
        self._module = module
        self._sensors = sensors
        self._answer = folder / "answer"
        self._process: subprocess.Popen[bytes] | None = None
        self.password_file = folder / "password"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.password_file.write_text(f"{PASSWORD}\n")
        for _ in range(TRIES):
            self.port = _free_port()
            self._start()
            if self._answers():
                return self
            self.stop()  # somebody else took the port
        raise TimeoutError("ipmi_sim does not answer")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def says(self, answer: bytes) -> None:
        """Answer DCMI Get Power Reading with these bytes from now on; none: no DCMI."""
        fresh = self._answer.with_suffix(".new")
        fresh.write_text(answer.hex(" "))
        fresh.replace(self._answer)

    def settings(self, **others: Any) -> dict[str, Any]:
        """Return settings of the collector for this BMC.

        ipmi_sim wants an administrator for any group extension, and FreeIPMI's name for a way of
        opening sessions that several real BMCs have too.
        """
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "user": USER,
            "password_file": str(self.password_file),
            "privilege": "admin",
            "cipher_suite": 3,
            "workarounds": ("opensesspriv",),
            **others,
        }

    def freeze(self) -> None:
        """Answer nothing until `thaw`: a BMC that hangs."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        self._signal(signal.SIGCONT)

    def restart(self, sensors: Sequence[Analog | Supply]) -> None:
        """Come back with other sensors, as after an update of the firmware."""
        self.stop()
        self._sensors = sensors
        self._start()
        if not self._answers():
            raise TimeoutError("ipmi_sim does not answer")

    def stop(self) -> None:
        """End it; its port is closed."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _start(self) -> None:
        state = self.folder / "state"
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir()
        words = {"module": self._module, "answer": self._answer, "port": self.port}
        lan = self.folder / "lan.conf"
        lan.write_text(SETTINGS.format(**words, user=USER, password=PASSWORD))
        commands = self.folder / "commands"
        sensors = [line for sensor in self._sensors for line in sensor.commands()]
        commands.write_text("\n".join((*CONTROLLER, *sensors, "")))
        arguments = ["-c", lan, "-f", commands, "-s", state]
        self._process = subprocess.Popen(
            ["ipmi_sim", *map(os.fspath, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def _answers(self) -> bool:
        """Return whether it comes up and answers a presence ping.

        It is asked nothing before its prompt: a packet that comes while it starts kills it.
        """
        assert self._process is not None
        assert self._process.stdout is not None
        until = time.monotonic() + WAIT_SECONDS
        said = b""
        while not said.endswith(b"> "):
            ready, _, _ = select.select([self._process.stdout], [], [], until - time.monotonic())
            piece = os.read(self._process.stdout.fileno(), 65536) if ready else b""
            if not piece:
                return False
            said += piece
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(WAIT_SECONDS)
            client.connect(("127.0.0.1", self.port))
            try:
                client.send(PING)
                return bool(client.recv(512))
            except OSError:  # refused: the port was somebody else's
                return False


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
