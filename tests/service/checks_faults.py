"""Killed, hung, and told to read its settings again."""

import statistics
import time
from typing import Final

from service.machine import until
from service.trial import SETTINGS, SIMULATED, Trial

KILLS: Final = 5
BACK_SECONDS: Final = 2.0
WATCHDOG_SECONDS: Final = 6
HANG_SECONDS: Final = 5.0
"""After the watchdog's time: it is killed, waited for, and started again."""
DROP_IN: Final = "/etc/systemd/system/wattlas.service.d/test-watchdog.conf"


def kills(trial: Trial) -> None:
    """`kill -9`: serving again at once, and no joule is lost."""
    machine, report = trial.machine, trial.report
    before = trial.account()
    took: list[float] = []
    with trial.scraper(20) as scraper:
        for _ in range(KILLS):
            trial.measures()
            time.sleep(1.5)
            old = machine.main_pid()
            killed = time.monotonic()
            machine.do("kill", "-9", str(old))
            trial.pid_changed(old)
            trial.answers()
            took.append(time.monotonic() - killed)
            trial.measures()
        time.sleep(1.0)
    after = trial.account()
    report.check(
        f"kill -9, {KILLS} times: until /metrics answers again",
        f"median under {BACK_SECONDS:g} s",
        f"median {statistics.median(took):.2f} s, slowest {max(took):.2f} s",
        statistics.median(took) < BACK_SECONDS,
    )
    # A scrape that the dying process had in its hands is lost with it; all others wait.
    failed = scraper.failed
    report.check(
        "kill -9: scrapes at 20 Hz that failed",
        f"at most one per kill ({KILLS})",
        f"{len(failed)} of {len(scraper.scrapes)}, slowest {scraper.longest_seconds:.2f} s"
        + (f"; the first: {failed[0].error}" if failed else ""),
        len(failed) <= KILLS,
    )
    lower = scraper.lower()
    report.check(
        "kill -9: counters that went down or away",
        "0",
        f"{len(lower)}" + (f"; the first: {lower[0]}" if lower else ""),
        not lower,
    )
    trial.balance(f"{KILLS} kill -9", before, after)


def hang(trial: Trial) -> None:
    """A process that hangs is killed by systemd and started again."""
    machine, report = trial.machine, trial.report
    machine.write(DROP_IN, f"[Service]\nWatchdogSec={WATCHDOG_SECONDS}\n")
    machine.do("systemctl", "daemon-reload")
    machine.do("systemctl", "restart", "wattlas")
    trial.measures()
    before = trial.account()
    old = machine.main_pid()
    stopped = time.monotonic()
    machine.do("kill", "-STOP", str(old))
    trial.pid_changed(old)
    trial.answers()
    took = time.monotonic() - stopped
    said = "Watchdog timeout" in machine.journal()
    report.check(
        f"hang (SIGSTOP), WatchdogSec={WATCHDOG_SECONDS}: until /metrics answers again",
        f"WatchdogSec + {HANG_SECONDS:g} s, by the watchdog",
        f"{took:.2f} s, journal: {'Watchdog timeout' if said else 'no word of it'}",
        said and took < WATCHDOG_SECONDS + HANG_SECONDS,
    )
    trial.balance("hang", before, trial.account())
    machine.do("rm", DROP_IN)
    machine.do("systemctl", "daemon-reload")
    machine.do("systemctl", "restart", "wattlas")
    trial.measures()


def reload(trial: Trial) -> None:
    """SIGHUP: new settings, the same process, no gap."""
    machine, report = trial.machine, trial.report
    before = trial.account()
    old = machine.main_pid()
    with trial.scraper(20) as scraper:
        time.sleep(1.0)
        machine.write(SETTINGS, SIMULATED + '[host]\nsite = "gz-1"\n')
        machine.do("systemctl", "reload", "wattlas")
        until("the new site", lambda: 'site="gz-1"' in machine.page())
        time.sleep(1.0)
    pid = machine.main_pid()
    report.check("systemctl reload", "the same process", f"{old} then {pid}", pid == old)
    trial.unbroken("systemctl reload at 20 Hz", scraper)
    trial.balance("systemctl reload", before, trial.account())
    machine.write(SETTINGS, SIMULATED)
    machine.do("systemctl", "reload", "wattlas")
