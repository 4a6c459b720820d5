"""Builds the .deb; scripts/build-deb calls it with what it needs.

`pip install --target` into /usr/lib/wattlas, the files of the service around it, `dpkg-deb`. All
that could differ from one build to the next (paths, times, order, modes) is made the same.
"""

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from email.utils import formatdate
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PACKAGING: Final = HERE.parent
ROOT: Final = PACKAGING.parent
LIBRARY: Final = "usr/lib/wattlas"

MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
"""Debian's name of a processor to that in a wheel's name, for those that all our libraries have
wheels for."""

NEWEST_GLIBC: Final = 36
"""Debian 12's, the oldest system that has a Python for us: wheels may ask for so much."""

MAINTAINER: Final = "The Wattlas contributors <contributors@wattlas.invalid>"
"""Nobody signs for the package yet: RFC 2606 keeps .invalid free for that."""

SHELLS: Final = {
    "bash": "usr/share/bash-completion/completions/wattlas",
    "zsh": "usr/share/zsh/vendor-completions/_wattlas",
    "fish": "usr/share/fish/vendor_completions.d/wattlas.fish",
}


def run(*command: str | Path, **more: str) -> str:
    """Run a command; its output is ours only if it fails."""
    environment = {**os.environ, "PYTHONHASHSEED": "0", **more}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        sys.stderr.write(done.stdout[-2000:] + done.stderr[-3000:])
        sys.exit(f"build-deb: {Path(command[0]).name} {command[1]} failed (status {done.returncode})")
    return done.stdout


class Build:
    """One package in the making, below `stage`."""

    def __init__(self, work: Path, python: str, compiler: str, revision: str) -> None:
        self.work = work
        self.stage = work / "stage"
        self.python = python
        self.compiler = compiler
        self.epoch = int(os.environ["SOURCE_DATE_EPOCH"])
        self.architecture = run("dpkg", "--print-architecture").strip()
        if self.architecture not in MACHINES:
            sys.exit(
                f"build-deb: {self.architecture}: our libraries have wheels for"
                f" {' and '.join(MACHINES)} only; build a wheel and use pipx there"
            )
        self.wheel = self._wheel()
        self.version = f"{self.wheel.name.split('-')[1]}-{revision}"

    def _wheel(self) -> Path:
        os.chdir(ROOT)
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", self.work / "wheel")
        (wheel,) = (self.work / "wheel").glob("*.whl")
        return wheel

    def put(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write one file of the package."""
        file = self.stage / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)

    def libraries(self) -> None:
        """Install the libraries of the lock file and our own wheel."""
        machine = MACHINES[self.architecture]
        platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(NEWEST_GLIBC, 4, -1)]
        platforms += [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")]
        target = self.stage / LIBRARY
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-deps"]
        pip += ["--disable-pip-version-check", "--no-compile", "--target", str(target)]
        pip += ["--root-user-action", "ignore"]
        foreign = [f"--platform={platform}" for platform in platforms]
        foreign += [f"--python-version={self.python}", "--implementation=cp", "--only-binary=:all:"]
        run(*pip, *foreign, "--require-hashes", "-r", PACKAGING / "requirements.lock")
        run(*pip, "--no-index", self.wheel)
        self._prune(target)
        run(
            self.compiler, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash",
            "-s", self.stage, "-p", "/", target,
        )  # fmt: skip

    @staticmethod
    def _prune(target: Path) -> None:
        """Take out what nothing needs at run time, and what names the machine that builds."""
        shutil.rmtree(target / "bin", ignore_errors=True)
        unwanted = [p for p in target.rglob("*") if p.is_dir() and p.name in {"tests", "test"}]
        for folder in unwanted:
            shutil.rmtree(folder, ignore_errors=True)
        for file in target.rglob("*"):
            if file.suffix in {".c", ".h", ".pyx", ".pxd", ".pyi", ".pxi"}:
                file.unlink()
        for information in target.glob("*.dist-info"):
            for name in ("RECORD", "REQUESTED", "direct_url.json"):
                (information / name).unlink(missing_ok=True)
            (information / "INSTALLER").write_text("dpkg\n")

    def files(self) -> None:
        """Lay the service's files around the libraries."""
        self.put("usr/bin/wattlas", (HERE / "wattlas").read_text(), 0o755)
        for name, path in {
            "wattlas.service": "usr/lib/systemd/system/wattlas.service",
            "wattlas.sysusers": "usr/lib/sysusers.d/wattlas.conf",
            "wattlas.tmpfiles": "usr/lib/tmpfiles.d/wattlas.conf",
            "wattlas.rules": "usr/lib/udev/rules.d/70-wattlas.rules",
            "wattlas.toml": "etc/wattlas/wattlas.toml",
            "deb/copyright": "usr/share/doc/wattlas/copyright",
        }.items():
            self.put(path, (PACKAGING / name).read_text())
        self.put("usr/share/man/man1/wattlas.1.gz", packed((PACKAGING / "wattlas.1").read_text()))
        for shell, path in SHELLS.items():
            self.put(path, self.wattlas("completion", shell))
        self.wattlas("dashboards", "--output", str(self.stage / "usr/share/wattlas"))
        document = "usr/share/doc/wattlas"
        self.put(f"{document}/changelog.gz", packed((ROOT / "CHANGELOG.md").read_text()))
        entry = (
            f"wattlas ({self.version}) unstable; urgency=medium\n\n"
            "  * What changed is in changelog.gz.\n\n"
            f" -- {MAINTAINER}  {formatdate(self.epoch)}\n"
        )
        self.put(f"{document}/changelog.Debian.gz", packed(entry))

    def wattlas(self, *arguments: str) -> str:
        """Run the packaged program's command line, as it is in the package."""
        code = (
            f"import sys; sys.path.insert(0, {str(self.stage / LIBRARY)!r});"
            "from agent.cli import main; main()"
        )
        return run(self.compiler, "-I", "-B", "-c", code, *arguments, HOME="/nonexistent")

    def control(self) -> None:
        """Write DEBIAN/."""
        files = sorted(p for p in self.stage.rglob("*") if p.is_file())
        kibibytes = sum(-(-p.stat().st_size // 1024) for p in files)
        major, minor = (int(part) for part in self.python.split("."))
        self.put(
            "DEBIAN/control",
            (HERE / "control")
            .read_text()
            .format(
                version=self.version,
                architecture=self.architecture,
                maintainer=MAINTAINER,
                python=self.python,
                next_python=f"{major}.{minor + 1}",
                glibc=self._glibc(),
                size=kibibytes,
            ),
        )
        sums = "".join(
            f"{hashlib.md5(p.read_bytes()).hexdigest()}  {p.relative_to(self.stage)}\n"
            for p in files
        )
        self.put("DEBIAN/md5sums", sums)
        self.put("DEBIAN/conffiles", "/etc/wattlas/wattlas.toml\n")
        for name in ("postinst", "prerm", "postrm"):
            self.put(f"DEBIAN/{name}", (HERE / name).read_text(), 0o755)

    def _glibc(self) -> str:
        """Return the newest glibc that a wheel asks for, from the tags in its WHEEL file."""
        needed = 17
        for file in (self.stage / LIBRARY).glob("*.dist-info/WHEEL"):
            own = [
                int(word.split("_")[2])
                for word in file.read_text().replace("-", " ").replace(".", " ").split()
                if word.startswith("manylinux_2_")
            ]
            needed = max(needed, min(own, default=0))
        return f"2.{needed}"

    def pack(self, output: Path) -> Path:
        """Make modes and times the same everywhere, and the package of it."""
        for path in (self.stage, *self.stage.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
            else:
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
            os.utime(path, (self.epoch, self.epoch))
        file = output / f"wattlas_{self.version}_{self.architecture}.deb"
        run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", self.stage, file)
        return file


def packed(text: str) -> bytes:
    """Compress without a name or a time."""
    return gzip.compress(text.encode(), 9, mtime=0)


def main() -> None:
    """Build one package."""
    parser = argparse.ArgumentParser()
    for name in ("--output", "--python", "--compiler", "--revision"):
        parser.add_argument(name, required=True)
    given = parser.parse_args()
    output = Path(given.output).resolve()
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as work:
        build = Build(Path(work), given.python, given.compiler, given.revision)
        build.libraries()
        build.files()
        build.control()
        sys.stdout.write(f"{build.pack(output)}\n")


if __name__ == "__main__":
    main()
