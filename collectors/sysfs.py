"""Attribute files of sysfs and procfs: kept open, read cheaply, parsed strictly.

A kept descriptor and `os.pread` cost about 1 us an attribute, `open` about 14 us. Traps:

- a device that goes away leaves a descriptor that answers ENODEV (kernel fs/kernfs/file.c); one
  that comes back is a new file under the old name, so a failed descriptor is opened again once;
- a file replaced by a rename, as simulators do, leaves a descriptor to the old text for ever:
  a text that did not change is believed only while its file still has a name;
- a driver may answer EINVAL, EIO or ENODATA at one read and a value at the next (node_exporter
  #2269), or print nonsense: each is an `Unreadable`, never a number;
- a read may come back short: drivers end a number with a newline (powercap_sys.c, `"%lld\n"`;
  hwmon.c, `"%ld\n"`), so what has none is the beginning of a larger number;
- a link may lead anywhere: what lies outside the root is not read.
"""

import errno
import functools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NoReturn

from agent.collector import Problem

TEXT_BYTES: Final = 4096
"""One page is the most that a sysfs attribute holds (Documentation/filesystems/sysfs.rst)."""
NUMBER_BYTES: Final = 32
"""A signed 64-bit number has 20 characters; a text that fills this is no number."""
_STALE: Final = frozenset({errno.ENODEV, errno.ENOENT, errno.EBADF, errno.ENXIO, errno.ESTALE})
_REASONS: Final = {
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.ENOENT: "gone",
    errno.ENODEV: "gone",
    errno.ENXIO: "gone",
    errno.ENOTDIR: "gone",
    errno.ESTALE: "gone",
    errno.ETIMEDOUT: "timeout",
}


class Unreadable(Exception):
    """One attribute gave no value.

    `reason` is one word: permission, gone, io, timeout, garbage or outside.
    """

    def __init__(self, path: Path | str, why: str, reason: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = str(path)
        self.why = why
        self.reason = reason

    def problem(self, what: str, remedy: str = "") -> Problem:
        """Return this as `wattlas check` shows it."""
        return Problem(what=what, why=str(self), remedy=remedy, reason=self.reason)


def failed(path: Path | str, error: OSError) -> Unreadable:
    """Return the outcome that an error of the operating system means."""
    number = error.errno or 0
    name = errno.errorcode.get(number, "")
    why = f"{os.strerror(number)} ({name})" if name else str(error)
    return Unreadable(path, why, _REASONS.get(number, "io"))


class Attribute:
    """One attribute file below `root`, opened at its first read and kept open."""

    __slots__ = ("_fd", "_last", "_root", "path")

    def __init__(self, root: Path, path: Path) -> None:
        self.path = path
        self._root = root
        self._fd = -1
        self._last = b""

    def read_bytes(self, size: int = TEXT_BYTES) -> bytes:
        """Return at most `size` bytes from the start. Raises `Unreadable`."""
        if self._fd >= 0:
            try:
                data = os.pread(self._fd, size, 0)
                if data != self._last or os.fstat(self._fd).st_nlink:
                    self._last = data
                    return data
            except OSError as error:
                if error.errno not in _STALE:
                    raise failed(self.path, error) from None
                if error.errno == errno.EBADF:
                    self._fd = -1  # not ours any more: nothing to close
            self.close()
        try:
            self._fd = _open(self._root, self.path)
            self._last = os.pread(self._fd, size, 0)
        except OSError as error:
            self.close()
            raise failed(self.path, error) from None
        return self._last

    def read_int(self) -> int:
        """Return the whole number that the file holds. Raises `Unreadable`."""
        data = self.read_bytes(NUMBER_BYTES)
        digits = data.strip()
        is_whole = data.endswith(b"\n") and len(data) < NUMBER_BYTES
        if not is_whole or not digits.removeprefix(b"-").isdigit():
            _garbage(self.path, data)
        return int(digits)

    def read_unsigned(self) -> int:
        """Return the number, which must not be negative. Raises `Unreadable`."""
        value = self.read_int()
        if value < 0:
            _garbage(self.path, str(value).encode())
        return value

    def read_text(self) -> str:
        """Return the text without surrounding space. Raises `Unreadable`, also when empty."""
        data = self.read_bytes()
        try:
            text = data.decode().strip()
        except UnicodeDecodeError:
            text = ""
        if not text or not text.isprintable():
            _garbage(self.path, data)
        return text

    def close(self) -> None:
        """Close the descriptor; a later read opens it again."""
        fd, self._fd = self._fd, -1
        self._last = b""
        if fd >= 0:
            os.close(fd)


def read_text(root: Path, path: Path) -> str:
    """Return the text of a file that is read once. Raises `Unreadable`."""
    attribute = Attribute(root, path)
    try:
        return attribute.read_text()
    finally:
        attribute.close()


def read_int(root: Path, path: Path) -> int:
    """Return the number in a file that is read once. Raises `Unreadable`."""
    attribute = Attribute(root, path)
    try:
        return attribute.read_int()
    finally:
        attribute.close()


def optional_text(root: Path, path: Path) -> str | None:
    """Return the text, or None where there is none to be had."""
    try:
        return read_text(root, path)
    except Unreadable:
        return None


def optional_int(root: Path, path: Path) -> int | None:
    """Return the number, or None where there is none to be had."""
    try:
        return read_int(root, path)
    except Unreadable:
        return None


def names(path: Path) -> list[str]:
    """Return the names in a directory, sorted; none if it is missing. Raises `Unreadable`."""
    try:
        return sorted(entry.name for entry in path.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise failed(path, error) from None


def resolved(root: Path, path: Path) -> Path:
    """Return where a link leads. Raises `Unreadable` if that is missing or outside the root."""
    try:
        real = os.path.realpath(path, strict=True)
        top = _top(root)
    except OSError as error:
        raise failed(path, error) from None
    except ValueError:  # a NUL in a name
        raise Unreadable(path, "no such path", "garbage") from None
    if real != top and not real.startswith(top.rstrip("/") + "/"):
        raise Unreadable(path, f"leads out of {root}", "outside")
    return Path(real)


@functools.cache
def _top(root: Path) -> str:
    """Return where a root leads; a process has one or two of them, asked for at each opening."""
    return os.path.realpath(root)


class Rescan:
    """When to look again for what there is to read.

    A look that went wrong is repeated soon, and then at growing distances: a failed read costs a
    tick, not a whole period, and one that fails for ever costs next to nothing.
    """

    def __init__(self, seconds: float) -> None:
        self._period = seconds
        self._due: float | None = None
        self._retry = 0.0

    @property
    def forced(self) -> bool:
        """Whether the next look must not take a short cut."""
        return self._due is None

    def is_due(self, now: float) -> bool:
        """Tell whether it is time."""
        return self._due is None or now >= self._due

    def soon(self) -> None:
        """Look at the next tick, whatever was planned."""
        self._due = None

    def looked(self, now: float, *, complete: bool) -> None:
        """Plan the next look after one that saw everything, or not."""
        self._retry = 0.0 if complete else min(self._period, max(0.5, 2 * self._retry))
        self._due = now + (self._period if complete else self._retry)


def close_all(attributes: Iterable[Attribute]) -> None:
    """Close each of them."""
    for attribute in attributes:
        attribute.close()


def _open(root: Path, path: Path) -> int:
    resolved(root, path)
    # Non-blocking, so that a pipe in the place of an attribute does not hang the thread.
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _garbage(path: Path, data: bytes) -> NoReturn:
    shown = repr(data[:24].decode("ascii", "backslashreplace")) if data else "an empty text"
    raise Unreadable(path, f"holds {shown}, which is not understood", "garbage")
