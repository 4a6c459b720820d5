from pathlib import Path

from agent.kpi.definitions import ALL, DEFINITIONS

PAGE = (Path(__file__).parents[3] / "docs/kpi.md").read_text()


def test_each_key_is_there_once():
    assert len(DEFINITIONS) == len(ALL)


def test_the_eus_water_has_two_versions_and_the_new_one_is_not_in_force():
    assert DEFINITIONS["wue-eu-2024"].status == "in force"
    assert DEFINITIONS["wue-eu-2026"].status == "adopted, not in force"
    assert "(adopted, not in force)" in DEFINITIONS["wue-eu-2026"].text


def test_older_editions_can_be_told_apart():
    assert DEFINITIONS["pue-2016"].status == "withdrawn"
    assert DEFINITIONS["pue-2026"].standard != DEFINITIONS["pue-2016"].standard


def test_nothing_claims_to_have_read_what_is_sold():
    """Only scopes (public) of ISO/IEC parts were read: no formula of them is marked S."""
    assert {d.key for d in ALL if d.evidence == "S"} == {"cue-2022", "cer-2023"}


def test_the_page_names_every_indicator():
    for name in {definition.kpi for definition in ALL}:
        assert name in PAGE, name
