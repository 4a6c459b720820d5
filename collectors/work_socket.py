"""A Unix socket at a path: made, told apart from others' and taken away again.

An agent that was killed leaves its socket's file behind, and a living one must never lose its
own. Who holds a lock on the directory may look and replace; whether somebody listens is told by
connecting (unix(7): ECONNREFUSED when nobody does).
"""

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from agent.collector import Transient

MAX_PATH_BYTES: Final = 107
"""What struct sockaddr_un has room for on Linux, without the final zero (unix(7))."""
_REMEDY: Final = "set agent.work_socket to a path that the agent may write to"


class UnixSocket:
    """A bound socket and the file that clients find it by."""

    def __init__(self, path: Path, mode: int) -> None:
        """Bind. `mode`: permissions of the file. Raises `Transient` with what is in the way."""
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise Transient(
                f"{path}: longer than the {MAX_PATH_BYTES} bytes that a socket's path may have",
                "settings",
                "set agent.work_socket to a shorter path",
            )
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(path.parent):
                _make_way(path)
                self.socket, self._file = _bind(path, mode)
        except OSError as error:
            reason = "permission" if error.errno in {errno.EACCES, errno.EPERM} else "io"
            raise Transient(
                f"{path}: cannot make a socket there ({error.strerror})", reason, _REMEDY
            ) from error

    def is_there(self) -> bool:
        """Whether clients still find it: its file could be deleted or replaced."""
        return _identity(self.path) == self._file

    def remove(self) -> None:
        """Take the file away, if it is still ours, and let go of the socket."""
        with suppress(OSError):
            if self.is_there():
                self.path.unlink()
        self.socket.close()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep other agents from looking and replacing at the same moment."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Transient(f"{directory}: another program is at work there", "busy") from None
        yield
    finally:
        os.close(fd)


def _make_way(path: Path) -> None:
    """Delete what a killed agent left; raise `Transient` for anything else that is there."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise Transient(
            f"{path}: is there and no socket, so it is left alone",
            "settings",
            "move it away, or set agent.work_socket to another path",
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # somebody listens, and is busy
        except FileNotFoundError:
            return
    raise Transient(
        f"{path}: another program, likely another agent, takes reports there",
        "busy",
        'stop it, or set agent.work_socket to another path ("": none)',
    )


def _bind(path: Path, mode: int) -> tuple[socket.socket, tuple[int, int] | None]:
    """Return a bound socket and what its file is."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        # what the file begins with: nobody gets in before its permissions are set
        os.fchmod(bound.fileno(), 0o600)
        bound.bind(str(path))
        path.chmod(mode)
        return bound, _identity(path)
    except BaseException:
        bound.close()
        raise
