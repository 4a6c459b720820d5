"""A whole agent as a process in real time, and the true energy of the machine that it measures."""

import http.client
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.agents import Agent, Metrics, settings, until
from faults.world import WITHIN
from hardware import xeon_2s
from hardware.faults import Faults
from hardware.timeline import Timeline

ENERGY = "wattlas_component_energy_joules"
DEVICES = ("package-0", "package-1", "dram-0", "dram-1")
"""What the machine itself counts: nothing is lost of it while no agent runs."""
STEP_SECONDS = 0.1
FALL = 1e-9
MORE = """\
[ledger]
flush_seconds = 1
[carbon]
providers = []
[collectors.estimate]
enabled = false
"""


class Truth(threading.Thread):
    """A simulated server whose time can be made to stand still, so that it can be compared."""

    def __init__(self, root: Path) -> None:
        super().__init__(name="machine", daemon=True)
        self._machine = xeon_2s(root)
        # the agent beside it reads the real clocks, so the tree shows the real uptime
        uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._machine.timeline = Timeline(epoch=time.time(), uptime=uptime)
        self._machine.write(0.0)
        self._now = 0.0
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._runs = False
        self.start()

    def run(self) -> None:
        """Write the files ten times a second, as hardware.run does."""
        before = time.monotonic()
        while not self._over.wait(STEP_SECONDS):
            now = time.monotonic()
            with self._lock:
                if self._runs:
                    # a busy machine that held this up must not make the power leap
                    self._now += min(now - before, 3 * STEP_SECONDS)
                    self._machine.write(self._now)
            before = now

    def freeze(self) -> None:
        """Let no more energy be used."""
        with self._lock:
            self._runs = False

    def thaw(self) -> None:
        """Let it run on."""
        with self._lock:
            self._runs = True

    def joules(self) -> dict[str, float]:
        """Return what each device has used, J."""
        return {d: self._machine.joules(d, 0.0, self._now) for d in DEVICES}

    def end(self) -> None:
        """Stop."""
        self._over.set()
        self.join(30)
        self._machine.close()


class Watch(threading.Thread):
    """Scrapes an agent several times a second, through all of its lives."""

    def __init__(self) -> None:
        super().__init__(name="watch", daemon=True)
        self._agent: Agent | None = None
        self._over = threading.Event()
        self._last: dict[str, float] = {}
        self.increase: dict[str, float] = {}
        """J by device, as a Prometheus would have it: a fall is a counter that began anew."""
        self.falls: list[str] = []
        self.late: list[float] = []
        self.scrapes = 0
        self.broken: list[str] = []
        """Answers that were no metrics page."""
        self.missed = 0

    def follow(self, agent: Agent | None) -> None:
        """Scrape this life from now on."""
        self._agent = agent

    def run(self) -> None:
        """Scrape until `stop`."""
        while not self._over.wait(0.2):
            agent = self._agent
            if agent is None:
                continue
            try:
                self.take(agent.metrics())
            except (OSError, http.client.HTTPException):  # no answer, or half of one
                self.missed += 1
            except ValueError as error:
                self.broken.append(repr(error))

    def take(self, metrics: Metrics) -> None:
        """Take one scrape."""
        self.scrapes += 1
        self.late.append(metrics.total("wattlas_tick_late_seconds"))
        for (name, labels), value in metrics.counters().items():
            if "joules" not in name:
                continue
            key = f"{name} {dict(labels)}"
            before = self._last.get(key, value)
            rise = value - before
            if rise < -FALL * max(1.0, before):
                self.falls.append(f"{key} fell from {before!r} to {value!r}")
                rise = value
            self._last[key] = value
            device = dict(labels).get("device", "")
            if name == ENERGY and dict(labels).get("source") == "rapl":
                self.increase[device] = self.increase.get(device, 0.0) + max(0.0, rise)

    def stop(self) -> None:
        """Scrape no more."""
        self._over.set()
        self.join(30)


class Rig:
    """The machine, the agent's lives on it, faults below `root`, and who watches."""

    def __init__(self, root: Path, library: Path, more: str = "") -> None:
        self.truth = Truth(root / "machine")
        self.faults = Faults(root / "faults", root)
        self.watch = Watch()
        self._environ = self.faults.environment(library)
        self.config = settings(root / "wattlas.toml", root=root / "machine", more=MORE + more)
        self.state_dir = root / "state"
        self.agent: Agent | None = None
        self.lives = 0
        self.logs = ""
        self.deaths = 0
        """How often it ended by itself."""

    def start(self) -> Agent:
        """Begin a life."""
        self.agent = Agent(self.config, **self._environ)
        self.lives += 1
        self.watch.follow(self.agent)
        return self.agent

    def begin(self) -> Agent:
        """Begin the first life, and count what follows."""
        agent = self.start()
        self.watch.take(
            agent.when("counters are read", lambda m: len(m.series(ENERGY, source="rapl")) >= 4)
        )
        self.watch.start()
        self.truth.thaw()
        return agent

    def kill(self) -> None:
        """End a life by SIGKILL."""
        assert self.agent is not None
        self.watch.follow(None)
        self.agent.kill()
        self.logs += self.agent.log

    def is_alive(self) -> bool:
        """Tell whether the present life goes on."""
        return self.agent is not None and self.agent.process.poll() is None

    def keep_alive(self) -> bool:
        """Do what systemd does: start a life again that has ended; tell whether it had."""
        if self.is_alive():
            return False
        self.deaths += 1
        self.kill()
        self.start()
        return True

    def end(self) -> float:
        """Compare with the truth, stop, and return the largest relative error."""
        self.truth.freeze()
        true = self.truth.joules()

        def error() -> float:
            return max(abs(self.watch.increase[d] - j) / j for d, j in true.items())

        until(
            f"{self.watch.increase} is {true}",
            lambda: error() < WITHIN or self.watch.falls or not self.watch.is_alive(),
        )
        found = error()
        assert self.watch.is_alive()
        assert not self.watch.broken, self.watch.broken[:5]
        agent = self.agent
        assert agent is not None
        self.watch.stop()
        assert not self.watch.falls, self.watch.falls[:5]
        assert agent.stop() == 0
        self.logs += agent.log
        return found

    def close(self) -> None:
        """End whatever still runs."""
        self.watch.follow(None)
        if self.watch.is_alive():
            self.watch.stop()
        if self.agent is not None and self.agent.process.poll() is None:
            self.agent.kill()
        self.truth.end()
        self.faults.close()


@contextmanager
def rig(root: Path, library: Path, more: str = "") -> Iterator[Rig]:
    """Keep a rig below `root` until its test is over."""
    made = Rig(root, library, more)
    try:
        yield made
    finally:
        made.close()


def hold(seconds: float, condition: Callable[[], object] | None = None) -> None:
    """Let a fault last, and until something was seen of it; a test waits for nothing else."""
    time.sleep(seconds)
    if condition is not None:
        until("the fault is felt", condition)


def limit(pid: int, what: int, most: int) -> None:
    """Change a limit of a process that runs, as `prlimit` does."""
    _, hard = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (most, hard))


def first_free(pid: int) -> int:
    """Return the lowest descriptor that a process has not open: its next one."""
    taken = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in range(len(taken) + 1) if number not in taken)
