"""Which rows count: hand-worked corrections, and a slow and plain oracle."""

from hypothesis import given
from hypothesis import strategies as st

from agent.samples import MeterRecord
from agent.site.cells import Cell
from agent.site.records import Refused, Replaced, cells_of, resolve


def row(number, start, end, amount=1.0):
    return MeterRecord(float(start), float(end), amount, number)


JANUARY, FEBRUARY, MARCH = row(2, 0, 31), row(3, 31, 59), row(4, 59, 90)


def test_rows_side_by_side_all_count_in_the_order_of_time():
    assert resolve([MARCH, JANUARY, FEBRUARY]) == ([JANUARY, FEBRUARY, MARCH], [], [])


def test_a_later_row_of_the_same_time_replaces_and_the_history_says_so():
    first, second = row(5, 31, 59, 2.0), row(6, 31, 59, 3.0)
    found = resolve([JANUARY, FEBRUARY, first, second])
    assert found.records == [JANUARY, second]
    assert found.replaced == [Replaced(FEBRUARY, first), Replaced(first, second)]


def test_the_row_that_is_later_in_the_file_counts_however_they_are_given():
    assert resolve([row(9, 0, 31, 9.0), row(2, 0, 31, 2.0)]).records == [row(9, 0, 31, 9.0)]


def test_a_quarter_replaces_its_months():
    quarter = row(7, 0, 90, 5.0)
    found = resolve([JANUARY, FEBRUARY, MARCH, quarter])
    assert found.records == [quarter]
    assert [r.record for r in found.replaced] == [JANUARY, FEBRUARY, MARCH]


def test_a_month_cannot_correct_a_quarter_and_a_shifted_row_none():
    quarter, inside, shifted = row(2, 0, 90), row(3, 0, 31), row(4, 80, 100)
    found = resolve([quarter, inside, shifted])
    assert found.records == [quarter]
    assert found.refused == [Refused(inside, quarter), Refused(shifted, quarter)]


def test_one_that_encloses_one_row_and_cuts_another_is_refused_whole():
    cutting = row(5, 0, 40)
    found = resolve([JANUARY, FEBRUARY, cutting])
    assert found.records == [JANUARY, FEBRUARY]
    assert found.refused == [Refused(cutting, FEBRUARY)]


def test_a_row_that_came_late_fills_its_gap():
    assert resolve([JANUARY, MARCH, row(8, 31, 59)]).records == [JANUARY, row(8, 31, 59), MARCH]


def test_cells_know_all_of_their_time():
    assert cells_of([row(2, 0, 31, 7.0)]) == [Cell(0.0, 31.0, 7.0, 31.0)]


def plainly(rows):
    """Return the same by comparing each row with each other."""
    counting, replaced, refused = [], [], []
    for new in sorted(rows, key=lambda r: r.row):
        touched = [old for old in counting if old.start < new.end and new.start < old.end]
        partly = [old for old in touched if old.start < new.start or old.end > new.end]
        if partly:
            refused.append(Refused(new, min(partly, key=lambda old: old.start)))
            continue
        replaced += [Replaced(old, new) for old in sorted(touched, key=lambda old: old.start)]
        counting = [old for old in counting if old not in touched] + [new]
    return sorted(counting, key=lambda r: r.start), replaced, refused


stretches = st.tuples(st.integers(0, 20), st.integers(1, 6))


@given(st.lists(stretches, max_size=30))
def test_it_does_what_a_plain_search_does(stretches):
    rows = [row(n, start, start + length) for n, (start, length) in enumerate(stretches)]
    found = resolve(rows)
    assert tuple(found) == plainly(rows)
    assert len(found.records) + len(found.replaced) + len(found.refused) == len(rows)
    ends = [r.end for r in found.records]
    assert all(end <= r.start for end, r in zip(ends, found.records[1:], strict=False))


def test_a_year_of_quarters_of_an_hour_twice_over():
    """Comparing each with each would take minutes, and the test would time out."""
    year = 35_040
    rows = [row(n, n % year, n % year + 1) for n in range(2 * year)]
    found = resolve(rows)
    assert len(found.records) == len(found.replaced) == year
    assert found.records[0].row == year
