"""`[alerts]`: limits of all sites and of each; what is wrong is named with its key and line."""

import msgspec
import pytest

from agent.alerts import AllLimits, Limits, all_limits
from agent.settings import parse
from agent.settings_error import SettingsError


def parsed(text):
    return parse(text, None, {}).alerts


def refused(text):
    with pytest.raises(SettingsError) as caught:
        parsed(text)
    return str(caught.value)


def test_without_a_table_all_is_default():
    assert parsed("") == AllLimits(Limits(), {})


def test_a_site_has_what_it_does_not_set_from_all():
    limits = parsed(
        "[alerts]\n"
        "pue_target_ratio = 1.4\n"
        "energy_budget_kwh_per_month = 5e5\n"
        "[alerts.site.gz-1]\n"
        "pue_target_ratio = 1.3\n"
        '[alerts.site."us.east/2"]\n'
        'currency = "USD"\n'
    )
    assert limits.common == Limits(pue_target_ratio=1.4, energy_budget_kwh_per_month=5e5)
    assert limits.by_site == {
        "gz-1": Limits(pue_target_ratio=1.3, energy_budget_kwh_per_month=5e5),
        "us.east/2": Limits(pue_target_ratio=1.4, energy_budget_kwh_per_month=5e5, currency="USD"),
    }


def test_a_whole_number_is_a_number():
    assert parsed("[alerts]\nburn_1h_ratio = 10").common.burn_1h_ratio == 10.0


def test_defaults_are_in_order():
    """A shorter window asks for a higher pace, and a fast drop for a deeper one than a slow."""
    limits = Limits()
    paces = (limits.burn_1h_ratio, limits.burn_6h_ratio, limits.burn_1d_ratio, limits.burn_3d_ratio)
    assert list(paces) == sorted(paces, reverse=True)
    assert 0 < limits.efficiency_drop_ratio < limits.efficiency_slow_ratio < 1
    assert all_limits({}) == AllLimits(limits, {})


NUMBERS = [field.name for field in msgspec.structs.fields(Limits) if field.name != "currency"]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["0", "-1.5", "nan", "inf"])
def test_what_is_no_limit_names_its_key_and_line(name, value):
    said = refused(f"# limits\n[alerts]\n{name} = {value}\n")
    assert said.startswith(f"settings:3: alerts.{name}: ")
    assert "must be more than 0" in said


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("[alerts]\n\npue_targt = 1.3", "settings:3", "pue_targt"),
        ('[alerts]\npue_target_ratio = "1.3"', "settings:2", "alerts.pue_target_ratio"),
        ("[alerts.site.gz-1]\npue_target_ratio = 0.0", "settings:2", "alerts.site.gz-1"),
        ("[alerts.site.gz-1]\n\npue_targt = 1.3", "settings:3", "pue_targt"),
        ('[alerts.site."a\\"b"]\ncurrency = "EUR"', "settings:1", "letters, digits"),
        ('[alerts.site."a|b"]\ncurrency = "EUR"', "settings:1", "letters, digits"),
        ('[alerts]\ncurrency = "euro"', "settings:2", 'e.g. "EUR"'),
        ('[alerts.site.x]\n\ncurrency = "€"', "settings:3", 'e.g. "EUR"'),
        ("[alerts.site]\ngz-1 = 1.3", "settings:2", "alerts.site"),
    ],
)
def test_other_mistakes(text, where, what):
    said = refused(text)
    assert said.startswith(where), said
    assert what in said
