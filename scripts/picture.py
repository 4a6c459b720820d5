"""Runs `wattlas read` in a terminal against the simulated server and draws what it printed."""

import os
import pty
import re
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs/images/read.svg"
COLUMNS = 112


def in_a_terminal(command: list[str]) -> str:
    """Return what a command prints when its stdout is a terminal."""
    ours, theirs = pty.openpty()
    environ = os.environ | {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    with subprocess.Popen(command, stdout=theirs, env=environ) as process:
        os.close(theirs)
        printed = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # EIO: the other end is closed
                break
            if not part:
                break
            printed += part
    os.close(ours)
    if process.returncode:
        sys.exit(f"{command[0]} failed with {process.returncode}")
    return printed.decode().replace("\r\n", "\n")


def main() -> None:
    wattlas = Path(sys.executable).parent / "wattlas"
    with tempfile.TemporaryDirectory() as folder:
        machine, settings = Path(folder, "machine"), Path(folder, "wattlas.toml")
        settings.write_text(f'[paths]\nprocfs = "{machine}/proc"\nsysfs = "{machine}/sys"\n')
        command = [sys.executable, "-m", "hardware.run", str(machine), "--preset", "xeon_2s"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as simulator:
            try:
                assert simulator.stdout is not None
                simulator.stdout.readline()
                printed = in_a_terminal([str(wattlas), "read", "--config", str(settings)])
            finally:
                simulator.terminate()
    console = Console(record=True, width=COLUMNS, file=StringIO())
    console.print(Text("$ wattlas read", style="bold"))
    console.print(Text.from_ansi(printed.rstrip()))
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    svg = console.export_svg(title="one reading of a simulated two-socket server")
    # rich would have the reader's browser fetch a font from somebody's server
    PICTURE.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")
    print(f"wrote {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
