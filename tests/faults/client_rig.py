"""A real agent that clients come to, and what they did to it."""

import contextlib
import os
import resource
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e.agents import settings, until
from faults.process_rig import MORE, Rig, Truth, Watch
from faults.world import WITHIN

MEBIBYTE = 1 << 20
MOST_WATTS = {"package-0": 150.0, "package-1": 150.0, "dram-0": 18.0, "dram-1": 18.0}
"""Of the simulated server."""
REFRESH_SECONDS = 1e-3
"""RAPL's counters, the simulated ones as well, have not counted yet what was used since then."""
MOST_LINES = 40
"""So much may be said of clients in the log; else anyone could fill a disk with it."""


def raise_limit(wanted: int) -> bool:
    """Let this process have so many descriptors, if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= wanted


def descriptors(pid: int) -> int:
    """Return how many descriptors a process has open; none where it has ended."""
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - it is done ten times a second
    return 0


def resident_bytes(pid: int) -> int:
    """Return what a process has in memory."""
    text = Path(f"/proc/{pid}/statm").read_text(encoding="ascii")
    return int(text.split()[1]) * resource.getpagesize()


@dataclass
class Standing:
    """An agent before its clients come."""

    descriptors: int
    resident: int
    skipped: float
    scrapes: int
    missed: int
    latenesses: int


class ClientRig(Rig):
    """A rig in which nothing is broken but what clients break."""

    def __init__(self, root: Path, more: str = "") -> None:
        self.truth = Truth(root / "machine")
        self.watch = Watch()
        self.config = settings(root / "wattlas.toml", root=root / "machine", more=MORE + more)
        self.state_dir = root / "state"
        self.agent = None
        self.lives = 0
        self.logs = ""
        self._environ = {}

    def close(self) -> None:
        """End whatever still runs."""
        self.watch.follow(None)
        if self.watch.is_alive():
            self.watch.stop()
        if self.agent is not None and self.agent.process.poll() is None:
            self.agent.kill()
        self.truth.end()


@contextmanager
def watching(root: Path, more: str = "") -> Iterator["Watched"]:
    """Keep an agent below `root` on a machine whose true energy is known, and look at it."""
    made = ClientRig(root, more)
    try:
        made.begin()
        yield Watched(made)
    finally:
        made.close()


@contextmanager
def _shared() -> Iterator["Watched"]:
    # not pytest's directory: others must be able to look for the work socket
    root = Path(tempfile.mkdtemp(prefix="wattlas-clients-"))
    try:
        root.chmod(0o755)
        with watching(root) as found:
            yield found
    finally:
        shutil.rmtree(root)


_SHARED = pytest.StashKey["Watched"]()


@pytest.fixture(scope="module")
def watched(request: pytest.FixtureRequest) -> "Watched":
    """An agent, the same one for all who ask, on a machine whose true energy is known.

    It is scraped five times a second all the while; what each test does to it is checked there.
    """
    stash = request.config.stash
    if _SHARED not in stash:
        stack = contextlib.ExitStack()
        stash[_SHARED] = stack.enter_context(_shared())
        request.config.add_cleanup(stack.close)
    return stash[_SHARED]


class Watched:
    """A rig whose agent is looked at before, during and after its clients."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        agent = rig.agent
        assert agent is not None
        self.agent = agent
        self.pid = agent.process.pid
        self._true: dict[str, float] = {}
        self._shown: dict[str, float] = {}
        """J by device when they were compared last."""
        self.work = str(rig.config.parent / "work.sock")
        host, _, port = agent.url.partition("://")[2].rpartition(":")
        self.address = (host, int(port))
        until("its work socket", lambda: os.path.exists(self.work))  # noqa: PTH110

    def skipped(self) -> float:
        """Return how many ticks were left out so far."""
        return self.agent.metrics().total("wattlas_ticks_skipped")

    def standing(self) -> Standing:
        """Return how it is now."""
        watch = self.rig.watch
        return Standing(
            descriptors(self.pid),
            resident_bytes(self.pid),
            self.skipped(),
            watch.scrapes,
            watch.missed,
            len(watch.late),
        )

    def energy_error(self) -> float:
        """Let the machine stand still for a moment; return by how much the agent is off.

        It is of the time since this was last asked.
        """
        truth, watch = self.rig.truth, self.rig.watch
        truth.freeze()
        true = truth.joules()
        used = {device: joules - self._true.get(device, 0.0) for device, joules in true.items()}

        def error(unrefreshed: float = 0.0) -> float:
            """Return the largest share of what was used that is shown too much or too little."""
            counted = {d: watch.increase.get(d, 0.0) - self._shown.get(d, 0.0) for d in used}
            off = {d: abs(counted[d] - used[d]) - unrefreshed * MOST_WATTS[d] for d in used}
            return max(0.0, *(off[d] / used[d] for d in used))

        try:
            until(
                "what is shown is the truth", lambda: error(REFRESH_SECONDS) < WITHIN or watch.falls
            )
        except AssertionError as late:
            resets = self.agent.metrics().series("wattlas_counter_resets")
            shown = f"shown {watch.increase}, true {true}; {resets}; {watch.scrapes} scrapes"
            raise AssertionError(f"{shown}\n{self.agent.log[-2000:]}") from late
        assert not watch.falls, watch.falls[:5]
        assert not watch.broken, watch.broken[:5]
        found = error()
        self._true, self._shown = true, dict(watch.increase)
        truth.thaw()
        return found


@dataclass
class Told:
    """Figures of what was done to an agent."""

    late_seconds: float = 0.0
    """The latest tick."""
    most_descriptors: int = 0
    most_mebibytes: float = 0.0
    """By which its memory had grown at the most."""
    scrapes: int = 0
    missed: int = 0
    error: float = 0.0


@contextmanager
def unharmed(watched: Watched, *, grows: float, missed: int = 0) -> Iterator[Told]:
    """Check that what is done within leaves an agent as it was.

    No tick is left out, its energy is true, normal scrapes are answered (but for `missed`), its
    memory grows by at most `grows` MiB and its descriptors are free again.
    """
    before = watched.standing()
    logged = len(watched.agent.log)
    told = Told()
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.1):
            told.most_descriptors = max(told.most_descriptors, descriptors(watched.pid))
            grown = (resident_bytes(watched.pid) - before.resident) / MEBIBYTE
            told.most_mebibytes = max(told.most_mebibytes, grown)

    looking = threading.Thread(target=look, name="look", daemon=True)
    looking.start()
    try:
        yield told
    finally:
        done.set()
        looking.join(30)
    assert watched.rig.is_alive(), watched.agent.log[-2000:]
    watch = watched.rig.watch
    told.error = watched.energy_error()
    # a few are the agent's own: a ledger that is being written, a scrape
    until(
        f"descriptors are free again (there were {before.descriptors})",
        lambda: descriptors(watched.pid) <= before.descriptors + 4,
    )
    told.scrapes, told.missed = watch.scrapes - before.scrapes, watch.missed - before.missed
    told.late_seconds = max(watch.late[before.latenesses :], default=0.0)
    assert told.missed <= missed, (
        f"{told.missed} normal scrapes of {told.scrapes} were not answered"
    )
    assert watched.skipped() == before.skipped
    assert told.most_mebibytes < grows
    log = watched.agent.log[logged:]
    assert "Traceback" not in log, log[-3000:]
    assert len(log.splitlines()) < MOST_LINES, log[-3000:]
