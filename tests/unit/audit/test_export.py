"""What is handed over: the same bytes each time, all of it true, and no change goes unseen."""

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from contextlib import closing

import pyarrow.parquet as pq
import pytest
from unit.audit import handing
from unit.audit.handing import BEGIN, END, checked, handed_over
from unit.audit.made import FIRST_HOUR, KEY, Life, lived, said

from agent.audit import files
from agent.audit.keys import public_of
from agent.audit.schema import HOURS, TABLES
from agent.ledger.reading import LedgerReader

HOUR = 3600.0


def manifest(directory):
    return json.loads((directory / "manifest.json").read_text())


def rows(directory, table):
    with (directory / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_export_is_whole_and_says_what_it_is(handed):
    assert said(checked(handed, trusted=[public_of(KEY)])) == []
    found = manifest(handed)
    assert found["period"] == {"from": "2025-12-31T00:00Z", "to": "2026-01-02T00:00Z"}
    assert found["data_asset"] == {"classification": "internal"}
    assert found["provenance"]["host"] == "h1"
    assert found["provenance"]["sources"][1] == {
        "source": "rapl", "component": "cpu", "device": "package-0", "quality": "measured",
        "counted": 1,
    }  # fmt: skip
    assert found["coverage"]["hours_without_record"] == [
        {"from": "2025-12-31T00:00Z", "to": "2025-12-31T20:00Z"}
    ]
    (cpu,) = [one for one in found["coverage"]["energy"] if one["component"] == "cpu"]
    assert cpu["seconds"] == pytest.approx(28 * 4 * 59.9)
    assert cpu["ratio"] == pytest.approx(28 * 4 * 59.9 / (48 * HOUR))
    units = {c["name"]: c["unit"] for c in found["tables"]["energy_hour"]["columns"]}
    assert (units["joules"], units["seconds"]) == ("J", "s")
    assert found["signed_by"] == public_of(KEY).hex()
    assert {f["name"]: f["rows"] for f in found["files"]} == {
        "energy_hour.csv": 84, "energy_day.csv": 6, "quarters.csv": 224, "invoices.csv": 4,
        "intensities.csv": 28, "chain.csv": 33,
    }  # fmt: skip
    for file in found["files"]:
        data = (handed / file["name"]).read_bytes()
        assert (file["sha256"], file["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))


def test_the_figures_are_the_ledgers(handed, original):
    with closing(LedgerReader.open(original)) as reader:
        expected = [c.amount for c in reader.cells("meter", "feed", BEGIN, END)]
        bills = [(r.record.amount, r.replaced_at) for r in reader.records("bill")]
    found = [float(r["amount"]) for r in rows(handed, "quarters") if r["name"] == "feed"]
    assert found == expected
    joules = [float(r["joules"]) for r in rows(handed, "energy_hour") if r["stream"] == "0"]
    # (100 + hour % 7 + n / 3) / 3 for n of 0 to 3
    assert joules[0] == pytest.approx((4 * (100 + FIRST_HOUR % 7) + 2) / 3)
    days = [float(r["joules"]) for r in rows(handed, "energy_day") if r["stream"] == "0"]
    assert sum(days) == pytest.approx(sum(joules), rel=1e-12)
    said_bills = [
        (float(r["amount"]), float(r["replaced_at"]) if r["replaced_at"] else None)
        for r in rows(handed, "invoices")
    ]
    assert sorted(said_bills, key=repr) == sorted(bills, key=repr)
    assert (20.0, (FIRST_HOUR + 14) * HOUR + 10) in said_bills  # its history


@pytest.mark.parametrize("how", ["csv", "parquet"])
def test_the_same_ledger_gives_the_same_bytes(original, tmp_path, how):
    one = handed_over(original, tmp_path / "one", how=how)
    other = handed_over(original, tmp_path / "other", how=how)
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes(), path.name
    assert said(checked(one)) == []


def test_parquet_has_units_and_the_same_rows(handed, original, tmp_path):
    directory = handed_over(original, tmp_path / "parquet", how="parquet")
    for table in TABLES:
        found = files.read(directory / f"{table.name}.parquet", table)
        assert found == files.read(handed / f"{table.name}.csv", table)
    schema = pq.read_schema(directory / "energy_hour.parquet")
    assert schema.field("joules").metadata[b"unit"] == b"J"
    assert schema.field("joules").type == "double"
    assert schema.metadata[b"description"] == HOURS.about.encode()


def test_part_of_a_period_is_whole_hours_and_days_of_it(original, tmp_path):
    begin = (FIRST_HOUR + 4) * HOUR
    directory = handed_over(original, tmp_path / "part", begin=begin, end=begin + 30 * HOUR)
    assert len(rows(directory, "energy_day")) == 3
    directory = handed_over(
        original, tmp_path / "less", begin=begin + 900.0, end=begin + 3 * HOUR + 900.0
    )
    assert {r["start"] for r in rows(directory, "energy_hour")} == {
        "2026-01-01T01:00Z", "2026-01-01T02:00Z",
    }  # fmt: skip
    assert len(rows(directory, "quarters")) == 2 * 12
    assert rows(directory, "energy_day") == []
    assert len(rows(directory, "intensities")) == 4  # whose intervals overlap it
    assert said(checked(directory)) == []


def test_hours_that_were_pruned_are_handed_over_from_the_chain(original, tmp_path):
    state_dir = shutil.copytree(original, tmp_path / "state")
    life = Life(state_dir)
    life.ledger.prune((FIRST_HOUR + 29) * HOUR, 0.5, 0.5)
    life.close()
    directory = handed_over(state_dir, tmp_path / "export")
    assert len(rows(directory, "energy_hour")) == 84
    assert said(checked(directory)) == []


def edited(handed, to, name, change):
    directory = handing.copied(handed, to / "edited")
    lines = (directory / name).read_text().splitlines()
    change(lines)
    (directory / name).write_text("".join(f"{line}\n" for line in lines))
    # as somebody would who knows what SHA-256 is
    for sums in ("manifest.json", "SHA256SUMS"):
        text = (directory / sums).read_text()
        before = hashlib.sha256((handed / name).read_bytes()).hexdigest()
        after = hashlib.sha256((directory / name).read_bytes()).hexdigest()
        (directory / sums).write_text(text.replace(before, after))
    return said(checked(directory))


def test_a_changed_row_is_named_though_the_sums_are_mended(handed, tmp_path):
    def change(lines):
        assert ",rapl,cpu,package-0,measured,1,140.66666666666669," in lines[7]
        lines[7] = lines[7].replace("140.66666666666669", "4.0")

    found = edited(handed, tmp_path, "energy_hour.csv", change)
    assert (
        "energy_hour.csv, record 5, hour 2025-12-31T22:00Z: row 7: joules is 4.0,"
        " sealed as 140.66666666666669"
    ) in found
    assert any("manifest.json.sig" in line for line in found)


def test_rows_missing_inserted_twice_and_swapped_are_named(handed, tmp_path):
    def swap(lines):
        lines[3], lines[4] = lines[4], lines[3]

    cases = {
        "missing": lambda lines: lines.pop(3),
        "inserted": lambda lines: lines.insert(3, lines[3].replace("rapl", "other")),
        "twice": lambda lines: lines.insert(3, lines[3]),
        "swapped": swap,
    }
    expected = {
        "missing": "a row is missing: start 2025-12-31T20:00Z, hour 490892, stream 2 (record 18)",
        "inserted": "energy_hour.csv: row 3 is in no record of the chain",
        "twice": "energy_hour.csv: 1 rows are there twice",
        "swapped": "energy_hour.csv: its rows stand in another order",
    }
    for kind, change in cases.items():
        found = edited(handed, tmp_path / kind, "energy_hour.csv", change)
        assert any(expected[kind] in line for line in found), (kind, found)


def test_records_of_its_chain_missing_inserted_and_swapped_are_named(handed, tmp_path):
    def swap(lines):
        lines[5], lines[6] = lines[6], lines[5]

    cases = {
        "record 5: record 5 is missing": lambda lines: lines.pop(5),
        "is there twice": lambda lines: lines.insert(5, lines[5]),
        "stands where record": swap,
        "names another newest record than the chain has": lambda lines: lines.pop(),
    }
    for n, (expected, change) in enumerate(cases.items()):
        found = edited(handed, tmp_path / str(n), "chain.csv", change)
        assert any(expected in line for line in found), (expected, found)


@pytest.mark.parametrize("name", ["energy_hour.csv", "chain.csv", "manifest.json.sig", "host.pub"])
def test_a_missing_file_is_named(handed, tmp_path, name):
    directory = handing.copied(handed, tmp_path / "export")
    (directory / name).unlink()
    assert any(name in line for line in said(checked(directory)))


def test_a_file_that_was_put_beside_is_named(handed, tmp_path):
    directory = handing.copied(handed, tmp_path / "export")
    (directory / "more.csv").write_text("a\n")
    assert said(checked(directory)) == [
        "more.csv: is not in SHA256SUMS: it was inserted, or the sum was changed"
    ]


def test_an_unsigned_export_says_so(tmp_path):
    state_dir = lived(tmp_path / "state", 3, signed=False)
    directory = handed_over(state_dir, tmp_path / "export", key=None)
    verdict = checked(directory)
    assert said(verdict) == []
    assert any("is not signed" in remark for remark in verdict.remarks)
    assert not (directory / "manifest.json.sig").exists()


def test_what_was_wrong_with_the_ledger_stays_said(original, tmp_path):
    directory = handed_over(original, tmp_path / "export", findings=["record 7: was changed"])
    assert said(checked(directory)) == [
        "manifest.json: when it was exported, this was wrong with the ledger: record 7: was changed"
    ]


def test_sha256sum_and_openssl_agree(handed):
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=handed, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = "openssl pkeyutl -verify -rawin -in manifest.json -sigfile manifest.json.sig"
    done = subprocess.run(
        [*command.split(), "-pubin", "-inkey", "host.pub"], cwd=handed, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert "Verified Successfully" in done.stdout, done.stderr


def test_without_pyarrow_one_sentence_says_what_to_do(original, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(files.NoParquet, match=r"install wattlas\[parquet\], or take --format csv"):
        handed_over(original, tmp_path / "export", how="parquet")
    assert list(tmp_path.iterdir()) == []  # nothing half-made is left
