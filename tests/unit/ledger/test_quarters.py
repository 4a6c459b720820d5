"""Quarters of an hour and invoices' rows in the ledger, and how reports read them."""

import sqlite3

import pytest
from unit.ledger.rig import STREAMS

from agent.ledger import Ledger, LedgerError
from agent.ledger.batch import Batch
from agent.ledger.reading import DAY_QUARTERS, LedgerReader
from agent.quarters import QuarterPosting, Series
from agent.samples import MeterRecord, MeterRecords
from agent.site.cells import Cell

FEED = Series("meter", "feed", "J")
WATER = Series("meter", "water", "l")


def write(state_dir, *batches):
    ledger = Ledger.open(state_dir)
    known, _ = ledger.load()
    for n, batch in enumerate(batches):
        ledger.commit([] if known or n else list(enumerate(STREAMS)), b"state", batch)
    ledger.close()


def quarter(number, amount, series=FEED, seconds=900.0, gap=0.0):
    return QuarterPosting(number, series, amount, seconds, gap)


def file(*rows):
    records = tuple(MeterRecord(*row, n) for n, row in enumerate(rows, start=2))
    return {"bill": MeterRecords("meter_csv", "bill", 0.0, records)}


def test_amounts_of_a_quarter_are_added(tmp_path):
    write(
        tmp_path,
        Batch(quarters=[quarter(100, 5.0, seconds=300.0), quarter(101, 7.0)]),
        Batch(quarters=[quarter(100, 6.0, seconds=600.0), quarter(100, 1.0, WATER)]),
    )
    reader = LedgerReader.open(tmp_path)
    assert set(reader.series()) == {FEED, WATER}
    assert reader.cells("meter", "feed", 90_000.0, 91_800.0) == [
        Cell(90_000.0, 90_900.0, 11.0, 900.0),
        Cell(90_900.0, 91_800.0, 7.0, 900.0),
    ]
    assert reader.cells("meter", "feed", 90_001.0, 91_800.0) == [
        Cell(90_900.0, 91_800.0, 7.0, 900.0)  # a quarter that is partly outside is left out
    ]
    assert reader.span("meter", "feed") == (90_000.0, 91_800.0)
    assert reader.span("meter", "nobody") is None
    reader.close()


def test_quarters_are_added_up_to_days(tmp_path):
    first = 20_000 * DAY_QUARTERS
    write(tmp_path, Batch(quarters=[quarter(first + n, 1.0) for n in range(DAY_QUARTERS + 3)]))
    reader = LedgerReader.open(tmp_path)
    day = 86_400.0
    start = 20_000 * day
    assert reader.cells("meter", "feed", start, start + 2 * day, DAY_QUARTERS) == [
        Cell(start, start + day, 96.0, day),
        Cell(start + day, start + 2 * day, 3.0, 2700.0),
    ]
    reader.close()


def test_a_corrected_invoice_replaces_the_first_and_the_history_says_so(tmp_path):
    january, february = (0.0, 100.0), (100.0, 200.0)
    write(
        tmp_path,
        Batch(records=file((*january, 10.0), (*february, 20.0)), wall=1000.0),
        Batch(records=file((*january, 10.0), (*february, 20.0)), wall=1500.0),  # nothing new
        Batch(records=file((*january, 12.0), (*february, 20.0)), wall=2000.0),  # in its place
        Batch(records=file((*january, 12.0), (*february, 20.0), (*january, 11.0)), wall=3000.0),
    )
    reader = LedgerReader.open(tmp_path)
    found = [(r.record.amount, r.seen_at, r.replaced_at) for r in reader.records("bill")]
    assert found == [
        (10.0, 1000.0, 2000.0),
        (12.0, 2000.0, 3000.0),
        (11.0, 3000.0, None),
        (20.0, 1000.0, None),
    ]
    reader.close()


def test_a_correction_that_was_in_the_file_at_first_sight_is_history_too(tmp_path):
    write(tmp_path, Batch(records=file((0.0, 100.0, 10.0), (0.0, 100.0, 12.0)), wall=1000.0))
    reader = LedgerReader.open(tmp_path)
    assert [(r.record.amount, r.replaced_at) for r in reader.records("bill")] == [
        (10.0, 1000.0),
        (12.0, None),
    ]
    reader.close()


def test_a_row_that_is_taken_out_of_the_file_no_longer_counts_and_comes_back(tmp_path):
    write(
        tmp_path,
        Batch(records=file((0.0, 100.0, 10.0)), wall=1000.0),
        Batch(records=file(), wall=2000.0),
        Batch(records=file((0.0, 100.0, 10.0)), wall=3000.0),
    )
    reader = LedgerReader.open(tmp_path)
    found = [(r.seen_at, r.replaced_at) for r in reader.records("bill")]
    assert found == [(1000.0, 2000.0), (3000.0, None)]
    reader.close()


def test_an_interrupted_write_leaves_neither_half(tmp_path):
    write(tmp_path, Batch(quarters=[quarter(1, 5.0)]))
    ledger = Ledger.open(tmp_path)
    ledger.load()
    with pytest.raises(LedgerError):
        ledger.commit([], b"new", Batch(quarters=[quarter(1, 5.0), quarter(2, float("nan"))]))
    ledger.close()
    reader = LedgerReader.open(tmp_path)
    assert [cell.amount for cell in reader.cells("meter", "feed", 0.0, 1e6)] == [5.0]
    reader.close()


def test_a_report_reads_beside_the_writer(tmp_path):
    ledger = Ledger.open(tmp_path)
    ledger.load()
    ledger.commit(list(enumerate(STREAMS)), b"state", Batch(quarters=[quarter(1, 5.0)]))
    reader = LedgerReader.open(tmp_path)
    ledger.commit([], b"state", Batch(quarters=[quarter(2, 6.0)]))
    assert [cell.amount for cell in reader.cells("meter", "feed", 0.0, 1e6)] == [5.0, 6.0]
    reader.close()
    ledger.close()


def test_what_cannot_be_read_says_so(tmp_path):
    with pytest.raises(LedgerError, match=r"there is no ledger; name its directory"):
        LedgerReader.open(tmp_path)
    write(tmp_path, Batch())
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("PRAGMA user_version=1")
    db.close()
    with pytest.raises(LedgerError, match=r"older Wattlas .* start this version's agent"):
        LedgerReader.open(tmp_path)
    (tmp_path / "ledger.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(LedgerError):
        LedgerReader.open(tmp_path)


def test_a_ledger_of_the_first_version_is_brought_up_to_date(tmp_path):
    write(tmp_path, Batch())
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        for table in ("quarter", "series", "record"):
            db.execute(f"DROP TABLE {table}")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm002_quarters'")
        db.execute("PRAGMA user_version=1")
    db.close()
    write(tmp_path, Batch(quarters=[quarter(3, 7.0)]))
    reader = LedgerReader.open(tmp_path)
    assert [cell.amount for cell in reader.cells("meter", "feed", 0.0, 1e6)] == [7.0]
    reader.close()
