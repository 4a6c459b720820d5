"""Real agents and commands as processes: started, watched with deadlines, and ended."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import hardware
from prometheus_client.parser import text_string_to_metric_families

WATTLAS = Path(sys.executable).parent / "wattlas"
TESTS = Path(hardware.__file__).parents[1]
DEADLINE_SECONDS = 30.0

T = TypeVar("T")


def until(what: str, function: Callable[[], T]) -> T:
    """Return what `function` returns once it is true; fail when the deadline has passed."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not (result := function()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {DEADLINE_SECONDS:g} s")
        time.sleep(0.02)
    return result


def wattlas(*arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    usual = {"capture_output": True, "text": True, "timeout": 60}
    return subprocess.run([WATTLAS, *map(str, arguments)], check=False, **(usual | more))


def powerless(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command without root's power over permissions."""
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*drop, str(WATTLAS), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def settings(path: Path, *, root: Path | None = None, more: str = "", **agent: object) -> Path:
    """Write settings for an agent beside `path`, with a port and a socket that no other one has.

    `root` has its proc and sys.
    """
    own = {"state_dir": str(path.parent / "state"), "work_socket": str(path.parent / "work.sock")}
    values = {"listen": "127.0.0.1:0"} | own | agent
    lines = ["[agent]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    if root is not None:
        lines += ["[paths]", f"procfs = '{root}/proc'", f"sysfs = '{root}/sys'"]
    path.write_text("\n".join([*lines, more, ""]))
    return path


class Agent:
    """A running `wattlas run`."""

    def __init__(self, config: Path, *arguments: object, **environ: str) -> None:
        self.log_path = config.with_suffix(".log")
        with self.log_path.open("ab") as log:
            began = log.tell()
            command = [str(WATTLAS), "run", "--config", str(config), *map(str, arguments)]
            self.process = self._popen(command, os.environ | environ, log)
        self._began = began
        try:
            found = until("the agent starts", self._started)
        except AssertionError:
            self.kill()
            raise
        assert found is not True, self.log
        self.url = found.rsplit("/", 1)[0]

    def _popen(
        self, command: Sequence[str], environ: Mapping[str, str], log: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environ)

    @property
    def log(self) -> str:
        """What it has written since it started."""
        return self.log_path.read_bytes()[self._began :].decode()

    def _started(self) -> str | bool:
        match = re.search(r"metrics=(https?://\S+/metrics)", self.log)
        return match[1] if match else self.process.poll() is not None

    def says(self, event: str) -> None:
        """Wait for a line in the log."""
        until(f"the log says {event!r}", lambda: event in self.log)

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        request = urllib.request.Request(f"{self.url}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def metrics(self) -> "Metrics":
        return Metrics(self.get("/metrics")[1].decode())

    def when(self, what: str, condition: Callable[["Metrics"], Any]) -> "Metrics":
        """Return the first scrape for which `condition` holds."""
        found: list[Metrics] = []

        def holds() -> bool:
            found[:] = [self.metrics()]
            return bool(condition(found[0]))

        until(what, holds)
        return found[0]

    def counts(self) -> "Metrics":
        """Return a scrape of when energy is there."""
        return self.when("energy is counted", lambda m: m.total("wattlas_host_energy_joules") > 0)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(DEADLINE_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(DEADLINE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()


class Metrics:
    """A scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {f.name: f for f in text_string_to_metric_families(text)}

    def series(self, name: str, **labels: str) -> list[tuple[Mapping[str, str], float]]:
        family = self.families.get(name)
        return [
            (sample.labels, sample.value)
            for sample in (family.samples if family else [])
            if labels.items() <= sample.labels.items()
        ]

    def total(self, name: str, **labels: str) -> float:
        return sum(value for _, value in self.series(name, **labels))

    def counters(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Return every counter's series."""
        return {
            (name, tuple(sorted(sample.labels.items()))): sample.value
            for name, family in self.families.items()
            if family.type == "counter"
            for sample in family.samples
        }


@contextmanager
def simulated(root: Path, preset: str = "xeon_2s") -> Iterator[Path]:
    """Keep a simulated machine going below `root`, in real time."""
    command = [sys.executable, "-m", "hardware.run", root, "--preset", preset]
    environ = os.environ | {"PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as simulator:
        try:
            assert simulator.stdout is not None
            assert simulator.stdout.readline().startswith("ready")
            yield root
        finally:
            simulator.terminate()
