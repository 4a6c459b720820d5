"""The Python side of `perf_stand_in.c`, and how a collector is run under it."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from hardware.faults import NoCompiler

_CHILD = """
import json, resource, sys
from pathlib import Path
import msgspec
from agent.clock import SystemClock
from agent.collector import Absent, Context, Paths, Transient
from collectors.perf import Perf, PerfSettings

root, limits, settings, readings = Path(sys.argv[1]), *map(json.loads, sys.argv[2:])
if limits:
    resource.setrlimit(resource.RLIMIT_NOFILE, tuple(limits))
clock = SystemClock()
paths = Paths(procfs=root / "proc", sysfs=root / "sys")
perf = Perf(PerfSettings(**settings), Context(paths, clock, lambda _component, _device: None))
said, spans = [], []
begin = len(list(Path("/proc/self/fd").iterdir()))
for _ in range(readings):
    until = clock.boottime() + 0.1
    spans.append([clock.boottime()])
    try:
        said.append([msgspec.to_builtins(sample) for sample in perf.read()])
    except (Absent, Transient) as error:
        said.append({
            "outcome": type(error).__name__, "why": error.why, "remedy": error.remedy,
            "again": getattr(error, "again_seconds", None),
        })
    spans[-1].append(clock.boottime())
    while clock.boottime() < until:
        pass
count = len(list(Path("/proc/self/fd").iterdir()))
perf.close()
left = len(list(Path("/proc/self/fd").iterdir()))
soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
said = {"said": said, "spans": spans, "soft": soft}
print(json.dumps(said | {"open": count - begin, "left": left - begin}))
"""


@cache
def build_stand_in(directory: Path) -> Path:
    """Compile the stand-in into a directory and return it. Raises `NoCompiler`."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompiler("no C compiler (cc or gcc) on PATH")
    library = directory / "libwattlas_perf.so"
    source = Path(__file__).with_name("perf_stand_in.c")
    command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", str(library), str(source), "-ldl"], check=True)
    return library


def run_perf(
    root: Path,
    library: Path | None = None,
    *,
    limits: tuple[int, int] | None = None,
    settings: dict[str, Any] | None = None,
    readings: int = 2,
    **environment: int,
) -> dict[str, Any]:
    """Run the collector in a process of its own, 0.1 s between readings; return what it said.

    `spans`: when each reading began and ended.
    `open` and `left`: descriptors more than at its start, after the readings and after close().
    `environment`: the stand-in's variables without `WATTLAS_PERF_`, in lower case.
    """
    variables = {f"WATTLAS_PERF_{key.upper()}": str(value) for key, value in environment.items()}
    if library is not None:
        variables["LD_PRELOAD"] = str(library)
    arguments = [json.dumps(limits), json.dumps(settings or {}), json.dumps(readings)]
    done = subprocess.run(
        [sys.executable, "-P", "-c", _CHILD, str(root), *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


__all__ = ["NoCompiler", "build_stand_in", "run_perf"]
