"""The simulated site as one thing: made, kept going in real time, changed by a test, and ended."""

import http.client
import json
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from hardware.site.clock import SiteClock
from hardware.site.facility import Facility
from hardware.site.grid import CarbonProvider
from hardware.site.host import SimulatedHost
from hardware.site.meters import Meters
from hardware.site.past import HOST_DAYS, Past
from hardware.site.plans import FEWEST_HOSTS, plans
from hardware.site.processes import AgentProcess, compile_hostname
from hardware.site.settings import secrets, settings_of

TICK_SECONDS = 0.2
"""Between two updates of a tree; RAPL itself is renewed every millisecond, and read each second."""
REPORT_SECONDS = 2.0
RESET = ("gz1-r01-n01", "package-1", 4.0)
"""Whose RAPL counter begins anew, as after a firmware update, and how long after the start."""
FLAKY = ("gz1-r01-n03", 4.0, 20.0)
"""Whose BMC restarts: it answers nothing but 503 from when until when after the start."""
JOB = "wattlas"


def _quiet(_: str) -> None:
    """Nobody wants to know."""


class SimulatedSite:
    """Use as `with SimulatedSite(directory) as site:`; everything ends with it."""

    def __init__(
        self,
        directory: Path,
        *,
        hosts: int = FEWEST_HOSTS,
        site_days: float = HOST_DAYS,
        host_days: float = HOST_DAYS,
        meter_seconds: float = 5.0,
        say: Callable[[str], None] = _quiet,
    ) -> None:
        """Say what it is to be; `__enter__` makes it.

        `directory`: empty or new, with a short path (a Unix socket's is at most 107 bytes long).
        `site_days`, `host_days`: how much of a past the ledgers get; 0 is none, and the KPIs' year
        needs 400. `say` is told about the progress.
        """
        self.directory = directory
        self.plans = plans(hosts)
        self._days = (site_days, host_days)
        self._meter_seconds = meter_seconds
        self._say = say
        self._stop = threading.Event()
        self._stack = ExitStack()
        self._flaky = FLAKY
        self.clock = SiteClock()
        self._serving: float | None = None
        """Since when all agents serve, scenario time."""
        self._is_reset = False
        self.hosts: dict[str, SimulatedHost] = {}
        self.agents: dict[str, AgentProcess] = {}

    def __enter__(self) -> Self:
        try:
            with self._stack:
                self._make()
                self._stack = self._stack.pop_all()
        except BaseException:
            self._stop.set()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    # -- what is there ------------------------------------------------------------------------

    def host(self, name: str) -> SimulatedHost:
        """Return a server: `throttle()` holds its GPUs down, `recover()` ends that."""
        return self.hosts[name]

    def restart_bmc(self, seconds: float = 15.0) -> None:
        """Have the BMC that is known for it answer nothing but 503 from now on, for so long."""
        assert self._serving is not None
        since = self.clock.now() - self._serving
        self._flaky = (FLAKY[0], since, since + seconds)

    @property
    def targets(self) -> dict[str, str]:
        """What a Prometheus scrapes: label `instance` to host and port."""
        return {f"{name}:9760": agent.address for name, agent in self.agents.items()}

    def wall_watts(self, t: float | None = None) -> float:
        """Return what all servers truly draw at a moment of scenario time; now, if none is given.

        Without the virtual machines: nothing measures them, their agents estimate.
        """
        moment = self.clock.now() if t is None else t
        real = (h for h in self.hosts.values() if h.plan.preset != "cloud_vm")
        return sum(host.wall.watts(moment) for host in real)

    def wall_joules(self, name: str, since: float, until_: float) -> float:
        """Return what one server truly took between two moments of scenario time."""
        wall = self.hosts[name].wall
        return wall.joules(until_) - wall.joules(since)

    def wait_for_figures(self) -> None:
        """Wait until every agent counts energy and work, and the site's agent reads its meters.

        A past is made for the series that are there then.
        """
        for name, agent in self.agents.items():
            job = self.hosts[name].plan.job
            metrics = ["wattlas_host_energy_joules_total"]
            metrics += ["wattlas_work_total"] if job is not None else []
            metrics += ["wattlas_flops_total"] if job is not None and job.flop else []
            for metric in metrics:
                agent.until(f"shows {metric}", partial(_shows, agent, metric))
        last = list(self.agents.values())[-1]
        last.until("reads the site's meters", partial(_shows, last, "wattlas_site_power_watts"))

    # -- making it ----------------------------------------------------------------------------

    def _make(self) -> None:
        enter = self._stack.enter_context
        self.directory.mkdir(parents=True, exist_ok=True)
        self._say("compiling the GPUs' driver library")
        name_library = compile_hostname(self.directory)
        self._say(f"building {len(self.plans)} machines")
        for number, plan in enumerate(self.plans):
            host = SimulatedHost(plan, self.clock, self.directory / f"h{number}")
            self._stack.callback(host.close)
            self.hosts[plan.name] = host
            if host.bmc is not None:
                enter(host.bmc)
        self._begin("machines", self._keep_going, TICK_SECONDS)
        provider = enter(CarbonProvider())
        key, password = secrets(self.directory)
        racks: dict[str, list[SimulatedHost]] = {}
        for host in self.hosts.values():
            racks.setdefault(host.plan.rack, []).append(host)
        facility = Facility(
            {rack: _total(several) for rack, several in racks.items()}, self.clock.wall
        )
        self.meters = enter(Meters(facility, sorted(racks), self.clock))
        past = Past(list(self.hosts.values()), self.clock)
        for host in self.hosts.values():
            more = settings_of(host, provider.base, key, password)
            state = host.folder / "state"
            site_days, host_days = self._days
            if host.plan.site_meters:
                more += self.meters.settings(self._meter_seconds)
                if site_days:
                    self._say(f"writing {site_days:g} days of the site's past")
                    past.write_site(state, site_days)
            if host_days:
                past.write_host(host, state, host_days)
            config = host.write_settings(more)
            agent = AgentProcess(host.plan.name, config, host.environment(name_library))
            self._stack.callback(agent.stop)
            self.agents[host.plan.name] = agent
        self._stack.callback(self._end_agents)
        for name, agent in self.agents.items():
            self._say(f"{name}: {agent.wait()}")
        self._serving = self.clock.now()
        self._begin("work", self._report, REPORT_SECONDS)

    def _end_agents(self) -> None:
        """Ask all at once; each is waited for by its own `stop`."""
        for agent in self.agents.values():
            agent.ask_to_stop()

    def _begin(self, name: str, step: Callable[[], None], every_seconds: float) -> None:
        """Do something again and again, in a thread, until the site ends."""

        def loop() -> None:
            while not self._stop.wait(every_seconds):
                step()

        thread = threading.Thread(target=loop, name=name, daemon=True)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(self._stop.set)

    def _keep_going(self) -> None:
        now = self.clock.now()
        for host in list(self.hosts.values()):
            host.machine.write(now)
        if self._serving is None:
            return
        since = now - self._serving
        name, device, after = RESET
        if since >= after and not self._is_reset:
            self._is_reset = True
            self.hosts[name].machine.reset(now, device)
        name, begin, end = self._flaky
        bmc = self.hosts[name].bmc
        if bmc is not None:
            restarts = {path: (503, dict[str, str]()) for path in bmc.tree}
            bmc.statuses = restarts if begin <= since < end else {}

    def _report(self) -> None:
        now = self.clock.now()
        for host in self.hosts.values():
            told = host.report(now)
            if told is not None and _post(host.work_socket, told):
                host.work_until = now


def _total(hosts: list[SimulatedHost]) -> Callable[[float], float]:
    return lambda t: sum(host.wall.watts(t) for host in hosts)


def _post(path: Path, told: dict[str, object]) -> bool:
    """Report work on an agent's socket; False: it was not taken, and is told again."""
    connection = http.client.HTTPConnection("localhost", timeout=5)
    try:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.settimeout(5)
            unix.connect(str(path))
            connection.sock = unix
            connection.request("POST", "/v1/work", json.dumps(told))
            return connection.getresponse().status == 202
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _shows(agent: AgentProcess, metric: str) -> bool:
    """Tell whether an agent's page has a series of this metric above 0."""
    return any(
        line.startswith(metric) and float(line.rsplit(" ", 1)[1]) > 0
        for line in agent.page().splitlines()
    )
