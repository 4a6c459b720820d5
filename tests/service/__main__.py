"""Runs the whole trial; scripts/test-service calls it."""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service import checks_drop_ins, checks_faults, checks_install, checks_upgrade
from service.debian import debian
from service.machine import Failed, Machine
from service.packages import build_deb, later, wheels
from service.report import Report
from service.sensors import Sensors
from service.trial import Trial

Step = tuple[str, Callable[[], None]]


def main() -> int:
    """Build, boot, check; 0 if all was as it should be."""
    parser = argparse.ArgumentParser(prog="scripts/test-service")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--mirror", default="")
    parser.add_argument("--deb", type=Path)
    parser.add_argument("--only", choices=("deb", "wheel"))
    parser.add_argument("--transcript", type=argparse.FileType("w"))
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    # so that every `with` ends what it began
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = Path(tempfile.mkdtemp(prefix="wattlas-service."))
    work.chmod(0o755)  # the agent inside looks at sensors below it
    bench = Bench(Report(transcript=given.transcript), work)
    report = bench.report
    try:
        bench.make_root(given)
        if given.only != "wheel":
            bench.package(given.deb)
        if given.only != "deb":
            bench.wheel()
    except (Failed, OSError) as error:
        report.failed("the trial", error)
    finally:
        if given.keep:
            report.say(f"kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    bad = sum(not ok for ok, *_ in report.lines)
    report.say(f"{os.cpu_count()} cores, load over the last 15 minutes {os.getloadavg()[2]:.1f}")
    report.say(f"the table:\n\n{report.table()}\n")
    report.say(f"{len(report.lines) - bad} checks passed, {bad} failed")
    return 0 if report.passed else 1


@dataclass
class Bench:
    """Where the trials are made."""

    report: Report
    work: Path
    root: Path = Path()

    def make_root(self, given: argparse.Namespace) -> None:
        """Have a Debian."""
        if given.root is not None:
            self.root = given.root
            return
        self.report.say("a Debian 12")
        self.root, seconds = debian(given.cache, given.mirror)
        how = f"made in {seconds:.0f} s" if seconds else "from the cache"
        self.report.say(f"{self.root}: {how}")

    def package(self, given: Path | None) -> None:
        """Try the .deb, in a Debian of its own."""
        debs = self.work / "debs"
        debs.mkdir()
        if given:
            package = Path(shutil.copy(given, debs))
        else:
            self.report.say("building the .deb (scripts/build-deb)")
            package = build_deb(debs)
        size = package.stat().st_size / 1e6
        self.report.say(f"{package.name}: {size:.1f} MB; making later versions of it")
        newer = [later(package, debs, self.work, number) for number in (1, 2)]
        upgrades = [(number, f"/debs/{path.name}") for number, path in newer]
        first, last = f"/debs/{package.name}", upgrades[-1][1]
        with self._booted("deb", {debs: "/debs"}) as trial:
            self._go(
                trial,
                ("install", lambda: checks_install.install(trial, first)),
                ("privilege", lambda: checks_install.privilege(trial)),
                ("exposure", lambda: checks_install.exposure(trial)),
                ("kill -9", lambda: checks_faults.kills(trial)),
                ("hang", lambda: checks_faults.hang(trial)),
                ("reload", lambda: checks_faults.reload(trial)),
                ("upgrade", lambda: checks_upgrade.upgrades(trial, upgrades)),
                ("wrong settings", lambda: checks_install.wrong_settings(trial)),
                ("drop-ins", lambda: checks_drop_ins.drop_ins(trial)),
                ("remove and purge", lambda: checks_install.remove_and_purge(trial, last)),
            )

    def wheel(self) -> None:
        """Try a wheel, in another one."""
        place = self.work / "wheels"
        place.mkdir()
        self.report.say("building the wheel and fetching what it needs")
        wheels(Path(sys.executable), place)
        with self._booted("wheel", {place: "/wheels"}) as trial:
            self._go(trial, ("wheel", lambda: checks_drop_ins.wheel(trial)))

    @contextmanager
    def _booted(self, what: str, binds: Mapping[Path, str]) -> Iterator[Trial]:
        tree = self.work / f"{what}-machine"
        tree.mkdir()
        name = f"wattlas-service-{os.getpid()}-{what}"
        console = self.work / f"{what}-console.log"
        machine = Machine(self.root, name, console, binds, writable=tree)
        with contextlib.ExitStack() as stack:
            sensors = stack.enter_context(Sensors(tree))
            stack.enter_context(machine)
            systemd = machine.do("systemctl", "--version").splitlines()[0]
            self.report.say(f"booted a Debian with {systemd} as PID 1")
            yield Trial(machine, sensors, self.report, self.work)

    def _go(self, trial: Trial, *steps: Step) -> None:
        report = self.report
        for what, step in steps:
            report.say(f"-- {what}")
            try:
                step()
            except (Failed, OSError, subprocess.SubprocessError) as error:
                report.failed(what, error)
                if what in {"install", "wheel"}:
                    break  # there is nothing to look at
        if not report.passed:
            report.say(f"the journal's end:\n{trial.machine.journal()[-3000:]}")


if __name__ == "__main__":
    sys.exit(main())
