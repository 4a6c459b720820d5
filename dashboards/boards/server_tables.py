"""A server's tables: its parts, its accelerators."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.boards.cards import EVERY_CARD, EVERY_PART, of_card, of_limit, of_part
from dashboards.boards.cells import coloured, gauge, linked, unit, wide
from dashboards.boards.colours import BAD, FAIR, GOOD, NEUTRAL, QUALITY
from dashboards.boards.frame import RAW, link_to
from dashboards.boards.panels import Look, Query, hidden_field, table, value_of

_TO_CARD: Final = link_to("accelerators", device="${__data.fields.uuid}")
_QUALITY: Final = [
    {
        "type": "value",
        "options": {
            quality: {"color": colour, "text": quality, "index": n}
            for n, (quality, colour) in enumerate(QUALITY.items())
        },
    }
]

PARTS_NOW: Final = table(
    "Parts",
    "Every part, by the source that counts. Time without a figure is energy that is missing: find"
    " out why that source fails, under data quality. Estimated: see whether a driver is missing.",
    "watt",
    Query(f"1 * wattlas_component_power_watts{{{RAW}}}"),
    Query(f"increase(wattlas_component_energy_joules_total{{{RAW}}}[1d]) / 3.6e6"),
    Query(f"increase(wattlas_energy_gap_seconds_total{{{RAW}}}[1d])"),
    look=Look(
        width=24,
        height=9,
        overrides=(
            (
                "quality",
                (("mappings", _QUALITY), ("custom.cellOptions", {"type": "color-text"})),
            ),
            ("power", unit("watt", 1)),
            ("energy of 24 hours", unit("kwatth", 2)),
            ("device", wide(360)),
            (
                "without a figure",
                (*unit("s", 0), *coloured(((None, GOOD), (60, FAIR), (8640, BAD)))),
            ),
        ),
    ),
    columns=(
        ("component", "part"),
        ("device", "device"),
        ("source", "source"),
        ("quality", "quality"),
        (value_of(0), "power"),
        (value_of(1), "energy of 24 hours"),
        (value_of(2), "without a figure"),
    ),
    sort="power",
)


def cards_table(title: str, description: str, cards: str, parts: str, height: int) -> Panel:
    """Return a table of accelerators; `cards` and `parts` are matchers of their series."""
    utilisation = of_part(f"wattlas_component_utilization_ratio{{{parts}}}", cards)
    energy = of_part(f"increase(wattlas_component_energy_joules_total{{{parts}}}[1d])", cards)
    throttled = of_card(f"increase(wattlas_gpu_throttled_seconds_total{{{cards}}}[1d])")
    errors = f'increase(wattlas_gpu_ecc_errors_total{{type="uncorrected", {cards}}}[1d])'
    return table(
        title,
        description,
        "watt",
        Query(of_part(f"wattlas_component_power_watts{{{parts}}}", cards)),
        Query(of_limit(parts, cards)),
        Query(utilisation),
        Query(of_card(f"wattlas_gpu_temperature_celsius{{{cards}}}")),
        Query(f"{energy} / 3.6e6"),
        Query(throttled),
        Query(of_card(errors, "sum")),
        look=Look(
            width=24,
            height=height,
            overrides=(
                ("uuid", hidden_field()),
                ("card", (*linked("Go to this card", _TO_CARD), *wide(70))),
                ("name", wide(220)),
                ("power", unit("watt")),
                ("of its limit", (*unit("percentunit", 0), *gauge(0, 1, ((None, NEUTRAL),)))),
                ("busy", (*unit("percentunit", 0), *gauge(0, 1, ((None, NEUTRAL),)))),
                ("hottest", unit("celsius", 0)),
                ("energy, 24 h", unit("kwatth", 2)),
                (
                    "held down, 24 h",
                    (*unit("s", 0), *coloured(((None, GOOD), (60, FAIR), (8640, BAD)))),
                ),
                (
                    "errors, 24 h",
                    (*unit("none", 0), *coloured(((None, GOOD), (1, BAD)))),
                ),
            ),
            no_value="This server has no accelerator",
        ),
        columns=(
            ("uuid", "uuid"),
            ("gpu", "card"),
            ("name", "name"),
            (value_of(0), "power"),
            (value_of(1), "of its limit"),
            (value_of(2), "busy"),
            (value_of(3), "hottest"),
            (value_of(4), "energy, 24 h"),
            (value_of(5), "held down, 24 h"),
            (value_of(6), "errors, 24 h"),
        ),
        sort="card",
        descending=False,
    )


CARDS: Final = cards_table(
    "Accelerators of this server",
    "Its cards; a click on one opens it. Errors are uncorrected ones. One that is hotter or held"
    " down for longer than its neighbours at the same load is the one to look at.",
    EVERY_CARD,
    EVERY_PART,
    9,
)
