"""The package comes, is what it promises to be, goes, and comes again."""

import re
import statistics
import time
from typing import Final

from service.machine import Failed, Machine, until
from service.scraper import total
from service.trial import SETTINGS, SIMULATED, Trial, collector_up, counted

ANSWERS_SECONDS: Final = 5.0
EXPOSURE: Final = 1.5
WRONG: Final = "[agent]\nlisten_on = '0.0.0.0:9760'\n"


def install(trial: Trial, package: str) -> None:
    """Install on a host that has never seen it: active, and /metrics answers."""
    machine, report = trial.machine, trial.report
    took: list[float] = []
    after: list[float] = []
    # A busy machine may be slow once: then the median of three decides.
    while not took or (statistics.median(took) >= ANSWERS_SECONDS and len(took) < 3):
        if took:
            machine.do("apt-get", "purge", "-y", "wattlas")
        began = time.monotonic()
        machine.do("apt-get", "install", "-y", "--no-install-recommends", package)
        after.append(-time.monotonic())
        trial.answers(30.0)
        took.append(time.monotonic() - began)
        after[-1] += time.monotonic()
    state = machine.shows("ActiveState")
    report.check(
        "apt install ./wattlas.deb: active and /metrics answering",
        f"{ANSWERS_SECONDS:g} s from when apt was called",
        f"{state}; {' and '.join(f'{t:.2f}' for t in took)} s after apt was called, of that"
        f" {' and '.join(f'{t:.2f}' for t in after)} s after apt had ended",
        state == "active" and statistics.median(took) < ANSWERS_SECONDS,
    )
    enabled = machine.do("systemctl", "is-enabled", "wattlas").strip()
    report.check("starts at boot", "enabled", enabled, enabled == "enabled")
    watchdog = machine.shows("WatchdogUSec")
    report.check("watchdog as shipped", "30s", watchdog, watchdog == "30s")


def privilege(trial: Trial) -> None:
    """No capability, no root; RAPL through the group and through nothing else."""
    machine, report, sensors = trial.machine, trial.report, trial.sensors
    group = int(machine.do("getent", "group", "wattlas").split(":")[2])
    user = machine.do("id", "-u", "wattlas").strip()

    # the shipped line, by the real systemd-tmpfiles, on a tree whose /sys is the simulated one
    sensors.open_to(0, 0o400)
    machine.do(
        "sh", "-ec",
        "mkdir -p /srv/machine/etc; cd /srv/machine/etc;"
        " for f in passwd group; do grep -E '^(root|wattlas):' /etc/$f >$f; done",
    )  # fmt: skip
    machine.do(
        "systemd-tmpfiles", "--create", "--root=/srv/machine", "/usr/lib/tmpfiles.d/wattlas.conf"
    )
    counter = "/srv/machine/sys/class/powercap/intel-rapl:0/energy_uj"
    below = "/srv/machine/sys/class/powercap/intel-rapl:0:0/energy_uj"
    modes = machine.do("stat", "-L", "-c", "%a %U:%G", counter, below).split("\n")[:2]
    report.check(
        "wattlas.tmpfiles on a tree that is root's alone: zones and subzones",
        "0440 root:wattlas",
        ", ".join(modes),
        modes == ["440 root:wattlas"] * 2,
    )

    machine.write(SETTINGS, SIMULATED)
    machine.do("systemctl", "restart", "wattlas")
    trial.measures()
    page = until(
        "power from RAPL",
        lambda: total(p := machine.page(), "wattlas_component_power_watts", source="rapl") and p,
    )
    watts = total(page, "wattlas_component_power_watts", source="rapl") or 0.0
    report.check(
        "the hardened unit reads RAPL from a fake tree, energy_uj 0440 root:wattlas",
        "all four counters",
        f"{len(counted(page))} counters, {watts:.0f} W",
        len(counted(page)) == 4 and collector_up(page, "rapl") == 1,
    )

    status = machine.do("cat", f"/proc/{machine.main_pid()}/status")
    found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    capabilities = {name: int(found[name], 16) for name in found if name.startswith("Cap")}
    report.check(
        "capabilities in /proc/PID/status",
        "none in any of five sets",
        ", ".join(f"{name} {value:x}" for name, value in capabilities.items()),
        len(capabilities) == 5 and not any(capabilities.values()),
    )
    report.check(
        "runs as",
        "user and group wattlas, NoNewPrivs",
        f"uid {found['Uid'].split()[0]}, gid {found['Gid'].split()[0]},"
        f" NoNewPrivs {found['NoNewPrivs']}, Seccomp {found['Seccomp']}",
        set(found["Uid"].split()) == {user}
        and set(found["Gid"].split()) == {str(group)}
        and found["NoNewPrivs"] == "1",
    )

    sensors.open_to(0)  # 0440 root:root: the group is taken away
    machine.do("systemctl", "restart", "wattlas")
    page = until(
        "the agent has looked at RAPL",
        lambda: (p := trial.answers()) and total(p, "wattlas_host_power_watts") is not None and p,
    )
    report.check(
        "the same with the group taken away",
        "RAPL not readable, no figure of it",
        f"wattlas_collector_up rapl {collector_up(page, 'rapl')},"
        f" power from rapl {total(page, 'wattlas_component_power_watts', source='rapl')}",
        collector_up(page, "rapl") != 1
        and total(page, "wattlas_component_power_watts", source="rapl") is None,
    )
    sensors.open_to(group)
    machine.do("systemctl", "restart", "wattlas")
    trial.measures()


def exposure(trial: Trial) -> None:
    """What systemd itself thinks of the unit; and nothing listens that nobody named."""
    machine, report = trial.machine, trial.report
    found = exposed(machine)
    report.check("systemd-analyze security wattlas", f"<= {EXPOSURE}", found, found <= EXPOSURE)
    listening = machine.do("ss", "-H", "-l", "-n", "-t", "-u").splitlines()
    ports = sorted({line.split()[4] for line in listening})
    report.check("what listens", "0.0.0.0:9760 alone", ", ".join(ports), ports == ["0.0.0.0:9760"])


def exposed(machine: Machine) -> float:
    """Return systemd's figure for the unit as it is loaded: 0 is closed, 10 is open."""
    said = machine.try_to("systemd-analyze", "security", "wattlas.service").stdout
    match = re.search(r"exposure level for wattlas\.service: ([\d.]+)", said)
    if match is None:
        raise Failed(f"systemd-analyze security: {said[-500:]}")
    return float(match[1])


def wrong_settings(trial: Trial) -> None:
    """A fault in the settings: one sentence in the journal, and no loop."""
    machine, report = trial.machine, trial.report
    machine.write(SETTINGS, WRONG)
    before = len(machine.journal())
    machine.try_to("systemctl", "restart", "wattlas")
    until("it failed", lambda: machine.shows("ActiveState") == "failed")
    time.sleep(3.0)  # RestartSec is 1 s: a loop would show
    lines = [x for x in machine.journal()[before:].splitlines() if "listen_on" in x]
    state, restarts = machine.shows("ActiveState"), machine.shows("NRestarts")
    status = machine.shows("ExecMainStatus")
    report.check(
        "wrong settings",
        "failed once with status 2, not restarted, one sentence",
        f"{state}, status {status}, {restarts} restarts: {lines[0] if lines else 'no sentence'}",
        (state, status, restarts, len(lines)) == ("failed", "2", "0", 1),
    )
    machine.write(SETTINGS, SIMULATED)
    machine.do("systemctl", "restart", "wattlas")
    trial.measures()


def remove_and_purge(trial: Trial, package: str) -> None:
    """Remove keeps what is the user's, purge takes all."""
    machine, report = trial.machine, trial.report
    before = trial.account()
    machine.do("apt-get", "remove", "-y", "wattlas")
    kept = machine.try_to("ls", "-d", "/var/lib/wattlas/ledger.db", SETTINGS)
    known = machine.try_to("getent", "passwd", "wattlas").returncode == 0
    gone = machine.try_to("systemctl", "cat", "wattlas.service").returncode != 0
    running = machine.try_to("pgrep", "-u", "wattlas").returncode == 0
    report.check(
        "apt remove",
        "ledger, settings and user stay; unit and process go",
        f"ledger and settings {'kept' if kept.returncode == 0 else kept.stdout.strip()},"
        f" user {'kept' if known else 'gone'}, unit {'gone' if gone else 'there'},"
        f" process {'running' if running else 'gone'}",
        kept.returncode == 0 and known and gone and not running,
    )
    machine.do("apt-get", "install", "-y", "--no-install-recommends", package)
    kept_settings = machine.do("cat", SETTINGS) == SIMULATED
    state = machine.shows("ActiveState")
    report.check(
        "apt install after apt remove",
        "active, with the settings as they were",
        f"{state}, settings {'kept' if kept_settings else 'changed'}",
        state == "active" and kept_settings,
    )
    machine.do("systemctl", "start", "wattlas")
    trial.measures()
    after = trial.account()
    trial.balance("removed and reinstalled", before, after)

    machine.do("apt-get", "purge", "-y", "wattlas")
    left = leftovers(machine)
    failed = machine.try_to("systemctl", "is-failed", "wattlas").stdout.strip() == "failed"
    report.check(
        "apt purge",
        "state, settings, user, unit: all gone",
        f"left: {', '.join(left) or 'nothing'}{', a failed unit' if failed else ''}",
        not left and not failed,
    )


def leftovers(machine: Machine) -> list[str]:
    """Return files that name us, outside the program's own directory, and our account."""
    places = ("/etc", "/usr/lib", "/usr/local", "/usr/share", "/var/lib", "/run", "/usr/bin")
    found = machine.do(
        "find", *places, "-xdev", "-name", "*wattlas*",
        "-not", "-path", "/var/lib/dpkg/*", "-not", "-path", "/run/systemd/*",
    )  # fmt: skip
    accounts = [
        f"{what} wattlas"
        for what in ("passwd", "group")
        if machine.try_to("getent", what, "wattlas").returncode == 0
    ]
    return [*found.split(), *accounts]
