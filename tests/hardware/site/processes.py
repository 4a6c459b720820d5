"""Processes of the simulated site: started, watched until they serve, and always ended."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

from hardware.faults import NoCompiler

WATTLAS = Path(sys.executable).parent / "wattlas"
START_SECONDS = 60.0
"""How long a process may take until it serves, on a busy machine."""
STOP_SECONDS = 20.0
LOG_LINES = 15

_DIES_WITH_US = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
"""Nothing is left behind even if we are killed: prctl(2), PR_SET_PDEATHSIG."""

T = TypeVar("T")


class Failed(RuntimeError):
    """A process ended or hangs; the message has the end of its log."""


def until(what: str, found: Callable[[], T], seconds: float = START_SECONDS) -> T:
    """Return what `found` returns once it is true. Raises `Failed`."""
    end = time.monotonic() + seconds
    while not (result := found()):
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)  # between two looks at another process
    return result


def free_port() -> int:
    """Return a TCP port of the loopback that nobody uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def fetch(url: str, seconds: float = 10.0) -> str:
    """Return a page; "" where nobody answers (yet) or not with 200."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            return str(answer.read().decode())
    except (OSError, urllib.error.URLError):
        return ""


class Process:
    """A program with its log. Use as `with Process(…) as process:`."""

    def __init__(self, name: str, command: Sequence[object], log: Path, **environment: str) -> None:
        """Start it."""
        self.name, self.log_path = name, log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [*_DIES_WITH_US, *(str(part) for part in command)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=os.environ | environment,
                start_new_session=True,  # Ctrl-C is for us, and we end them in order
            )

    @property
    def log(self) -> str:
        """What it has written."""
        return self.log_path.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def until(self, what: str, found: Callable[[], T]) -> T:
        """Return what `found` returns once it is true, while the process lives. Raises `Failed`."""

        def look() -> T | None:
            result = found()
            if not result and not self.is_running:
                raise Failed(f"{self.name} has ended:\n{self._end()}")
            return result

        try:
            result = until(f"{self.name} {what}", look)
        except Failed as failure:
            raise Failed(f"{failure}\n{self._end()}") from None
        assert result is not None
        return result

    def ask_to_stop(self) -> None:
        """Send SIGTERM; `stop` waits."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """End it, by force if it does not go by itself."""
        self.ask_to_stop()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _end(self) -> str:
        return "\n".join(f"  | {line}" for line in self.log.splitlines()[-LOG_LINES:])


class AgentProcess(Process):
    """A real `wattlas run`."""

    def __init__(self, name: str, config: Path, environment: Mapping[str, str]) -> None:
        """Start it; `wait` tells when it serves."""
        command = [WATTLAS, "run", "--config", config]
        super().__init__(name, command, config.with_suffix(".log"), **environment)
        self.url = ""
        """Of its page, once it serves."""

    def wait(self) -> str:
        """Wait until it serves; return the address of its page."""
        self.url = self.until("serves", self._address)
        return self.url

    @property
    def address(self) -> str:
        """Host and port, as Prometheus names a target."""
        return self.url.removeprefix("http://").removesuffix("/metrics")

    def page(self) -> str:
        """Return its page; "" while there is none."""
        return fetch(self.url)

    def _address(self) -> str:
        match = re.search(r"metrics=(http://\S+/metrics)", self.log)
        return match[1] if match else ""


def compile_hostname(directory: Path) -> Path:
    """Compile what gives each agent a host name of its own. Raises `NoCompiler`."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompiler("no C compiler (cc or gcc) on PATH")
    library = directory / "libwattlas_hostname.so"
    source = Path(__file__).with_name("hostname.c")
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, "-o", library, source], check=True)
    return library
