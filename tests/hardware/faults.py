"""Faults in another process's reads and writes, and its clock: the Python side of `faults.c`.

    faults = Faults(tmp_path / "faults", root=machine.root)
    faults.set("energy_uj", errno=errno.EIO, per_mille=50)
    subprocess.run([...], env=os.environ | faults.environment(fault_library))

The control table is a shared file: rules may be set and cleared while the other process runs, and
from any process that opens the same file. It outlives `kill -9`, the random generator included.
"""

import mmap
import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

_MAGIC = 0x544C4657
_HEADER = struct.Struct("<IIq496s")
_RULE = struct.Struct("<IiIIiiIIQQQ64s192s")
_COUNTS = struct.Struct("<QQ")
_COUNTS_AT = 40
_WALL_AT = 8
_ON = {"read": 0, "open": 1, "write": 2, "sync": 3}
_RULES = 32
_SIZE = _HEADER.size + _RULES * _RULE.size


@dataclass(frozen=True)
class Counts:
    """How often a rule's dice were thrown, and how often it struck."""

    trials: int
    hits: int


class Faults:
    """The control table at `control_path`, for files below `root`."""

    def __init__(self, control_path: Path, root: Path | None = None) -> None:
        """Open the table, or make it, which needs the `root`."""
        self.path = control_path
        descriptor = os.open(control_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            is_new = os.fstat(descriptor).st_size == 0
            if is_new and root is None:
                raise ValueError("a new table of faults needs the root they are below")
            os.ftruncate(descriptor, _SIZE)
            self._map = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)
        if is_new:
            _HEADER.pack_into(self._map, 0, _MAGIC, 0, 0, os.fsencode(root or ""))

    def set(
        self,
        pattern: str,
        *,
        errno: int = 0,
        per_mille: int = 1000,
        hang_ms: int = 0,
        short: int | None = None,
        garbage: bytes | None = None,
        on: Literal["read", "open", "write", "sync"] = "read",
        seed: int = 1,
    ) -> int:
        """Add a rule and return its number.

        `pattern` is a glob over the path below the root (`*` crosses slashes) or, without
        wildcards, a part of it. A rule that strikes hangs first, then fails with `errno`, or cuts
        the answer to `short` bytes, or puts `garbage` (at most 64 bytes) in its place; `on` says
        of what: writes and syncs can only hang and fail. The same
        seed strikes at the same readings, counted over all processes.
        """
        data = b"" if garbage is None else garbage
        if len(data) > 64:
            raise ValueError("garbage is at most 64 bytes")
        if len(os.fsencode(pattern)) > 191:
            raise ValueError("a pattern is at most 191 bytes")
        number = next((n for n in range(_RULES) if not self._is_active(n)), None)
        if number is None:
            raise ValueError(f"there are {_RULES} rules already")
        _RULE.pack_into(
            self._map,
            self._at(number),
            0,
            errno,
            per_mille,
            hang_ms,
            -1 if short is None else short,
            -1 if garbage is None else len(data),
            _ON[on],
            0,
            seed,
            0,
            0,
            data,
            os.fsencode(pattern),
        )
        struct.pack_into("<I", self._map, self._at(number), 1)
        return number

    def clear(self, number: int | None = None) -> None:
        """Take away one rule or all; a read that hangs comes back."""
        for rule in range(_RULES) if number is None else (number,):
            struct.pack_into("<I", self._map, self._at(rule), 0)

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock of the process by so much more, forwards or back."""
        (offset,) = struct.unpack_from("<q", self._map, _WALL_AT)
        struct.pack_into("<q", self._map, _WALL_AT, offset + round(seconds * 1000))

    def counts(self, number: int) -> Counts:
        """Return what a rule has done so far; it stays readable after `clear`."""
        return Counts(*_COUNTS.unpack_from(self._map, self._at(number) + _COUNTS_AT))

    def environment(self, library: Path) -> dict[str, str]:
        """Return the variables that put `library` into a new process under this table."""
        return {"LD_PRELOAD": str(library), "WATTLAS_FAULTS": str(self.path)}

    def close(self) -> None:
        """Let go of the file, which stays."""
        self._map.close()

    def _is_active(self, number: int) -> bool:
        return bool(struct.unpack_from("<I", self._map, self._at(number))[0])

    @staticmethod
    def _at(number: int) -> int:
        return _HEADER.size + number * _RULE.size


class NoCompiler(Exception):
    """There is no C compiler here."""


@cache
def build_library(directory: Path) -> Path:
    """Compile `faults.c` into a directory and return the library. Raises `NoCompiler`."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompiler("no C compiler (cc or gcc) on PATH")
    library = directory / "libwattlas_faults.so"
    source = Path(__file__).with_name("faults.c")
    command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", str(library), str(source)], check=True)
    return library
