"""What goes on inside accelerators, and how far their figures can be trusted."""

from typing import Final

from dashboards.boards.cards import CARD, PART, of_card, of_part
from dashboards.boards.frame import Section
from dashboards.boards.panels import Look, Query, series
from dashboards.boards.throttling import rate

_CARD: Final = "card {{gpu}}"

INSIDE: Final = Section(
    "Inside the cards",
    (
        series(
            "Activity of units",
            "Share of cycles in which each unit was busy, the mean of the cards. Tensor units idle"
            " while DRAM is busy: the work waits for memory, and a lower limit costs little.",
            "percentunit",
            Query(f"avg by (pipe) (wattlas_gpu_pipe_active_ratio{{{CARD}}})", "{{pipe}}"),
            look=Look(width=12, least=0, most=1, no_value="Only Hopper and later, or DCGM, say"),
        ),
        series(
            "Utilisation of the cards",
            "Share of the time in which a kernel ran; it says nothing of how full the card was.",
            "percentunit",
            Query(of_part(f"wattlas_component_utilization_ratio{{{PART}}}", CARD), _CARD),
            look=Look(width=12, least=0, most=1),
        ),
        series(
            "Memory in use",
            "Share of each card's memory. Memory that is full while the card idles is a model that"
            " is loaded and not asked: unload it, and the card can rest.",
            "percentunit",
            Query(
                of_card(f"wattlas_gpu_memory_used_bytes{{{CARD}}}")
                + " / "
                + of_card(f"wattlas_gpu_memory_total_bytes{{{CARD}}}"),
                _CARD,
            ),
            look=Look(width=8, least=0, most=1),
        ),
        series(
            "Traffic over links",
            "Bytes per second of all chosen cards. Much traffic and little work is a job that is"
            " split the wrong way. Needs links = true in the settings of nvml.",
            "Bps",
            Query(f"sum by (link) ({rate(f'wattlas_gpu_link_bytes_total{{{CARD}}}')})", "{{link}}"),
            look=Look(width=8, least=0, no_value="Set links = true in [collectors.nvml]"),
        ),
        series(
            "Power of MIG slices",
            "A slice's part of its board's power by its activity: an attribution, no measurement."
            " Use it to compare tenants, not to bill them to the cent.",
            "watt",
            Query(
                f"sum by (gpu, slice) (wattlas_gpu_slice_attributed_watts{{{CARD}}})",
                "card {{gpu}}: {{slice}}",
            ),
            look=Look(width=8, least=0, no_value='No slices, or mig = "off"'),
            stacked=True,
        ),
    ),
    folded=True,
)

TRUST: Final = Section(
    "How far to trust them",
    (
        series(
            "Energy counter against power sensor",
            "A card's energy counter over its own sensor's integral, per minute. If it stays away"
            " from 100 %, one of them is wrong: see the runbook cross-checks.",
            "percentunit",
            Query(of_part(f"wattlas_crosscheck_energy_ratio{{{PART}}}", CARD), _CARD),
            look=Look(width=12, no_value="No card has both a counter and a sensor"),
        ),
        series(
            "Memory errors",
            "Errors per hour by kind. Corrected ones that grow announce others; a card with"
            " uncorrected ones goes back to its maker.",
            "short",
            Query(
                f"sum by (gpu, type) (increase(wattlas_gpu_ecc_errors_total{{{CARD}}}[1h]))",
                "card {{gpu}}: {{type}}",
            ),
            look=Look(width=12, least=0, no_value="These cards count no errors"),
        ),
    ),
    folded=True,
)
