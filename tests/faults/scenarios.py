"""What happens to a whole agent in real time: one function each, that ends when it is over."""

import errno
import os
import random
import resource
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Literal

from e2e.agents import Agent, until
from faults.process_rig import Rig, first_free, hold, limit

DAY_SECONDS = 86_400.0
HANG_MS = 8000
"""Longer than the agent waits for a write before it shows what is not written."""
CGROUP = Path("/sys/fs/cgroup/memory")

Scenario = Callable[[Rig, random.Random, float], None]


def well(made: Rig) -> None:
    """Wait until the ledger has everything."""
    agent = made.agent
    assert agent is not None
    agent.when("the ledger is well", lambda m: m.total("wattlas_ledger_up") == 1)
    agent.when("all is written", lambda m: m.total("wattlas_ledger_unsaved_postings") == 0)


def disk(
    made: Rig,
    seconds: float,
    on: Literal["write", "sync"],
    *,
    error: int = 0,
    hang_ms: int = 0,
    killed: bool = False,
) -> None:
    """Let the disk fail or be slow; `killed`: the agent dies meanwhile and starts on this disk."""
    rule = made.faults.set("state/*", on=on, errno=error, hang_ms=hang_ms)
    hold(seconds, lambda: made.faults.counts(rule).hits > 0)
    if killed:
        made.kill()
        made.start()
        hold(seconds / 2)
    made.faults.clear(rule)
    well(made)


def disk_full(made: Rig, _dice: random.Random, seconds: float) -> None:
    """ENOSPC at every write, and the agent killed meanwhile."""
    disk(made, seconds, "write", error=errno.ENOSPC, killed=True)


def disk_read_only(made: Rig, _dice: random.Random, seconds: float) -> None:
    """EROFS at every write, as after ext4's errors=remount-ro, and the agent killed meanwhile."""
    disk(made, seconds, "write", error=errno.EROFS, killed=True)


def disk_failing(made: Rig, _dice: random.Random, seconds: float) -> None:
    """EIO at every fsync and fdatasync."""
    disk(made, seconds, "sync", error=errno.EIO)


def disk_slow(made: Rig, _dice: random.Random, seconds: float) -> None:
    """2 s at every fsync and fdatasync."""
    disk(made, seconds, "sync", hang_ms=2000)


def disk_slow_to_write(made: Rig, _dice: random.Random, seconds: float) -> None:
    """2 s at every write."""
    disk(made, seconds, "write", hang_ms=2000)


def disk_hanging(made: Rig, _dice: random.Random, seconds: float) -> None:
    """8 s at every fsync and fdatasync, and the agent killed in the middle."""
    disk(made, seconds, "sync", hang_ms=HANG_MS)
    disk(made, seconds, "sync", hang_ms=HANG_MS, killed=True)


def clock_set(made: Rig, dice: random.Random, seconds: float) -> None:
    """A day forwards, a day back, and once by anything up to a month."""
    for step in (DAY_SECONDS, -DAY_SECONDS, dice.uniform(-30, 30) * DAY_SECONDS):
        made.faults.step_wall(step)
        hold(seconds / 3)
    well(made)


def killed(made: Rig, dice: random.Random, seconds: float) -> None:
    """SIGKILL at a random moment."""
    hold(dice.uniform(0.0, seconds))
    made.kill()
    made.start()


def out_of_descriptors(made: Rig, dice: random.Random, seconds: float) -> None:
    """Not one more descriptor, or hardly one: files, connections and the ledger's WAL included."""
    agent = made.agent
    assert agent is not None
    pid = agent.process.pid
    soft, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    limit(pid, resource.RLIMIT_NOFILE, first_free(pid) - dice.randrange(6))
    missed = made.watch.missed
    hold(seconds, lambda: made.watch.missed > missed or not made.is_alive())
    if made.is_alive():
        limit(pid, resource.RLIMIT_NOFILE, soft)
    assert not made.keep_alive(), made.logs[-3000:]
    well(made)


def out_of_address_space(made: Rig, dice: random.Random, seconds: float) -> None:
    """Hardly a page more (RLIMIT_AS): it goes on with what it has, or dies and starts again."""
    agent = made.agent
    assert agent is not None
    pid = agent.process.pid
    size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
    soft, _ = resource.prlimit(pid, resource.RLIMIT_AS)
    limit(pid, resource.RLIMIT_AS, max(1, size - dice.randrange(1 << 24)))
    crowd(agent)
    hold(seconds)
    with suppress(ProcessLookupError):
        limit(pid, resource.RLIMIT_AS, soft)
    hold(2.0)  # one that is about to end says first what happened
    made.keep_alive()
    well(made)


def out_of_memory(made: Rig, _dice: random.Random, seconds: float) -> None:
    """A life in a control group that has no memory left: the kernel kills it when it wants more."""
    group = CGROUP / f"wattlas-faults-{os.getpid()}-{made.lives}"
    group.mkdir()
    try:
        made.kill()
        (group / "cgroup.procs").write_text(str(os.getpid()))
        try:
            agent = made.start()
        finally:
            (CGROUP / "cgroup.procs").write_text(str(os.getpid()))
        hold(seconds / 2)
        used = int((group / "memory.usage_in_bytes").read_text())
        with suppress(OSError):  # EBUSY: what it has cannot be taken away
            (group / "memory.limit_in_bytes").write_text(str(used))
        crowd(agent)
        hold(seconds / 2)
        if agent.process.poll() is None:
            made.kill()  # it went on; the next life has memory again
            made.start()
        made.keep_alive()
    finally:
        until("the group is empty", lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()
    well(made)


def crowd(agent: Agent) -> None:
    """Ask for more at once than anybody should: it takes memory."""

    def ask() -> None:
        with suppress(OSError, HTTPException):
            agent.get("/metrics")

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


SCENARIOS: dict[str, Scenario] = {
    "disk full": disk_full,
    "disk read-only": disk_read_only,
    "disk failing (EIO at fsync)": disk_failing,
    "disk slow (2 s at fsync)": disk_slow,
    "disk slow (2 s at each write)": disk_slow_to_write,
    "disk hanging (8 s at fsync)": disk_hanging,
    "clock set by a day and by anything": clock_set,
    "kill -9": killed,
    "no descriptors left": out_of_descriptors,
    "no address space left": out_of_address_space,
    "no memory left (cgroup)": out_of_memory,
}
