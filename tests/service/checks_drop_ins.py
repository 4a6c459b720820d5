"""Drop-ins open what they say and no more; a wheel becomes a service by `wattlas install`."""

import re
from typing import Final

from service.checks_install import exposed, leftovers
from service.machine import Machine, until
from service.trial import SETTINGS, SIMULATED, Trial

CAPABILITIES: Final = {"perf": 38, "process-io": 19}
"""linux/capability.h: CAP_PERFMON, CAP_SYS_PTRACE."""
PROGRAM: Final = "/opt/wattlas/bin/wattlas"


def names(machine: Machine, program: str = "wattlas") -> list[str]:
    """Return the drop-ins that there are."""
    said = machine.do(program, "install", "--list-drop-ins")
    return [line.partition(":")[0] for line in said.splitlines() if re.match(r"[a-z-]+: ", line)]


def drop_ins(trial: Trial) -> None:
    """Each one: the unit loads without a word, runs, and has its capabilities and no other."""
    machine, report = trial.machine, trial.report
    # as the installer of Huawei's driver makes it
    machine.do("groupadd", "--system", "--force", "HwHiAiUser")
    for name in names(machine):
        machine.do("wattlas", "install", "--drop-in", name)
        _judge(trial, [name], f"drop-in {name}")
        machine.do("wattlas", "uninstall", "--drop-in", name)
    machine.do("systemctl", "restart", "wattlas")
    left = machine.shows("DropInPaths")
    report.check("drop-ins taken away again", "none left", left or "none", not left)
    trial.measures()


def wheel(trial: Trial) -> None:
    """A host without apt's package: a wheel in an environment, made a service, and taken away."""
    machine, report = trial.machine, trial.report
    machine.do("python3", "-m", "venv", "/opt/wattlas")
    machine.do("/opt/wattlas/bin/pip", "install", "--no-index", "--find-links=/wheels", "wattlas")
    machine.do(PROGRAM, "install", "--drop-in", "perf", "--drop-in", "ipmi")
    trial.answers()
    page = machine.page("/healthz")
    state = f"{machine.shows('ActiveState')}, {machine.shows('UnitFileState')}"
    report.check(
        "wattlas install of a wheel: service",
        "active, enabled, answers",
        f"{state}, {page.strip()}",
        state == "active, enabled" and page == "ok\n",
    )
    _judge(trial, ["perf", "ipmi"], "wattlas install --drop-in perf --drop-in ipmi")

    trial.sensors.open_to(int(machine.do("getent", "group", "wattlas").split(":")[2]))
    machine.write(SETTINGS, SIMULATED)
    machine.do("systemctl", "restart", "wattlas")
    trial.measures()
    before = trial.account()
    again = machine.do(PROGRAM, "install")
    trial.measures()
    kept = machine.do("cat", SETTINGS) == SIMULATED
    report.check(
        "wattlas install once more", "settings untouched, still measuring",
        f"settings {'kept' if kept else 'changed'}; it says:"
        f" {' '.join(again.split())[:120] or 'nothing'}",
        kept,
    )  # fmt: skip
    trial.balance("wattlas install once more", before, trial.account())

    machine.do(PROGRAM, "uninstall")
    stays = machine.try_to("ls", "/var/lib/wattlas/ledger.db", SETTINGS).returncode == 0
    gone = machine.try_to("systemctl", "cat", "wattlas.service").returncode != 0
    running = machine.try_to("pgrep", "-u", "wattlas").returncode == 0
    report.check(
        "wattlas uninstall", "ledger and settings stay, unit and process go",
        f"ledger and settings {'kept' if stays else 'lost'}, unit {'gone' if gone else 'there'},"
        f" process {'running' if running else 'gone'}",
        stays and gone and not running,
    )  # fmt: skip
    machine.do(PROGRAM, "install")
    trial.measures()
    trial.balance("wattlas uninstall and install", before, trial.account())
    machine.do(PROGRAM, "uninstall", "--purge")
    left = leftovers(machine)
    report.check(
        "wattlas uninstall --purge", "nothing left", ", ".join(left) or "nothing", not left
    )


def _judge(trial: Trial, wanted: list[str], what: str) -> None:
    machine = trial.machine
    machine.do("systemctl", "restart", "wattlas")
    until("/metrics answers", machine.page)
    paths = machine.shows("DropInPaths")
    loaded = [name for name in wanted if f"/{name}.conf" in paths]
    verify = machine.try_to("systemd-analyze", "verify", machine.shows("FragmentPath"))
    complaints = verify.stdout.strip()
    # what systemd says of a unit file names file and line
    told = machine.do("journalctl", "--no-pager", "-o", "cat", "-b", "_PID=1").splitlines()
    journal = [x for x in told if re.search(r"/wattlas\.service\S*:\d+: ", x)]
    status = machine.do("cat", f"/proc/{machine.main_pid()}/status")
    effective = int(re.findall(r"CapEff:\t(\w+)", status)[0], 16)
    allowed = sum(1 << CAPABILITIES[name] for name in wanted if name in CAPABILITIES)
    said = complaints or " ".join(journal[-2:]) or "no complaint"
    trial.report.check(
        what,
        f"loads without complaint, runs, CapEff {allowed:x}",
        f"{', '.join(loaded) or 'not loaded'}; CapEff {effective:x}; exposure"
        f" {exposed(machine)}; {said[:200]}",
        loaded == wanted and effective == allowed and not complaints and not journal,
    )
