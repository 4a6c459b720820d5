"""A Debian 12 in a directory, made by debootstrap and kept for the next time."""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from service.machine import Failed

SUITE: Final = "bookworm"
PACKAGES: Final = (
    "ca-certificates",
    "curl",
    "dbus",
    "iproute2",
    "libgcc-s1",
    "procps",
    "python3",
    "python3-venv",  # for the wheel's own environment
    "systemd",
    "systemd-sysv",
    "udev",  # as every host that is no container has it: the package's rules are read by it
)


def debian(cache: Path, mirror: str = "", packages: Sequence[str] = PACKAGES) -> tuple[Path, float]:
    """Return a directory with a Debian that nobody has booted, and the seconds it took to make.

    It is made anew when the list of packages changes, or after 30 days.
    """
    key = hashlib.sha256(" ".join((SUITE, *packages)).encode()).hexdigest()[:12]
    place = cache / f"{SUITE}-{key}"
    made = place / "made"
    if made.exists() and time.time() - made.stat().st_mtime < 30 * 86400:
        return place / "root", 0.0
    began = time.monotonic()
    making = cache / f"{place.name}.{os.getpid()}"
    making.mkdir(parents=True)
    try:
        _debootstrap(making / "root", mirror or _mirror(), packages)
        (making / "made").touch()
        if place.exists():
            shutil.rmtree(place)
        making.rename(place)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return place / "root", time.monotonic() - began


def _debootstrap(root: Path, mirror: str, packages: Sequence[str]) -> None:
    proxy = subprocess.run(
        [
            "sh",
            "-c",
            'eval "$(apt-config shell proxy Acquire::http::Proxy)"; printf %s "${proxy-}"',
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    environment = os.environ | ({"http_proxy": proxy} if proxy else {})
    include = f"--include={','.join(packages)}"
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", include, SUITE, str(root), mirror],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        end = "\n".join(done.stdout.splitlines()[-10:])
        raise Failed(f"debootstrap could not make a Debian 12 from {mirror}:\n{end}")
    # packages are installed from files; what was fetched to make it is not needed
    for archive in (root / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()


def _mirror() -> str:
    """Return the mirror of Debian 12 in this machine's own apt sources."""
    found = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(RELEASE) $(COMPONENT) $(REPO_URI)",
            "Created-By: Packages",
        ],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for line in found.splitlines():
        release, component, address = line.split(" ", 2)
        if (release, component) == (SUITE, "main"):
            return address
    raise Failed("this machine's apt sources name no mirror of Debian 12; name one: --mirror URL")
