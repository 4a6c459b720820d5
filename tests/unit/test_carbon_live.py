"""Emissions from a trace through the real replay and ledger: booked live, and known later."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.carbon.intensity import Intensity
from agent.carbon.words import Basis
from agent.ledger.reading import LedgerReader

WATTLAS = Path(sys.executable).parent / "wattlas"
START = "2026-03-01T00:00:00Z"
UNIX = 1_772_323_200.0
HOUR = 3600


def grid(t, *values):
    """What a provider says at `t`: (from, until, g/kWh) in s of the trace."""
    common = {"zone": "DE", "provider": "electricitymaps", "basis": "location"}
    common |= {"factor": "direct", "origin": "measured", "source": "v3", "fetched_at": UNIX + t}
    return {
        "t": t,
        "kind": "grid",
        "collector": "grid",
        "values": [
            common | {"start": UNIX + a, "end": UNIX + b, "grams_per_kwh": grams}
            for a, b, grams in values
        ],
    }


def lines():
    """Three hours at 100 W: 400 g/kWh, then an outage; at the end it turns out to have been 200."""
    cpu = {"collector": "rapl", "component": "cpu", "device": "package-0", "kind": "energy"}
    for t in range(0, 3 * HOUR + 1, 2):
        if t == 0:
            yield grid(0, (0, HOUR, 400.0))
        if t == HOUR:
            yield {"t": t, "kind": "restart"}
        yield {"t": t} | cpu | {"value": 5000.0 + 100.0 * t}
    yield grid(3 * HOUR + 2, (HOUR, 2 * HOUR, 200.0), (2 * HOUR, 3 * HOUR, 200.0))


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    folder = tmp_path_factory.mktemp("carbon")
    trace = folder / "trace.jsonl"
    trace.write_text("".join(json.dumps(line) + "\n" for line in lines()))
    settings = folder / "wattlas.toml"
    settings.write_text(
        '[host]\ngrid_zone = "DE"\n[carbon]\nproviders = ["electricitymaps", "static"]\n'
        'factor = "direct"\nhold_hours = 1.0\nlosses_percent = 5.0\n'
        '[carbon.static]\ngrams_per_kwh = 300.0\nsource = "supplier"\n'
        "[lifecycle]\nin_service = 2026-01-01\nlifetime_years = 4\ndetect = false\n"
        '[[lifecycle.asset]]\nname = "server"\nkilograms = { manufacturing = 876.0 }\n'
        'source = "PCF"\n'
    )
    command = ["replay", trace, "--config", settings, "--start", START]
    command += ["--state-dir", folder / "state", "--json"]
    done = subprocess.run([WATTLAS, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    totals = {
        (row["scope"], row["basis"], row["stage"]): row["grams"]
        for row in json.loads(done.stdout)["emissions"]
    }
    return folder / "state", totals


def test_live_counters_use_what_was_known_then(lived):
    """1 h at 400; then for 1 h the last known value is held; then the operator's own figure."""
    _, totals = lived
    kwh = 0.1
    expected = kwh * (400 + 400 + 300)
    assert totals["2", "location", "operation"] == pytest.approx(expected, rel=2e-3)
    assert totals["2", "market", "operation"] == pytest.approx(expected, rel=2e-3)
    assert totals["3", None, "operation"] == pytest.approx(expected * 0.05, rel=2e-3)


def test_the_rest_of_the_life_is_posted_by_time(lived):
    _, totals = lived
    per_hour = 876_000.0 / (4 * 8760)
    assert totals["3", None, "manufacturing"] == pytest.approx(3 * per_hour, rel=0.01)


def test_the_ledger_has_what_was_booked_and_every_version_of_the_intensity(lived):
    state_dir, totals = lived
    with contextlib.closing(LedgerReader.open(state_dir)) as reader:
        booked = reader.cells("emission", "2 location operation", UNIX, UNIX + 4 * HOUR)
        values = reader.intensities(UNIX, UNIX + 3 * HOUR)
        inventory = json.loads(reader.document("inventory"))
    assert sum(cell.amount for cell in booked) == pytest.approx(
        totals["2", "location", "operation"]
    )
    assert [(v.start - UNIX, v.grams_per_kwh) for v in values] == [
        (0.0, 400.0),
        (HOUR, 200.0),
        (2 * HOUR, 200.0),
    ]
    assert all(isinstance(v, Intensity) and v.basis is Basis.LOCATION for v in values)
    assert inventory["parts"][0]["asset"] == "server"
