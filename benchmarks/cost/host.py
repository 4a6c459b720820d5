"""Programs under test, the load around them, and what the kernel says they cost."""

import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cost.scrape import Connection

ROOT = Path(__file__).parents[2]
NODE_EXPORTER = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter") or ""
FIVE_COLLECTORS = ("cpu", "meminfo", "diskstats", "netdev", "rapl")
TICK = 1 / os.sysconf("SC_CLK_TCK")
_BUSY = """
import sys, time
share = float(sys.argv[1])
while True:
    end = time.perf_counter() + 0.01 * share
    while time.perf_counter() < end:
        pass
    if share < 1:
        time.sleep(0.01 * (1 - share))
"""


class Memory(NamedTuple):
    """Resident and proportional set size, MB of 2^20 bytes, as `ps` and `smem` count them."""

    rss: float
    pss: float


class Program:
    """A running program with a `/metrics`."""

    def __init__(
        self, name: str, command: Sequence[str], port: int, environment: Mapping[str, str] = {}
    ) -> None:
        self.name = name
        self.port = port
        self.connection = Connection(port)
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | environment,
        )

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def wait_until_scraped(self, seconds: float = 30.0) -> float:
        """Scrape until it answers; return the seconds since it was started."""
        while time.perf_counter() - self.started < seconds:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                self.connection.get()
                return time.perf_counter() - self.started
            time.sleep(0.002)
        self._process.kill()
        _, said = self._process.communicate()
        raise SystemExit(f"{self.name} does not answer: {said.decode(errors='replace')[-2000:]}")

    def cpu_seconds(self) -> float:
        """Return user and system time so far: nanoseconds of each thread, else clock ticks."""
        stat = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks = (int(stat[11]) + int(stat[12])) * TICK
        try:
            exact = sum(
                int((task / "schedstat").read_text().split()[0])
                for task in Path(f"/proc/{self.pid}/task").iterdir()
            )
        except OSError:
            return ticks
        # a thread that has ended is in the ticks only
        return exact / 1e9 if exact / 1e9 > ticks - 3 * TICK else ticks

    def memory(self) -> Memory:
        """Return what it holds now."""
        sizes = {}
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()[1:]:
            key, _, value = line.partition(":")
            sizes[key] = int(value.split()[0]) / 1024
        return Memory(sizes["Rss"], sizes["Pss"])

    def written_bytes(self) -> int:
        """Return what it has had written to disks so far."""
        lines = Path(f"/proc/{self.pid}/io").read_text().splitlines()
        return next(int(v) for k, _, v in (x.partition(":") for x in lines) if k == "write_bytes")

    def stop(self) -> None:
        """End it as systemd would."""
        self.connection.close()
        self._process.terminate()
        try:
            self._process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settings(directory: Path, sysfs: Path, port: int) -> Path:
    """Write a settings file below `directory`: defaults, but for paths and the port."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "wattlas.toml"
    file.write_text(
        f'[agent]\nlisten = "127.0.0.1:{port}"\nstate_dir = "{directory}/state"\n'
        f'[paths]\nsysfs = "{sysfs}"\n'
    )
    return file


def wattlas_command(*arguments: str) -> list[str]:
    """Return the installed program of this environment with its arguments."""
    program = Path(sys.executable).with_name("wattlas")
    if not program.exists():
        raise SystemExit(f"{program} is missing: run this with the Python of Wattlas' environment")
    return [str(program), *arguments]


def wattlas(directory: Path, sysfs: Path, *, series: int = 0) -> Program:
    """Start `wattlas run`; with `series`, plus a collector that gives so many of them."""
    port = free_port()
    file = str(settings(directory, sysfs, port))
    if series:
        many = str(Path(__file__).with_name("many.py"))
        return Program(f"wattlas, {series} series", [sys.executable, many, file, str(series)], port)
    command = wattlas_command("run", "--config", file, "--log-level", "warning")
    return Program("wattlas", command, port)


def wattlas_with_gpus(directory: Path, sysfs: Path, boards: str) -> Program:
    """Start `wattlas run` on a host with GPUs: the tests' stand-in for NVIDIA's library."""
    command = [sys.executable, "-P", "-m", "hardware.nvml", str(directory / "nvml")]
    subprocess.run(
        [*command, "--boards", boards],
        env=dict(os.environ, PYTHONPATH=str(ROOT / "tests")),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    port = free_port()
    command = wattlas_command("run", "--config", str(settings(directory, sysfs, port)))
    return Program(
        f"wattlas, {boards}",
        [*command, "--log-level", "warning"],
        port,
        {"LD_LIBRARY_PATH": str(directory / "nvml")},
    )


def inside_driver_seconds(directory: Path) -> float:
    """Return the time that any process has spent inside the stand-in so far."""
    program = (
        "import sys; from pathlib import Path; from hardware.nvml.layout import State;"
        "state = State.from_buffer_copy(Path(sys.argv[1]).read_bytes());"
        "print(sum(count.nanoseconds for count in state.counts) / 1e9)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, str(directory / "nvml" / "nvml.state")],
        env=dict(os.environ, PYTHONPATH=str(ROOT / "tests")),
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def node_exporter(name: str, *options: str) -> Program:
    """Start Debian's node_exporter as its own unit does, with other options."""
    port = free_port()
    return Program(name, [NODE_EXPORTER, f"--web.listen-address=127.0.0.1:{port}", *options], port)


def peers() -> list[Program]:
    """Start node_exporter in its three forms; none where it is not installed."""
    if not NODE_EXPORTER:
        return []
    five = [f"--collector.{name}" for name in FIVE_COLLECTORS]
    return [
        node_exporter("node_exporter, default"),
        node_exporter("node_exporter with --collector.processes", "--collector.processes"),
        node_exporter("node_exporter, five collectors", "--collector.disable-defaults", *five),
    ]


@contextlib.contextmanager
def simulated_sysfs(directory: Path) -> Iterator[Path]:
    """Keep a simulated two-socket server's sensors going; yields its `/sys`."""
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "tests"))
    command = [sys.executable, "-P", "-m", "hardware.run", str(directory)]
    command += ["--preset", "xeon_2s", "--hertz", "2"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        if not process.stdout.readline():
            raise SystemExit(f"the simulated machine: {process.stderr.read().decode()[-2000:]}")
        try:
            yield directory / "sys"
        finally:
            process.terminate()


@contextlib.contextmanager
def load(sleepers: int, cores: float) -> Iterator[None]:
    """Keep `sleepers` processes asleep and `cores` of CPU time in use, by duty cycle."""
    sleep = shutil.which("sleep") or "/bin/sleep"
    started = [subprocess.Popen([sleep, "100000"]) for _ in range(sleepers)]
    while cores > 0:
        share = str(min(cores, 1.0))
        started.append(subprocess.Popen([sys.executable, "-S", "-E", "-c", _BUSY, share]))
        cores -= 1
    try:
        yield
    finally:
        for process in started:
            process.send_signal(signal.SIGKILL)
        for process in started:
            process.wait()


def facts() -> dict[str, str]:
    """Return what a reader must know of this host."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    version = ""
    if NODE_EXPORTER:
        said = subprocess.run([NODE_EXPORTER, "--version"], capture_output=True, check=False)
        words = (said.stdout + said.stderr).decode().split()
        version = words[2] if len(words) > 2 else "unknown"
    return {
        "cores": str(os.cpu_count()),
        "CPU": model or "unknown",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "node_exporter": version or "not installed",
    }


def processes() -> int:
    """Return how many processes there are."""
    return sum(entry.name.isdigit() for entry in Path("/proc").iterdir())
