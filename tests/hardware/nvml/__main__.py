"""`python -m hardware.nvml DIR`: a library and boards that run in real time by themselves."""

import argparse
import re
import sys
from pathlib import Path

from hardware.nvml.boards import MODELS, Board
from hardware.nvml.build import compile_into
from hardware.nvml.standin import Standin


def parse_boards(text: str) -> list[Board]:
    """Return the boards of "8xH100" or "2xA100,1xP40". Raises `ValueError`."""
    boards: list[Board] = []
    for part in text.split(","):
        match = re.fullmatch(r"(?:(\d+)x)?(\w+)", part.strip())
        if match is None or match[2].upper() not in MODELS:
            raise ValueError(f"{part!r} is not like 8xH100; models: {', '.join(MODELS)}")
        make = MODELS[match[2].upper()]
        boards += [make(len(boards) + number) for number in range(int(match[1] or 1))]
    return boards


def main() -> None:
    """Write both files and say so; nothing needs to keep running."""
    parser = argparse.ArgumentParser(prog="hardware.nvml", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--boards", type=parse_boards, default="8xH100", help="e.g. 8xH100")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    compile_into(options.directory)
    Standin(options.directory / "nvml.state", options.boards, is_real=True)
    sys.stdout.write(f"ready: LD_LIBRARY_PATH={options.directory}\n")


if __name__ == "__main__":
    main()
