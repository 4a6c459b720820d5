"""Plots of a carbon report as SVG that stands in a page; needs matplotlib (the extra `report`)."""

import io
import logging
import re
from datetime import datetime
from typing import Any, Final, NamedTuple

from agent.carbon.words import Stage
from agent.report.failure import ReportError

INSTALL: Final = "pip install 'wattlas[report]'"
"""What brings the plots."""
COLOURS: Final = {
    Stage.OPERATION: "#0072b2",
    Stage.PROCUREMENT: "#e69f00",
    Stage.DESIGN: "#f0e442",
    Stage.MANUFACTURING: "#d55e00",
    Stage.PACKAGING_TRANSPORT: "#cc79a7",
    Stage.RECYCLING: "#009e73",
}
"""Okabe and Ito, "Color Universal Design" (2008): told apart by colour-blind readers, too."""
SIZE_INCHES: Final = (8.0, 3.2)
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "wattlas",
    "font.size": 9.0,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
}
_METADATA: Final = {"Date": None, "Creator": None, "Format": None, "Type": None}


class Plot(NamedTuple):
    """One figure of the page."""

    title: str
    alt: str
    """What it shows, in words."""
    svg: str


def plots(document: dict[str, Any]) -> list[Plot] | None:
    """Return the report's plots; None: matplotlib is not installed."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra, and heavy
    except ImportError:
        return None
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with mpl.rc_context(_STYLE):
        drawn = [_stages(document), _hours(document), *map(_burn, document["budgets"])]
    found = [plot for plot in drawn if plot is not None]
    return [
        plot._replace(svg=_inline(plot, f"plot{number}")) for number, plot in enumerate(found, 1)
    ]


def _stages(document: dict[str, Any]) -> Plot | None:
    """Stages, stacked, by day or month."""
    series = document["series"]
    buckets = series["stages"]
    stages = [stage for stage in Stage if any(stage.value in each["grams"] for each in buckets)]
    stages.sort(key=lambda stage: stage is not Stage.OPERATION)
    if not stages:
        return None
    figure, axes = _figure()
    labels = [
        each["from"][5:10] if series["step"] == "day" else each["from"][:7] for each in buckets
    ]
    places = list(range(len(buckets)))
    bottom = [0.0] * len(buckets)
    for stage in stages:
        heights = [each["grams"].get(stage.value, 0.0) / 1000 for each in buckets]
        axes.bar(
            places,
            heights,
            bottom=bottom,
            width=0.85,
            color=COLOURS[stage],
            label=stage.value.replace("_", " and "),
        )
        bottom = [a + b for a, b in zip(bottom, heights, strict=True)]
    every = max(1, -(-len(buckets) // 12))
    axes.set_xticks(places[::every], labels[::every])
    axes.set_ylabel("kg CO2e")
    axes.grid(visible=False, axis="x")
    figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=8)
    total = next(each for each in document["totals"] if each["basis"] == "location")
    shares = ", ".join(
        f"{stage.replace('_', ' and ')} {grams / 1000:,.4g} kg"
        for stage, grams in total["by_stage"].items()
    )
    alt = f"Bars by {series['step']}: kg CO2e, stages stacked, Scope 2 by location. Sums: {shares}."
    return Plot(f"Stages by {series['step']}", alt, _svg(figure))


def _hours(document: dict[str, Any]) -> Plot | None:
    """The intensity over the day."""
    hours = document["intensity"]["by_hour_of_day"]
    if not hours:
        return None
    figure, axes = _figure()
    at = [each["hour"] + 0.5 for each in hours]
    axes.fill_between(
        at,
        [each["low"] for each in hours],
        [each["high"] for each in hours],
        color="#0072b2",
        alpha=0.2,
        linewidth=0,
        label="8 of 10 days",
    )
    axes.plot(at, [each["mean"] for each in hours], color="#0072b2", label="mean")
    axes.set_xlim(0, 24)
    axes.set_xticks(range(0, 25, 3))
    axes.set_ylim(bottom=0)
    zone = document["period"]["time_zone"]
    axes.set_xlabel(f"hour of the day, {zone}")
    axes.set_ylabel("g/kWh")
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=8)
    least = min(hours, key=lambda each: each["mean"])
    most = max(hours, key=lambda each: each["mean"])
    alt = (
        f"Mean intensity by hour of the day ({zone}) with the range of 8 of 10 days: least"
        f" {least['mean']:.0f} g/kWh at {least['hour']}:00, most {most['mean']:.0f} g/kWh at"
        f" {most['hour']}:00."
    )
    return Plot("Intensity of the grid over the day", alt, _svg(figure))


def _burn(budget: dict[str, Any]) -> Plot | None:
    """What is left of a budget, day by day, and where the pace leads."""
    points = budget["points"]
    if len(points) < 2 or budget["used"] is None:
        return None
    figure, axes = _figure()
    limit = budget["limit"]
    start, end = (datetime.fromisoformat(budget["period"][key]) for key in ("from", "to"))

    def days(moment: str) -> float:
        return (datetime.fromisoformat(moment) - start).total_seconds() / 86400

    length = (end - start).total_seconds() / 86400
    at = [days(point["at"]) for point in points]
    left = [limit - point["used"] for point in points]
    axes.plot(at, left, color="#d55e00", label="left")
    axes.plot([0, length], [limit, 0], color="#666666", linestyle=":", label="even use")
    pace = next((each for each in budget["paces"] if each["expected"] is not None), None)
    if pace is not None and at[-1] < length:
        axes.plot(
            [at[-1], length],
            [left[-1], limit - pace["expected"]],
            color="#d55e00",
            linestyle="--",
            label=f"pace of the last {pace['days']} days" if pace["days"] else "pace so far",
        )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xlim(0, length)
    axes.set_xlabel(f"days since {budget['period']['from'][:10]}")
    axes.set_ylabel(budget["unit"])
    figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=8)
    alt = (
        f"What is left of {limit:,.6g} {budget['unit']}, day by day: {left[-1]:,.6g} after"
        f" {at[-1]:.0f} of {length:.0f} days."
    )
    return Plot(f"Budget {budget['name']}: {budget['of']}", alt, _svg(figure))


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    return figure, figure.add_subplot()


def _svg(figure: Any) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata=_METADATA)
    return text.getvalue()


def _inline(plot: Plot, prefix: str) -> str:
    """Return an SVG that may stand in a page beside others: its ids are its own."""
    start = plot.svg.find("<svg")
    if start < 0:
        raise ReportError("matplotlib drew no SVG; install its newest version")
    text = plot.svg[start:]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = text.replace("url(#", f"url(#{prefix}-").replace('href="#', f'href="#{prefix}-')
    return text.replace("<svg ", f'<svg role="img" aria-labelledby="{prefix}-alt" ', 1)
