"""A simulated site for a year, hour by hour, with an account of its own of what is true.

Everything goes through the real book, quarters and ledger. The truth beside it is kept by plain
sums of what flowed, over exactly the hours that a KPI can know.
"""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from agent.ledger import Ledger
from agent.ledger.batch import Batch
from agent.quantities import Seconds
from agent.report_book import ReportBook
from agent.samples import MeterCounter, MeterRate, MeterRecord, MeterRecords
from agent.site.settings import SiteSettings

START = 1_735_689_600.0
"""2025-01-01 UTC."""
HOUR = 3600.0
HOURS = 8760
KWH = 3.6e6
REPLACED_AT = 4000
"""Hour in which UPS 2's meter is replaced: its register begins at 0."""
SILENT = range(5000, 5072)
"""Hours for which utility B's power meter does not answer: three days."""
MONTH_HOURS = [h * 24 for h in (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)]


def polled(name: str, role: str, **more: object) -> dict[str, object]:
    """Return the settings of a meter; its protocol does not matter here."""
    common = {"name": name, "role": role, "source": "http", "url": "http://m", "energy": "/e"}
    return common | {"interval_seconds": HOUR} | more


SETTINGS = msgspec.convert(
    {
        "name": "sim-1",
        "meter": [
            polled("utility-a", "total", carbon_kilograms_per_kwh=0.5306),
            polled("utility-b", "total", carbon_kilograms_per_kwh=0.5306),
            *(polled(f"ups-{n}", "ups") for n in (1, 2, 3, 4)),
            polled("chiller-1", "cooling"),
            polled("chiller-2", "cooling"),
            polled("heat-removed", "removed_heat"),
            polled("heat-export", "reused_heat"),
            polled("pv", "generation", renewable=True, carbon_kilograms_per_kwh=0.0),
            polled("mains-water", "water_in", energy_unit="m3"),
            polled("blow-down", "water_out", energy_unit="m3"),
            {"name": "certificates", "role": "renewable", "source": "csv", "file": "c.csv"},
            {
                "name": "bill",
                "source": "csv",
                "file": "b.csv",
                "invoices": ["utility-a", "utility-b"],
            },
        ],
    },
    SiteSettings,
)


def flows(hour: int) -> dict[str, float]:
    """Return what really flows in one hour: W, and litres per second for water."""
    day, of_day = hour // 24, hour % 24
    summer = 1.0 - abs(day - 196) / 196  # 0 in winter, 1 in the middle of July
    servers = 50 * (400.0 + 60.0 * (8 <= of_day < 20) + 5.0 * (day % 7))
    ups = {f"ups-{n}": servers / 4 * (0.94 + 0.03 * n) for n in (1, 2, 3, 4)}
    it = sum(ups.values())
    cooling = it * (0.12 + 0.10 * summer)
    sun = max(0.0, 6.0 - abs(of_day - 12)) / 6 * 4000.0 * (0.4 + 0.6 * summer)
    need = it * 1.05 + cooling + 1500.0
    return ups | {
        "utility-a": (need - sun) * 0.6,
        "utility-b": (need - sun) * 0.4,
        "chiller-1": cooling * 0.7,
        "chiller-2": cooling * 0.3,
        "heat-removed": it * 1.03,
        "heat-export": it * 0.25 * (1.0 - summer),
        "pv": sun,
        "mains-water": it / 1000 * (0.5 + summer) / HOUR,
        "blow-down": it / 1000 * (0.5 + summer) / HOUR / 4,
        "servers": servers * 0.985,
    }


@dataclass
class Truth:
    """What flowed: J or litres by meter and hour."""

    by_hour: dict[str, list[float]] = field(default_factory=dict)

    def add(self, hour: int) -> None:
        for name, rate in flows(hour).items():
            self.by_hour.setdefault(name, []).append(rate * HOUR)

    def total(self, *names: str, without: frozenset[int] = frozenset()) -> float:
        """Return the sum over the year but for the hours that are left out."""
        return sum(
            amount
            for name in names
            for hour, amount in enumerate(self.by_hour[name])
            if hour not in without
        )

    def month(self, name: str, number: int) -> float:
        first = sum(MONTH_HOURS[:number])
        return sum(self.by_hour[name][first : first + MONTH_HOURS[number]])


def month_span(number: int) -> tuple[float, float]:
    first = sum(MONTH_HOURS[:number])
    return START + first * HOUR, START + (first + MONTH_HOURS[number]) * HOUR


def live(state_dir: Path) -> Truth:
    """Let the site live for its year; the ledger is in `state_dir` then."""
    truth = Truth()
    book = ReportBook(SETTINGS)
    book.begin("boot", 0.0)
    ledger = Ledger.open(state_dir)
    ledger.load()
    registers = {name: 1e9 + 1e7 * n for n, name in enumerate(flows(0))}
    _read(book, 0, registers, flows(0))
    for hour in range(HOURS):
        truth.add(hour)
        for name, rate in flows(hour).items():
            registers[name] += rate * HOUR
        if hour == REPLACED_AT:
            registers["ups-2"] = 0.0  # what flowed in this hour nobody has counted
        _read(book, hour + 1, registers, flows(hour))
        wall = START + (hour + 1) * HOUR
        book.settle((hour + 1) * HOUR, wall)
        if hour % 168 == 167 or hour == HOURS - 1:
            ledger.commit([], b"state", Batch(quarters=book.close(wall), wall=wall))
    records = {"certificates": _certificates(truth), "bill": _bill(truth, corrected=False)}
    ledger.commit([], b"state", Batch(records=records, wall=START + HOURS * HOUR))
    records = {"bill": _bill(truth, corrected=True)}
    ledger.commit([], b"state", Batch(records=records, wall=START + (HOURS + 240) * HOUR))
    ledger.close()
    return truth


def _read(
    book: ReportBook, hour: int, registers: dict[str, float], rates: dict[str, float]
) -> None:
    """Read every meter at the beginning of an hour. Utility B has power only."""
    at = Seconds(hour * HOUR)
    wall = START + hour * HOUR
    for name, total in registers.items():
        if name == "servers":
            continue
        if name == "utility-b":
            if hour - 1 not in SILENT or hour - 1 == SILENT[-1]:
                # its power is constant within an hour: said at both ends of it
                if hour:
                    before = MeterRate("meter_http", name, Seconds(at - 1e-3), rates[name])
                    book.take([before], at, wall)
                if hour < HOURS:
                    book.take([MeterRate("meter_http", name, at, flows(hour)[name])], at, wall)
            continue
        book.take([MeterCounter("meter_http", name, at, total)], at, wall)


def _certificates(truth: Truth) -> MeterRecords:
    rows = [
        MeterRecord(*month_span(m), truth.month("utility-a", m) * 0.8, row=m + 2) for m in range(12)
    ]
    return MeterRecords("meter_csv", "certificates", Seconds(0.0), tuple(rows))


def _bill(truth: Truth, *, corrected: bool) -> MeterRecords:
    """The invoice of March was 10 % too high at first and was corrected later."""
    rows = []
    for month in range(12):
        joules = truth.month("utility-a", month) + truth.month("utility-b", month)
        rows.append(
            MeterRecord(*month_span(month), joules * (1.1 if month == 2 else 1.0), month + 2)
        )
    if corrected:
        joules = truth.month("utility-a", 2) + truth.month("utility-b", 2)
        rows.append(MeterRecord(*month_span(2), joules, 14))
    return MeterRecords("meter_csv", "bill", Seconds(0.0), tuple(rows))
