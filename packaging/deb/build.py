"""Builds the .deb; scripts/build-deb calls it with what it needs.

The libraries and our wheel into /usr/lib/wattlas, the files of the service around them, dpkg-deb.
All that could differ from one build to the next (paths, times, order, modes) is made the same.
"""

import argparse
import gzip
import hashlib
import os
import shutil
import sys
import tempfile
from email.utils import formatdate
from pathlib import Path
from typing import Final

from libraries import (
    HERE,
    LIBRARY,
    MACHINES,
    PACKAGING,
    ROOT,
    bill_of_materials,
    compile_to_bytecode,
    libraries,
    newest_glibc,
    pip_install,
    run,
)

PACKAGES: Final = ("agent", "collectors", "dashboards", "exporters")
DOCUMENTS: Final = "usr/share/doc/wattlas"
SETTINGS: Final = "etc/wattlas/wattlas.toml"

MAINTAINER: Final = "The Wattlas contributors <contributors@wattlas.invalid>"
"""Nobody signs for the package yet; .invalid is no domain and never will be (RFC 2606)."""

FILES: Final = {
    "deb/copyright": f"{DOCUMENTS}/copyright",
    "wattlas.rules": "usr/lib/udev/rules.d/70-wattlas.rules",
    "wattlas.service": "usr/lib/systemd/system/wattlas.service",
    "wattlas.sysusers": "usr/lib/sysusers.d/wattlas.conf",
    "wattlas.tmpfiles": "usr/lib/tmpfiles.d/wattlas.conf",
    "wattlas.toml": SETTINGS,
}
"""From packaging/ to where they go, as they are."""

COMPLETIONS: Final = {
    "bash": "usr/share/bash-completion/completions/wattlas",
    "fish": "usr/share/fish/vendor_completions.d/wattlas.fish",
    "zsh": "usr/share/zsh/vendor-completions/_wattlas",
}

COMPRESSION: Final = ("-Zzstd", "-z6", "--threads-max=1")
"""A quarter larger than xz, twenty times as fast; dpkg reads it since Debian 12 and Ubuntu 22.04.
One thread, as the number of them would show in the bytes."""


class Build:
    """One package in the making, below `stage`."""

    def __init__(self, work: Path, python: str, compiler: str, revision: str) -> None:
        """`compiler`: a Python of the version `python`."""
        self.stage = work / "stage"
        self.python = python
        self.compiler = compiler
        self.epoch = int(os.environ["SOURCE_DATE_EPOCH"])
        self.architecture = run("dpkg", "--print-architecture").strip()
        if self.architecture not in MACHINES:
            sys.exit(
                f"build-deb: {self.architecture}: our libraries have wheels for"
                f" {' and '.join(MACHINES)} only; use pipx there"
            )
        run(
            *("env", "-C", ROOT, sys.executable, "-m", "hatchling", "build"),
            *("--target", "wheel", "--directory", work / "wheel"),
        )
        (self.wheel,) = (work / "wheel").glob("*.whl")
        self.version = f"{self.wheel.name.split('-')[1]}-{revision}"

    def put(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write one file of the package."""
        file = self.stage / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)

    def program(self, *, bill: bool) -> None:
        """Lay out the program with its libraries and their bytecode."""
        ready = libraries(self.python, self.compiler, self.architecture)
        if bill:
            self.put(f"{DOCUMENTS}/wattlas.cdx.json", bill_of_materials(ready))
        target = self.stage / LIBRARY
        shutil.copytree(ready, target)
        pip_install(target, "--no-index", self.wheel)
        for package in PACKAGES:
            compile_to_bytecode(self.compiler, target, package)
        self.put("usr/bin/wattlas", (HERE / "wattlas").read_text(), 0o755)

    def companions(self) -> None:
        """Lay out what is around the program."""
        for name, path in FILES.items():
            self.put(path, (PACKAGING / name).read_text())
        for file in (PACKAGING / "drop-ins").iterdir():
            self.put(f"usr/share/wattlas/drop-ins/{file.name}", file.read_text())
        for shell, path in COMPLETIONS.items():
            self.put(path, self._wattlas("completion", shell))
        self._wattlas("dashboards", "--output", str(self.stage / "usr/share/wattlas"))
        self.put("usr/share/man/man1/wattlas.1.gz", packed((PACKAGING / "wattlas.1").read_text()))
        self.put(f"{DOCUMENTS}/changelog.gz", packed((ROOT / "CHANGELOG.md").read_text()))
        entry = (
            f"wattlas ({self.version}) unstable; urgency=medium\n\n"
            "  * What changed is in changelog.gz.\n\n"
            f" -- {MAINTAINER}  {formatdate(self.epoch)}\n"
        )
        self.put(f"{DOCUMENTS}/changelog.Debian.gz", packed(entry))

    def _wattlas(self, *arguments: str) -> str:
        """Run the program that is in the package, with the Python that it is for."""
        code = (
            f"import sys; sys.path.insert(0, {str(self.stage / LIBRARY)!r});"
            "from agent.cli import main; main()"
        )
        return run(self.compiler, "-I", "-B", "-c", code, *arguments, HOME="/nonexistent")

    def control(self) -> None:
        """Lay out what dpkg reads."""
        files = sorted(p for p in self.stage.rglob("*") if p.is_file())
        major, minor = (int(part) for part in self.python.split("."))
        control = (HERE / "control").read_text()
        values = {
            "architecture": self.architecture,
            "glibc": newest_glibc(self.stage / LIBRARY),
            "kibibytes": sum(-(-p.stat().st_size // 1024) for p in files),
            "maintainer": MAINTAINER,
            "next_python": f"{major}.{minor + 1}",
            "python": self.python,
            "version": self.version,
        }
        sums = [
            f"{hashlib.md5(p.read_bytes()).hexdigest()}  {p.relative_to(self.stage)}\n"
            for p in files
        ]
        self.put("DEBIAN/control", control.format(**values))
        self.put("DEBIAN/md5sums", "".join(sums))
        self.put("DEBIAN/conffiles", f"/{SETTINGS}\n")
        for name in ("preinst", "postinst", "prerm", "postrm"):
            self.put(f"DEBIAN/{name}", (HERE / name).read_text(), 0o755)

    def pack(self, output: Path) -> Path:
        """Make modes and times the same everywhere, and the package of it; return its path."""
        for path in (self.stage, *self.stage.rglob("*")):
            executable = path.is_dir() or (path.stat().st_mode & 0o100 and path.suffix != ".so")
            path.chmod(0o755 if executable else 0o644)
            os.utime(path, (self.epoch, self.epoch))
        file = output / f"wattlas_{self.version}_{self.architecture}.deb"
        run("dpkg-deb", "--root-owner-group", *COMPRESSION, "--build", self.stage, file)
        return file


def packed(text: str) -> bytes:
    """Compress without a name or a time."""
    return gzip.compress(text.encode(), 9, mtime=0)


def main() -> None:
    """Build one package and print its path."""
    parser = argparse.ArgumentParser()
    for name in ("--output", "--python", "--compiler", "--revision"):
        parser.add_argument(name, required=True)
    parser.add_argument("--no-bill", action="store_true")
    given = parser.parse_args()
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as work:
        build = Build(Path(work), given.python, given.compiler, given.revision)
        build.program(bill=not given.no_bill)
        build.companions()
        build.control()
        sys.stdout.write(f"{build.pack(Path(given.output).resolve())}\n")


if __name__ == "__main__":
    main()
