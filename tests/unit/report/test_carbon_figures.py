"""Carbon reports of ledgers worked out by hand."""

import math
import random

import msgspec
import pytest
from unit.report.made_carbon import (
    DAY,
    ENERGY,
    HOUR,
    JANUARY,
    KWH,
    intensity,
    ledger,
    lines,
    quarters,
    report,
)

from agent.carbon.words import Factor, Stage
from agent.lifecycle.inventory import YEAR_SECONDS, Inventory, Part
from agent.lifecycle.span import Span
from agent.quarters import Series
from agent.report.failure import ReportError

NO_PARTS = "[lifecycle]\ndetect = false\n"
BOOKED = Series("emission", "2 location operation", "g")


def test_nothing_is_set_and_the_world_stands_in(tmp_path):
    found = report(ledger(tmp_path, quarters(ENERGY, [KWH / 4] * 96)), NO_PARTS)
    (row,) = found["intensity"]["by_provider"]
    assert (row["provider"], row["standing"], row["share"]) == ("static", "average", 1.0)
    assert "the average of the world stands in" in row["sources"][0]
    assert lines(found)["2", "location", "operation"] == pytest.approx(24 * row["grams_per_kwh"])
    assert 400 < row["grams_per_kwh"] < 550
    assert found["energy_kwh"] == pytest.approx(24)
    assert found["coverage"] == 1.0
    source = found["sources"][0]
    assert (source["family"], source["year"]) == ("life-cycle", "2024")
    assert any("host.grid_zone is not set" in each for each in found["uncertainty"])


def test_a_host_in_guangdong_by_the_official_factor(tmp_path):
    text = '[host]\ngrid_zone = "CN-GD"\n[carbon]\nlosses_percent = 4.0\n' + NO_PARTS
    found = report(ledger(tmp_path, quarters(ENERGY, [KWH / 4] * 96)), text)
    account = lines(found)
    location = account["2", "location", "operation"]
    assert location == pytest.approx(24 * 441.9)  # MEE notice 2025 no. 47: 0.4419 kg/kWh
    national = account["2", "market", "operation"] / 24
    assert national > 530.6  # what is left without the non-fossil energy that was traded
    assert found["intensity"]["family"] == "direct"
    losses = found["grid_losses"]
    with_upstream = location + (losses["upstream"] or 0.0)
    assert losses["transmission"] == pytest.approx(0.04 * with_upstream)
    total = math.fsum([losses["upstream"] or 0.0, losses["transmission"]])
    assert account["3", "-", "operation"] == pytest.approx(total)
    sources = [each for each in found["sources"] if each["what"] == "Scope 2 by location"]
    assert [(each["year"], each["family"]) for each in sources] == [("2023", "direct")]


def test_tibet_and_hong_kong_get_the_documented_answer(tmp_path):
    where = ledger(tmp_path, quarters(ENERGY, [KWH / 4] * 96))
    found = report(where, '[host]\ngrid_zone = "CN-XZ"\n' + NO_PARTS)
    assert "no official factor for Tibet" in found["sources"][0]["source"]
    found = report(where, '[host]\ngrid_zone = "HK"\n[carbon]\nfactor = "direct"\n' + NO_PARTS)
    assert lines(found)["2", "location", "operation"] is None
    assert found["intensity"]["location_grams_per_kwh"] is None
    assert any("do not cover Hong Kong" in each for each in found["missing"])
    (told,) = [each for each in found["missing"] if each.startswith("24.0 kWh have no direct")]
    assert "life-cycle factors it would be" in told


def test_energy_times_the_intensity_of_its_own_time(tmp_path):
    numbers = random.Random(5)
    amounts = [numbers.uniform(0, 2 * KWH) for _ in range(96)]
    values = [intensity(JANUARY + h * HOUR, numbers.uniform(0, 900)) for h in range(24)]
    text = '[host]\ngrid_zone = "DE"\n[carbon]\nproviders = ["electricitymaps"]\n' + NO_PARTS
    found = report(ledger(tmp_path, quarters(ENERGY, amounts), values), text)
    truth = math.fsum(
        joules / KWH * values[n // 4].grams_per_kwh for n, joules in enumerate(amounts)
    )
    grams = lines(found)["2", "location", "operation"]
    assert grams == pytest.approx(truth, rel=1e-12)
    rows = found["intensity"]["by_provider"]
    assert math.fsum(row["grams"] for row in rows) == pytest.approx(grams, rel=1e-12)
    hours = found["intensity"]["by_hour_of_day"]
    assert [each["mean"] for each in hours] == pytest.approx([v.grams_per_kwh for v in values])


def test_an_outage_of_three_days_is_restated_and_the_difference_is_shown(tmp_path):
    """Booked: the last value held 6 h, then the yearly one. Known now: 100 g/kWh at night."""
    days, static = 4, 344.14
    amounts = [KWH / 4] * 96 * days
    live = [100.0] * 96 + [100.0] * 24 + [static] * (96 * 3 - 24)
    booked = [amount / KWH * grams for amount, grams in zip(amounts, live, strict=True)]
    values = [
        intensity(JANUARY + h * HOUR, 100.0, fetched_at=JANUARY + days * DAY + (h >= 24) * 60.0)
        for h in range(24 * days)
    ]
    text = (
        '[host]\ngrid_zone = "DE"\n[carbon]\nproviders = ["electricitymaps", "static"]\n' + NO_PARTS
    )
    where = ledger(tmp_path, [*quarters(ENERGY, amounts), *quarters(BOOKED, booked)], values)
    found = report(where, text, end=JANUARY + days * DAY)
    restated = found["restated"]
    assert lines(found)["2", "location", "operation"] == pytest.approx(96 * 100.0)
    assert restated["booked_grams"] == pytest.approx(30 * 100.0 + 66 * static)
    assert restated["known_grams"] == pytest.approx(9600.0)
    assert restated["difference_grams"] == pytest.approx(66 * (100.0 - static))
    assert len(restated["hours"]) == 66
    assert restated["hours"][0]["from"] == "2025-01-02T06:00:00+00:00"
    total = math.fsum(each["difference_grams"] for each in restated["hours"])
    assert total == pytest.approx(restated["difference_grams"])


def test_a_hole_is_told_and_nothing_is_scaled_up(tmp_path):
    amounts = [KWH / 4] * 48 + [None] * 48
    found = report(ledger(tmp_path, quarters(ENERGY, amounts)), NO_PARTS)
    assert found["coverage"] == pytest.approx(0.5)
    assert found["energy_kwh"] == pytest.approx(12)
    assert any("50.00 % of the period is not known" in each for each in found["missing"])


def two_parts():
    life = {"lifetime_seconds": 4 * YEAR_SECONDS, "in_service": float(JANUARY - 10 * DAY)}
    made = {Stage.MANUFACTURING: Span(700.0, 1000.0, 1300.0), Stage.RECYCLING: Span(1.0, 2.0, 3.0)}
    return Inventory(
        parts=(
            Part(
                asset="server", component="server", model="", count=1, source="a maker, 2024",
                kilograms=made, credit_kilograms=5.0, **life,
            ),
            Part(
                asset="ssd", component="storage", model="", count=2, source="b, 2023",
                kilograms={Stage.MANUFACTURING: Span(1.0, 2.0, 4.0)},
                **(life | {"in_service": None}),
            ),
        )
    )  # fmt: skip


def test_stages_add_up_to_the_total_and_scis_example_comes_out(tmp_path):
    """1,000 kg over four years are 28.54 g an hour (SCI specification v1.1)."""
    text = '[host]\ngrid_zone = "DE"\n[carbon]\nlosses_percent = 5.0\n'
    work = Series("work", "chat tokens", "tokens")
    rows = [*quarters(ENERGY, [KWH / 4] * 96), *quarters(work, [1e6 / 96] * 96)]
    where = ledger(tmp_path, rows, inventory=msgspec.json.encode(two_parts()))
    found = report(where, text)
    assert found["embodied"]["from"] == "ledger"
    account = lines(found)
    assert account["3", "-", "manufacturing"] == pytest.approx(24 * 28.54, rel=1e-4)
    for each in found["totals"]:
        stages = math.fsum(each["by_stage"].values())
        assert stages == pytest.approx(each["grams"], rel=1e-12)
        own = [g for (_, basis, _), g in account.items() if basis in {each["basis"], "-"}]
        assert math.fsum(own) == pytest.approx(each["grams"], rel=1e-12)
        assert each["low"] < each["grams"] < each["high"]
    series = [math.fsum(each["grams"].values()) for each in found["series"]["stages"]]
    assert math.fsum(series) == pytest.approx(found["totals"][0]["grams"], rel=1e-12)
    assert found["embodied"]["credit_grams"] == 5000.0
    assert found["embodied"]["without_first_day"] == ["ssd"]
    assert any("set lifecycle.in_service" in each for each in found["missing"])
    per = {each["name"]: each for each in found["per_unit"]}
    embodied = account["3", "-", "manufacturing"] + account["3", "-", "recycling"]
    tokens = (account["2", "location", "operation"] + embodied) / 1000
    assert per["carbon per thousand tokens"]["value"] == pytest.approx(tokens)
    assert per["carbon per kWh of the IT"]["value"] == pytest.approx(344.14)


def test_months_add_up_in_a_zone_with_a_clock_change(tmp_path):
    """Three months of Berlin, in which a day has 23 hours, by month; each with its energy."""
    march = 1_740_783_600  # 2025-03-01T00:00:00+01:00
    june = march + 92 * DAY - HOUR
    amounts = [KWH / 4] * ((june - march) // 900)
    where = ledger(
        tmp_path,
        quarters(ENERGY, amounts, start=march),
        inventory=msgspec.json.encode(two_parts()),
    )
    text = '[host]\ngrid_zone = "DE"\n[site]\ntime_zone = "Europe/Berlin"\n'
    found = report(where, text, march, june, zone="Europe/Berlin")
    buckets = found["series"]["stages"]
    assert [each["from"][:7] for each in buckets] == ["2025-03", "2025-04", "2025-05"]
    operation = [each["grams"]["operation"] / 344.14 for each in buckets]
    assert operation == pytest.approx([31 * 24 - 1, 30 * 24, 31 * 24])
    everything = math.fsum(math.fsum(each["grams"].values()) for each in buckets)
    assert everything == pytest.approx(found["totals"][0]["grams"], rel=1e-9)


def test_upstream_only_where_one_provider_gives_both_families(tmp_path):
    hours = range(24)
    direct = [intensity(JANUARY + h * HOUR, 300.0, factor=Factor.DIRECT) for h in hours]
    whole = [intensity(JANUARY + h * HOUR, 350.0) for h in hours if h < 12]
    text = (
        '[host]\ngrid_zone = "DE"\n[carbon]\nfactor = "direct"\nproviders = ["electricitymaps"]\n'
        + NO_PARTS
    )
    where = ledger(tmp_path, quarters(ENERGY, [KWH / 4] * 96), [*direct, *whole])
    found = report(where, text)
    # the life-cycle value of 11:00 is held for 6 h, and held is not measured: no pair
    assert found["grid_losses"]["upstream"] == pytest.approx(12 * 50.0)
    assert lines(found)["3", "-", "operation"] == pytest.approx(600.0)


def test_budgets_burn_from_the_years_first_day(tmp_path):
    days = 40
    amounts = [KWH / 4] * 96 * days
    text = (
        '[host]\ngrid_zone = "DE"\n[[carbon.budget]]\nname = "y"\nkwh = 4380\nkilograms = 500\n'
        + NO_PARTS
    )
    end = JANUARY + days * DAY
    found = report(ledger(tmp_path, quarters(ENERGY, amounts)), text, end - 7 * DAY, end)
    energy, carbon = found["budgets"]
    assert energy["used"] == pytest.approx(960, rel=1e-6)
    assert carbon["used"] == pytest.approx(960 * 0.34414, rel=1e-6)
    assert carbon["paces"][0]["expected"] == pytest.approx(8760 * 0.34414, rel=1e-6)
    assert energy["paces"][0]["runs_out"].startswith("2025-07-02T1")  # 4380 h
    assert energy["exceeded"] is None
    assert energy["points"][0] == {"at": "2025-01-01T00:00:00+00:00", "used": 0.0}
    assert energy["points"][-1]["used"] == pytest.approx(960)
    assert len(energy["points"]) == days + 1


def test_a_host_without_a_ledger_cannot_be_reported(tmp_path):
    with pytest.raises(ReportError, match=r"there is no ledger.*\[\[site.meter\]\]"):
        report(tmp_path / "nowhere", NO_PARTS)
    with pytest.raises(ReportError, match="no meter has the role total"):
        report(ledger(tmp_path), NO_PARTS, scope="site")
