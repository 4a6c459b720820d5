"""One host's accelerators: power against its limit, work per joule, what holds them down."""

from typing import Final

from dashboards.boards.accelerators_inside import INSIDE, TRUST
from dashboards.boards.cards import CARD, PART, of_card, of_limit, of_part
from dashboards.boards.colours import BAD, FAIR, GOOD, NOTHING
from dashboards.boards.frame import RAW, Board, Section
from dashboards.boards.panels import Look, Query, bars, series, stat, states
from dashboards.boards.server_tables import cards_table
from dashboards.boards.throttling import HELD, SOMETIMES, STEPS, rate, state

_CARD: Final = "card {{gpu}}"
_HOW: Final = "{{precision}} by {{method}}"
_FLOPS_PER_WATT: Final = "si:FLOPS/W"
_NO_FLOPS: Final = "Nothing here says what operations were done: see docs/flops.md"
_NO_PEAK: Final = "No published peak, or no operations: see docs/flops.md"
_NO_WORK: Final = "Nobody reports work: see docs/work.md"
_NO_REASON: Final = "These cards do not say whether they are throttled"
_HELD: Final = rate(f"wattlas_gpu_throttled_seconds_total{{{CARD}}}")
_HELD_CARDS: Final = f"max by (gpu, uuid) ({_HELD})"
_PER_UNIT: Final = f"wattlas_work_energy_joules_per_unit{{{RAW}}}"


def _most(metric: str) -> str:
    """Return the mean of the cards, of the precision that has most, by method."""
    return f"topk by (method) (1, avg by (precision, method) ({metric}{{{PART}}}))"


_NOW: Final = Section(
    "Now",
    (
        stat(
            "Power now",
            "What the chosen cards draw together. Compare it with the work that they get done,"
            " beside it.",
            "watt",
            Query(f"sum(wattlas_component_power_watts{{{PART}}})"),
            look=Look(width=4, height=4),
        ),
        stat(
            "Share of limit",
            "Power of the cards that have a limit over these limits. Near 100 % the limit, and not"
            " the work, sets their speed; try whether a lower limit does more work per joule.",
            "percentunit",
            Query(
                f"sum({of_part(f'wattlas_component_power_watts{{{PART}}}', CARD)}"
                f" and on (job, instance, uuid) wattlas_gpu_power_limit_watts{{{CARD}}})"
                f" / sum({of_card(f'wattlas_gpu_power_limit_watts{{{CARD}}}')})"
            ),
            look=Look(width=4, height=4, decimals=0, least=0, most=1),
        ),
        stat(
            "FLOPS per watt",
            "Operations per joule of the precision that does most, the mean of the cards, by the"
            " method that counted them. pipe_activity is an upper bound; all precisions are below.",
            _FLOPS_PER_WATT,
            Query(_most("wattlas_flops_per_watt"), "{{method}}", instant=True),
            look=Look(width=4, height=4, no_value="not known"),
            names=True,
            spark=False,
        ),
        stat(
            "Share of peak",
            "Operations over the vendor's dense peak, of the precision that is nearest to it, the"
            " mean of the cards. By application it is the MFU: below 30 % ask what they wait for.",
            "percentunit",
            Query(_most("wattlas_flops_peak_ratio"), "{{method}}", instant=True),
            look=Look(width=4, height=4, decimals=0, no_value="not known"),
            names=True,
            spark=False,
        ),
        stat(
            "Energy per unit",
            "Joules of the devices that do the work, per token, step or request. Larger"
            " batches bring it down more than anything else.",
            "joule",
            Query(_PER_UNIT, "{{unit}}"),
            look=Look(width=4, height=4, no_value="no work reported"),
            names=True,
        ),
        stat(
            "Held down",
            "How many cards had their clocks held down by heat or a power limit in the last"
            " minutes. The bands below say which and why.",
            "none",
            Query(f"count({_HELD_CARDS} > {SOMETIMES}) or 0 * count({_HELD_CARDS})"),
            look=Look(
                width=4,
                height=4,
                decimals=0,
                steps=((None, "text"), (0, GOOD), (1, FAIR)),
                no_value="not known",
            ),
        ),
    ),
)

_POWER: Final = Section(
    "Power against its limit, and what comes of it",
    (
        series(
            "Power as a share of the enforced limit",
            "Each card's power over the limit that its driver enforces now. A flat line at 100 % is"
            " a card that the limit slows down; one far below its neighbours waits for work.",
            "percentunit",
            Query(of_limit(PART, CARD), _CARD),
            look=Look(width=12, height=9, least=0, steps=((None, NOTHING), (1.0, BAD))),
        ),
        series(
            "FLOPS per watt by method and precision",
            "Operations per joule, the mean of the cards, over the last minute. A lower precision"
            " does more per joule; a fall at the same load is throttling or other software.",
            _FLOPS_PER_WATT,
            Query(f"avg by (precision, method) (wattlas_flops_per_watt{{{PART}}})", _HOW),
            look=Look(width=12, height=9, least=0, no_value=_NO_FLOPS),
        ),
    ),
)

_DONE: Final = Section(
    "What they get done",
    (
        series(
            "Share of peak by method and precision",
            "Operations over the dense peak of their precision, the mean of the cards. Over 100 %"
            " is possible: peaks are stated at lower clocks, and pipe_activity is an upper bound.",
            "percentunit",
            Query(f"avg by (precision, method) (wattlas_flops_peak_ratio{{{PART}}})", _HOW),
            look=Look(width=8, least=0, no_value=_NO_PEAK),
        ),
        series(
            "Energy per unit of work, over time",
            "Joules of the devices that do the work, per token, step or request. Two workloads on"
            " one card are each given all of its energy: compare them over time, never add them.",
            "joule",
            Query(_PER_UNIT, "{{workload}}: per {{unit}}"),
            look=Look(width=8, least=0, no_value=_NO_WORK),
        ),
        bars(
            "Board energy by card",
            "What each card took in the time shown, by its energy counter where it has one. Cards"
            " of one job should be equal: one that is not is idle, sick, or on other work.",
            "kwatth",
            Query(
                "sort_desc("
                + of_part(
                    f"increase(wattlas_component_energy_joules_total{{{PART}}}[$__range])", CARD
                )
                + " / 3.6e6)",
                _CARD,
                instant=True,
            ),
            look=Look(width=8, least=0),
        ),
    ),
)

_LIMITS: Final = Section(
    "What holds them down",
    (
        states(
            "Throttling by card",
            "For how much of the time each card's clocks were held down, whatever the reason. One"
            " card alone is its own cooling or seating; all of them are a limit or the air.",
            "none",
            Query(state(_HELD_CARDS), _CARD),
            look=Look(width=12, height=8, steps=STEPS, mappings=HELD, no_value=_NO_REASON),
        ),
        states(
            "Throttling by reason",
            "The same by reason, the worst of the chosen cards. A power cap may be wanted; thermal"
            " slowdown and power brake never are: look at fans, inlet air and supplies.",
            "none",
            Query(state(f"max by (reason) ({_HELD})"), "{{reason}}"),
            look=Look(width=12, height=8, steps=STEPS, mappings=HELD, no_value=_NO_REASON),
        ),
        series(
            "Temperature",
            "The hottest sensor of each card. The difference between neighbours says more than the"
            " value: swap the place of the hottest, and see whether the heat goes with it.",
            "celsius",
            Query(of_card(f"wattlas_gpu_temperature_celsius{{{CARD}}}"), _CARD),
            look=Look(width=12),
        ),
        series(
            "SM clock",
            "The clock that each card really has. It falls when a card is held down; beside the"
            " power limit above it says whether that costs speed.",
            "hertz",
            Query(of_card(f'wattlas_gpu_clock_hertz{{clock="sm", {CARD}}}'), _CARD),
            look=Look(width=12, least=0),
        ),
    ),
)

ACCELERATORS = Board(
    "accelerators",
    "One host's accelerators: how near they are to their power limit, what they get done per joule,"
    " and what holds them down.",
    (
        _NOW,
        _POWER,
        _DONE,
        _LIMITS,
        Section(
            "Cards",
            (
                cards_table(
                    "Cards",
                    "The chosen cards beside each other; a click on one shows it alone. Look at"
                    " the one that is hotter, slower or held down for longer than the others.",
                    CARD,
                    PART,
                    9,
                ),
            ),
        ),
        INSIDE,
        TRUST,
    ),
    device=True,
    one_host=True,
)
