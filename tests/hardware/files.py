"""Files of a simulated `/sys` and `/proc`: static ones, and ones that change under a reader."""

import os
from collections.abc import Sequence
from pathlib import Path


def put(path: Path, content: str | int | bytes, mode: int = 0o444) -> Path:
    """Write a static file as the kernel prints it: with a newline at its end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, bytes) else str(content).encode()
    if data and not data.endswith(b"\n"):
        data += b"\n"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def put_all(directory: Path, contents: dict[str, str | int]) -> None:
    """Write several static files into one directory."""
    for name, content in contents.items():
        put(directory / name, content)


def link(path: Path, target: Path) -> None:
    """Make a relative symbolic link, as sysfs does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(target, path.parent))


def share(path: Path, others: Sequence[Path]) -> None:
    """Let other names lead to one file: what is written into it is in all of them."""
    for other in others:
        other.parent.mkdir(parents=True, exist_ok=True)
        other.unlink(missing_ok=True)
        other.hardlink_to(path)


class LiveFile:
    """A file that is rewritten in place while others hold it open.

    A new value of the same length is one `pwrite`. When the length changes, the file is first
    padded with newlines (or left padded until it is cut), so a reader at any moment finds all
    digits of one value and then only white space, never the beginning of a number.

    What no file on disk can promise: the copy to a reader is not atomic beyond 8 bytes. Beside a
    writer in a tight loop, one reading in 2,500 had the halves of two neighbouring values (ext4);
    at 10 writes a second that is one in 10^8, and for values of one length it is off by less than
    10^4 uJ. On virtual time, where the one who reads also writes, it cannot happen.
    """

    __slots__ = ("_descriptor", "_last", "path")

    def __init__(self, path: Path, mode: int = 0o444) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.fchmod(self._descriptor, mode)
        self.resync()

    def resync(self) -> None:
        """Look at what is there now: another process may have written since."""
        self._last = os.pread(self._descriptor, 1 << 20, 0)

    def write(self, text: bytes) -> None:
        """Make `text` the file's content."""
        last = self._last
        if text == last:
            return
        growth = len(text) - len(last)
        if growth > 0:
            os.pwrite(self._descriptor, b"\n" * growth, len(last))
        os.pwrite(self._descriptor, text if growth >= 0 else text + b"\n" * -growth, 0)
        if growth < 0:
            os.ftruncate(self._descriptor, len(text))
        self._last = text

    def close(self) -> None:
        """Let go of the file, which stays."""
        os.close(self._descriptor)
