"""The rows of an export, made of the chain alone: what is handed over is what was sealed. Pure."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from agent.audit.body import DAY_HOURS, HOUR_SECONDS
from agent.audit.canonical import unpack
from agent.audit.record import DAY, HOUR, SPANS, Record
from agent.audit.schema import Value
from agent.audit.verdict import iso_hour

OutRow = tuple[Value, ...]
QUARTER_SECONDS: Final = 900


class Bodies:
    """The record that counts for each hour and day."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        newest: dict[tuple[str, int], int] = {}
        for place, record in enumerate(records):
            if record.kind in SPANS:
                newest[SPANS[record.kind][0], record.hour] = place
        self._newest = newest

    def hours(self, span: str) -> list[int]:
        """Return the hours that have a record; for days, the first hour of each."""
        return sorted(hour for one, hour in self._newest if one == span)

    def of(self, span: str) -> Iterator[tuple[int, int, Mapping[str, Any]]]:
        """Yield hour, number and body of each. Raises `Unreadable`."""
        for hour in self.hours(span):
            record = self._records[self._newest[span, hour]]
            yield hour, record.number, unpack(record.body)


def tables(records: Sequence[Record], begin: float, end: float) -> dict[str, list[OutRow]]:
    """Return every table's rows for a period, Unix time, the end not included.

    Hours, quarters and days that lie in it; invoices and intensities that overlap it; the chain
    whole. Raises `Unreadable`.
    """
    bodies = Bodies(records)
    found: dict[str, list[OutRow]] = {
        "energy_hour": [],
        "energy_day": [],
        "quarters": [],
        "invoices": [],
        "intensities": [],
        "chain": [_link(record) for record in records],
    }
    for hour, number, body in bodies.of(HOUR):
        start = hour * HOUR_SECONDS
        if begin <= start and start + HOUR_SECONDS <= end:
            found["energy_hour"] += _energy(hour, hour, number, body)
        for row in body["quarters"]:
            at = row[1] * QUARTER_SECONDS
            if begin <= at and at + QUARTER_SECONDS <= end:
                found["quarters"].append(_quarter(row, number, body))
        for name, first in (("invoices", 2), ("intensities", 0)):
            found[name] += [
                (*row, number) for row in body[name] if row[first] < end and row[first + 1] > begin
            ]
    for hour, number, body in bodies.of(DAY):
        start = hour * HOUR_SECONDS
        if begin <= start and start + DAY_HOURS * HOUR_SECONDS <= end:
            found["energy_day"] += _energy(hour, hour // DAY_HOURS, number, body)
    return found


def record_of(row: Sequence[Any]) -> Record:
    """Return the record that `chain`'s row was made of. Raises ValueError."""
    number, kind, hour, sealed_at, body, hashed, signature = row
    return Record(
        number,
        kind,
        hour,
        sealed_at,
        base64.b64decode(body, validate=True),
        bytes.fromhex(hashed),
        None if signature is None else bytes.fromhex(signature),
    )


def _link(record: Record) -> OutRow:
    return (
        record.number,
        record.kind,
        record.hour,
        record.sealed_at,
        base64.b64encode(record.body).decode("ascii"),
        record.hash.hex(),
        None if record.signature is None else record.signature.hex(),
    )


def _energy(hour: int, at: int, number: int, body: Mapping[str, Any]) -> Iterator[OutRow]:
    for stream, *amounts in body["energy"]:
        who = body["streams"].get(str(stream)) or [None] * 5
        yield (iso_hour(hour), at, stream, *who, *amounts, number)


def _quarter(row: Sequence[Any], number: int, body: Mapping[str, Any]) -> OutRow:
    series, quarter, *amounts = row
    hour, part = divmod(quarter, 4)
    start = iso_hour(hour).replace(":00Z", f":{15 * part:02d}Z")
    who = body["series"].get(str(series)) or [None] * 3
    return (start, quarter, series, *who, *amounts, number)
