"""One server: where its watts go."""

from dashboards.boards.frame import RAW, Board, Section
from dashboards.boards.panels import Look, Query, series, stat

SERVER = Board(
    "server",
    "Where one server's watts go: its parts against its wall, how busy it is, and how far the"
    " figures can be trusted.",
    (
        Section(
            "Now",
            (
                stat(
                    "Power",
                    "What the whole server draws now. Compare it with the limit of its supply and"
                    " with its neighbours.",
                    "watt",
                    Query(f"sum(wattlas_host_power_watts{{{RAW}}})"),
                ),
                series(
                    "Where the watts go",
                    "Parts stacked; what is left up to the wall is fans, regulators, losses and"
                    " what nobody measures. If the stack is above the wall, see the runbook"
                    " parts-exceed-wall.",
                    "watt",
                    Query(
                        f"sum by (component) (wattlas_component_power_watts{{{RAW}}})",
                        "{{component}}",
                    ),
                    look=Look(width=16),
                    stacked=True,
                ),
            ),
        ),
    ),
    one_host=True,
)
