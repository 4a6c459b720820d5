"""What is installed: the .deb as it is shipped, later versions of it, and the wheel."""

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from service.machine import Failed

ROOT: Final = Path(__file__).parents[2]
PYTHON: Final = "3.11"
"""Debian 12's."""


def build_deb(output: Path) -> Path:
    """Build the package as a user would; return it."""
    _run([ROOT / "scripts/build-deb", "--output", output, "--python", PYTHON])
    (package,) = output.glob("wattlas_*.deb")
    return package


def later(package: Path, output: Path, work: Path, number: int) -> tuple[str, Path]:
    """Make the same package as a later version; return that, and the file.

    All that differs is the version, which the program then says in wattlas_build_info, so that what
    an upgrade costs is seen by itself.
    """
    tree = work / f"later-{number}"
    _run(["dpkg-deb", "--raw-extract", package, tree])
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines(keepends=True)
    old = next(line.split()[1] for line in lines if line.startswith("Version: ")).rpartition("-")[0]
    # later for dpkg, and a local version for Python (PEP 440)
    new = f"{old}+later{number}"
    control.write_text(
        "".join(f"Version: {new}-1\n" if x.startswith("Version: ") else x for x in lines)
    )
    library = tree / "usr/lib/wattlas"
    metadata = library / f"wattlas-{old}.dist-info/METADATA"
    text = metadata.read_text().replace(f"\nVersion: {old}\n", f"\nVersion: {new}\n", 1)
    metadata.write_text(text)
    metadata.parent.rename(library / f"wattlas-{new}.dist-info")
    files = sorted(p for p in tree.rglob("*") if p.is_file() and tree / "DEBIAN" not in p.parents)
    sums = (f"{hashlib.md5(p.read_bytes()).hexdigest()}  {p.relative_to(tree)}\n" for p in files)
    (tree / "DEBIAN/md5sums").write_text("".join(sums))
    architecture = package.stem.rpartition("_")[2]
    made = output / f"wattlas_{new}-1_{architecture}.deb"
    _run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, made])
    return new, made


def wheels(python: Path, output: Path) -> Path:
    """Fill a directory with our wheel and all that it needs; return ours."""
    _run([python, "-m", "hatchling", "build", "--target", "wheel", "--directory", output], cwd=ROOT)
    (wheel,) = output.glob("wattlas-*.whl")
    constraints = ROOT / "packaging/constraints.txt"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "download"]
    target = ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
    _run([*pip, *target, "--constraint", constraints, "--dest", output, wheel])
    return wheel


def _run(command: Sequence[str | Path], cwd: Path | None = None) -> None:
    done = subprocess.run(
        [str(c) for c in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env=os.environ,
        check=False,
    )
    if done.returncode != 0:
        end = "\n".join(done.stdout.splitlines()[-15:])
        raise Failed(f"{' '.join(map(str, command))[:200]}: status {done.returncode}:\n{end}")
