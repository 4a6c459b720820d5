"""CSV files as meters: read when they change, told when they cannot be, and never half."""

import asyncio
import os
from pathlib import Path

import pytest
from unit.collectors.trees import FIXTURES, Clock, context, readable_by_all, without_rights

from agent.collector import Absent, Context, Transient
from agent.samples import MeterRecords
from agent.site.settings import CsvMeter, ModbusMeter, SiteSettings, VirtualMeter
from agent.site.words import Quantity, Role
from collectors.meter_csv import MeterCsv, MeterCsvSettings
from collectors.meter_files import MOST_BYTES, quantity_of, read_table

INVOICES = FIXTURES / "meters/invoices"
HEAD = "start,end,value,unit\n"
JANUARY = "2026-01-01,2026-02-01,100,kWh\n"
FEBRUARY = "2026-02-01,2026-03-01,200,kWh\n"
KWH = 3.6e6


def make(*meters, clock=None, **site):
    full = context(Path("/nowhere"), clock)
    settings = SiteSettings(meter=meters, **site)
    return MeterCsv(
        MeterCsvSettings(),
        Context(full.paths, full.clock, full.latest_utilization, site=settings),
    )


class Bill:
    """One file, whose time of change a test sets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changes = 0

    def write(self, text):
        self.path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.changes += 1
        os.utime(self.path, ns=(0, self.changes * 10**9))

    def meter(self, name="bill", **more):
        return CsvMeter(name=name, file=str(self.path), **more)


@pytest.fixture
def bill(tmp_path):
    return Bill(tmp_path / "bill.csv")


def amounts(samples):
    return [(s.meter, [round(r.amount / KWH, 6) for r in s.records]) for s in samples]


def problems(collector):
    return [(p.what, p.reason) for p in collector.problems()]


def test_an_invoice_with_a_correction_in_the_order_of_the_file():
    found = make(
        CsvMeter(name="feed-a", role=Role.TOTAL, file=str(INVOICES / "feed-a.csv")),
        clock=(clock := Clock()), time_zone="Europe/Berlin",
    )  # fmt: skip
    (sample,) = found.read()
    assert isinstance(sample, MeterRecords)
    assert (sample.collector, sample.meter, sample.at) == ("meter_csv", "feed-a", clock.now)
    assert amounts([sample]) == [("feed-a", [184_320, 171_904, 180_500, 171_200])]
    assert [r.row for r in sample.records] == [3, 4, 5, 7]
    march = sample.records[2]
    assert (march.end - march.start) / 3600 == 743
    assert found.problems() == []


def test_a_file_that_a_spreadsheet_wrote_in_german():
    meter = CsvMeter(name="w", role=Role.WATER_IN, file=str(INVOICES / "water-excel.csv"))
    (sample,) = make(meter).read()
    assert [r.amount for r in sample.records] == [1_842_500.0, 1_701_250.0]  # litres


def test_a_file_is_given_once_and_again_when_it_changes(bill):
    bill.write(HEAD + JANUARY)
    collector = make(bill.meter())
    assert amounts(collector.read()) == [("bill", [100])]
    assert collector.read() == []
    bill.write(HEAD + JANUARY + FEBRUARY)
    assert amounts(collector.read()) == [("bill", [100, 200])]
    assert collector.read() == []


def test_a_file_that_was_replaced_with_the_same_size_and_time_is_seen(bill):
    bill.write(HEAD + JANUARY)
    collector = make(bill.meter())
    collector.read()
    other = Bill(bill.path.with_suffix(".new"))
    other.write((HEAD + JANUARY).replace("100", "101"))
    other.path.rename(bill.path)
    assert amounts(collector.read()) == [("bill", [101])]


def test_bad_rows_are_named_and_good_ones_count_and_it_is_said_as_long_as_it_is_so(bill):
    bill.write(HEAD + "x,y,z,w\n" + JANUARY + "2026-01-15,2026-02-15,5,kWh\n")
    collector = make(bill.meter())
    assert amounts(collector.read()) == [("bill", [100, 5])]  # which of them count, the core says
    for _ in range(2):
        (problem,) = collector.problems()
        assert (problem.what, problem.reason) == ("bill", "garbage")
        assert problem.why.startswith(
            f"{bill.path}: 2 lines are left out: line 2: its start: 'x' is no date;"
            " line 4: it overlaps line 3 in part"
        )
        assert problem.remedy.startswith("line 2: write 2026-01-31")
        assert collector.read() == []
    bill.write(HEAD + JANUARY)
    collector.read()
    assert collector.problems() == []


def test_the_first_bad_rows_are_named_and_the_others_counted(bill):
    bill.write(HEAD + "x,y,z,w\n" * 20)
    collector = make(bill.meter())
    assert amounts(collector.read()) == [("bill", [])]
    (problem,) = collector.problems()
    assert "20 lines are left out: line 2: " in problem.why
    assert "; line 6: " in problem.why
    assert "line 7: " not in problem.why
    assert problem.why.endswith("; and 15 more, up to line 21")


def test_what_is_doubtful_is_said_too(bill):
    bill.write(HEAD + "2026-01-01,2026-01-31,5,kWh\n")
    collector = make(bill.meter())
    assert amounts(collector.read()) == [("bill", [5])]
    (problem,) = collector.problems()
    assert (problem.reason, "end is not included" in problem.why) == ("doubtful", True)


def test_a_line_that_is_being_written_is_waited_for(bill):
    bill.write(HEAD + JANUARY)
    collector = make(bill.meter())
    collector.read()
    bill.write(HEAD + JANUARY + FEBRUARY[:15])
    with pytest.raises(Transient, match="its last line is not whole") as caught:
        collector.read()
    assert caught.value.reason == "half"
    bill.write(HEAD + JANUARY + FEBRUARY)
    assert amounts(collector.read()) == [("bill", [100, 200])]
    assert collector.problems() == []


def test_a_half_line_that_stays_is_a_bad_row_like_others(bill):
    bill.write(HEAD + JANUARY + FEBRUARY[:15])
    collector = make(bill.meter())
    with pytest.raises(Transient, match="not whole"):
        collector.read()
    assert amounts(collector.read()) == [("bill", [100])]
    assert problems(collector) == [("bill", "garbage")]


def test_a_last_line_without_an_end_that_is_whole_counts(bill):
    bill.write(HEAD + JANUARY + FEBRUARY.rstrip())
    assert amounts(make(bill.meter()).read()) == [("bill", [100, 200])]


def test_a_file_that_goes_and_comes_back(bill):
    bill.write(HEAD + JANUARY)
    collector = make(bill.meter())
    collector.read()
    away = bill.path.rename(bill.path.with_suffix(".away"))
    with pytest.raises(Transient, match="there is no such file"):
        collector.read()
    assert problems(collector) == [("bill", "io")]
    away.rename(bill.path)
    assert collector.read() == []
    assert collector.problems() == []


def test_one_file_that_fails_harms_no_other(bill, tmp_path):
    bill.write(HEAD + JANUARY)
    collector = make(bill.meter(), CsvMeter(name="gone", file=str(tmp_path / "gone.csv")))
    assert amounts(collector.read()) == [("bill", [100])]
    assert problems(collector) == [("gone", "io")]
    assert collector.read() == []


@pytest.mark.parametrize(
    ("content", "reason", "says"),
    [
        (b"start,end,value,unit,note\n2026-01-01,2026-02-01,1,kWh,Z\xe4hler\n", "garbage",
         "line 2: it is no UTF-8 text"),
        (b"#" * (MOST_BYTES + 1), "garbage", "has more than 16 MiB"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used(bill, content, reason, says):
    bill.write(content)
    with pytest.raises(Transient) as caught:
        make(bill.meter()).read()
    assert (caught.value.reason, says in caught.value.why) == (reason, True)
    assert caught.value.why.startswith(str(bill.path))


def test_utf_16_as_spreadsheets_write_it(bill):
    bill.write((HEAD + JANUARY).replace(",", "\t").encode("utf-16"))
    assert amounts(make(bill.meter()).read()) == [("bill", [100])]


def test_what_is_no_file(bill):
    bill.path.mkdir()
    with pytest.raises(Transient, match="is no file"):
        make(bill.meter()).read()
    bill.path.rmdir()
    os.mkfifo(bill.path)
    with pytest.raises(Transient, match="is no file"):
        make(bill.meter()).read()
    with pytest.raises(Transient, match="cannot be read"):
        make(CsvMeter(name="x", file="a\0b")).read()


def test_a_file_that_may_not_be_read():
    with readable_by_all() as root:
        bill = Bill(root / "bill.csv")
        bill.write(HEAD + JANUARY)
        bill.path.chmod(0)

        def attempt():
            try:
                make(bill.meter()).read()
            except Transient as error:
                return error.reason, error.why, error.remedy
            return None

        reason, why, remedy = without_rights(attempt)
    assert (reason, why) == ("permission", f"{bill.path} cannot be read (Permission denied)")
    assert "readable" in remedy


def test_a_zone_that_is_none(bill):
    bill.write(HEAD + JANUARY)
    for zone in ("Mars/Olympus", "../etc", ""):
        with pytest.raises(Transient, match="is no time zone") as caught:
            make(bill.meter(), time_zone=zone).read()
        assert caught.value.reason == "settings"


def test_it_reads_in_a_thread_and_is_absent_without_files(bill):
    bill.write(HEAD + JANUARY)

    async def collected():
        collector = make(bill.meter())
        found = await collector.collect()
        collector.close()
        return found

    assert amounts(asyncio.run(collected())) == [("bill", [100])]
    with pytest.raises(Absent, match='source = "csv"'):
        make(ModbusMeter(name="m")).read()


def test_reports_read_a_table_without_an_agent(bill):
    bill.write(HEAD + JANUARY + "x,y,z,w\n")
    meter = bill.meter(role=Role.TOTAL)
    found = read_table(meter, SiteSettings(meter=(meter,)))
    assert [r.amount for r in found.records] == [100 * KWH]
    assert [e.row for e in found.errors] == [3]
    bill.path.unlink()
    with pytest.raises(Transient, match="there is no such file"):
        read_table(meter, SiteSettings(meter=(meter,)))


def test_what_a_meter_measures_is_said_by_its_role_or_by_the_sum_it_is_part_of():
    part, other = CsvMeter(name="a", file="a"), CsvMeter(name="b", file="b")
    inner = VirtualMeter(name="inner", add=("a",), subtract=("b",))
    outer = VirtualMeter(name="outer", add=("inner",), role=Role.WATER_IN)
    site = SiteSettings(meter=(part, other, inner, outer))
    assert quantity_of(part, site) is quantity_of(other, site) is Quantity.WATER
    assert quantity_of(part, SiteSettings(meter=(part, inner))) is Quantity.ENERGY
    loop = VirtualMeter(name="inner", add=("inner", "a"))
    assert quantity_of(part, SiteSettings(meter=(part, loop))) is Quantity.ENERGY
    water = CsvMeter(name="w", file="w", role=Role.WATER_OUT)
    assert quantity_of(water, SiteSettings(meter=(water,))) is Quantity.WATER
