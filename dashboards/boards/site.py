"""One site: its PUE and family, where its watts are lost, and what cools it."""

from dashboards.boards import site_flows as flows
from dashboards.boards.colours import BAD, FAIR, GOOD, UNKNOWN, by_name, dashed, fixed
from dashboards.boards.frame import SITES, Board, Section
from dashboards.boards.panels import Look, Query, bars, series, stat
from dashboards.boards.site_family import FAMILY
from dashboards.boards.site_hosts import IT_HOSTS
from dashboards.rules.record_energy import SITE_RATE
from dashboards.rules.record_limits import PUE_TARGET

_PUE = 'category!~".*pPUE.*"'
"""A part's PUE is never to be put beside the whole's."""
_NO_PUE = "no PUE: needs total and IT meters known for 95 % of the window"
_NO_METER = "no meter of the site with this role"


def _pue(window: str) -> str:
    return f'max by (site, category) (wattlas_site_pue_ratio{{{SITES}, window="{window}", {_PUE}}})'


_NOW = Section(
    "Now",
    (
        stat(
            "PUE, 24 hours",
            "Energy of the whole data centre over that of its IT, of the last 24 hours. Compare it"
            " only with the same category: PUE1 is always less than PUE3 of the same site.",
            "none",
            Query(_pue("24h"), "{{site}} {{category}}"),
            look=Look(width=4, height=4, decimals=3, no_value=_NO_PUE),
            names=True,
        ),
        stat(
            "PUE / target",
            "PUE of 24 hours over pue_target_ratio under [alerts]. Above 100 % look at the"
            " losses by stage below: the stage that grew is the one to mend.",
            "percentunit",
            Query(
                f"max by (site) ({_pue('24h')})"
                f" / on (site) max by (site) ({PUE_TARGET}{{{SITES}}})",
                "{{site}}",
            ),
            look=Look(
                width=4,
                height=4,
                decimals=1,
                steps=((None, GOOD), (1.0, FAIR), (1.2, BAD)),
                no_value=_NO_PUE,
            ),
        ),
        stat(
            "PUE, 30 d and year",
            "The longer windows even out weather and load; the year's is what regulators ask for."
            " The finest category of the worst site; the table below has them all.",
            "none",
            Query(f"topk(1, {_pue('30d')})", "30 d {{category}}"),
            Query(f"topk(1, {_pue('365d')})", "year {{category}}"),
            look=Look(width=4, height=4, decimals=3, no_value=_NO_PUE),
            names=True,
            spark=False,
        ),
        stat(
            "Power of the site",
            "What the site takes now: its total meters and what it makes itself; its hosts' sum"
            " where it has no total meter. Compare it with what your feeds may carry.",
            "watt",
            Query(f"sum({SITE_RATE}{{{SITES}}})"),
        ),
        stat(
            "Renewable, last hour",
            "Share of the last hour's energy that renewable meters cover in that same hour. If it"
            " is low at night only, move work that can wait into the day.",
            "percentunit",
            Query(f"site:wattlas_renewable_energy:ratio_increase1h{{{SITES}}}", "{{site}}"),
            look=Look(width=4, height=4, decimals=0, no_value=_NO_METER),
        ),
        stat(
            "IT seen by agents",
            "IT energy by agents over IT energy by meters in the last hour. What is missing to"
            " 100 % is machines without an agent: find them and install it, or expect a gap.",
            "percentunit",
            Query(
                f"site:wattlas_it_energy_agents_per_meters:ratio_increase1h{{{SITES}}}", "{{site}}"
            ),
            look=Look(
                width=4,
                height=4,
                decimals=1,
                steps=((None, FAIR), (0.9, GOOD), (1.05, FAIR)),
                no_value="meters or agents know less than 99.9 % of the hour",
            ),
        ),
    ),
)
_WHERE = Section(
    "Where the watts are lost",
    (
        series(
            "Where the site's watts go",
            "Power by the stage that takes it, means of 5 minutes; the top is the feed. The band"
            " that grows while IT stays the same is the one to look into.",
            "watt",
            Query(flows.IT, "IT"),
            Query(flows.DISTRIBUTION_LOSS, "UPS output to PDUs"),
            Query(flows.SUPPLY_LOSS, "feed to UPS output (or IT)"),
            Query(flows.role("cooling"), "cooling"),
            Query(flows.role("lighting"), "lighting"),
            look=Look(
                width=16,
                height=10,
                least=0,
                overrides=by_name(
                    {
                        "IT": GOOD,
                        "UPS output to PDUs": "semi-dark-orange",
                        "feed to UPS output (or IT)": "dark-red",
                        "cooling": "blue",
                        "lighting": "yellow",
                    }
                ),
                no_value=_NO_METER,
            ),
            stacked=True,
        ),
        bars(
            "From feed to rack",
            "What is left at each stage now. A large step down is a loss; a step up means that two"
            " meters contradict each other. Choose one site to compare.",
            "watt",
            Query(flows.FEED, "feed and own", instant=True),
            Query(flows.LEFT, "less cooling and lighting", instant=True),
            Query(flows.role("ups"), "UPS output", instant=True),
            Query(flows.role("it"), "IT by PDUs", instant=True),
            Query(flows.AGENTS, "IT by agents", instant=True),
            look=Look(height=10, least=0, no_value=_NO_METER),
        ),
        series(
            "PUE over time",
            "PUE of the 24 hours, of 30 days and of the year before each moment, with the target."
            " A rise that the outside temperature does not explain is a fault in the cooling.",
            "none",
            Query(_pue("24h"), "24 h {{category}}"),
            Query(_pue("30d"), "30 d {{category}}"),
            Query(_pue("365d"), "year {{category}}"),
            Query(f"max by (site) ({PUE_TARGET}{{{SITES}}})", "target"),
            look=Look(width=12, decimals=3, overrides=(("target", dashed(BAD)),), no_value=_NO_PUE),
        ),
        series(
            "IT by meters and by agents",
            "The same power seen twice. Agents below the PDUs: machines without an agent. Agents"
            " above: a PDU is missing in the settings, or a host is counted by two sites.",
            "watt",
            Query(flows.role("ups"), "UPS output"),
            Query(flows.role("it"), "IT by PDUs"),
            Query(flows.AGENTS, "IT by agents"),
            look=Look(
                width=12,
                least=0,
                overrides=by_name(
                    {"UPS output": "orange", "IT by PDUs": GOOD, "IT by agents": "blue"}
                ),
            ),
        ),
    ),
)
_COOLING = Section(
    "Cooling, heat and water",
    (
        series(
            "Cooling against outside temperature",
            "Cooling power (left) and air temperatures (right). Cooling that stays high on cool"
            " days misses free cooling: look at set points, valves and fans.",
            "watt",
            Query(flows.role("cooling"), "cooling"),
            Query(flows.temperature("outside_temperature"), "outside air"),
            Query(flows.temperature("supply_air_temperature"), "supply air"),
            look=Look(
                width=12,
                overrides=(
                    ("cooling", (fixed("blue"), ("custom.lineWidth", 2))),
                    ("outside air", flows.on_the_right("celsius", FAIR)),
                    ("supply air", flows.on_the_right("celsius", UNKNOWN)),
                ),
                no_value=_NO_METER,
            ),
        ),
        series(
            "Heat",
            "Heat that the cooling takes out, and heat handed over for reuse. What is removed and"
            " not reused is what a heat consumer nearby could have.",
            "watt",
            Query(flows.role("removed_heat"), "removed"),
            Query(flows.role("reused_heat"), "reused"),
            look=Look(
                width=12,
                least=0,
                overrides=by_name({"removed": FAIR, "reused": GOOD}),
                no_value=_NO_METER,
            ),
        ),
        series(
            "Water",
            "Water taken in and given back, per hour. A step up without more heat is a leak, or a"
            " tower that blows down too much.",
            "litreh",
            Query(flows.water("water_in"), "in"),
            Query(flows.water("water_out"), "given back"),
            look=Look(
                width=12,
                least=0,
                overrides=by_name({"in": "blue", "given back": GOOD}),
                no_value=_NO_METER,
            ),
        ),
        series(
            "Heat removed per electricity for cooling",
            "CER of the 24 hours before: the higher, the less electricity a unit of heat costs."
            " If it falls at the same weather, clean the exchangers and look at the set points.",
            "none",
            Query(
                f'max by (site) (wattlas_site_cer_ratio{{{SITES}, window="24h"}})', "CER {{site}}"
            ),
            look=Look(
                width=12, decimals=2, no_value="no CER: needs removed_heat and cooling meters"
            ),
        ),
    ),
)
BOARD_DESCRIPTION = (
    "How well one site turns what it takes in into work of its IT: PUE and its family, losses from"
    " the feed to the rack, cooling, heat and water."
)
SITE = Board(
    "site",
    BOARD_DESCRIPTION,
    (_NOW, _WHERE, FAMILY, _COOLING, IT_HOSTS, flows.THIS_MONTH, flows.METERS),
    since="now-24h",
)
