"""One agent's life on virtual time, under load; run by soak.py in a process of its own.

    python -m soak_parts.life PLAN.json

The real `agent.daemon.run` with all its threads, on a simulated server (tests/hardware) with the
NVML stand-in, under the fault library. A row a minute goes into the plan's file.
"""

import asyncio
import json
import os
import resource
import signal
import sys
import threading
import time
import tracemalloc
from array import array
from errno import EIO, ENOENT
from pathlib import Path
from typing import Any, NamedTuple

from hardware import Machine, VirtualClock, xeon_2s
from hardware.faults import Faults
from hardware.hwmon import drive, power_meter
from hardware.nvml import Standin, h100
from hardware.power import Constant, busy

from soak_parts.verdict import Row

MINUTE = 60.0
RELOAD_SECONDS = 600.0
LOSE_SECONDS = 3600.0
LOST_SECONDS = 60.0
LEAK_BYTES = 800_000
"""A minute."""
LEAK_DESCRIPTORS = 4
"""A minute: as many as clients have open at one moment and not at the next."""
SETTINGS = """\
[agent]
listen = "127.0.0.1:0"
state_dir = "{0}/state"
work_socket = "{0}/work.sock"
[paths]
procfs = "{0}/machine/proc"
sysfs = "{0}/machine/sys"
[host]
grid_zone = "DE"
rack = "r{1}"
[collectors.hwmon]
interval_seconds = {2}
[collectors.ipmi]
enabled = false
"""


class Plan(NamedTuple):
    """What shall happen; times in s."""

    directory: str
    seconds: float
    gpus: int
    trace: bool
    """Say where the memory went, which costs as much again."""
    leak_after: float | None
    """From then on leak on purpose, to see that it is found; None: never."""


class Soak:
    """The machine, its faults, the clients and the probe."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.directory = Path(plan.directory)
        self.clock = VirtualClock(self.directory / "clock")
        power = {"drive": busy(6.0, 24.0, 5, 600.0)}
        chips = (drive("nvme0", "drive"), power_meter("wall"))
        self.machine: Machine = xeon_2s(self.directory / "machine", power, self.clock, chips)
        boards = [h100(i) for i in range(plan.gpus)]
        # a script of the stand-in has so many pieces at most: theirs repeat no more than that
        self.standin = Standin(
            self.directory / "nvml.state",
            [b.but(power=Constant(300.0 + 40.0 * i)) for i, b in enumerate(boards)],
            epoch=self.clock.timeline.epoch,
        )
        self.standin.preload()
        self._written = -1.0
        minutes = int(plan.seconds // MINUTE)
        self.rows = array("d", bytes(8 * len(Row._fields) * minutes))
        """All of it now: what is measured shall not grow by being noted."""
        self.minutes = 0
        self._leaked: list[Any] = []

    def passed(self, now: float) -> None:
        """Bring everything to a moment; sensors once a second."""
        self.clock.now = now
        if now - self._written >= 0.999:
            self._written = now
            self.machine.write(now)
            self.standin.write(now)

    def break_sensors(self) -> None:
        """Let sensors fail now and then, through the agent's own system calls."""
        faults = Faults(Path(os.environ["WATTLAS_FAULTS"]))
        faults.set("energy_uj", errno=EIO, per_mille=2, seed=11)
        faults.set("energy_uj", garbage=b"what\n", per_mille=1, seed=12)
        faults.set("power1_average", errno=EIO, per_mille=3, seed=13)
        faults.set("power1_average", short=1, per_mille=1, seed=14)
        faults.set("diskstats", errno=ENOENT, per_mille=2, seed=15)
        faults.set("proc/stat", errno=EIO, per_mille=1, seed=16)

    def settings(self, number: int) -> Path:
        """Write the settings: every other time others."""
        path = self.directory / "wattlas.toml"
        path.write_text(SETTINGS.format(self.directory, number % 2, 1.0 + number % 2))
        return path

    async def reload(self) -> None:
        """Have the settings read again, as `systemctl reload` does."""
        number = 0
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            number += 1
            self.settings(number)
            os.kill(os.getpid(), signal.SIGHUP)

    async def lose_boards(self) -> None:
        """Let a GPU fall off the bus for a minute, each hour another."""
        number = 0
        while self.standin.boards:
            await asyncio.sleep(LOSE_SECONDS / 2)
            board = self.standin.boards[number % len(self.standin.boards)].uuid
            self.standin.lose(board)
            await asyncio.sleep(LOST_SECONDS)
            self.standin.find_again(board)
            await asyncio.sleep(LOSE_SECONDS / 2 - LOST_SECONDS)
            number += 1

    async def probe(self, clients: Any) -> None:
        """Note each minute what the process has; nothing is collected or given back for it."""
        ledger = self.directory / "state/ledger.db"
        wal = ledger.with_name("ledger.db-wal")
        while self.minutes * len(Row._fields) < len(self.rows):
            await asyncio.sleep(MINUTE)
            row = Row(
                _resident_bytes(),
                _descriptors(),
                threading.active_count(),
                ledger.stat().st_size,
                wal.stat().st_size if wal.exists() else 0,
                sys.getallocatedblocks(),
                _failures(clients.page),
            )
            at = self.minutes * len(Row._fields)
            for column, value in enumerate(row):
                self.rows[at + column] = value
            self.minutes += 1
            after = self.plan.leak_after
            if after is not None and self.minutes * MINUTE >= after:
                self._leaked.append(os.urandom(LEAK_BYTES))
                self._leaked += [os.open(os.devnull, os.O_RDONLY) for _ in range(LEAK_DESCRIPTORS)]


def _failures(page: bytes) -> float:
    return sum(
        float(line.rsplit(b" ", 1)[1])
        for line in page.splitlines()
        if line.startswith(b"wattlas_collector_failures_total{")
    )


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1  # without the one it looks through


def _resident_bytes() -> int:
    statm = os.open("/proc/self/statm", os.O_RDONLY)
    try:
        return int(os.read(statm, 128).split()[1]) * resource.getpagesize()
    finally:
        os.close(statm)


async def live(soak: Soak) -> dict[str, Any]:
    """Run the agent and its clients; return what is to be said."""
    # after the virtual clock is in time's place
    from agent import daemon  # noqa: PLC0415
    from agent.collector import find_collectors  # noqa: PLC0415
    from agent.settings import load  # noqa: PLC0415
    from soak_parts.clients import Clients  # noqa: PLC0415

    clients = Clients(soak.directory / "work.sock")
    daemon.SystemClock = lambda: soak.clock  # type: ignore[assignment, misc]
    found = find_collectors()
    types = {name: cls.Settings for name, cls in found.classes.items()}
    path = soak.settings(0)
    soak.break_sensors()

    def again() -> Any:
        return load(path, types)

    agent = asyncio.ensure_future(daemon.run(again(), found, again))
    while not clients.port:
        await asyncio.sleep(1.0)
        if agent.done():
            agent.result()
        clients.port = _listening_port()
    probing = asyncio.ensure_future(soak.probe(clients))
    others = [
        asyncio.ensure_future(one)
        for one in (
            clients.keep_scraping(stay=True),
            clients.keep_scraping(stay=False),
            clients.keep_reporting(),
            clients.keep_breaking(),
            soak.reload(),
            soak.lose_boards(),
        )
    ]
    before = None
    if soak.plan.trace:
        await asyncio.sleep(min(3600.0, soak.plan.seconds / 3))
        tracemalloc.start(12)
        await asyncio.sleep(2 * MINUTE)
        before = tracemalloc.take_snapshot()
    await asyncio.wait([probing, agent, *others], return_when=asyncio.FIRST_COMPLETED)
    for one in (agent, *others):
        if one.done():
            one.result()
    if before is not None:
        for line in tracemalloc.take_snapshot().compare_to(before, "traceback")[:12]:
            print(line, *line.traceback.format(), sep="\n", file=sys.stderr)
    for one in others:
        one.cancel()
    page = clients.page.decode()
    os.kill(os.getpid(), signal.SIGTERM)
    await agent
    ledger = soak.directory / "state/ledger.db"
    return {
        "counts": dict(clients.counts),
        "ledger_bytes": ledger.stat().st_size,
        "series": sum(not line.startswith("#") for line in page.splitlines()),
        "failures": _failures(clients.page),
    }


def _listening_port() -> int:
    """Return the port that this process listens on (/proc/net/tcp, state 0A)."""
    inodes = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            inodes.add(str(entry.readlink()))
        except OSError:
            continue
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
            return int(fields[1].split(":")[1], 16)
    return 0


def main() -> None:
    """Live, and write down what was seen."""
    plan = Plan(**json.loads(Path(sys.argv[1]).read_text()))
    soak = Soak(plan)
    # what the agent asks for the time in passing (its own cost, its clients' habits)
    real = time.monotonic
    time.monotonic, time.time = soak.clock.monotonic, soak.clock.wall
    from agent import logs  # noqa: PLC0415
    from soak_parts.virtual_loop import VirtualLoop, count_workers  # noqa: PLC0415

    logs.configure("critical")
    sys.setswitchinterval(0.002)  # as agent.daemon.run_blocking
    count_workers()
    began = real()
    loop = VirtualLoop(soak.passed)
    asyncio.set_event_loop(loop)
    said = loop.run_until_complete(live(soak))
    said["wall_seconds"] = real() - began
    said["rows"] = [
        list(soak.rows[n * len(Row._fields) : (n + 1) * len(Row._fields)])
        for n in range(soak.minutes)
    ]
    said["cpu_seconds"] = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    (soak.directory / "said.json").write_text(json.dumps(said))
    os._exit(0)  # threads that wait for a call are daemons; nothing is left to write


if __name__ == "__main__":
    main()
