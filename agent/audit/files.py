"""Tables as files, the same bytes each time: CSV or Parquet."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from agent.audit.schema import FORMAT, Column, Table, Value

Format = Literal["csv", "parquet"]


class NoParquet(Exception):
    """The library for Parquet is not there. One sentence with the remedy."""


class BadRow(Exception):
    """A file's row does not fit its table; the number of the row and why."""


def write(path: Path, table: Table, rows: Sequence[Sequence[Value]], how: Format) -> None:
    """Write one table. Raises OSError, `NoParquet`."""
    if how == "csv":
        _write_csv(path, table, rows)
    else:
        _write_parquet(path, table, rows)


def read(path: Path, table: Table) -> list[tuple[Value, ...]]:
    """Read one table again, to the last bit. Raises OSError, `BadRow`, `NoParquet`."""
    return _read_csv(path, table) if path.suffix == ".csv" else _read_parquet(path, table)


# -- CSV: RFC 4180 with \n; a float is the shortest decimal that reads back the same; none is empty


def _write_csv(path: Path, table: Table, rows: Sequence[Sequence[Value]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow([column.name for column in table.columns])
        for row in rows:
            out.writerow(["" if v is None else repr(v) if isinstance(v, float) else v for v in row])


def _read_csv(path: Path, table: Table) -> list[tuple[Value, ...]]:
    try:
        text = path.read_bytes().decode("utf-8")
        lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        return list(_parsed(lines, table))
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadRow(str(error)) from error


def _parsed(lines: Iterator[list[str]], table: Table) -> Iterator[tuple[Value, ...]]:
    names = [column.name for column in table.columns]
    if next(lines, None) != names:
        raise BadRow("its first line does not name the columns")
    for number, line in enumerate(lines, start=1):
        if len(line) != len(names):
            raise BadRow(f"row {number} has {len(line)} columns, not {len(names)}")
        try:
            yield tuple(map(_value, line, table.columns))
        except ValueError as error:
            raise BadRow(f"row {number}: {error}") from error


def _value(text: str, column: Column) -> Value:
    match column.type:
        case "text":
            return text if text or column.name not in _MAY_BE_NONE else None
        case "integer":
            return int(text)
        case "real":
            return None if not text else float(text)


_MAY_BE_NONE: Final = frozenset({"signature"})


# -- Parquet: units and descriptions stand in each column's metadata


def _arrow() -> Any:
    try:
        import pyarrow as pa  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra
        import pyarrow.parquet  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError as error:
        raise NoParquet(
            "Parquet needs pyarrow, which is not installed here; install wattlas[parquet], or"
            " take --format csv"
        ) from error
    return pa


def _write_parquet(path: Path, table: Table, rows: Sequence[Sequence[Value]]) -> None:
    pa = _arrow()
    types = {"integer": pa.int64(), "real": pa.float64(), "text": pa.string()}
    schema = pa.schema(
        [
            pa.field(c.name, types[c.type], metadata={"unit": c.unit, "description": c.about})
            for c in table.columns
        ],
        metadata={"format": FORMAT, "table": table.name, "description": table.about},
    )
    columns = zip(*rows, strict=True) if rows else [()] * len(table.columns)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    pa.parquet.write_table(pa.Table.from_arrays(arrays, schema=schema), path)


def _read_parquet(path: Path, table: Table) -> list[tuple[Value, ...]]:
    pa = _arrow()
    try:
        found = pa.parquet.read_table(path)
        columns = [found.column(c.name).to_pylist() for c in table.columns]
    except (pa.ArrowException, KeyError, OSError, ValueError) as error:
        raise BadRow(str(error).splitlines()[0]) from error
    return list(zip(*columns, strict=True))
