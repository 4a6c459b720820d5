"""Compile the stand-in: gcc and libc6-dev are all it needs."""

import atexit
import shutil
import subprocess
import tempfile
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from hardware.faults import NoCompiler
from hardware.nvml.layout import FUNCTIONS, HERE

SONAME = "libnvidia-ml.so.1"
"""What pynvml opens."""


@cache
def build(without: tuple[str, ...] = ()) -> Path:
    """Return the library, made once in this process; functions that match `without` are missing."""
    directory = Path(tempfile.mkdtemp(prefix="wattlas-nvml-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return compile_into(directory, without)


def compile_into(directory: Path, without: tuple[str, ...] = ()) -> Path:
    """Compile into a directory and return the library. Raises `NoCompiler`."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompiler("no C compiler (cc or gcc) on PATH")
    library = directory / SONAME
    left_out = [f for f in FUNCTIONS if any(fnmatchcase(f, pattern) for pattern in without)]
    if len(without) > 0 and not left_out:
        raise ValueError(f"no function matches {without}")
    script = directory / "exported"
    hidden = "".join(f" {name};" for name in [*left_out, "hidden_*"])
    script.write_text(f"{{ global: nvml*; standin_*; local:{hidden} *; }};\n")
    command = [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    command += ["-fvisibility=hidden", f"-Wl,-soname,{SONAME}", f"-Wl,--version-script={script}"]
    sources = sorted(str(path) for path in HERE.glob("*.c"))
    subprocess.run([*command, "-o", str(library), *sources, "-lm", "-pthread"], check=True)
    script.unlink()
    return library
