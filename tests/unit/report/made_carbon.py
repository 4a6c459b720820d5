"""What the tests of `wattlas report carbon` share: ledgers by hand and reports of them."""

from agent.carbon.intensity import Intensity
from agent.carbon.words import Basis, Factor, Origin
from agent.kpi.period import Period
from agent.ledger import Ledger
from agent.ledger.batch import Batch
from agent.quarters import QuarterPosting, Series
from agent.report.carbon_document import carbon_document
from agent.report.carbon_inputs import gather_carbon
from agent.settings import parse

JANUARY = 1_735_689_600
"""2025-01-01T00:00:00Z."""
HOUR, DAY = 3600, 86400
KWH = 3.6e6
ENERGY = Series("host", "energy", "J")


def quarters(series, amounts, start=JANUARY, seconds=900.0):
    """One posting a quarter of an hour; None: nothing is known of it."""
    first = start // 900
    return [
        QuarterPosting(first + n, series, amount, seconds, 900.0 - seconds)
        for n, amount in enumerate(amounts)
        if amount is not None
    ]


def ledger(directory, rows=(), intensities=(), **documents):
    """Write a ledger and leave it closed."""
    new = Ledger.open(directory)
    batch = Batch(quarters=list(rows), intensities=list(intensities), documents=documents)
    new.commit([], b"state", batch)
    new.close()
    return directory


def intensity(start, grams, hours=1.0, fetched_at=None, **changes):
    usual = {
        "zone": "DE",
        "provider": "electricitymaps",
        "basis": Basis.LOCATION,
        "factor": Factor.LIFECYCLE,
        "origin": Origin.MEASURED,
        "source": "Electricity Maps v3, hourly",
    }
    end = start + hours * HOUR
    learned = end if fetched_at is None else fetched_at
    named = {"grams_per_kwh": grams, "fetched_at": learned}
    return Intensity(start=start, end=end, **(usual | named | changes))


def inputs_of(directory, text, start=JANUARY, end=JANUARY + DAY, scope=None, zone="UTC"):
    settings = parse(text, None, {})
    return settings, gather_carbon(directory, settings, Period(start, end, zone), scope)


def report(directory, text, start=JANUARY, end=JANUARY + DAY, scope=None, zone="UTC"):
    settings, inputs = inputs_of(directory, text, start, end, scope, zone)
    return carbon_document(inputs, settings.carbon, settings.host.grid_zone)


def lines(document):
    return {(e["scope"], e["basis"], e["stage"]): e["grams"] for e in document["emissions"]}
