"""CSV text to rows in base units: hand-worked figures, clock changes, and each kind of bad row."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.samples import MeterRecord
from agent.site.amounts import Unreadable, number_of
from agent.site.moments import moment_of
from agent.site.records import resolve
from agent.site.table import parse_table
from agent.site.words import Quantity

BERLIN = ZoneInfo("Europe/Berlin")
UTC_ZONE = ZoneInfo("UTC")
HEAD = "start,end,value,unit\n"
HOUR = 3600.0
KWH = 3.6e6


def table(text, zone=UTC_ZONE, quantity=Quantity.ENERGY, kwh_per_unit=None):
    return parse_table(text, zone, quantity, kwh_per_unit)


def good(text, **more):
    found = table(text, **more)
    assert found.errors == ()
    return found.records


def bad(line, head=HEAD, **more):
    """Return the one error of a file with one row, which is left out."""
    found = table(head + line + "\n", **more)
    assert found.records == ()
    (error,) = found.errors
    assert error.remedy
    return error


def unix(*parts):
    return datetime(*parts, tzinfo=UTC).timestamp()


# -- what counts -----------------------------------------------------------------------------------


def test_a_plain_file():
    assert good(HEAD + "2026-01-01,2026-02-01,184320,kWh\n2026-02-01,2026-03-01,1.5,MWh\n") == (
        MeterRecord(unix(2026, 1, 1), unix(2026, 2, 1), 184_320 * KWH, 2),
        MeterRecord(unix(2026, 2, 1), unix(2026, 3, 1), 1500 * KWH, 3),
    )


def test_columns_in_any_order_and_others_passed_over():
    assert good("note, UNIT ,value,End,start\nx,kWh,5,2026-02-01,2026-01-01\n") == (
        MeterRecord(unix(2026, 1, 1), unix(2026, 2, 1), 5 * KWH, 2),
    )


def test_comments_blank_lines_and_texts_in_quotation_marks_keep_the_numbers_of_lines():
    head = '# "a\n\n start,end,value,unit,note\n\n  # b\n,,,,\n'
    text = head + '2026-01-01,2026-01-02,"5",kWh,"a, ""b"""'
    assert [r.row for r in good(text)] == [7]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_line_ends_separators_and_a_byte_order_mark(end, separator):
    lines = ["\ufeffstart,end,value,unit", "2026-01-01,2026-01-02,5,kWh", ""]
    text = end.join(lines).replace(",", separator)
    assert [(r.amount, r.row) for r in good(text)] == [(5 * KWH, 2)]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_line_by_which_spreadsheets_tell_the_separator(separator):
    text = f"sep={separator}\nstart,end,value,unit\n2026-01-01,2026-01-02,5,kWh\n"
    head, rest = text.split("\n", 1)
    assert len(good(f"{head}\n{rest.replace(',', separator)}")) == 1


def test_units_and_water():
    text = HEAD + "2026-01-01,2026-01-02,2,GJ\n2026-01-02,2026-01-03,3,MWh_th\n"
    assert [r.amount for r in good(text)] == [2e9, 3 * 3.6e9]
    text = HEAD + "2026-01-01,2026-01-02,2,m3\n2026-01-02,2026-01-03,7,l\n"
    assert [r.amount for r in good(text, quantity=Quantity.WATER)] == [2000.0, 7.0]


def test_fuel_by_its_calorific_value_and_rows_that_are_energy_already():
    text = HEAD + "2026-01-01,2026-01-02,100,l\n2026-01-02,2026-01-03,50,kWh\n"
    # 100 l of diesel x 9.96 kWh/l
    amounts = [r.amount for r in good(text, kwh_per_unit=9.96)]
    assert amounts == [pytest.approx(996 * KWH), pytest.approx(50 * KWH)]


def test_fuel_in_two_units_is_not_added_up():
    text = HEAD + "2026-01-01,2026-01-02,1,m3\n2026-01-02,2026-01-03,900,l\n"
    found = table(text, kwh_per_unit=10.0)
    assert [r.row for r in found.records] == [2]
    assert "it is in l, but line 2 in m3" in found.errors[0].why


def test_a_row_with_zero_counts():
    assert [r.amount for r in good(HEAD + "2026-01-01,2026-01-02,0,kWh\n")] == [0.0]


def test_only_a_header_is_no_row_and_no_error():
    assert table(HEAD) == ((), (), ())


# -- late and corrected rows -----------------------------------------------------------------------


def test_a_corrected_row_replaces_and_a_late_one_fills_in():
    text = HEAD + (
        "2026-01-01,2026-02-01,100,kWh\n"
        "2026-03-01,2026-04-01,300,kWh\n"
        "2026-02-01,2026-03-01,200,kWh\n"
        "2026-01-01,2026-02-01,110,kWh\n"
    )
    found = resolve(good(text))
    assert [(r.row, r.amount / KWH) for r in found.records] == [(5, 110), (4, 200), (3, 300)]
    assert [(r.record.row, r.by.row) for r in found.replaced] == [(2, 5)]


# -- dates and clock changes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2026-03-01", "2026-04-01", 743), ("2026-10-01", "2026-11-01", 745),
        ("2026-01-01", "2026-02-01", 744), ("2026-01-01", "2027-01-01", 8760),
        ("2026-03-29", "2026-03-30", 23), ("2026-10-25", "2026-10-26", 25),
        ("2026-03-29T01:00", "2026-03-29T03:00", 1),
        ("2026-10-25T02:00", "2026-10-25T03:00", 2),  # the first 2:00 to 3:00
        ("2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", 1),
        ("2026-10-25T02:00+01:00", "2026-10-25 03:00", 1),
        ("2026-01-01T00:00Z", "2026-01-01T01:00", 0.0),
        ("2026-01-31T23:45", "2026-01-31T24:00", 0.25),
        ("2026-01-31T23:45:00", "2026-01-31 24:00:00.000+01:00", 0.25),
        ("2026-12-31", "2026-12-31T2400", 24),
    ],
)  # fmt: skip
def test_hours_in_berlin(start, end, hours):
    found = table(f"{HEAD}{start},{end},1,kWh\n", zone=BERLIN)
    if not hours:
        assert "end is not after its start" in found.errors[0].why
        return
    (record,) = found.records
    assert (record.end - record.start) / HOUR == hours


def test_where_a_day_begins():
    assert moment_of("2026-03-01", BERLIN).at == unix(2026, 2, 28, 23)
    assert moment_of("2026-08-01", BERLIN).at == unix(2026, 7, 31, 22)
    # Cairo puts its clocks forward at midnight of the last Friday of April: the day begins at 1:00
    cairo = moment_of("2024-04-26", ZoneInfo("Africa/Cairo"))
    assert cairo.at == unix(2024, 4, 25, 22)
    assert moment_of("2024-04-26T01:00", ZoneInfo("Africa/Cairo")).at == cairo.at


def test_a_time_that_comes_twice_is_the_first_and_is_said():
    found = table(
        HEAD + "2026-10-25T02:00,2026-10-25T03:00,1,kWh\n2026-10-25T03:00,2026-10-25T04:00,1,kWh\n",
        zone=BERLIN,
    )
    assert found.records[0].start == unix(2026, 10, 25, 0)
    (remark,) = found.remarks
    assert (remark.row, "comes twice" in remark.why) == (2, True)
    assert table(HEAD + "2026-10-25T02:00+01:00,2026-10-26,1,kWh\n", zone=BERLIN).remarks == ()


def test_a_time_that_never_comes():
    error = bad("2026-03-29T02:30,2026-03-30,1,kWh", zone=BERLIN)
    assert "never is in Europe/Berlin" in error.why
    assert len(good(HEAD + "2026-03-29T02:30,2026-03-30,1,kWh\n")) == 1  # in UTC it comes


@given(st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1)))  # noqa: DTZ001 - local on purpose
def test_local_times_are_what_zoneinfo_says(local):
    expected = local.replace(tzinfo=BERLIN)
    if expected.astimezone(UTC).astimezone(BERLIN).replace(tzinfo=None) != local:
        with pytest.raises(ValueError, match="never is"):
            moment_of(local.isoformat(), BERLIN)
        return
    assert moment_of(local.isoformat(), BERLIN).at == expected.timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "01.02.2026", "1/2/2026", "2026-1-1", "2026-02-30", "2026-13-01", "2026/01/01", "Jan 2026",
        "2026-01", "1767225600", "20260101", "2026-01-01T25:00", "2026-01-31T24:01", "heute",
        "9999-12-31", "0026-01-01", "1926-01-01", "9999-12-31T23:59-14:00",
        "0001-01-01T00:00+14:00",
    ],
)  # fmt: skip
def test_dates_that_are_refused(text):
    error = bad(f"{text},2026-02-01,1,kWh")
    assert error.row == 2
    assert error.why.startswith("its start: ")
    assert bad(f"2026-02-01,{text},1,kWh").why.startswith("its end: ")


# -- end is not included ---------------------------------------------------------------------------

DOUBTS = "end is not included"


@pytest.mark.parametrize(
    ("rows", "missing"),
    [
        (["2026-01-01,2026-01-31"], "2026-01-31"),
        (["2026-01-01,2026-01-31", "2026-02-01,2026-02-28"], "2026-01-31"),
        (["2026-02-01,2026-02-28", "2026-01-01,2026-01-31"], "2026-01-31"),
        (["2026-01-01,2026-01-31", "2026-03-01,2026-03-31"], "2026-01-31"),
        (["2026-01-05,2026-02-03", "2026-02-04,2026-03-05"], "2026-02-03"),
        (["2026-01-01,2026-12-31"], "2026-12-31"),
        (["2026-01-01,2026-01-31", "2026-01-01,2026-01-31"], "2026-01-31"),
    ],
)
def test_an_end_that_looks_like_the_last_day_is_followed_but_said(rows, missing):
    found = table(HEAD + "".join(f"{row},1,kWh\n" for row in rows))
    assert found.errors == ()
    assert len(found.records) == len(rows)
    (remark,) = found.remarks
    assert f"{DOUBTS}: {missing} is missing" in remark.why
    first = found.records[remark.row - 2]
    assert first.end == datetime.fromisoformat(f"{missing}T00:00Z").timestamp()


@pytest.mark.parametrize(
    "rows",
    [
        ["2026-01-01,2026-02-01", "2026-02-01,2026-03-01"],
        # 31 January is just not there: the other rows meet
        ["2026-01-01,2026-01-31", "2026-02-01,2026-03-01", "2026-03-01,2026-04-01"],
        ["2026-01-01,2026-01-02"],
        ["2026-01-01T00:00,2026-01-31T00:00"],
        [],
    ],
)
def test_others_are_not_doubted(rows):
    assert table(HEAD + "".join(f"{row},1,kWh\n" for row in rows)).remarks == ()


# -- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "separator", "number"),
    [
        ("1.234", ",", 1.234), ("184320", ",", 184320.0), ("+5", ",", 5.0), ("1e3", ",", 1000.0),
        (".5", ",", 0.5), ("5.", ",", 5.0), ("-0", ",", 0.0), ("1,5", ";", 1.5),
        ("1,234", ";", 1.234),
        ("1.5", ";", 1.5), ("0.234", ";", 0.234), ("1234.567", ";", 1234.567), ("1,50", ";", 1.5),
        ("0.234", "\t", 0.234), ("12.5", "\t", 12.5),
    ],
)  # fmt: skip
def test_numbers(text, separator, number):
    assert number_of(text, separator) == number


@pytest.mark.parametrize(
    ("text", "separator", "says", "remedy"),
    [
        ("1.234", ";", "1.234 may mean 1234 or 1,234", "write 1234, or 1.2340"),
        ("1.234", "\t", "1.234 may mean 1234 or 1,234", "write 1234, or 1.2340"),
        ("1.234,5", ";", "thousands set apart", "write 1234.5 if"),
        ("1.234.567", ";", "thousands set apart", "write 1234567 if"),
        ("12 345,678", ";", "thousands set apart", "write 12345.678 if"),
        ("1,234", ",", "thousands set apart", "write 1234 if"),
        ("1,234.5", ",", "thousands set apart", "write 1234.5 if"),
        ("1,234,567", ",", "thousands set apart", "write 1234567 if"),
        ("12 345", ",", "thousands set apart", "write 12345 if"),
        ("12\u202f345", ",", "thousands set apart", "write 12345 if"),
        ("12'345.50", ",", "thousands set apart", "write 12345.50 if"),
        ("1_000", ",", "thousands set apart", "write 1000 if"),
        ("1,5", ",", "decimal comma", "write a point"),
        ("1,5", "\t", "decimal comma", "write a point"),
        ("", ",", "is empty", "unknown"), ("-5", ",", "is negative", "correction"),
        ("-1,5", ";", "is negative", "correction"),
        ("nan", ",", "is no number", ""), ("inf", ",", "is no number", ""),
        ("1e999", ",", "beyond all measure", ""), ("5 kWh", ",", "is no number", "own column"),
        ("~500", ",", "is no number", ""), ("(5)", ",", "is no number", ""),
        ("٣", ",", "is no number", ""), ("0x10", ",", "is no number", ""),
        ("1,2,3", ";", "is no number", ""), ("n/a", ",", "is no number", ""),
    ],
)  # fmt: skip
def test_numbers_that_are_refused(text, separator, says, remedy):
    with pytest.raises(Unreadable) as caught:
        number_of(text, separator)
    assert says in caught.value.why
    assert remedy in caught.value.remedy


def test_no_remedy_is_itself_refused():
    for text, separator in [("1.234", ";"), ("1.234,5", ";"), ("12 345,678", ";"), ("1,234", ",")]:
        with pytest.raises(Unreadable) as caught:
            number_of(text, separator)
        assert number_of(caught.value.remedy.split()[1].rstrip(","), separator) > 0


# -- rows and files that are wrong -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("2026-02-01,2026-01-01,1,kWh", "its end is not after its start"),
        ("2026-01-01,2026-01-01,1,kWh", "its end is not after its start"),
        (",2026-01-01,1,kWh", "its start is empty"), ("2026-01-01,,1,kWh", "its end is empty"),
        ("2026-01-01,2026-02-01,,kWh", "its value is empty"),
        ("2026-01-01,2026-02-01,1,", "its unit is empty"),
        ("2026-01-01,2026-02-01,1", "too few columns"),
        ("2026-01-01,2026-02-01,184,320,kWh", "more columns than the first line"),
        ("2026-01-01,2026-02-01,1,kwh", "did you mean kWh?"),
        ("2026-01-01,2026-02-01,1,kW", "kW is a rate, not an amount"),
        ("2026-01-01,2026-02-01,1,m3/h", "m3/h is a rate, not an amount"),
        ("2026-01-01,2026-02-01,1,m3", "m3 is no unit of energy"),
        ("2026-01-01,2026-02-01,1,kg", "kg is no unit of energy"),
        ("2026-01-01,2026-02-01,1,EUR", "'EUR' is no unit that is known"),
        ('2026-01-01,2026-02-01,1,"kWh', "quotation mark without its partner"),
        ("2026-01-01;2026-02-01;1;kWh", "too few columns"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_used(line, says):
    error = bad(line)
    assert (error.row, says in error.why) == (2, True), error.why


def test_the_remedy_for_fuel_names_its_key():
    assert "kwh_per_unit" in bad("2026-01-01,2026-02-01,1,m3").remedy


def test_energy_in_a_file_of_water():
    for unit, says in [
        ("kWh", "this meter is one of water"),
        ("kg", "is no unit"),
        ("W", "a rate"),
    ]:
        assert says in bad(f"2026-01-01,2026-02-01,1,{unit}", quantity=Quantity.WATER).why


@pytest.mark.parametrize(
    ("text", "row", "says"),
    [
        ("", 1, "the file is empty"), ("\n# x\n\n", 1, "the file is empty"),
        ("sep=;\n", 1, "the file is empty"),
        ("2026-01-01,2026-02-01,1,kWh\n", 1, "has no column called start"),
        ("# x\nstart,end,value\n", 2, "has no column called unit"),
        ("start,end,value,unit,Value\n", 1, "has several columns called value"),
        ('start,end,value,"unit\n', 1, "quotation mark"),
        ("\x00\x01", 1, "has no column called start"),
    ],
)  # fmt: skip
def test_files_that_are_wrong(text, row, says):
    found = table(text + "2026-01-01,2026-02-01,1,kWh\n" if row == 2 else text)
    assert found.records == ()
    (error,) = found.errors
    assert (error.row, says in error.why, bool(error.remedy)) == (row, True, True), error.why


def test_good_rows_count_beside_bad_ones():
    found = table(HEAD + "x,y,z,w\n2026-01-01,2026-02-01,1,kWh\n2026-01-01,2026-02-01,-1,kWh\n")
    assert [r.row for r in found.records] == [3]
    assert [e.row for e in found.errors] == [2, 4]


# -- properties ------------------------------------------------------------------------------------

amounts = st.floats(0, 1e15, allow_subnormal=False)
months = st.integers(0, 11)


def date_of(month):
    return f"{2026 + month // 12}-{month % 12 + 1:02d}-01"


@given(st.lists(st.tuples(months, amounts), max_size=20), st.sampled_from([",", ";", "\t"]))
def test_what_is_written_is_read_back(rows, separator):
    lines = [f"{date_of(m)},{date_of(m + 1)},{v!r},J" for m, v in rows]
    text = "\n".join(["start,end,value,unit", *lines]).replace(",", separator)
    found = table(text, zone=BERLIN)
    ambiguous = [e for e in found.errors if "may mean" in e.why]
    assert len(ambiguous) == len(found.errors)
    assert separator != "," or not ambiguous
    values = {n: v for n, (_, v) in enumerate(rows, 2)}
    assert {r.row: r.amount for r in found.records} == {
        n: v for n, v in values.items() if n not in {e.row for e in ambiguous}
    }


@given(st.dictionaries(months, amounts), st.randoms())
def test_the_order_of_rows_does_not_matter_where_none_replaces_another(values, random):
    lines = [f"{date_of(m)},{date_of(m + 1)},{v!r},J" for m, v in values.items()]

    def counted(lines):
        records = resolve(good(HEAD + "\n".join(lines), zone=BERLIN)).records
        return [(r.start, r.end, r.amount) for r in records]

    expected = counted(lines)
    random.shuffle(lines)
    assert counted(lines) == expected
    assert len(expected) == len(values)


@given(st.lists(st.tuples(months, amounts), min_size=1, max_size=20))
def test_of_rows_of_one_month_the_last_counts(rows):
    lines = [f"{date_of(m)},{date_of(m + 1)},{v!r},J" for m, v in rows]
    records = resolve(good(HEAD + "\n".join(lines))).records
    last = dict(rows)
    assert [r.amount for r in records] == [last[m] for m in sorted(last)]


@given(st.text(max_size=200), st.sampled_from(["", HEAD, "start;end;value;unit\n"]))
def test_no_text_makes_it_fail(text, head):
    found = table(head + text, zone=BERLIN, kwh_per_unit=1.0)
    assert all(r.end > r.start and r.amount >= 0 for r in found.records)
