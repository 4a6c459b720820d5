"""A Debian with systemd as PID 1, booted by systemd-nspawn on a throw-away layer over a directory.

The host's own PID 1 need not be systemd: the container gets cgroups of its own under every
hierarchy that systemd would use, and is entered by nsenter.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self, TypeVar

from service.scraper import fetch

CGROUPS: Final = Path("/sys/fs/cgroup")
SHARES: Final = {"cpu.shares": "30000", "cpu.weight": "3000"}
"""Thirty times the usual: what else this machine does shall not be in the figures."""
CLONE_NEWNET: Final = 0x40000000
DEADLINE_SECONDS: Final = 60.0
ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
}

T = TypeVar("T")


class Failed(Exception):
    """A step of the test could not be done: a sentence."""


def until(what: str, function: Callable[[], T], seconds: float = DEADLINE_SECONDS) -> T:
    """Return what `function` returns once it is true. Raises `Failed` after a deadline."""
    end = time.monotonic() + seconds
    while not (result := function()):
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)
    return result


class Machine:
    """One booted Debian. What it writes is gone when it ends."""

    def __init__(
        self, root: Path, name: str, log: Path, binds: Mapping[Path, str], *, writable: Path
    ) -> None:
        """`binds`: directories of this machine and where they are seen, read-only there.

        `writable` is seen as /srv/machine and may be written: the simulated hardware.
        """
        self.name = name
        self._groups = [directory / name for directory in _hierarchies()]
        self._log = log
        command = ["systemd-nspawn", "--register=no", "--keep-unit", "--boot", "--quiet"]
        command += ["--volatile=overlay", "--private-network", "--console=read-only"]
        # what one of the drop-ins gives to the agent, nspawn must not have taken from all
        command += ["--capability=CAP_PERFMON"]
        command += [
            "--directory",
            str(root),
            f"--machine={name}",
            f"--bind={writable}:/srv/machine",
        ]
        command += [f"--bind-ro={source}:{target}" for source, target in binds.items()]
        # the shell moves itself, so that nothing of ours is ever in the container's cgroups
        joins = [f"echo $$ >'{group}/cgroup.procs'" for group in self._groups]
        self._command = ["sh", "-euc", "; ".join([*joins, 'exec "$@"']), "sh", *command]
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._network = -1

    def __enter__(self) -> Self:
        """Boot, and wait until systemd has nothing left to start."""
        for group in self._groups:
            _sweep(group.parent)
            group.mkdir()
            for file, share in SHARES.items():
                if (group / file).exists():
                    (group / file).write_text(share)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                # should we die without a word, so does it
                ["setpriv", "--pdeathsig", "TERM", *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                start_new_session=True,
            )
        try:
            self._leader = until("systemd-nspawn starts systemd", self._find_leader)
            self._network = os.open(f"/proc/{self._leader}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            until("systemd is up", lambda: self._state() in {"running", "degraded"})
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Power it off and take away what it left."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)  # nspawn has systemd power off
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._network >= 0:
            os.close(self._network)
            self._network = -1
        for group in self._groups:
            _remove(group)
        with contextlib.suppress(OSError):
            Path("/run/systemd/nspawn/propagate", self.name).rmdir()

    # -- commands inside --------------------------------------------------------------------------

    def try_to(self, *command: str, seconds: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root; return what became of it, output and errors together."""
        environment = [f"{key}={value}" for key, value in ENVIRONMENT.items()]
        enter = ["nsenter", "--target", str(self._leader), "--all"]
        share = CGROUPS / "cpu" / self.name
        if share in self._groups:  # what is done in it has its share of the CPU too
            enter = ["sh", "-ec", f"echo $$ >'{share}/cgroup.procs'; exec \"$@\"", "sh", *enter]
        # not nsenter's --wd: it would stay in a directory of this machine
        enter += ["env", "--ignore-environment", "--chdir=/"]
        return subprocess.run(
            [*enter, *environment, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )

    def do(self, *command: str, seconds: float = 300.0) -> str:
        """Run a command in it and return what it printed. Raises `Failed` if it fails."""
        done = self.try_to(*command, seconds=seconds)
        if done.returncode != 0:
            end = "\n".join(done.stdout.splitlines()[-15:])
            raise Failed(f"{' '.join(command)[:200]}: status {done.returncode}:\n{end}")
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Write a file in it."""
        self.do("mkdir", "-p", os.path.dirname(path))  # noqa: PTH120 - a path of the container
        self.do("sh", "-c", 'printf %s "$2" >"$1"', "sh", path, text)

    def shows(self, what: str, unit: str = "wattlas.service") -> str:
        """Return a property of a unit."""
        return self.do("systemctl", "show", "--value", "-p", what, unit).strip()

    def main_pid(self, unit: str = "wattlas.service") -> int:
        """Return a service's main process, as numbered in the container."""
        return int(self.shows("MainPID", unit))

    def journal(self, unit: str = "wattlas.service") -> str:
        """Return what a unit has said."""
        return self.do("journalctl", "--no-pager", "-o", "cat", "-u", unit)

    # -- its network ------------------------------------------------------------------------------

    def enter_network(self) -> None:
        """Take the calling thread into the container's network, for good."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(self._network, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def fetch(self, path: str = "/metrics", port: int = 9760, seconds: float = 10.0) -> str:
        """Return a page that the agent serves. Raises OSError."""
        found: list[str | OSError] = []

        def ask() -> None:
            try:
                self.enter_network()
                found.append(fetch(("127.0.0.1", port), path, seconds))
            except OSError as error:
                found.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        (answer,) = found
        if isinstance(answer, OSError):
            raise answer
        return answer

    def page(self, path: str = "/metrics") -> str:
        """Return a page, "" while it is not to be had."""
        try:
            return self.fetch(path)
        except OSError:
            return ""

    def in_network(self, *command: str) -> list[str]:
        """Return a command line that runs one of this machine's programs in that network."""
        return ["nsenter", f"--net=/proc/{self._leader}/ns/net", *command]

    # -- inside -----------------------------------------------------------------------------------

    def _find_leader(self) -> int:
        assert self._process is not None
        if self._process.poll() is not None:
            end = self._log.read_text(errors="replace")[-1000:]
            raise Failed(f"systemd-nspawn ended with status {self._process.returncode}:\n{end}")
        children = ""
        for task in Path(f"/proc/{self._process.pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                children += task.read_text()
        for pid in children.split():
            with contextlib.suppress(OSError):
                # its first life is nspawn's own, before it becomes the container's init
                if Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                    return int(pid)
        return 0

    def _state(self) -> str:
        return self.try_to("systemctl", "is-system-running").stdout.strip()


def _hierarchies() -> list[Path]:
    """Return where cgroups are made: the unified hierarchy; or systemd's and that of the CPU."""
    if (CGROUPS / "cgroup.procs").exists():
        return [CGROUPS]
    found = [CGROUPS / name for name in ("systemd", "unified", "cpu") if (CGROUPS / name).is_dir()]
    if not found:
        raise Failed(f"{CGROUPS}: no cgroups are mounted there; systemd needs them")
    return found


def _sweep(hierarchy: Path) -> None:
    """Remove the cgroups of trials that were killed: the name has the number of the process."""
    for group in hierarchy.glob("wattlas-service-*"):
        pid = group.name.split("-")[2]
        if not Path("/proc", pid).exists():
            _remove(group)


def _remove(group: Path) -> None:
    """Remove a cgroup and those below it, once their last processes are gone."""
    for directory, _, _ in os.walk(group, topdown=False):

        def gone(path: str = directory) -> bool:
            try:
                Path(path).rmdir()
            except FileNotFoundError:
                return True
            except OSError:
                return False
            return True

        until(f"{directory} is empty", gone, 20)
