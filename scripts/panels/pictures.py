"""usage: scripts/pictures DASHBOARD.json PICTURE.png [options]

Draws the panels of a Grafana dashboard from the results of their real queries, with Grafana's own
component library (@grafana/ui) in a headless Chromium. This is not a Grafana server: panels that
the library does not export (state timeline, heat map, gauge, pie and bar chart) are drawn by our
own code, and nothing here proves that Grafana loads the file.
"""

import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dashboard import Dashboard, Panel
from grammar import Value, interpolate, moment
from source import Refused, Source

HERE = Path(__file__).resolve().parent
MARGIN = 16  # pixels around the grid, as src/page.jsx has them


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/pictures", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = argparse.SUPPRESS
    add = parser.add_argument
    add("dashboard", type=Path)
    add("picture", type=Path)
    add("--prometheus", default="http://127.0.0.1:9090", metavar="URL")
    add("--from", dest="start", default="", help="begin, e.g. now-6h (default: the dashboard's)")
    add("--to", dest="end", default="", help="end, e.g. now or 2026-01-31T12:00:00Z")
    add("--variable", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    add("--panel", action="append", type=int, default=[], metavar="ID", help="only these panels")
    add("--scrape-interval", type=float, default=15.0, metavar="SECONDS")
    add("--width", type=int, default=1400, metavar="PIXELS")
    add("--height", type=int, default=0, metavar="PIXELS", help="cut the picture off below")
    add("--open-rows", action="store_true", help="show what folded rows hold")
    add("--no-header", action="store_true", help="leave title, variables and period out")
    add("--data", type=Path, metavar="FILE", help="also keep the queries' results here, as JSON")
    return parser.parse_args()


def packed(panels: list[Panel], wanted: list[int]) -> None:
    """Give chosen panels places one after the other, in the order they were chosen."""
    panels.sort(key=lambda panel: wanted.index(panel["id"]))
    x = y = tall = 0
    for panel in panels:
        place = panel["gridPos"]
        if x + place["w"] > 24:
            x, y, tall = 0, y + tall, 0
        place["x"], place["y"] = x, y
        x += place["w"]
        tall = max(tall, place["h"])


def compacted(panels: list[Panel]) -> None:
    """Move panels up until they meet one above, as Grafana's grid does."""
    placed: list[dict[str, int]] = []
    for panel in sorted(panels, key=lambda one: (one["gridPos"]["y"], one["gridPos"]["x"])):
        own = panel["gridPos"]
        above = (
            one["y"] + one["h"]
            for one in placed
            if one["x"] < own["x"] + own["w"] and own["x"] < one["x"] + one["w"]
        )
        own["y"] = max(above, default=0)
        placed.append(own)


def worded(panel: Panel, values: dict[str, Value]) -> Panel:
    """Return a panel whose title and description have their variables replaced."""
    for part in ("title", "description"):
        if panel.get(part):
            panel[part] = interpolate(panel[part], values)
    return panel


def plain(value: Any) -> Any:
    """Return a value as JSON can have it: what is no finite number becomes a text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def period(start: float, end: float) -> str:
    """Return a time range as people read it, in UTC."""
    first, last = (datetime.fromtimestamp(at, UTC) for at in (start, end))
    until = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M}"
    return f"{first:%Y-%m-%d %H:%M} to {until} UTC"


def own_range(expression: str | None) -> str:
    """Return how a panel says that it has a time range of its own."""
    if not expression:
        return ""
    units = {"d": "Today", "w": "This week", "M": "This month", "y": "This year"}
    if expression.startswith("now/"):
        return f"{units[expression[-1]]} so far"
    length = re.sub(r"/\w$", "", expression.removeprefix("now-"))
    words = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks", "M": "months", "y": "years"}
    return f"Last {length[:-1]} {words[length[-1]]}"


def page(asked: argparse.Namespace) -> dict[str, Any]:
    """Ask all queries; return what the page needs to draw."""
    content = json.loads(asked.dashboard.read_text())
    now = time.time()
    own = content.get("time", {})
    start = moment(asked.start or own.get("from", "now-6h"), now)
    end = moment(asked.end or own.get("to", "now"), now)
    source = Source(asked.prometheus)
    inside = asked.width - 2 * MARGIN
    dashboard = Dashboard(content, source, start, end, inside, asked.scrape_interval)
    dashboard.choose(dict(pair.split("=", 1) for pair in asked.variable))
    found = list(dashboard.panels(folded=asked.open_rows or bool(asked.panel)))
    if asked.panel:
        found = [(panel, scoped) for panel, scoped in found if panel.get("id") in asked.panel]
        packed([panel for panel, _ in found], asked.panel)
    else:
        compacted([panel for panel, _ in found])
    items = []
    for panel, scoped in found:
        where = panel["gridPos"]["y"] * 38
        if asked.height and where > asked.height:
            continue
        frames, wrong = (
            ([], []) if panel["type"] in {"row", "text"} else dashboard.data(panel, scoped)
        )
        for sentence in wrong:
            told = " ".join(f"{panel.get('title')} (id {panel.get('id')}): {sentence}".split())
            print(told if len(told) < 300 else f"{told[:300]}…", file=sys.stderr)
        first, last = dashboard.span(panel)
        items.append(
            {
                "panel": worded(panel, dashboard.values | scoped),
                "frames": plain(frames),
                "range": {"from": first * 1000, "to": last * 1000},
                "note": "" if panel.get("hideTimeOverride") else own_range(panel.get("timeFrom")),
            }
        )
    return {
        "title": content.get("title", ""),
        "variables": dashboard.shown,
        "period": period(start, end),
        "header": not asked.no_header,
        "width": asked.width,
        "panels": items,
    }


def main() -> None:
    asked = arguments()
    try:
        drawn = page(asked)
    except (Refused, ValueError, OSError) as error:
        sys.exit(f"scripts/pictures: {error}")
    tools = Path(os.environ["WATTLAS_PANELS"])
    with tempfile.TemporaryDirectory() as folder:
        data, raw = Path(folder, "page.json"), Path(folder, "raw.png")
        data.write_text(json.dumps(drawn, allow_nan=False))
        if asked.data:
            shutil.copy(data, asked.data)
        command = ["node", str(tools / "photograph.mjs"), str(data), str(raw)]
        if asked.height:
            command.append(str(asked.height))
        subprocess.run(command, check=True)
        asked.picture.parent.mkdir(parents=True, exist_ok=True)
        quantised = [
            shutil.which("pngquant") or "",
            "--force",
            "--output",
            str(asked.picture),
            str(raw),
        ]
        if not quantised[0] or subprocess.run(quantised, check=False).returncode:
            shutil.copy(raw, asked.picture)
    print(f"{asked.picture}: {asked.picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
