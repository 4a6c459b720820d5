"""Keep a simulated machine going in real time: `python -m hardware.run DIR --preset xeon_2s`."""

import argparse
import signal
import sys
import threading
import time
from pathlib import Path

from hardware.presets import PRESETS
from hardware.timeline import Timeline


def main() -> None:
    """Build the machine, say so on one line, and advance it until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="hardware.run", description=__doc__)
    parser.add_argument("directory", type=Path, help="an empty or new directory for proc/ and sys/")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="xeon_2s")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds per second")
    parser.add_argument("--hertz", type=float, default=10.0, help="updates per second")
    options = parser.parse_args()
    if options.speed <= 0 or options.hertz <= 0:
        parser.error("--speed and --hertz are above 0")
    if options.directory.exists() and any(options.directory.iterdir()):
        parser.error(f"{options.directory} is not empty")

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    start = time.monotonic()
    with PRESETS[options.preset](options.directory) as machine:
        # The agent beside it reads the real clocks, so the tree shows the real uptime.
        uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
        machine.timeline = Timeline(epoch=time.time(), uptime=uptime)
        machine.write(0.0)
        sys.stdout.write(f"ready: {options.preset} in {options.directory}\n")
        sys.stdout.flush()
        tick = 1
        while not stop.wait(max(start + tick / options.hertz - time.monotonic(), 0.0)):
            machine.write((time.monotonic() - start) * options.speed)
            tick = max(tick + 1, int((time.monotonic() - start) * options.hertz))


if __name__ == "__main__":
    main()
