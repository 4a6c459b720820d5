"""What can be wrong with a ledger, told from SQLite's result codes and the system's errors."""

import errno
import os
import sqlite3
from pathlib import Path
from typing import Final


class LedgerError(Exception):
    """The ledger cannot be used now; it may pass. One sentence with the path and the remedy."""


class Hopeless(LedgerError):
    """Only a person can help: no permission, another agent, a newer version."""


class Full(LedgerError):
    """The disk has no space left."""


class Corrupt(LedgerError):
    """The file is not what was written."""


BROKEN: Final = (sqlite3.Error, UnicodeDecodeError)
"""What sqlite3 raises. The second where SQLite's own message names something that was spoilt, such
as a table: the binding decodes it as UTF-8 before it makes an error of its own of it."""
MAY_PASS: Final = frozenset({errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT})
"""A disk that is full, read-only or failing, unlike a missing permission."""
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG})
_CLOSED: Final = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
)
_NO_CODE: Final = -1
"""An error of Python's binding, such as text that is not UTF-8."""


def explain(path: Path, error: Exception) -> LedgerError:
    """Return what an error of SQLite or of the system means for the ledger at `path`."""
    if isinstance(error, LedgerError):
        return error
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", _NO_CODE)
        return _explain_sqlite(path, str(error), code & 0xFF if code >= 0 else code)
    if isinstance(error, UnicodeDecodeError):
        return Corrupt(f"{path}: what should be text is not UTF-8")
    if isinstance(error, OSError):
        if error.errno == errno.ENOSPC:
            return _full(path)
        if error.errno in {errno.EMFILE, errno.ENFILE}:
            return LedgerError(
                f"{path}: {error.strerror}; look who holds them, or raise the limit"
                " (LimitNOFILE= in the unit, ulimit -n)"
            )
        return LedgerError(f"{path}: {error.strerror}; check the disk")
    return LedgerError(f"{path}: {error!r}; please report this")


def _explain_sqlite(path: Path, text: str, code: int) -> LedgerError:
    # our own statements are right, so a table that is not there was lost
    if code in _CORRUPT or (code == sqlite3.SQLITE_ERROR and "no such" in text):
        return Corrupt(f"{path}: {text}")
    if code == _NO_CODE and "decode" in text:
        return Corrupt(f"{path}: {text}")
    if code == sqlite3.SQLITE_FULL:
        return _full(path)
    if code in _CLOSED:
        kind = LedgerError if _may_pass(path) else Hopeless
        return kind(f"{path}: cannot be written ({text}); make it writable for this user")
    return LedgerError(f"{path}: {text}")


def _full(path: Path) -> LedgerError:
    return Full(f"{path}: the disk is full; free some space, nothing is lost yet")


def _may_pass(path: Path) -> bool:
    """Tell a disk that is read-only from a file or directory that this user may not write."""
    try:
        if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
            return True
    except OSError:
        return True
    both = os.R_OK | os.W_OK
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, both))
