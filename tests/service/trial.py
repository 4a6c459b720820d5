"""One booted Debian with an agent in it, and the questions that every check asks."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.machine import Failed, Machine, until
from service.report import Report
from service.scraper import Scraper, by_device, total
from service.sensors import Sensors, used

ADDRESS: Final = ("127.0.0.1", 9760)
ENERGY: Final = "wattlas_component_energy_joules_total"
GAP: Final = "wattlas_energy_gap_seconds_total"
SETTINGS: Final = "/etc/wattlas/wattlas.toml"
SIMULATED: Final = '[paths]\nprocfs = "/srv/machine/proc"\nsysfs = "/srv/machine/sys"\n'
STEADY_SECONDS: Final = 2.5
"""Counters that stand still show in the agent's after so long: two ticks and a half."""


@dataclass(frozen=True)
class Standing:
    """What the agent says and what is true, while nothing moves."""

    counted: Mapping[str, float]
    true: Mapping[str, tuple[float, float]]
    gaps: Mapping[str, float]


@dataclass
class Trial:
    """What the checks work with."""

    machine: Machine
    sensors: Sensors
    report: Report
    work: Path

    def scraper(self, hertz: float) -> Scraper:
        """Return a scraper inside."""
        return Scraper(ADDRESS, hertz, self.machine.enter_network)

    def answers(self, seconds: float = 60.0) -> str:
        """Return /metrics, once there is one. Raises `Failed` with the end of the journal."""
        try:
            return until("/metrics answers", self.machine.page, seconds)
        except Failed as error:
            said = self.machine.try_to("journalctl", "--no-pager", "-n", "20", "-u", "wattlas")
            raise Failed(f"{error}; the journal: {said.stdout}") from error

    def measures(self) -> str:
        """Return /metrics once energy of the simulated server is in it."""

        def ready() -> str:
            page = self.machine.page()
            return page if counted(page) else ""

        return until("the simulated RAPL is counted", ready)

    def pid_changed(self, old: int) -> int:
        """Return the main process once it is another one."""
        return until(
            "another main process", lambda: (p := self.machine.main_pid()) not in {0, old} and p
        )

    def account(self) -> Standing:
        """Hold the counters until the agent shows no more news; return both sides."""
        with self.sensors.still():
            true = self.sensors.joules()
            end = time.monotonic() + 60.0
            page, since = self.measures(), time.monotonic()
            while time.monotonic() - since < STEADY_SECONDS:
                time.sleep(0.1)
                now = self.machine.fetch()
                if counted(now) != counted(page):
                    page, since = now, time.monotonic()
                if time.monotonic() > end:
                    raise Failed("the agent counts on although no counter moves")
            return Standing(counted(page), true, gaps(page))

    def balance(self, what: str, before: Standing, after: Standing) -> None:
        """Check that what was counted in between is what was used, to a millijoule per device."""
        if before.counted.keys() != after.counted.keys():
            self.report.failed(f"{what}: energy", f"{before.counted} then {after.counted}")
            return
        truth = used(before.true, after.true)
        found = sum(after.counted.values()) - sum(before.counted.values())
        self.report.check(
            f"{what}: energy counted against the truth of the RAPL counters",
            "equal to 0.01 J",
            f"{found:.3f} J of {truth:.3f} J",
            abs(found - truth) < 0.01 and truth > 0,
        )
        grown = {name: after.gaps[name] - before.gaps.get(name, 0.0) for name in after.gaps}
        rapl = max(seconds for name, seconds in grown.items() if 'source="rapl"' in name)
        longest = max(grown, key=lambda name: grown[name])
        self.report.check(
            f"{what}: time without knowledge (wattlas_energy_gap_seconds_total)",
            "0 s of RAPL",
            f"RAPL {rapl:.2f} s; the longest, {longest.removeprefix(GAP)}: {grown[longest]:.2f} s",
            rapl == 0,
        )

    def unbroken(self, what: str, scraper: Scraper) -> None:
        """Check that no scrape failed and no counter went back."""
        failed, lower = scraper.failed, scraper.lower()
        self.report.check(
            f"{what}: failed scrapes",
            "0",
            f"{len(failed)} of {len(scraper.scrapes)}, slowest {scraper.longest_seconds:.2f} s"
            + (f"; the first: {failed[0].error}" if failed else ""),
            not failed and len(scraper.scrapes) > 2,
        )
        self.report.check(
            f"{what}: counters that went down or away",
            "0",
            f"{len(lower)}" + (f"; the first: {lower[0]}" if lower else ""),
            not lower,
        )


def counted(page: str) -> Mapping[str, float]:
    """Return joules by device of what RAPL counted."""
    return by_device(page, ENERGY, source="rapl", quality="measured")


def gaps(page: str) -> Mapping[str, float]:
    """Return gap seconds by series."""
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if line.startswith(GAP + "{")
    }


def version(page: str) -> str:
    """Return the version that the program says it has."""
    line = next((x for x in page.splitlines() if x.startswith("wattlas_build_info{")), "")
    return line.partition('version="')[2].partition('"')[0]


def collector_up(page: str, name: str) -> float | None:
    """Return wattlas_collector_up of one; None: nothing to read."""
    return total(page, "wattlas_collector_up", collector=name)
