"""The table: what was measured, beside the peer and the target."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

NOTE = (
    "node_exporter reads its sources when it is scraped and costs nothing between; Wattlas reads"
    " its own once a second and serves a page made ready after the tick. So the ratio of CPU time"
    " compares a program that samples every second with one that samples every 15 s, and the"
    " ratio of latency compares handing over a page with collecting one."
)
DEFAULT = "node_exporter, default"
AGENT = "wattlas"


class Row(NamedTuple):
    """One target."""

    what: str
    figure: str
    peer: str
    ratio: float | None
    target: str
    met: bool | None
    stretch: str
    stretched: bool | None


def rows(r: Mapping[str, Any]) -> list[Row]:
    """Return a row for each target that this version can be measured against."""
    latency, agent, peer = r["latency"], r["cpu"][AGENT], r["cpu"].get(DEFAULT)
    found = []

    def row(
        what: str,
        figure: str,
        value: float,
        target: float | None,
        stretch: float | None,
        unit: str,
        *,
        peer: str = "–",
        ratio: bool = False,
    ) -> None:
        found.append(
            Row(
                what,
                figure,
                peer,
                value if ratio and not math.isnan(value) else None,
                "–" if target is None else f"≤ {target:g}{unit}",
                None if target is None or math.isnan(value) else value <= target,
                "–" if stretch is None else f"≤ {stretch:g}{unit}",
                None if stretch is None or math.isnan(value) else value <= stretch,
            )
        )

    row(
        f"CPU, 1 Hz, machine level, scraped every {r['every']:g} s",
        f"{agent['scraped']:.3f} %",
        r["cpu_ratio"]["median"],
        2.0,
        1.0,
        " ×",
        peer=f"{peer['scraped']:.3f} %" if peer else "–",
        ratio=True,
    )
    memory = r["memory"]
    row("resident memory", f"{memory['rss']:.1f} MB (PSS {memory['pss']:.1f})", memory["rss"],
        48, 36, " MB", peer=_memory(r))  # fmt: skip
    gpus = r["gpus"]
    row(
        f"CPU, 1 Hz, with {gpus['boards']}, scraped every {r['every']:g} s",
        f"{gpus['scraped']:.3f} %",
        gpus["ratio"]["median"],
        4.0,
        2.0,
        " ×",
        peer=f"{gpus['peer']:.3f} %" if gpus["peer"] else "–",
        ratio=True,
    )
    row("resident memory, with them", f"{gpus['memory']['rss']:.1f} MB", gpus["memory"]["rss"],
        48, 36, " MB")  # fmt: skip
    row("series, with them", f"{gpus['series']}", gpus["series"], 500, None, "")
    many = next(name for name in latency if name.startswith("wattlas,"))
    for quantile, target, stretch in (("p50", 0.15, 0.08), ("p99", 0.3, 0.12)):
        ours, theirs = latency[many][quantile], latency.get(DEFAULT, {}).get(quantile, math.nan)
        row(
            f"scrape {quantile}, {latency[many]['series']} series",
            f"{ours:.2f} ms",
            ours / theirs,
            target,
            stretch,
            " ×",
            peer=f"{theirs:.2f} ms" if not math.isnan(theirs) else "–",
            ratio=True,
        )
    crowd = r["crowd"]
    what = f"{crowd['scrapers']} scrapers at once, {crowd['series']} series"
    row(f"{what}: p99", f"{crowd['p99']:.1f} ms", crowd["p99"], 50, 15, " ms")
    row(f"{what}: latest tick", f"{crowd['worst_late_ms']:.1f} ms", crowd["worst_late_ms"],
        50, None, " ms")  # fmt: skip
    late = r["late"]
    row(f"every core busy: latest of {late['ticks']} ticks", f"{late['worst_ms']:.1f} ms",
        late["worst_ms"], 100, 20, " ms")  # fmt: skip
    row("every core busy: ticks skipped", f"{late['skipped']:.0f}", late["skipped"], 0, 0, "")
    start = r["start"]
    row("start to first scrape answered, new ledger", f"{start['new ledger']:.2f} s",
        start["new ledger"], 1.0, 0.5, " s", peer=f"{start['peer']:.2f} s")  # fmt: skip
    row("start to first scrape answered, later", f"{start['old ledger']:.2f} s",
        start["old ledger"], 1.0, 0.5, " s", peer=f"{start['peer']:.2f} s")  # fmt: skip
    row("`wattlas read`, 1 s of it sampling", f"{r['read']:.2f} s", r["read"], 1.5, None, " s")
    replay = r["replay"]
    size = replay["ledger_bytes"] / 1e6
    row(
        "ledger per day, 20 sources, from the replayed day", f"{size:.2f} MB", size, 1.0, 0.3, " MB"
    )
    row(f"replay of {replay['samples']:,} samples of 20 sources", f"{replay['seconds']:.1f} s",
        replay["seconds"] if r["whole_day"] else math.nan, 20, 8, " s")  # fmt: skip
    absent = r["absent"]
    row("a collector with nothing to read, at start", f"{absent['start_ms']:.2f} ms",
        absent["start_ms"], 0.5, None, " ms")  # fmt: skip
    share = r["own_energy_share"]
    if share is not None:
        row("the agent's own energy, its estimate, share of the host's", f"{share * 100:.4f} %",
            share * 100, 0.05, None, " %")  # fmt: skip
    return found


def _memory(r: Mapping[str, Any]) -> str:
    peer = r["peer_memory"].get(DEFAULT)
    return f"{peer['rss']:.1f} MB (PSS {peer['pss']:.1f})" if peer else "–"


def table(r: Mapping[str, Any]) -> str:
    """Return both tables in Markdown, which reads well on a terminal too."""
    lines = _grid(
        ["", "Wattlas", "node_exporter", "ratio", "target", "", "stretch", ""],
        [
            [
                row.what,
                row.figure,
                row.peer,
                "" if row.ratio is None else f"{row.ratio:.2f}",
                row.target,
                _verdict(row.met),
                row.stretch,
                _verdict(row.stretched),
            ]
            for row in rows(r)
        ],
    )
    lines += ["", NOTE, ""]
    head = ["", "CPU idle %", f"CPU scraped every {r['every']:g} s %", "CPU ms per scrape"]
    head += ["scrape p50 / p99 ms", "series", "page kB (gzip)", "RSS / PSS MB"]
    body = []
    for name in dict.fromkeys([*r["cpu"], *r["latency"]]):
        cpu, latency = r["cpu"].get(name), r["latency"].get(name)
        memory = r["peer_memory"].get(name) or (r["memory"] if name == AGENT else None)
        body.append(
            [
                name,
                f"{cpu['idle']:.3f}" if cpu else "–",
                f"{cpu['scraped']:.3f}" if cpu else "–",
                f"{cpu['ms_per_scrape']:.1f}" if cpu else "–",
                f"{latency['p50']:.2f} / {latency['p99']:.2f}" if latency else "–",
                str(latency["series"]) if latency else "–",
                f"{latency['page_bytes'] / 1e3:.1f} ({latency['gzipped_bytes'] / 1e3:.1f})"
                if latency
                else "–",
                f"{memory['rss']:.1f} / {memory['pss']:.1f}" if memory else "–",
            ]
        )
    lines += _grid(head, body)
    return "\n".join([*lines, "", *_also(r)])


def _also(r: Mapping[str, Any]) -> list[str]:
    ratio, start, late, replay = r["cpu_ratio"], r["memory_at_start"], r["late"], r["replay"]
    memory, absent = r["memory"], r["absent"]
    also = {
        f"CPU ratio of {r['pairs']} pairs": f"median {ratio['median']:.2f},"
        f" from {ratio['least']:.2f} to {ratio['most']:.2f}",
        "resident memory": f"{start['rss']:.1f} MB when the CPU run began,"
        f" {memory['rss']:.1f} MB at its end",
        f"CPU ratio with {r['gpus']['boards']}": f"median {r['gpus']['ratio']['median']:.2f},"
        f" from {r['gpus']['ratio']['least']:.2f} to {r['gpus']['ratio']['most']:.2f};"
        f" of our CPU time {r['gpus']['driver']:.3f} % of a core was spent inside the driver's"
        " library, here a stand-in: a real driver takes more",
        "written to the disk": f"{r['written_mb_per_day']:.0f} MB a day,"
        " extrapolated from the CPU run",
        "replay with a ledger kept": f"{replay['seconds_with_ledger']:.1f} s",
        "a collector with nothing to read, after its first tick": f"{absent['later_us']:.2f} us"
        " a tick",
        "every core busy": f"half of the ticks were at most {late['p50_ms']:.1f} ms late",
        "host": ", ".join(f"{key} {value}" for key, value in r["facts"].items()),
    }
    return [f"- {what}: {figure}." for what, figure in also.items()]


def _verdict(met: bool | None) -> str:
    return "" if met is None else "met" if met else "missed"


def _grid(head: list[str], body: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
    widths = [max(width, 3) for width in widths]

    def line(cells: list[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    return [line(head), line(["-" * width for width in widths]), *(line(row) for row in body)]
