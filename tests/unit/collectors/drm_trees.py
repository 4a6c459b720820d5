"""Graphics cards on disk: recorded ones, and plain ones for what goes wrong.

As `trees.py`; a text that begins with `hex ` becomes those bytes (gpu_metrics is binary).
"""

import json
import struct
from collections.abc import Callable
from pathlib import Path

from unit.collectors.trees import Clock, context, plant, put, reading

from agent.collector import BlockingCollector, Context


def replay(folder: Path, root: Path, make: Callable[[Context], BlockingCollector]) -> None:
    """Assert that a recorded machine gives what `expected.json` says."""
    clock = Clock()
    collector = make(context(root, clock))
    for number, step in enumerate(json.loads((folder / "expected.json").read_text()), 1):
        plant(root, (folder / ("tree.txt" if number == 1 else f"tree-{number}.txt")).read_text())
        unhex(root)
        seconds = step.pop("seconds", 1.0)
        got = json.loads(json.dumps(reading(collector)))  # tuples are lists there
        assert got == step, f"reading {number} of {folder.name}"
        clock.now += seconds
    collector.close()


def unhex(root: Path) -> None:
    """Turn texts of `hex ` into bytes."""
    for path in root.rglob("gpu_metrics"):
        text = path.read_bytes()
        if text.startswith(b"hex "):
            path.write_bytes(bytes.fromhex(text[4:].decode()))


def card(root: Path, number: int, address: str, driver: str, **files: str | int | bytes) -> Path:
    """Make a card and return its PCI device; `hwmon__X` is the file X of the driver's chip."""
    device = root / "sys/devices/pci0000:00" / address
    put(device / "power/runtime_status", "active")
    put(device / "vendor", "0x1002" if driver == "amdgpu" else "0x8086")
    put(device / "device", "0x740f" if driver == "amdgpu" else "0x56c0")
    (device / "driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
    (device / f"drm/card{number}").mkdir(parents=True)
    (device / f"drm/card{number}/device").symlink_to(f"../../../{address}")
    link = root / f"sys/class/drm/card{number}"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(f"../../devices/pci0000:00/{address}/drm/card{number}")
    put(device / f"hwmon/hwmon{number}/name", driver)
    for name, content in files.items():
        chip, _, file = name.rpartition("__")
        put(device / (f"hwmon/hwmon{number}/{file}" if chip else file), content)
    return device


def table(form: int, content: int, size: int, offset: int, counts: int) -> bytes:
    """Return a gpu_metrics table as the driver fills it: 0xff but for header and energy."""
    data = bytearray(b"\xff" * size)
    struct.pack_into("=HBB", data, 0, size, form, content)
    struct.pack_into("=Q", data, offset, counts)
    return bytes(data)
