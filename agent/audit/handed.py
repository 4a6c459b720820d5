"""Checks a directory that `export` made, wherever it was carried since."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.audit.body import same
from agent.audit.canonical import Unreadable
from agent.audit.export import digest_of, sums_of
from agent.audit.files import BadRow, NoParquet, read
from agent.audit.keys import read_public, valid
from agent.audit.record import Record
from agent.audit.rows import record_of, tables
from agent.audit.schema import FORMAT, MANIFEST, PUBLIC_KEY, SIGNATURE, SUMS, TABLES, Table
from agent.audit.telling import facts
from agent.audit.times import is_time
from agent.audit.verdict import Finding, Verdict
from agent.audit.walk import Walk

MOST_ROWS = 5
"""Rows named of one file; the rest is counted."""


class HandedCheck:
    """One check of one export."""

    def __init__(
        self,
        directory: Path,
        walk: Walk,
        trusted: Sequence[bytes] = (),
        progress: Callable[[float], None] | None = None,
    ) -> None:
        """`walk` has taken nothing yet. `trusted`: raw public keys that somebody vouches for."""
        self._dir = directory
        self._walk = walk
        self._trusted = trusted
        self._progress = progress or _nobody
        self.verdict = Verdict()

    def run(self) -> Verdict:
        """Check everything. Raises OSError where there is no manifest to be read."""
        text = (self._dir / MANIFEST).read_bytes()
        self._check_sums()
        try:
            self._check(text)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            # spoilt files may hold anything; what cannot be understood is never clean
            self._wrong(MANIFEST, f"or a file that it names cannot be understood ({error!r})")
        self._progress(1.0)
        return self.verdict

    # -- inside -------------------------------------------------------------------------------

    def _check(self, text: bytes) -> None:
        try:
            document = json.loads(text)
            files = {file["table"]: file for file in document["files"]}
            begin, end = (_moment(document["period"][name]) for name in ("from", "to"))
            signed_by = document["signed_by"]
        except (ValueError, KeyError, TypeError) as error:
            self._wrong(MANIFEST, f"was changed: it cannot be understood ({error!r})")
            self._check_signature(text, None)
            return
        if document.get("format") != FORMAT:
            self._wrong(MANIFEST, f"its format is {document.get('format')!r}, not {FORMAT!r}")
        self._check_files(files)
        self._progress(0.2)
        records = self._read_chain(files)
        self._check_signature(text, signed_by)
        if records:
            self._check_chain(records, document)
            self._progress(0.5)
            self._check_rows(records, files, begin, end)
        for said in document.get("ledger_findings", []):
            self._wrong(MANIFEST, f"when it was exported, this was wrong with the ledger: {said}")
        self.verdict.facts = facts(self._walk, 0, 0.0)

    def _check_sums(self) -> None:
        """Compare SHA256SUMS, which `sha256sum -c` reads, with the files."""
        try:
            there = (self._dir / SUMS).read_bytes()
        except FileNotFoundError:
            self._wrong(SUMS, "is missing")
            return
        found = sums_of(self._dir)
        if there == found:
            return
        said, is_ = _by_name(there), _by_name(found)
        named = sorted(name for name in said.keys() | is_.keys() if said.get(name) != is_.get(name))
        for name in named:
            what = "is not what its SHA-256 says: the file or the sum was changed"
            if name not in is_:
                what = "is missing"
            elif name not in said:
                what = "is not in SHA256SUMS: it was inserted, or the sum was changed"
            self._wrong(name.decode("utf-8", "replace"), what)
        if not named:
            self._wrong(SUMS, "was changed")

    def _check_signature(self, text: bytes, signed_by: str | None) -> None:
        path = self._dir / SIGNATURE
        if signed_by is None and not path.exists():
            self.verdict.remarks.append("The manifest is not signed; the chain's records may be.")
            return
        try:
            signature, public = path.read_bytes(), read_public(self._dir / PUBLIC_KEY)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file of somebody's
            self._wrong(SIGNATURE, f"cannot be checked ({error})")
            return
        if public.hex() != signed_by or not valid(public, text, signature):
            self._wrong(SIGNATURE, "is not of this manifest and the key in host.pub")
        known = {key for _, key in self._walk.signatures.keys} | set(self._trusted)
        trusted = set(self._trusted) or known
        if public not in trusted and public not in known:
            self._wrong(PUBLIC_KEY, "is not a key of this chain")

    def _check_files(self, files: Mapping[str, Mapping[str, Any]]) -> None:
        for table in TABLES:
            file = files.get(table.name, {})
            name = str(file.get("name"))
            try:
                if digest_of(self._dir / Path(name).name) != file.get("sha256"):
                    self._wrong(name, "is not the file of the manifest: its SHA-256 is another")
            except OSError as error:
                self._wrong(name, f"cannot be read ({error.strerror})")

    def _rows(self, table: Table, files: Mapping[str, Mapping[str, Any]]) -> list[Any] | None:
        name = Path(str(files.get(table.name, {}).get("name"))).name
        try:
            return read(self._dir / name, table)
        except BadRow as error:
            self._wrong(name, f"was changed: {error}")
        except NoParquet as error:
            self.verdict.remarks.append(f"{name}: its rows were not compared. {error}.")
        except OSError:
            pass  # said already
        return None

    def _read_chain(self, files: Mapping[str, Mapping[str, Any]]) -> list[Record]:
        records = []
        for number, row in enumerate(self._rows(TABLES[-1], files) or [], start=1):
            try:
                record = record_of(row)
            except (ValueError, TypeError, AttributeError) as error:
                name = str(files["chain"]["name"])
                self.verdict.findings.append(Finding(f"was changed: {error}", number, file=name))
                continue
            records.append(record)
            self._walk.take(record)
        return records

    def _check_chain(self, records: Sequence[Record], document: Mapping[str, Any]) -> None:
        as_of = max((r.sealed_at for r in records if isinstance(r.sealed_at, float)), default=0.0)
        self._walk.finish(as_of)
        self.verdict.findings += self._walk.findings
        head = self._walk.head
        said = document.get("chain", {}).get("head", {})
        if head is None or (head.number, head.hash.hex()) != (said.get("number"), said.get("hash")):
            self._wrong(MANIFEST, "names another newest record than the chain has")

    def _check_rows(
        self,
        records: Sequence[Record],
        files: Mapping[str, Mapping[str, Any]],
        begin: float,
        end: float,
    ) -> None:
        try:
            sealed = tables(records, begin, end)
        except (Unreadable, LookupError, TypeError, ValueError, AttributeError):
            return  # a record that cannot be read was named already
        for n, table in enumerate(TABLES[:-1]):
            rows = self._rows(table, files)
            if rows is not None:
                self._compare(table, str(files[table.name]["name"]), rows, sealed[table.name])
            self._progress(0.6 + 0.4 * n / len(TABLES))

    def _compare(self, table: Table, name: str, rows: Sequence[Any], sealed: Sequence[Any]) -> None:
        """Name the rows that are not those of the chain."""
        there = {row: n for n, row in enumerate(rows, start=1)}
        expected = set(sealed)
        if len(there) != len(rows):
            self._wrong(name, f"{len(rows) - len(there)} rows are there twice")
        wrong = [(n, row) for row, n in there.items() if row not in expected]
        missing = [row for row in sealed if row not in there]
        keys = 3 if table.name in {"energy_hour", "energy_day", "quarters"} else 1
        by_key = {row[1:keys]: row for row in missing} if keys > 1 else {r[:1]: r for r in missing}
        for n, row in wrong[:MOST_ROWS]:
            other = by_key.get(row[1:keys] if keys > 1 else row[:1])
            self._row(table, name, n, row, other)
        for row in missing[:MOST_ROWS] if len(wrong) < len(missing) else []:
            title = ", ".join(f"{c.name} {v}" for c, v in zip(table.columns[:3], row, strict=False))
            self._wrong(name, f"a row is missing: {title} (record {row[-1]})")
        for what, some in (("are not the chain's", wrong), ("are missing", missing)):
            if len(some) > MOST_ROWS:
                self._wrong(name, f"{len(some)} rows {what}")
        if not wrong and not missing and not same(list(rows), list(sealed)):
            self._wrong(name, "its rows stand in another order, or a zero lost its sign")

    def _row(self, table: Table, name: str, n: int, row: Any, sealed: Any) -> None:
        if sealed is None:
            self._wrong(name, f"row {n} is in no record of the chain")
            return
        changed = ", ".join(
            f"{column.name} is {a!r}, sealed as {b!r}"
            for column, a, b in zip(table.columns, row, sealed, strict=True)
            if not same(a, b)
        )
        hour = row[1] if table.name == "energy_hour" and is_time(row[1]) else None
        self.verdict.findings.append(Finding(f"row {n}: {changed}", sealed[-1], hour, name))

    def _wrong(self, file: str, what: str) -> None:
        self.verdict.findings.append(Finding(what, file=file))


def _by_name(sums: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b"  ") for line in sums.splitlines())
    return {name: digest for digest, _, name in lines}


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _nobody(_: float) -> None:
    """Nobody watches."""
