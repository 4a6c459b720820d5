"""`wattlas report carbon` as a program."""

import csv
import io

import pytest
from e2e.agents import wattlas
from e2e.report_rig import document, refused
from unit.report.made_carbon import DAY, ENERGY, HOUR, JANUARY, KWH, intensity, ledger, quarters

from agent.quarters import Series

pytestmark = [pytest.mark.e2e, pytest.mark.parallel]
BOOKED = Series("emission", "2 location operation", "g")
SPAN = ("--from", "2025-01-01", "--to", "2025-01-05")


@pytest.fixture
def state(tmp_path):
    """Four days of 1 kW; in Germany, with an outage of three days that was filled later."""
    amounts = [KWH / 4] * 96 * 4
    live = [100.0] * 120 + [344.14] * 264
    values = [intensity(JANUARY + h * HOUR, 100.0, fetched_at=JANUARY + 5 * DAY) for h in range(96)]
    booked = [amount / KWH * each for amount, each in zip(amounts, live, strict=True)]
    rows = [*quarters(ENERGY, amounts), *quarters(BOOKED, booked)]
    return ledger(tmp_path / "state", rows, values)


def config(tmp_path, zone="", more=""):
    path = tmp_path / "wattlas.toml"
    path.write_text(
        f'[agent]\nstate_dir = "{tmp_path}/state"\n[host]\ngrid_zone = "{zone}"\n'
        f"[lifecycle]\ndetect = false\n{more}\n"
    )
    return ("--config", path, *SPAN)


def test_nothing_is_set(state, tmp_path):
    asked = config(tmp_path)
    found = document("carbon", *asked)
    location = found["emissions"][0]
    assert (location["scope"], location["basis"], location["stage"]) == (
        "2",
        "location",
        "operation",
    )
    assert location["grams"] == pytest.approx(96 * 473.05)
    said = wattlas("report", "carbon", *asked).stdout
    assert "the average of the world stands in" in said
    assert "2024" in said


def test_guangdong(state, tmp_path):
    found = document("carbon", *config(tmp_path, "CN-GD"))
    assert found["emissions"][0]["grams"] == pytest.approx(96 * 441.9)
    assert found["sources"][0]["year"] == "2023"
    assert found["period"] == {
        "from": "2025-01-01T00:00:00+00:00",
        "to": "2025-01-05T00:00:00+00:00",
        "time_zone": "UTC",
    }


def test_germany_restated_in_every_form(state, tmp_path):
    asked = config(tmp_path, "DE", '[carbon]\nproviders = ["electricitymaps", "static"]')
    found = document("carbon", *asked)
    assert found["emissions"][0]["grams"] == pytest.approx(9600)
    assert found["restated"]["difference_grams"] == pytest.approx(66 * (100 - 344.14))
    done = wattlas("report", "carbon", *asked, "--csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert float(rows[0]["grams"]) == found["emissions"][0]["grams"]
    page = tmp_path / "carbon.html"
    done = wattlas("report", "carbon", *asked, "--html", page)
    assert (done.returncode, done.stderr) == (0, "")
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert "Electricity Maps v3, hourly" in page.read_text()


def test_what_is_asked_wrongly(state, tmp_path):
    asked = ("carbon", *config(tmp_path))
    assert "give one" in refused(*asked, "--json", "--csv", status=2)
    assert "'host', 'site'" in refused(*asked, "--scope", "moon", status=2)
    assert "no meter has the role total" in refused(*asked, "--scope", "site")
    assert "there is no ledger" in refused(*asked, "--state-dir", tmp_path / "nowhere")
    assert "before it begins" in refused(
        *asked[:3], "--from", "2026-01-01", "--to", "2025-01-01", status=2
    )
    assert "nothing is known of" in refused(
        *asked[:3], "--from", "2020-01-01", "--to", "2020-02-01"
    )
    assert "cannot be written" in refused(*asked, "--html", tmp_path / "no" / "page.html")


def test_the_help_is_there():
    assert "carbon" in wattlas("report", "--help").stdout
    assert "--html" in wattlas("report", "carbon", "--help").stdout
