"""Carbon of the whole life: what is emitted now, what making the machines took, and budgets."""

from dashboards.boards import lifecycle_hours as hours
from dashboards.boards import lifecycle_stages as stages
from dashboards.boards.colours import FAIR, by_name
from dashboards.boards.frame import SITES, Board, Section
from dashboards.boards.lifecycle_budget import BUDGETS, RUNS_OUT, month_carbon
from dashboards.boards.panels import Look, Query, series, stat
from dashboards.rules.record_carbon import OPERATION_HOUR, SITE_INTENSITY

_BASES = by_name({"location": "blue", "market": "purple", "marginal": FAIR})
_NO_GRID = "no intensity: set host.grid_zone and carbon.providers"
_WORK = (
    "max by (site, workload, unit) (site_workload:wattlas_work_energy_joules_per_unit:avg"
    f"{{{SITES}}})\n* on (site) group_left () (avg by (site) ({SITE_INTENSITY}"
    f'{{{SITES}, basis="location"}}))\n/ 3.6e6 * 1000'
)


_NOW = Section(
    "Now",
    (
        stat(
            "CO₂e this month",
            "What operation of the sites emitted this month, by location: with the grid's intensity"
            " of its time. It falls with less energy, or with work at hours of a cleaner grid.",
            "suffix:kg",
            Query(f"sum({month_carbon('location')}) / 1000", instant=True),
            look=Look(
                width=4, height=4, decimals=0, time_from="now/M", says_range=True, no_value=_NO_GRID
            ),
            spark=False,
        ),
        stat(
            "CO₂e by market",
            "The same month by what you buy: your supplier's factor or the residual mix. Contracts"
            " are only in reports; far above the location's figure, a better tariff helps.",
            "suffix:kg",
            Query(f"sum({month_carbon('market')}) / 1000", instant=True),
            look=Look(
                width=4, height=4, decimals=0, time_from="now/M", says_range=True, no_value=_NO_GRID
            ),
            spark=False,
        ),
        stat(
            "Embodied share",
            "Share of making, moving and recycling the machines in all that their hosts emitted in"
            " the last hour. If it is high, longer use and fuller machines help more than a cleaner"
            " grid.",
            "percentunit",
            Query(stages.EMBODIED_SHARE),
            look=Look(width=4, height=4, decimals=1, no_value="set [lifecycle] in_service"),
        ),
        stat(
            "Grid now",
            "What a kWh emits where the hosts are, by location. If it is well above the usual of"
            " this hour (heat map below), put off what can wait.",
            "suffix:gCO₂e/kWh",
            Query(f'avg({SITE_INTENSITY}{{{SITES}, basis="location"}})'),
            look=Look(width=4, height=4, decimals=0, no_value=_NO_GRID),
        ),
        stat(
            "Carbon-free energy",
            "Share of the energy of the chosen time that renewable energy of the same hour covered"
            " (24/7): a surplus at noon covers no night. Storage or other hours of work raise it.",
            "percentunit",
            Query(hours.CARBON_FREE, "{{site}}", instant=True),
            look=Look(width=4, height=4, decimals=1, no_value="no meter has the role renewable"),
            spark=False,
        ),
        stat(
            "Budget runs out",
            "When this month's budget of energy or CO₂e is used up at this month's mean pace."
            " Before the month ends: cut idle waste first, then move work to another month.",
            "dateTimeFromNow",
            RUNS_OUT,
            look=Look(
                width=4,
                height=4,
                time_from="now/M",
                says_range=True,
                no_value="not this month, or no budget is set",
                steps=((None, FAIR),),
            ),
            spark=False,
            names=True,
        ),
    ),
)
_GRID = Section(
    "The grid, and when to run",
    (
        hours.HEAT_MAP,
        series(
            "Grid intensity",
            "By location and by market, and what one kWh more would emit (marginal), which is for"
            " choosing hours and is never counted.",
            "suffix:gCO₂e/kWh",
            Query(f"avg by (basis) ({SITE_INTENSITY}{{{SITES}}})", "{{basis}}"),
            look=Look(least=0, overrides=_BASES, no_value=_NO_GRID),
        ),
        hours.STANDING,
        series(
            "Carbon-free share of each hour",
            "Share of each hour's energy that renewable energy of that hour covers. The lowest"
            " hours are those that a contract with other hours, or storage, would help most.",
            "percentunit",
            Query(
                f"site:wattlas_renewable_energy:ratio_increase1h{{{SITES}}}",
                "{{site}}",
                interval="1h",
            ),
            look=Look(least=0, most=1, decimals=0, no_value="no meter has the role renewable"),
        ),
    ),
)
_OPERATION = Section(
    "Operation",
    (
        series(
            "By location and by market",
            "What operation of the sites emits in the hour before each moment, counted in both"
            " ways of the GHG Protocol's Scope 2. Report both; never add them.",
            "suffix:kg/h",
            Query(f"sum by (basis) ({OPERATION_HOUR}{{{SITES}}}) / 1000", "{{basis}}"),
            look=Look(width=12, least=0, overrides=_BASES, no_value=_NO_GRID),
        ),
        series(
            "CO₂e per thousand units of work",
            "Energy per unit of work times the grid's intensity, by location: what a thousand"
            " tokens, requests or steps emit in operation. It falls with better software, fuller"
            " machines or cleaner hours; compare it before and after a change.",
            "massg",
            Query(_WORK, "{{site}}: {{workload}}, 1000 {{unit}}"),
            look=Look(width=12, least=0, no_value="no work is reported, see docs/work.md"),
        ),
    ),
)
LIFECYCLE = Board(
    "lifecycle",
    "What the machines emit over their whole life: operation by location and by market, the other"
    " five stages with their bounds, the grid's hours, carbon-free energy, budgets and CO₂e per"
    " unit of work.",
    (_NOW, stages.LIFE, _GRID, _OPERATION, BUDGETS),
    since="now-7d",
    refresh="5m",
)
