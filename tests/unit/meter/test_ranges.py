"""Ranges against a plain set of numbered cells."""

from hypothesis import given
from hypothesis import strategies as st

from agent.ranges import FOREVER, Union, intersect, subtract


def cells(ranges):
    return {cell for start, until in ranges for cell in range(start, until)}


def tidy(pairs):
    union = Union()
    for a, b in pairs:
        union.add(min(a, b), max(a, b))
    return union.ranges


pairs = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8)


@given(pairs, pairs)
def test_intersect_and_subtract(xs, ys):
    xs, ys = tidy(xs), tidy(ys)
    assert cells(intersect(xs, ys)) == cells(xs) & cells(ys)
    assert cells(subtract(xs, ys)) == cells(xs) - cells(ys)


@given(pairs)
def test_union(xs):
    union, seen = Union(), set()
    for a, b in xs:
        new = cells([(min(a, b), max(a, b))]) - seen
        assert union.add(min(a, b), max(a, b)) == len(new)
        seen |= new
    assert cells(union.ranges) == seen
    assert sum(b - a for a, b in union.ranges) == len(seen)


def test_neighbours_become_one():
    union = Union()
    for second in range(1000):
        union.add(second, second + 1)
    assert union.ranges == [(0, 1000)]


def test_forgetting_keeps_what_can_still_be_touched():
    union = Union([(0, 10), (20, 30), (40, 50)])
    union.forget(25)
    assert union.ranges == [(20, 30), (40, 50)]
    assert union.add(24, 32) == 2
    union.forget(FOREVER)
    assert union.ranges == []


def test_nothing_adds_nothing():
    assert Union([(0, 10)]).add(20, 20) == 0.0
    assert Union([(0, 10)]).add(20, 15) == 0.0
