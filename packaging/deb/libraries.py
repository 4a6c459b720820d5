"""The libraries of the .deb: from the lock file, kept between builds as nothing in them changes."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PACKAGING: Final = HERE.parent
ROOT: Final = PACKAGING.parent
LIBRARY: Final = "usr/lib/wattlas"
LOCK: Final = PACKAGING / "requirements.lock"
KEPT: Final = ROOT / "build/deb"
"""Made by earlier builds; may be removed at any time."""

MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
"""Debian's name of a processor to that in a wheel's name, for those that all our libraries have
wheels for."""

NEWEST_GLIBC: Final = 36
"""Debian 12's, the oldest system that has a Python for us: wheels may ask for so much."""

NOT_NEEDED: Final = {".c", ".h", ".pxd", ".pxi", ".pyi", ".pyx"}
"""What some wheels bring of their sources."""

NOT_SHIPPED: Final = ("markdown_it_py", "mdurl", "pygments", "tzdata")
"""Debian's own tzdata does for the last; the others are for what of rich Wattlas does not use (its
Markdown, syntax colours, tracebacks). A third of all files, and dpkg takes its time with each."""

NAMES_THE_BUILD: Final = ("RECORD", "REQUESTED", "direct_url.json")
"""Files of a *.dist-info that tell how and where it was installed; dpkg has a list of its own."""


def run(*command: str | Path, **more: str) -> str:
    """Run a command; its output is the user's only if it fails."""
    environment = {**os.environ, "PYTHONHASHSEED": "0", **more}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        sys.stderr.write(done.stdout[-2000:] + done.stderr[-3000:])
        said = " ".join(str(word) for word in command[:4])
        sys.exit(f"build-deb: {said} … failed (status {done.returncode})")
    return done.stdout


def pip_install(target: Path, *arguments: str | Path) -> None:
    """Let pip install into a folder, without bytecode."""
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-deps"),
        *("--disable-pip-version-check", "--no-compile", "--root-user-action", "ignore"),
        *("--target", target),
        *arguments,
    )
    _without(target, NOT_SHIPPED)
    _prune(target)


def _without(target: Path, names: tuple[str, ...]) -> None:
    """Take out whole libraries, by what their RECORD says is theirs."""
    for information in [p for p in target.glob("*.dist-info") if p.name.lower().startswith(names)]:
        tops = {
            line.split("/")[0]
            for line in (information / "RECORD").read_text().splitlines()
            if "/" in line and not line.startswith("..")
        }
        for top in tops - {"bin"}:
            shutil.rmtree(target / top)


def _prune(target: Path) -> None:
    """Take out what nothing needs at run time, and what names the machine that builds."""
    shutil.rmtree(target / "bin", ignore_errors=True)
    for folder in [p for p in target.rglob("*") if p.is_dir() and p.name in {"tests", "test"}]:
        shutil.rmtree(folder, ignore_errors=True)
    for file in [p for p in target.rglob("*") if p.suffix in NOT_NEEDED]:
        file.unlink()
    for information in target.glob("*.dist-info"):
        for name in NAMES_THE_BUILD:
            (information / name).unlink(missing_ok=True)
        (information / "INSTALLER").write_text("dpkg\n")


def compile_to_bytecode(compiler: str, folder: Path, package: str = "") -> None:
    """Compile what is in a folder for where it will be on the target, the folder LIBRARY.

    It stays as the package brought it, or `dpkg --verify` says so: Python need not look at the
    source first (PEP 552, unchecked).
    """
    run(
        *(compiler, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
        *("-s", folder, "-p", f"/{LIBRARY}"),
        folder / package,
    )


def libraries(python: str, compiler: str, architecture: str) -> Path:
    """Return a folder with the libraries for a Python ("3.11") and a processor ("amd64").

    pip checks each file against the hashes in the lock, and takes wheels only. `compiler` is a
    Python of that version, for the bytecode.
    """
    machine = MACHINES[architecture]
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(NEWEST_GLIBC, 4, -1)]
    platforms += [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")]
    compiled_by = run(compiler, "-VV")
    content = LOCK.read_bytes() + Path(__file__).read_bytes() + f"{compiled_by} {machine}".encode()
    kept = KEPT / f"libraries-{hashlib.sha256(content).hexdigest()[:16]}"
    if not kept.is_dir():
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as work:
            pip_install(
                Path(work, "new"),
                *(f"--platform={platform}" for platform in platforms),
                *(f"--python-version={python}", "--implementation=cp", "--only-binary=:all:"),
                *("--require-hashes", "-r", LOCK),
            )
            compile_to_bytecode(compiler, Path(work, "new"))
            try:
                Path(work, "new").rename(kept)
            except OSError:
                if not kept.is_dir():  # else another build was faster
                    raise
    return kept


def newest_glibc(folder: Path) -> str:
    """Return the newest glibc that a wheel asks for, by the tags in its WHEEL file (PEP 600)."""
    needed = 17  # manylinux2014
    for file in folder.glob("*.dist-info/WHEEL"):
        words = file.read_text().replace("-", " ").replace(".", " ").split()
        own = [int(word.split("_")[2]) for word in words if word.startswith("manylinux_2_")]
        needed = max(needed, min(own, default=0))
    return f"2.{needed}"


def bill_of_materials(folder: Path) -> str:
    """Return the bill of materials of the libraries in a folder, CycloneDX as JSON."""
    script = ROOT / "scripts/sbom"
    parts = (LOCK, ROOT / "pyproject.toml", script, script.with_suffix(".py"))
    content = b"".join(part.read_bytes() for part in parts)
    content += os.environ["SOURCE_DATE_EPOCH"].encode() + folder.name.encode()
    kept = KEPT / f"bill-{hashlib.sha256(content).hexdigest()[:16]}.json"
    if not kept.is_file():
        new = kept.with_suffix(f".{os.getpid()}")
        run(script, "--path", folder, "--output", new)
        new.rename(kept)
    return kept.read_text()
