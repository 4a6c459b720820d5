"""Hands a ledger over: a directory of tables with a manifest, hashes and a signature."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.audit.files import Format, write
from agent.audit.keys import public_of, public_pem
from agent.audit.manifest import manifest, text_of
from agent.audit.record import Record
from agent.audit.rows import tables
from agent.audit.schema import MANIFEST, PUBLIC_KEY, SIGNATURE, SUMS, TABLES


def export(
    records: Sequence[Record],
    directory: Path,
    *,
    begin: float,
    end: float,
    how: Format,
    data_asset: Mapping[str, str],
    findings: Sequence[str],
    key: Ed25519PrivateKey | None,
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """Write a new directory; return its manifest. `begin`, `end`: Unix time.

    It gets its name when it is whole. Raises OSError, `Unreadable`, `NoParquet`.
    """
    unfinished = directory.with_name(f".{directory.name}.{os.getpid()}")
    unfinished.mkdir()
    try:
        rows = tables(records, begin, end)
        files = []
        for n, table in enumerate(TABLES):
            path = unfinished / f"{table.name}.{how}"
            write(path, table, rows[table.name], how)
            files.append(
                {
                    "name": path.name,
                    "table": table.name,
                    "rows": len(rows[table.name]),
                    "bytes": path.stat().st_size,
                    "sha256": digest_of(path),
                }
            )
            progress((n + 1) / len(TABLES))
        document = manifest(
            records,
            rows,
            files,
            begin=begin,
            end=end,
            data_asset=data_asset,
            findings=findings,
            signed_by=public_of(key).hex() if key else None,
        )
        text = text_of(document)
        (unfinished / MANIFEST).write_bytes(text)
        if key is not None:
            (unfinished / SIGNATURE).write_bytes(key.sign(text))
            (unfinished / PUBLIC_KEY).write_bytes(public_pem(public_of(key)))
        (unfinished / SUMS).write_bytes(sums_of(unfinished))
        unfinished.rename(directory)
    except BaseException:
        for path in unfinished.iterdir():
            path.unlink()
        unfinished.rmdir()
        raise
    return document


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sums_of(directory: Path) -> bytes:
    """Return what `sha256sum *` prints of a directory, without the file that holds it."""
    names = sorted(path.name for path in directory.iterdir() if path.name != SUMS)
    return "".join(f"{digest_of(directory / name)}  {name}\n" for name in names).encode()
