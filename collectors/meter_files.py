"""Reads the CSV file of a meter; the collector and the reports without an agent use it.

A relative name is relative to where the program was started: use an absolute one.
"""

import os
import stat
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from agent.collector import Transient
from agent.site.settings import CsvMeter, SiteSettings
from agent.site.table import Table, parse_table
from agent.site.virtual import water_meters
from agent.site.words import Quantity

MOST_BYTES: Final = 16 * 1024 * 1024
"""A larger file is refused: ten years of quarters of an hour have this."""


class Stamp(NamedTuple):
    """What changes when a file does."""

    modified_nanoseconds: int
    size: int
    inode: int


def read_table(meter: CsvMeter, site: SiteSettings) -> Table:
    """Return what a meter's file says now. Raises `Transient`, with the reason and the remedy."""
    return table_of(read_file(meter.file)[0], meter, site)


def table_of(text: str, meter: CsvMeter, site: SiteSettings) -> Table:
    """Return what the text of a meter's file says. Raises `Transient`."""
    return parse_table(text, _zone(site), quantity_of(meter, site), meter.kwh_per_unit)


def quantity_of(meter: CsvMeter, site: SiteSettings) -> Quantity:
    """Return what a meter measures: water by its own role, or by that of a sum it is part of."""
    return Quantity.WATER if meter.name in water_meters(site) else Quantity.ENERGY


def stamp_of(path: str) -> Stamp:
    """Return what a file is like now. Raises `Transient`."""
    try:
        return _stamp(os.stat(path))  # noqa: PTH116 - a name as the settings have it
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def read_file(path: str) -> tuple[str, Stamp]:
    """Return a file's text, and what it was like. Raises `Transient`."""
    try:
        # O_NONBLOCK: a named pipe must not hold us up
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise Transient(f"{path} is no file", "settings", "name a CSV file in file")
            raw = file.read(MOST_BYTES + 1)
            after = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if len(raw) > MOST_BYTES:
        raise Transient(
            f"{path} has more than {MOST_BYTES // 2**20} MiB", "garbage", "split it by years"
        )
    if _stamp(before) != _stamp(after):
        raise Transient(f"{path} is being written", "half", "it is read again")
    return _decoded(path, raw), _stamp(after)


def _decoded(path: str, raw: bytes) -> str:
    utf16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))  # as spreadsheets save "Unicode text"
    try:
        return raw.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Transient(
            f"{path} line {line}: it is no UTF-8 text", "garbage", "save the file as CSV in UTF-8"
        ) from None


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_mtime_ns, status.st_size, status.st_ino)


def _unreadable(path: str, error: OSError | ValueError) -> Transient:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, IsADirectoryError):
        return Transient(f"{path} is no file", "settings", "name a CSV file in file")
    if isinstance(error, FileNotFoundError):
        return Transient(f"{path}: there is no such file", "io", "put it there, or mend file")
    reason = "permission" if isinstance(error, PermissionError) else "io"
    return Transient(
        f"{path} cannot be read ({why})", reason, "make it readable for the agent's user"
    )


def _zone(site: SiteSettings) -> ZoneInfo:
    """Return the site's time zone. Raises `Transient`."""
    try:
        return ZoneInfo(site.time_zone)
    except (ValueError, OSError, LookupError):
        raise Transient(
            f"{site.time_zone!r} is no time zone that this machine knows",
            "settings",
            'set site.time_zone to one such as "Europe/Berlin", or install tzdata',
        ) from None
