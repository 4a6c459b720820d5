"""What there is to work with: collectors, settings, versions, time left."""

import importlib
import importlib.util
import os
import platform
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.collector import Collector, Found, find_collectors
from agent.settings import Settings, load

SLOW_SECONDS = 1.0
"""Clocks and temperatures at each level are wanted, not only every 15 s."""
ROOT = Path(__file__).resolve().parents[2]


class Budget:
    """How much of the time is left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until all must be written."""
        return self._end - time.monotonic()


def collectors() -> Found:
    """Return the collectors: of the installed wheel, or, without one, of this checkout.

    A checkout on PYTHONPATH announces no entry points, so its pyproject.toml is asked.
    """
    found = find_collectors()
    if "nvml" in found.classes:
        return found
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    classes: dict[str, type[Collector]] = {}
    broken: dict[str, str] = dict(found.broken)
    for name, where in sorted(project["entry-points"]["wattlas.collectors"].items()):
        module, _, attribute = where.partition(":")
        try:
            classes[name] = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            broken[name] = str(error)
    if "nvml" not in classes:
        sys.exit(f"the nvml collector cannot be imported: {broken.get('nvml')}")
    return Found(classes, broken)


def only(found: Found, *names: str) -> Found:
    """Return some of the collectors."""
    return Found({n: c for n, c in found.classes.items() if n in names}, {})


def settings(found: Found, interval_seconds: float) -> Settings:
    """Return the default settings with another interval."""
    import msgspec  # noqa: PLC0415

    usual = load(None, {name: cls.Settings for name, cls in found.classes.items()})
    agent = msgspec.structs.replace(usual.agent, interval_seconds=interval_seconds)
    each = dict(usual.collectors)
    each["nvml"] = msgspec.structs.replace(each["nvml"], slow_seconds=SLOW_SECONDS)
    return replace(usual, agent=agent, collectors=each)


def children_find_us() -> None:
    """Let child processes import what this one can."""
    path = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(part for part in path if part)


def versions(api: Any) -> dict[str, Any]:
    """Return what the figures depend on. `api`: pynvml, initialised."""
    boards = []
    for index in range(api.nvmlDeviceGetCount()):
        handle = api.nvmlDeviceGetHandleByIndex(index)
        boards.append(
            {
                "index": index,
                "name": _text(api.nvmlDeviceGetName(handle)),
                "uuid": _text(api.nvmlDeviceGetUUID(handle)),
                "persistence_mode": _asked(api, "nvmlDeviceGetPersistenceMode", handle),
                "power_limit_milliwatts": _asked(api, "nvmlDeviceGetEnforcedPowerLimit", handle),
                "cuda_cores": _asked(api, "nvmlDeviceGetNumGpuCores", handle),
            }
        )
    packages = {}
    for name in ("cupy", "torch", "numpy", "msgspec"):
        spec = importlib.util.find_spec(name)
        packages[name] = None if spec is None else "installed"
    return {
        "driver": _text(api.nvmlSystemGetDriverVersion()),
        "boards": boards,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": sys.version.split()[0],
        "packages": packages,
    }


def _asked(api: Any, name: str, *arguments: Any) -> Any:
    try:
        return getattr(api, name)(*arguments)
    except api.NVMLError as error:
        return f"unknown: {error}"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
