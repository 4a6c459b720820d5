"""A snapshot of a host that knows what it emits."""

import msgspec
from unit.exporters.made import bare

from agent.carbon.budget import Pace, Used
from agent.carbon.live import Key, Now
from agent.carbon.timeline import Standing
from agent.carbon.words import Basis, Factor, Scope, Stage
from agent.kpi.period import Period
from agent.snapshot import CarbonView, Embodied, Snapshot

YEAR = Period(1_735_689_600.0, 1_767_225_600.0, "UTC")
MARCH = 1_740_787_200.0

CARBON = CarbonView(
    zone="DE",
    now=[
        Now(Basis.LOCATION, Factor.DIRECT, "electricitymaps", 312.5, Standing.MEASURED, "EM v3"),
        Now(Basis.MARKET, Factor.DIRECT, "static", 700.0, Standing.AVERAGE, "own"),
        Now(Basis.MARGINAL, Factor.DIRECT, "watttime", 550.0, Standing.FORECAST, "WT v3"),
    ],
    totals={
        Key(Scope.SCOPE_2, Basis.LOCATION, Stage.OPERATION): 1234.5,
        Key(Scope.SCOPE_2, Basis.MARKET, Stage.OPERATION): 2345.5,
        Key(Scope.SCOPE_3, None, Stage.MANUFACTURING): 99.5,
    },
    embodied=[
        Embodied("cpu", "manufacturing", bound, grams)
        for bound, grams in (("low", 20_000.0), ("best", 30_000.0), ("high", 45_000.0))
    ],
    budgets=[
        Used(
            "year",
            "energy",
            "kWh",
            1000.0,
            YEAR,
            500.0,
            0.5,
            1.0,
            None,
            (
                Pace(7, 4.0, 1400.0, MARCH),
                Pace(30, 3.0, 1250.0, MARCH),
                Pace(None, 2.0, 900.0, None),
            ),
        ),
        Used("year", "carbon", "kg", 400.0, YEAR, None, None, 0.0, None, ()),
    ],
)


def emitting() -> Snapshot:
    """Return it; of a budget of which nothing is known only the coverage is shown."""
    return msgspec.structs.replace(bare(), carbon=CARBON)
