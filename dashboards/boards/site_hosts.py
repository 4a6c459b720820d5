"""From the site to its racks and hosts."""

from typing import Final

from dashboards.boards.cells import linked, unit
from dashboards.boards.frame import HOSTS, SITES, Section, link_to
from dashboards.boards.panels import Look, Query, bars, hidden_field, table, value_of
from dashboards.rules.record_efficiency import RELATIVE_30M
from dashboards.rules.record_hosts import LOAD, POWER

_LARGEST: Final = f"topk(30, 1 * {POWER}{{{HOSTS}}})"
_SERVER: Final = link_to("server", host="${__data.fields.instance}")
_LABELS: Final = "job, instance, host, site, rack"

IT_HOSTS: Final = Section(
    "Its racks and hosts",
    (
        bars(
            "Power by rack",
            "What the agents of each rack draw now. Compare it with what the rack's feed may carry,"
            " and with its PDU where that is metered.",
            "watt",
            Query(
                "sort_desc(sum by (site, rack)"
                f' (rack:wattlas_host_power_watts:sum{{{SITES}, rack=~"$rack"}}))',
                "{{site}} {{rack}}",
                instant=True,
            ),
            look=Look(height=9, least=0),
        ),
        table(
            "Hosts that draw most",
            "The 30 hosts with the most power, how busy they are, and their work per joule beside"
            " their own past at the same load. Much power at little load is waste: open the host.",
            "none",
            Query(_LARGEST),
            Query(f"1 * {LOAD}{{{HOSTS}}} and on ({_LABELS}) {_LARGEST}"),
            Query(f"min by ({_LABELS}) ({RELATIVE_30M}{{{HOSTS}}}) and on ({_LABELS}) {_LARGEST}"),
            Query(
                f"last_over_time(instance:wattlas_host_energy_joules:increase1d{{{HOSTS}}}[1h])"
                f" / 3.6e6 and on ({_LABELS}) {_LARGEST}"
            ),
            look=Look(
                width=16,
                height=9,
                overrides=(
                    ("Host", linked("Open the server", _SERVER)),
                    ("instance", hidden_field()),
                    ("Power", unit("watt")),
                    ("24 hours", unit("kwatth")),
                    ("Load", unit("percentunit", 0)),
                    ("Work per joule against usual", unit("percentunit", 0)),
                ),
            ),
            columns=(
                ("host", "Host"),
                ("instance", "instance"),
                ("rack", "Rack"),
                (value_of(0), "Power"),
                (value_of(3), "24 hours"),
                (value_of(1), "Load"),
                (value_of(2), "Work per joule against usual"),
            ),
            sort="Power",
        ),
    ),
)
