"""What is learnt of clients, and the page made before it is asked for."""

from exporters.habits import MAX_CLIENTS, Habits

A, B = ("10.0.0.1", "text", True), ("10.0.0.2", "text", True)


def test_a_regular_client_is_expected_in_its_second_and_in_no_other():
    habits = Habits()
    for t in (100.3, 115.3, 130.3):
        habits.saw(A, t)
    expected = [t for t in range(131, 165) if habits.expected(t, t + 1)]
    assert expected == [145]


def test_after_one_scrape_nothing_is_expected():
    habits = Habits()
    habits.saw(A, 100.0)
    assert not any(habits.expected(t, t + 1) for t in range(100, 1000))


def test_a_scrape_on_the_edge_of_a_tick_is_expected_on_both_sides():
    habits = Habits()
    habits.saw(A, 100.0)
    habits.saw(A, 115.0)
    assert habits.expected(129.0, 130.0) == [A]
    assert habits.expected(130.0, 131.0) == [A]
    assert habits.expected(131.0, 132.0) == []


def test_each_client_has_its_own_habit():
    habits = Habits()
    for t in (100, 115, 130):
        habits.saw(A, t)
        habits.saw(B, t + 4)
    assert habits.expected(144.5, 145.5) == [A]
    assert habits.expected(148.5, 149.5) == [B]


def test_many_requests_at_once_are_one_scrape():
    habits = Habits()
    for t in (100.0, 100.01, 100.02, 110.0, 110.05):
        habits.saw(A, t)
    assert habits.expected(119.5, 120.5) == [A]


def test_what_is_remembered_is_bounded():
    habits = Habits()
    for t in (0.0, 10.0):
        habits.saw(A, t)
    for n in range(MAX_CLIENTS):
        habits.saw((str(n), "", False), 11.0 + n)
    assert habits.expected(0.0, 1000.0) == []
