"""Yearly factors: which row stands for which zone and year, and what is refused."""

import csv
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.carbon.intensity import Intensity
from agent.carbon.settings import StaticSettings
from agent.carbon.static import (
    Refusal,
    either_static_intensity,
    static_intensity,
    static_market_intensity,
)
from agent.carbon.static_table import all_rows
from agent.carbon.words import Basis, Factor, Origin

TABLE = Path(__file__).parents[2] / "fixtures" / "grid" / "static" / "cn_grid_factors.csv"
ISO_3166_2_CN = {
    "Beijing": "BJ", "Tianjin": "TJ", "Hebei": "HE", "Shanxi": "SX", "Inner Mongolia": "NM",
    "Liaoning": "LN", "Jilin": "JL", "Heilongjiang": "HL", "Shanghai": "SH", "Jiangsu": "JS",
    "Zhejiang": "ZJ", "Anhui": "AH", "Fujian": "FJ", "Jiangxi": "JX", "Shandong": "SD",
    "Henan": "HA", "Hubei": "HB", "Hunan": "HN", "Guangdong": "GD", "Guangxi": "GX",
    "Hainan": "HI", "Chongqing": "CQ", "Sichuan": "SC", "Guizhou": "GZ", "Yunnan": "YN",
    "Shaanxi": "SN", "Gansu": "GS", "Qinghai": "QH", "Ningxia": "NX", "Xinjiang": "XJ",
}  # fmt: skip
YEARS = (2021, 2022, 2023)


def at(year: int, month: int = 7, day: int = 1) -> float:
    return datetime(year, month, day, tzinfo=UTC).timestamp()


def direct(zone: str, of: int, **settings) -> Intensity | Refusal:
    return static_intensity(zone, at(of), Factor.DIRECT, StaticSettings(**settings))


def published(level: str) -> dict[str, dict[int, float]]:
    with TABLE.open(encoding="utf-8") as stream:
        return {
            row["region_en"]: {year: float(row[str(year)]) for year in YEARS}
            for row in csv.DictReader(stream)
            if row["level"] == level
        }


def test_every_province_and_year_equals_the_official_table():
    provinces = published("provincial")
    assert len(provinces) == len(ISO_3166_2_CN) == 30
    for name, factors in provinces.items():
        for year, kilograms in factors.items():
            found = direct(f"CN-{ISO_3166_2_CN[name]}", year)
            assert found.grams_per_kwh == pytest.approx(kilograms * 1000, abs=1e-9), (name, year)
            assert f"{name}, {year}" in found.source
            assert "stands in" not in found.source
            assert (found.basis, found.factor) == (Basis.LOCATION, Factor.DIRECT)


def test_every_region_and_the_nation_equal_the_official_table():
    regions = published("regional")
    assert len(regions) == 7
    for name, factors in regions.items():
        for year, kilograms in factors.items():
            assert direct(f"CN-{name.upper()}", year).grams_per_kwh == pytest.approx(
                kilograms * 1e3
            )
    national = published("national")
    for year in YEARS:
        assert direct("CN", year).grams_per_kwh == pytest.approx(
            national["National average"][year] * 1e3
        )
        residual = static_market_intensity("CN-GD", at(year), Factor.DIRECT)
        assert residual.grams_per_kwh == pytest.approx(
            national["National avg excl. market-traded non-fossil"][year] * 1e3
        )
        assert (residual.zone, residual.basis) == ("CN-GD", Basis.MARKET)


def test_tibet_gets_the_national_average_and_says_so():
    found = direct("CN-XZ", 2023)
    assert found.grams_per_kwh == 530.6
    assert "no official factor for Tibet" in found.source
    assert found.zone == "CN-XZ"


@pytest.mark.parametrize("zone", ["CN-HK", "HK", "CN-MO", "MO", "CN-TW", "TW"])
def test_outside_chinas_factors_nobody_elses_number_stands_in(zone):
    refused = direct(zone, 2023)
    assert isinstance(refused, Refusal)
    assert "do not cover" in refused.why
    own = static_intensity(zone, at(2024), Factor.LIFECYCLE)
    expected = {"HK": (681.99, 2023), "MO": (448.98, 2022), "TW": (635.65, 2024)}[zone[-2:]]
    assert (own.grams_per_kwh, "Ember" in own.source) == (expected[0], True)
    assert str(expected[1]) in own.source


def test_the_two_families_of_china_never_mix():
    assert direct("CN", 2024).grams_per_kwh == 530.6
    lifecycle = static_intensity("CN", at(2024), Factor.LIFECYCLE)
    assert (lifecycle.grams_per_kwh, lifecycle.factor) == (577.7, Factor.LIFECYCLE)
    assert static_intensity("CN-GD", at(2023), Factor.LIFECYCLE).grams_per_kwh == 620.5


def test_the_newest_year_not_after_the_energy_is_taken_and_told():
    assert "Guangdong, 2022" in direct("CN-GD", 2022).source
    assert "Guangdong, 2023" in direct("CN-GD", 2026).source
    early = direct("CN-GD", 2019)
    assert early.grams_per_kwh == 471.5
    assert "none is published for 2019 or earlier" in early.source
    assert direct("CN-GD", 2026, year=2021).grams_per_kwh == 471.5
    missing = direct("CN-GD", 2026, year=1999)
    assert isinstance(missing, Refusal)
    assert "1999" in missing.why


def test_it_holds_for_the_year_of_the_energy_in_utc_leap_day_and_all():
    last = static_intensity("CN", at(2024, 12, 31) + 86399, Factor.DIRECT)
    assert (last.start, last.end) == (at(2024, 1, 1), at(2025, 1, 1))
    assert last.end - last.start == 366 * 86400
    assert last.origin is Origin.AVERAGE


def test_a_newcomer_in_any_country_gets_a_figure_with_source_and_year():
    import zoneinfo  # noqa: PLC0415

    codes = set()
    for path in zoneinfo.TZPATH:
        table = Path(path) / "iso3166.tab"
        if table.exists():
            codes = set(re.findall(r"^([A-Z]{2})\t", table.read_text("utf-8"), re.MULTILINE))
    for code in (codes or {"DE", "BR", "AD"}) | {"", "nonsense"}:
        found = either_static_intensity(code, at(2026), Factor.DIRECT)
        assert isinstance(found, Intensity), code
        assert found.grams_per_kwh > 0
        assert re.search(r", 20\d\d", found.source)


def test_stand_ins_are_named():
    lifecycle = Factor.LIFECYCLE
    california = static_intensity("US-CAL-CISO", at(2026), lifecycle)
    assert (california.grams_per_kwh, california.zone) == (383.55, "US-CAL-CISO")
    assert "no factor for US-CAL-CISO: the average of United States stands in" in california.source
    nowhere = static_intensity("", at(2026), lifecycle)
    assert nowhere.grams_per_kwh == 473.05
    assert "host.grid_zone is not set: the average of the world stands in" in nowhere.source
    assert static_intensity("AD", at(2026), lifecycle).grams_per_kwh == 473.05
    assert static_intensity("uk", at(2026), lifecycle).grams_per_kwh == 210.89


def test_a_family_that_is_not_published_is_refused_not_replaced():
    refused = static_intensity("DE", at(2026), Factor.DIRECT)
    assert isinstance(refused, Refusal)
    assert "no direct factor is known for DE" in refused.why
    either = either_static_intensity("DE", at(2026), Factor.DIRECT)
    assert (either.grams_per_kwh, either.factor) == (344.14, Factor.LIFECYCLE)
    assert direct("US", 2026).grams_per_kwh == pytest.approx(770.9 * 0.45359237, abs=0.01)


def test_the_operators_own_factors_come_first():
    own = direct("CN-GD", 2026, grams_per_kwh=412.0, source="our audit")
    assert (own.grams_per_kwh, own.source) == (412.0, "our audit")
    assert direct("CN-HK", 2026, grams_per_kwh=660.0).grams_per_kwh == 660.0
    settings = StaticSettings(market_grams_per_kwh=0.0, market_source="green tariff")
    market = static_market_intensity("DE", at(2026), Factor.DIRECT, settings)
    assert (market.grams_per_kwh, market.basis) == (0.0, Basis.MARKET)
    assert isinstance(static_market_intensity("DE", at(2026), Factor.DIRECT), Refusal)
    assert isinstance(static_market_intensity("CN-HK", at(2026), Factor.DIRECT), Refusal)


def test_every_row_has_a_source_and_a_licence_and_no_zero():
    rows = list(all_rows())
    assert len(rows) == 333
    for row in rows:
        assert row.source, row
        assert row.licence, row
        assert 0 < row.grams_per_kwh < 1500
        assert 2021 <= row.year <= 2026
    assert len({(r.zone, r.year, r.factor, r.kind) for r in rows}) == len(rows)
