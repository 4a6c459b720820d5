"""The examples of docs/meters.md are read by the real settings and the real table."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.collector import find_collectors
from agent.settings import parse
from agent.site.records import resolve
from agent.site.table import parse_table
from agent.site.words import Quantity
from collectors.meter_json import tokens_of
from collectors.meter_selector import selector_of

PAGE = (Path(__file__).parents[3] / "docs/meters.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", blocks("toml"))
def test_settings(text):
    types = {name: cls.Settings for name, cls in find_collectors().classes.items()}
    meters = parse(text, None, types).site.meter
    assert meters
    for meter in meters:
        if getattr(meter, "metric", ""):
            selector_of(meter.metric)
        for pointer in (getattr(meter, "energy", None), getattr(meter, "power", None)):
            assert not pointer or tokens_of(pointer)


def test_the_csv_file_gives_three_months_of_which_one_is_corrected():
    (text,) = blocks("csv")
    table = parse_table(text, ZoneInfo("Europe/Berlin"), Quantity.ENERGY, None)
    assert table.errors == table.remarks == ()
    found = resolve(table.records)
    assert [r.amount / 3.6e6 for r in found.records] == [184_320, 171_200, 180_500]
    assert len(found.replaced) == 1
