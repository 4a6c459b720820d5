"""Upgrades and restarts under scrape."""

import itertools
import json
import os
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from service.machine import Failed, until
from service.trial import Trial, version

LEAD_SECONDS: Final = 3.0
"""Scraping goes on so long before and after."""


def upgrades(trial: Trial, later: Sequence[tuple[str, str]]) -> None:
    """Upgrade to each of (version, package) at 1 and 20 Hz, and restart; Prometheus looks on."""
    machine = trial.machine
    with prometheus(trial) as ask:
        for (number, package), hertz in zip(later, (1, 20), strict=True):

            def upgrade(package: str = package) -> None:
                machine.do("apt-get", "install", "-y", "--no-install-recommends", package)

            _under_scrape(trial, f"upgrade to {number} at {hertz} Hz", hertz, upgrade, number)
        for hertz in (1, 20):

            def restart() -> None:
                machine.do("systemctl", "restart", "wattlas")

            _under_scrape(trial, f"systemctl restart at {hertz} Hz", hertz, restart)
        _judge(trial, ask)


def _under_scrape(
    trial: Trial, what: str, hertz: float, act: Callable[[], None], number: str = ""
) -> None:
    machine, report = trial.machine, trial.report
    before = trial.account()
    old = machine.main_pid()
    with trial.scraper(hertz) as scraper:
        time.sleep(LEAD_SECONDS)
        began = time.monotonic()
        act()
        pid = trial.pid_changed(old)
        page = trial.measures()
        took = time.monotonic() - began
        time.sleep(LEAD_SECONDS)
    wanted = number or version(page)
    report.check(
        what,
        f"another process{f', version {number}' if number else ''}",
        f"process {old} then {pid}, version {version(page)}, {took:.1f} s until it measured",
        pid != old and version(page) == wanted and machine.shows("NRestarts") == "0",
    )
    trial.unbroken(what, scraper)
    trial.balance(what, before, trial.account())


def _judge(trial: Trial, ask: Callable[[str], Any]) -> None:
    """What a real Prometheus saw of it all, each scrape with one second and no more."""
    report = trial.report
    (up,) = ask("up[1h]")
    values = [float(value) for _, value in up["values"]]
    times = [at for at, _ in up["values"]]
    longest = max(b - a for a, b in itertools.pairwise(times))
    (slowest,) = ask("max_over_time(scrape_duration_seconds[1h])")
    report.check(
        "Prometheus at 1 Hz, scrape_timeout 1 s, through two upgrades and two restarts: up == 0",
        "0",
        f"{values.count(0.0)} of {len(values)} scrapes, slowest"
        f" {float(slowest['value'][1]):.2f} s, at most {longest:.1f} s apart",
        len(values) > 20 and values.count(0.0) == 0,
    )
    names = [
        s["metric"]["__name__"] for s in ask("group by (__name__) ({__name__=~'wattlas.*_total'})")
    ]
    resets = {name: float(ask(f"sum(resets({name}[1h]))")[0]["value"][1]) for name in names}
    report.check(
        "Prometheus: resets() of all counters",
        "0",
        f"{sum(resets.values()):.0f} in {len(names)} metrics",
        len(names) > 5 and not any(resets.values()),
    )


@contextmanager
def prometheus(trial: Trial) -> Iterator[Callable[[str], Any]]:
    """Keep a real Prometheus scraping the agent inside; yield what asks it."""
    place = trial.work / "prometheus"
    place.mkdir()
    (place / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        "scrape_configs:\n- job_name: wattlas\n"
        "  static_configs: [{targets: ['127.0.0.1:9760']}]\n"
    )
    command = [
        "prometheus",
        f"--config.file={place}/prometheus.yml",
        f"--storage.tsdb.path={place}/data",
        "--web.listen-address=127.0.0.1:9090",
    ]
    with (place / "log").open("ab") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *trial.machine.in_network(*command)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | {"GOMAXPROCS": "1"},
        )

    def ask(query: str) -> Any:
        path = f"/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        return json.loads(trial.machine.fetch(path, 9090))["data"]["result"]

    def scraped() -> bool:
        if process.poll() is not None:
            raise Failed(f"prometheus ended: {(place / 'log').read_text()[-500:]}")
        try:
            return bool(ask("up == 1"))
        except OSError:
            return False

    try:
        until("Prometheus has scraped the agent", scraped)
        yield ask
    finally:
        process.terminate()
        process.wait(30)
