"""The six stages of the machines' life."""

from typing import Final

from dashboards.boards.cells import unit
from dashboards.boards.colours import by_name
from dashboards.boards.frame import SITES, Section
from dashboards.boards.panels import Look, Query, bar_chart, series, table, value_of
from dashboards.rules.record_carbon import EMISSIONS_HOUR, EMISSIONS_SO_FAR

LIFE_STAGES: Final = by_name(
    {
        "procurement": "yellow",
        "design": "super-light-purple",
        "manufacturing": "semi-dark-orange",
        "packaging_transport": "purple",
        "operation": "blue",
        "recycling": "green",
        "embodied": "semi-dark-orange",
    }
)
"""One colour for each stage; embodied: all but operation."""
_EMBODIED: Final = "site_stage:wattlas_embodied_grams:sum"
_ALL: Final = 'basis=~"|location"'
"""All scopes, with Scope 2 by location."""
_OTHER: Final = 'stage!="operation"'
_BOUNDS: Final = {"low": "at least", "best": "best estimate", "high": "up to"}
"""What the bounds are called in the bars, which Grafana sorts by name."""
_HOUR: Final = f"{EMISSIONS_HOUR}{{{SITES}, {_ALL}"
EMBODIED_SHARE: Final = f"sum({_HOUR}, {_OTHER}}}) / sum({_HOUR}}})"
_NO_LIFE: Final = "nothing yet: set [lifecycle] in_service and lifetime_years"


def _so_far(matcher: str) -> str:
    return f"sum by (stage) ({EMISSIONS_SO_FAR}{{{SITES}, {_ALL}, {matcher}}}) / 1000"


def _whole(bound: str) -> str:
    return f'sum by (stage) ({_EMBODIED}{{{SITES}, bound="{bound}"}}) / 1000'


def _bars() -> str:
    """Return the whole life's stages at each bound; operation, which has none, beside each."""
    return "\nor\n".join(
        f'label_replace({expression}, "bound", "{name}", "", "")'
        for bound, name in _BOUNDS.items()
        for expression in (_whole(bound), _so_far('stage="operation"'))
    )


LIFE: Final = Section(
    "The whole life, in six stages",
    (
        series(
            "Emissions by stage, so far",
            "What the hosts emitted since their agents began, by location: operation as it was"
            " counted, the other stages shared evenly over the planned life. The thickest band is"
            " the one to work on.",
            "suffix:kg",
            Query(_so_far('stage!=""'), "{{stage}}"),
            look=Look(width=16, height=10, least=0, overrides=LIFE_STAGES, no_value=_NO_LIFE),
            stacked=True,
        ),
        bar_chart(
            "Whole life, with its bounds",
            "All that making, moving and recycling the machines takes, at the low, best and high"
            " figure, and operation so far on top. Where the bars differ much, ask the makers for"
            " their footprints before you decide by them.",
            "suffix:kg",
            Query(_bars(), instant=True),
            look=Look(height=10, least=0, overrides=LIFE_STAGES, no_value=_NO_LIFE),
            row="bound",
            column="stage",
        ),
        series(
            "Operation against the rest of the life",
            "What running the hosts emits per hour beside the hour's share of their making and end."
            " Where the second is the larger, run the machines longer and fuller.",
            "suffix:kg/h",
            Query(f'sum({_HOUR}, stage="operation"}}) / 1000', "operation"),
            Query(f"sum({_HOUR}, {_OTHER}}}) / 1000", "embodied"),
            look=Look(width=10, least=0, overrides=LIFE_STAGES, no_value=_NO_LIFE),
            stacked=True,
        ),
        table(
            "Stages and their bounds",
            "The whole life's figure of each stage beside what is charged so far. A stage without"
            " a row is not known, which is not zero: give the maker's figures under"
            " [[lifecycle.asset]].",
            "suffix:kg",
            Query(_whole("low")),
            Query(_whole("best")),
            Query(_whole("high")),
            Query(_so_far('stage!=""')),
            look=Look(
                width=14,
                decimals=1,
                overrides=tuple(
                    (name, unit("suffix:kg", 1)) for name in ("Low", "Best", "High", "So far")
                ),
                no_value="–",
            ),
            columns=(
                ("stage", "Stage"),
                (value_of(0), "Low"),
                (value_of(1), "Best"),
                (value_of(2), "High"),
                (value_of(3), "So far"),
            ),
            sort="So far",
        ),
    ),
)
