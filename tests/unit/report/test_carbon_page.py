"""The page, the plots and the table of a carbon report."""

import csv
import io
import re
import sys
from html.parser import HTMLParser

import pytest
from unit.report.made_carbon import DAY, ENERGY, HOUR, JANUARY, KWH, intensity, ledger, quarters
from unit.report.made_carbon import report as reported

from agent.cli.report_carbon_print import print_carbon
from agent.report.carbon_document import carbon_csv
from agent.report.carbon_html import carbon_html

TEXT = """
[host]
grid_zone = "DE"
[carbon]
providers = ["electricitymaps", "static"]
[[carbon.budget]]
name = "<b>year"
kwh = 4000
[lifecycle]
in_service = 2024-01-01
[[lifecycle.asset]]
name = "r740 <&>"
kilograms = { manufacturing = 1313.0, packaging_transport = 40.0 }
source = "Dell PCF, 2019"
credit_kilograms = 7.0
"""
VOID = {"meta", "br", "link", "img"}


@pytest.fixture
def document(tmp_path):
    values = [intensity(JANUARY + h * HOUR, 200.0 + 10 * (h % 24)) for h in range(72)]
    booked = quarters(type(ENERGY)("emission", "2 location operation", "g"), [90.0] * 96 * 3)
    rows = [*quarters(ENERGY, [KWH / 4] * 96 * 3), *booked]
    return reported(ledger(tmp_path, rows, values), TEXT, end=JANUARY + 3 * DAY)


class Checked(HTMLParser):
    """Every element is closed in order, ids are unique, nothing is loaded from elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.references, self.tags = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in {"src", "href", "xlink:href", "aria-labelledby"}:
                self.references.append((name, value))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_is_well_formed(document):
    pytest.importorskip("matplotlib")
    page = carbon_html(document)
    checked = Checked()
    checked.feed(page)
    assert checked.open == []
    assert len(set(checked.ids)) == len(checked.ids)
    assert checked.tags.count("svg") == 3  # stages, intensity, budget
    for name, reference in checked.references:
        assert reference.removeprefix("#") in checked.ids, (name, reference)
    for reference in re.findall(r"url\(#?([^)]*)\)", page):
        assert reference in checked.ids
    assert re.findall(r"https?://(?!www\.w3\.org/)", page) == []
    assert "<script" not in page
    assert "r740 &lt;&amp;&gt;" in page
    assert "<b>" not in page
    assert "Electricity Maps v3, hourly" in page
    assert "Dell PCF, 2019" in page
    assert "least 200 g/kWh at 0:00, most 430 g/kWh at 23:00" in page


def test_without_matplotlib_the_page_says_what_brings_the_plots(document, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = carbon_html(document)
    checked = Checked()
    checked.feed(page)
    assert "svg" not in checked.tags
    assert "<code>pip install &#x27;wattlas[report]&#x27;</code>" in page
    assert "Dell PCF, 2019" in page


def test_csv_has_the_lines_of_the_account(document):
    rows = list(csv.DictReader(io.StringIO(carbon_csv(document))))
    assert [(r["scope"], r["basis"], r["stage"]) for r in rows] == [
        ("2", "location", "operation"),
        ("2", "market", "operation"),
        ("3", "-", "manufacturing"),
        ("3", "-", "packaging_transport"),
    ]
    assert {row["from"] for row in rows} == {"2025-01-01T00:00:00+00:00"}
    assert float(rows[0]["grams"]) == document["emissions"][0]["grams"]
    assert rows[0]["low"] == ""


def test_the_table_says_it_all(document, capsys):
    print_carbon(document)
    said = capsys.readouterr().out
    assert "location and market are two accounts of the same energy" in said
    # 3 days of 1 kW at 200 to 430 g/kWh, booked at 360
    assert "restated: booked live 25.92 kg, known now 22.68 kg, difference -3.24 kg in" in said
    assert "measured by electricitymaps 100 %" in said
    assert "recycling credit, in no figure: 7 kg" in said
    assert re.search(r"<b>year \(energy\) +4,000 kWh +72", said)
