"""The tables of an export: their columns, types and units. Pure."""

from typing import Final, Literal, NamedTuple

FORMAT: Final = "wattlas-export-1"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.json.sig"
SUMS: Final = "SHA256SUMS"
PUBLIC_KEY: Final = "host.pub"
Type = Literal["integer", "real", "text"]
Value = int | float | str | None


class Column(NamedTuple):
    """One column."""

    name: str
    type: Type
    unit: str
    """SI or UCUM; "": none."""
    about: str


class Table(NamedTuple):
    """One file of an export."""

    name: str
    about: str
    columns: tuple[Column, ...]


_STREAM: Final = (
    Column("stream", "integer", "", "number of the source within this ledger"),
    Column("source", "text", "", "collector that read it, e.g. rapl, nvml, redfish"),
    Column("component", "text", "", "cpu, dram, gpu, accelerator, storage, nic, fan, psu, host …"),
    Column("device", "text", "", "which one"),
    Column("quality", "text", "", "measured, integrated or estimated; see qualities"),
    Column("counted", "integer", "", "1: part of the host's energy; 0: shown beside it"),
    Column("joules", "real", "J", "energy"),
    Column("seconds", "real", "s", "time for which the energy stands"),
    Column("gap_seconds", "real", "s", "time for which the source gave none"),
)
_RECORD: Final = Column("record", "integer", "", "number of the chain's record that seals the row")
_START: Final = Column("start", "text", "", "begin, ISO 8601, UTC")

HOURS: Final = Table(
    "energy_hour",
    "Energy of each source by hour.",
    (_START, Column("hour", "integer", "h", "since 1970-01-01 UTC"), *_STREAM, _RECORD),
)
DAYS: Final = Table(
    "energy_day",
    "Energy of each source by day of UTC.",
    (_START, Column("day", "integer", "d", "since 1970-01-01 UTC"), *_STREAM, _RECORD),
)
QUARTERS: Final = Table(
    "quarters",
    "Amounts by quarter of an hour: site meters, this host, work, emissions.",
    (
        _START,
        Column("quarter", "integer", "15 min", "since 1970-01-01 UTC"),
        Column("series", "integer", "", "number of the series within this ledger"),
        Column("kind", "text", "", "meter, host, work, emission"),
        Column("name", "text", "", "which one"),
        Column("unit", "text", "", "of the amount: J, l, s, g, or a unit of work"),
        Column("amount", "real", "see unit", "how much"),
        Column("seconds", "real", "s", "time for which the amount stands"),
        Column("gap_seconds", "real", "s", "time for which there was none"),
        _RECORD,
    ),
)
INVOICES: Final = Table(
    "invoices",
    "Rows of meters' files, with those that were replaced later.",
    (
        Column("id", "integer", "", "number of the row within this ledger"),
        Column("meter", "text", "", "whose file"),
        Column("start", "real", "s", "begin of the period, Unix time"),
        Column("end", "real", "s", "its end, not included, Unix time"),
        Column("amount", "real", "J or l", "how much, by the meter's role"),
        Column("row", "integer", "", "line of the file"),
        Column("seen_at", "real", "s", "when the agent first saw it, Unix time"),
        Column("replaced_at", "real", "s", "when another took its place, Unix time; none: never"),
        _RECORD,
    ),
)
INTENSITIES: Final = Table(
    "intensities",
    "What providers said of the grid, in every version.",
    (
        Column("start", "real", "s", "begin of the interval, Unix time"),
        Column("end", "real", "s", "its end, not included, Unix time"),
        Column("provider", "text", "", "who said so"),
        Column("zone", "text", "", "part of the grid"),
        Column("basis", "text", "", "location, market, marginal"),
        Column("factor", "text", "", "direct or lifecycle"),
        Column("origin", "text", "", "measured, estimated, forecast …"),
        Column("fetched_at", "real", "s", "when it was learnt, Unix time"),
        Column("grams_per_kwh", "real", "g/kWh", "CO2 or CO2 equivalent"),
        Column("source", "text", "", "where it is from"),
        _RECORD,
    ),
)
CHAIN: Final = Table(
    "chain",
    "The chain of sealed records, all of them: what proves the other tables.",
    (
        Column("number", "integer", "", "from 1, without a hole"),
        Column("kind", "text", "", "begin, key, hour, day, prune, mismatch, …"),
        Column("hour", "integer", "h", "since 1970-01-01 UTC"),
        Column("sealed_at", "real", "s", "Unix time"),
        Column("body", "text", "", "deflated JSON (RFC 1950), base64"),
        Column("hash", "text", "", "SHA-256, hexadecimal; see docs/audit.md"),
        Column("signature", "text", "", "Ed25519, hexadecimal; none: not signed yet"),
    ),
)
TABLES: Final = (HOURS, DAYS, QUARTERS, INVOICES, INTENSITIES, CHAIN)

QUALITIES: Final = {
    "measured": "read from a hardware energy counter",
    "integrated": "a power sensor's readings, integrated over time",
    "estimated": "worked out by a model from what the host did; see docs/estimate.md",
}
