"""What an export says of itself. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from agent.audit.body import HOUR_SECONDS
from agent.audit.canonical import unpack
from agent.audit.record import ADOPTED, BEGIN, HOUR, KEY, Record, kind_of
from agent.audit.rows import Bodies, OutRow
from agent.audit.schema import FORMAT, HOURS, QUALITIES, TABLES
from agent.audit.verdict import iso, iso_hour

_COLUMN: Final = {column.name: n for n, column in enumerate(HOURS.columns)}
WHO: Final = ("source", "component", "device", "quality", "counted")


def manifest(
    records: Sequence[Record],
    rows: Mapping[str, Sequence[OutRow]],
    files: Iterable[Mapping[str, Any]],
    *,
    begin: float,
    end: float,
    data_asset: Mapping[str, str],
    findings: Sequence[str],
    signed_by: str | None,
) -> dict[str, Any]:
    """Return the manifest. `begin` and `end`: Unix time.

    It holds no time of its own making, so that the same ledger and period give the same bytes.
    `findings`: what was wrong with the ledger. `signed_by`: the public key, in hexadecimal.
    """
    head = records[-1]
    first = unpack(records[0].body) if records[0].kind == BEGIN else {}
    keys = [unpack(record.body)["public_key"] for record in records if record.kind == KEY]
    sealed = Bodies(records).hours(HOUR)
    return {
        "format": FORMAT,
        "data_asset": dict(data_asset),
        "period": {"from": iso(begin), "to": iso(end)},
        "as_of": iso(head.sealed_at),
        "provenance": {
            "host": first.get("host", ""),
            "agent": first.get("agent", ""),
            "chain_began_at": iso(records[0].sealed_at),
            "adopted_hours": sum(r.kind == kind_of(HOUR, ADOPTED) for r in records),
            "sources": [dict(zip(WHO, who, strict=True)) for who in _streams(rows["energy_hour"])],
            "qualities": QUALITIES,
        },
        "coverage": {
            "energy": _coverage(rows["energy_hour"], end - begin),
            "hours_without_record": _holes(sealed, begin, end),
        },
        "tables": {
            table.name: {
                "about": table.about,
                "columns": [column._asdict() for column in table.columns],
            }
            for table in TABLES
        },
        "files": list(files),
        "chain": {
            "records": len(records),
            "head": {"number": head.number, "hash": head.hash.hex()},
            "public_keys": keys,
        },
        "ledger_findings": list(findings),
        "signed_by": signed_by,
    }


def text_of(document: Mapping[str, Any]) -> bytes:
    """Return a manifest as it is written and signed."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _streams(rows: Sequence[OutRow]) -> list[tuple[Any, ...]]:
    return sorted({tuple(row[_COLUMN[name]] for name in WHO) for row in rows}, key=repr)


def _coverage(rows: Sequence[OutRow], period_seconds: float) -> list[dict[str, Any]]:
    """Return for how much of the period each source gave energy; gaps are made up by nobody."""
    sums: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        who = tuple(row[_COLUMN[name]] for name in WHO)
        entry = sums.setdefault(who, [0.0, 0.0, 0.0])
        for n, name in enumerate(("joules", "seconds", "gap_seconds")):
            value = row[_COLUMN[name]]
            assert isinstance(value, float)
            entry[n] += value
    return [
        dict(zip(WHO, who, strict=True))
        | {
            "joules": joules,
            "seconds": seconds,
            "gap_seconds": gap,
            "ratio": min(1.0, seconds / period_seconds),
        }
        for who, (joules, seconds, gap) in sorted(sums.items(), key=repr)
    ]


def _holes(sealed: Sequence[int], begin: float, end: float) -> list[dict[str, str]]:
    """Return from when to when no hour has a record: the agent did not run, or wrote nothing."""
    known = set(sealed)
    holes: list[list[int]] = []
    for hour in range(-int(-begin // HOUR_SECONDS), int(end // HOUR_SECONDS)):
        if hour in known:
            continue
        if holes and holes[-1][1] == hour:
            holes[-1][1] = hour + 1
        else:
            holes.append([hour, hour + 1])
    return [{"from": iso_hour(first), "to": iso_hour(last)} for first, last in holes]


def head_of(text: bytes) -> bytes:
    """Return the hash of the newest record that a manifest names. Raises ValueError."""
    try:
        return bytes.fromhex(json.loads(text)["chain"]["head"]["hash"])
    except (KeyError, TypeError) as error:
        raise ValueError(str(error)) from error
