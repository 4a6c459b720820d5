"""What this host is called and which boot it is in."""

import contextlib
import hashlib
import hmac
import platform
import socket
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from agent.collector import Paths
from agent.settings import Host
from agent.snapshot import BuildInfo, HostInfo


def boot_id(paths: Paths) -> str:
    """Return the kernel's boot id (random(4)); "" where it cannot be read."""
    return _read(paths.procfs / "sys/kernel/random/boot_id")


def build_info() -> BuildInfo:
    """Return what program this is."""
    try:
        ours = version("wattlas")
    except PackageNotFoundError:
        ours = "unknown"
    return BuildInfo(version=ours, revision=_revision(), python=platform.python_version())


def host_info(settings: Host, paths: Paths) -> HostInfo:
    """Return the labels of wattlas_host_info."""
    machine_id = _read(Path("/etc/machine-id"))
    return HostInfo(
        host=socket.gethostname(),
        site=settings.site,
        rack=settings.rack,
        grid_zone=settings.grid_zone,
        cpu_model=cpu_model(paths),
        # machine-id(5): never expose it, derive an id from it with a keyed hash
        machine_id=hmac.digest(machine_id.encode(), b"wattlas", hashlib.sha256).hex()[:32]
        if machine_id
        else "",
    )


def cpu_model(paths: Paths) -> str:
    """Return the CPU's name from cpuinfo; Arm servers often give none ("")."""
    for line in _read(paths.procfs / "cpuinfo").splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() in {"model name", "Model", "cpu model"}:
            return value.strip()
    return ""


def _revision() -> str:
    """Return the commit the wheel was built from; packaging/revision.py writes it there."""
    with contextlib.suppress(FileNotFoundError):
        return resources.files("agent").joinpath("REVISION").read_text(encoding="ascii").strip()
    return "unknown"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
