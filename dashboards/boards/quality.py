"""How far the figures can be trusted: who answers, what is estimated or missing, and its cost."""

from typing import Final

from dashboards.boards.colours import BAD, FAIR, GOOD, QUALITIES
from dashboards.boards.frame import SITES, Board, Section
from dashboards.boards.panels import Look, Query, series, stat, states, with_room
from dashboards.boards.quality_agents import AGENTS, LEDGERS
from dashboards.boards.quality_tables import DISAGREEING, FAILING, UNSURE
from dashboards.rules.record_energy import UNCERTAINTY

_BY_QUALITY: Final = f"site_quality:wattlas_host_energy_joules:increase1h{{{SITES}"
_GAP: Final = f"site:wattlas_host_energy_gap_seconds:increase1h{{{SITES}}}"
_COUNT: Final = f"site:wattlas_hosts:count{{{SITES}}}"
_ESTIMATED: Final = (
    f'(sum({_BY_QUALITY}, quality="estimated"}}) or 0 * sum({_BY_QUALITY}}}))'
    f" / sum({_BY_QUALITY}}})"
)
_ALL = ((None, BAD), (0.9, FAIR), (1.0, GOOD))
"""Colours of a share that should be 1."""
_NOW = Section(
    "Now",
    (
        stat(
            "Agents that answer",
            "Share of the agents that Prometheus reaches, of the worst site. Below 100 %: open the"
            " host under Agents below, and see whether it is down or only its agent.",
            "percentunit",
            Query(f"min(site:wattlas_agents_up:ratio{{{SITES}}})"),
            look=Look(width=4, height=4, decimals=1, steps=_ALL),
        ),
        stat(
            "Collectors all up",
            "Share of hosts on which every collector's last reading succeeded, of the worst site."
            " Below 100 %: the table of collectors that failed says why.",
            "percentunit",
            Query(f"min(site:wattlas_collectors_all_up:ratio{{{SITES}}})"),
            look=Look(width=4, height=4, decimals=1, steps=_ALL),
        ),
        stat(
            "Estimated share",
            "Share of the last hour's energy that a model gave, not a counter or a sensor. Give"
            " these hosts a meter (BMC, PDU) where the figure matters.",
            "percentunit",
            Query(_ESTIMATED),
            look=Look(width=4, height=4, decimals=1),
        ),
        stat(
            "Time without a figure",
            "Share of the last hour, over all hosts, for which some of their energy is not known."
            " It is nowhere made up for: mend what fails, and the sums are whole again.",
            "percentunit",
            Query(f"sum({_GAP}) / (3600 * sum({_COUNT}))"),
            look=Look(width=4, height=4, decimals=2, steps=((None, GOOD), (0.001, FAIR))),
        ),
        stat(
            "Uncertainty of power",
            "Half-width of the uncertainty as a share of all power, an upper bound. Above 10 % look"
            " for hosts that are estimated, and at sensors without a stated accuracy.",
            "percentunit",
            Query(f"max({UNCERTAINTY}{{{SITES}}})"),
            look=Look(width=4, height=4, decimals=1),
        ),
        stat(
            "Ledgers in order",
            "Share of the agents that can save what they count, of the worst site. One that cannot"
            " loses what it holds when it restarts: look at its disk first.",
            "percentunit",
            Query(f"min(site:wattlas_ledger_up:avg{{{SITES}}})"),
            look=Look(width=4, height=4, decimals=1, steps=_ALL),
        ),
    ),
)
_OBTAINED = Section(
    "How the energy was obtained",
    (
        series(
            "Energy by how it was obtained",
            "Shares of the hour before each moment: measured by counters, integrated from sensors,"
            " estimated by models. A jump to estimated is a source that fell silent.",
            "joule",
            Query(f"sum by (quality) ({_BY_QUALITY}}})", "{{quality}}"),
            look=Look(width=16, overrides=QUALITIES),
            stacked=True,
            share=True,
        ),
        with_room(
            series(
                "Share of the time without a figure",
                "By site, of the hour before each moment. While it is above 0, that site's energy"
                " is a lower bound.",
                "percentunit",
                Query(f"{_GAP} / on (site) (3600 * {_COUNT})", "{{site}}"),
                look=Look(least=0, decimals=2),
            ),
            0.01,
        ),
        UNSURE,
        series(
            "Uncertainty over time",
            "By site, as a share of its power. It changes when sources change: compare the moment"
            " with what was installed or failed then.",
            "percentunit",
            Query(f"{UNCERTAINTY}{{{SITES}}}", "{{site}}"),
            look=Look(least=0, decimals=1),
        ),
    ),
)
_COLLECTORS = Section(
    "Collectors",
    (
        states(
            "Collectors that work",
            "Each collector over all hosts that have it: green where it works on every one. Where"
            " it fails on all at once, look at what they share: a driver, a password, a network.",
            "percentunit",
            Query(
                f"min by (collector) (site_collector:wattlas_collector_up:avg{{{SITES}}})",
                "{{collector}}",
            ),
            look=Look(
                width=12, height=9, steps=((None, BAD), (0.5, FAIR), (1.0, GOOD)), decimals=0
            ),
        ),
        FAILING,
        series(
            "Slowest reading",
            "The longest last reading of each collector on any host. Above 1 s it delays the"
            " others: give it a longer interval, or ask why the device answers so slowly.",
            "s",
            Query(
                "max by (collector)"
                f" (site_collector:wattlas_collector_duration_seconds:max{{{SITES}}})",
                "{{collector}}",
            ),
            look=Look(width=12, least=0, steps=((None, GOOD), (1.0, FAIR))),
        ),
        with_room(
            series(
                "Failed readings",
                "By collector, over all hosts. A few on many hosts are a network that was away;"
                " steady ones on one host are in the table above with their reason.",
                "suffix:/min",
                Query(
                    "60 * (sum by (collector)"
                    f" (site_collector:wattlas_collector_failures:rate15m{{{SITES}}})\n"
                    "or 0 * sum by (collector)"
                    f" (site_collector:wattlas_collector_up:avg{{{SITES}}}))",
                    "{{collector}}",
                ),
                look=Look(width=12, least=0),
            ),
            1,
        ),
    ),
)
_GAPS = Section(
    "Resets and silent meters",
    (
        with_room(
            series(
                "Energy counters that began anew",
                "In the hour before each moment, by reason. After a boot or a driver's reload it is"
                " usual; a jump or a reset without one is a faulty counter.",
                "short",
                Query(
                    f"sum by (reason) (site_reason:wattlas_counter_resets:increase1h{{{SITES}}})",
                    "{{reason}}",
                ),
                look=Look(width=12, least=0, decimals=0, no_value="no counter began anew"),
            ),
            2,
        ),
        with_room(
            series(
                "Silence of the site's meters",
                "Seconds of the hour before for which meters of a role gave nothing, summed over"
                " meters. PUE is withheld below 95 %: the site's dashboard has each meter.",
                "s",
                Query(
                    f"sum by (role) (site_role:wattlas_site_gap_seconds:increase1h{{{SITES}}})",
                    "{{role}}",
                ),
                look=Look(width=12, least=0, no_value="no agent reads a site's meters"),
            ),
            60,
        ),
    ),
)
QUALITY = Board(
    "quality",
    "How far the figures can be trusted: agents and collectors that work, what is estimated or"
    " missing, sources that disagree, ledgers, and what the agents themselves cost.",
    (_NOW, _OBTAINED, _COLLECTORS, DISAGREEING, _GAPS, LEDGERS, AGENTS),
)
