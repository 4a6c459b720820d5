"""Sums over the time that several meters have in common."""

import pytest

from agent.site.cells import Cell, Term, common, covered

HOUR = 3600.0


def hours(amount, *known, seconds=HOUR):
    return Term([Cell(h * HOUR, (h + 1) * HOUR, amount, seconds) for h in known])


def test_only_the_time_that_all_know():
    found = common([[hours(2.0, 0, 1, 2, 3)], [hours(1.0, 0, 2, 3), hours(5.0, 0, 1, 2)]], 0, 9e9)
    assert found.sums == (4.0, 12.0)
    assert found.seconds == 2 * HOUR


def test_factors():
    minus = hours(1.0, 0)._replace(factor=-0.5)
    assert common([[hours(2.0, 0), minus]], 0, 9e9).sums == (1.5,)


def test_a_meter_without_cells_leaves_nothing():
    assert common([[hours(2.0, 0)], [Term(())]], 0, 9e9) == ((0.0, 0.0), 0.0)


def test_no_meters_at_all():
    assert common([], 0, 10) == ((), 0.0)
    assert common([[], []], 0, 10) == ((0, 0), 0.0)


def test_a_cell_that_is_known_in_part_is_not_known():
    found = common([[hours(2.0, 0, 1)], [hours(1.0, 0, seconds=HOUR / 2), hours(1.0, 1)]], 0, 9e9)
    assert found.seconds == 0.0
    half = [Cell(0.0, HOUR, 0.5, HOUR / 2), Cell(HOUR, 2 * HOUR, 1.0, HOUR)]
    assert common([[hours(2.0, 0, 1)], [Term(half)]], 0, 9e9) == ((2.0, 1.0), HOUR)


def test_a_missed_poll_in_a_month_is_no_hole():
    month = [Cell(0.0, 30 * 24 * HOUR, 7.0, 30 * 24 * HOUR - 60)]
    assert common([[Term(month)]], 0, 9e9).seconds == 30 * 24 * HOUR


def test_a_long_cell_is_compared_over_all_of_it():
    day = Term([Cell(0.0, 24 * HOUR, 240.0, 24 * HOUR)])
    assert common([[day], [hours(10.0, *range(24))]], 0, 9e9) == (
        (240.0, 240.0),
        24 * HOUR,
    )
    assert common([[day], [hours(10.0, *range(23))]], 0, 9e9).seconds == 0.0


def test_cells_that_overlap_in_a_chain_are_one_stretch():
    first = Term([Cell(0.0, 10.0, 1.0, 10.0), Cell(10.0, 20.0, 1.0, 10.0)])
    later = Term([Cell(0.0, 5.0, 1.0, 5.0), Cell(5.0, 15.0, 1.0, 10.0), Cell(15.0, 20.0, 1.0, 5.0)])
    assert common([[first], [later]], 0, 20) == ((2.0, 3.0), 20.0)


def test_the_period_cuts_no_cell():
    assert common([[hours(2.0, 0, 1, 2)]], 0, 2.5 * HOUR) == ((4.0,), 2 * HOUR)
    assert common([[hours(2.0, 0, 1, 2)]], 0.5 * HOUR, 9e9).seconds == 2 * HOUR


@pytest.mark.timeout(10)
def test_a_cell_without_time_is_passed_over():
    row = [Cell(0.0, 0.0, 3.0, 0.0), Cell(0.0, HOUR, 2.0, HOUR)]
    assert common([[Term(row)]], 0, 9e9) == ((2.0,), HOUR)


def test_what_one_meter_knows():
    row = hours(2.0, 0, 1, 5).cells
    assert covered(row, 0, 6 * HOUR) == (6.0, 3 * HOUR)
    assert covered(row, HOUR, 5 * HOUR) == (2.0, HOUR)
