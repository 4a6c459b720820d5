"""No GPU, no library, no driver."""

import shutil
from pathlib import Path

import pytest
from hardware.nvml import (
    LIB_RM_VERSION_MISMATCH,
    Standin,
    h100,
)
from unit.collectors.nvml_rig import (
    bus,
    child,
)
from unit.collectors.trees import put

NOTHING = """
    collector = make()
    began = time.perf_counter()
    try:
        collector.read()
    except Absent as absent:
        print(round(1e6 * (time.perf_counter() - began)), "pynvml" in sys.modules)
        print(absent.why)
        print(absent.remedy)
        print(absent.again_seconds)
"""


def nowhere(tmp_path):
    """Return an environment whose library cannot be loaded, wherever the tests run."""
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "libnvidia-ml.so.1").touch()
    return {"LD_LIBRARY_PATH": str(folder)}


def absent(tmp_path, environment):
    seconds, why, remedy, again = child(tmp_path, environment, NOTHING).splitlines()
    assert seconds.endswith("False"), "pynvml is not imported for it"
    assert again == "60.0"
    return why, remedy


HAS_LIBRARY = any(
    Path(folder, "libnvidia-ml.so.1").exists()
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/wsl/lib")
)
needs_no_gpu = pytest.mark.skipif(HAS_LIBRARY, reason="this machine has NVIDIA's library")


@needs_no_gpu
def test_a_host_without_any_of_it(tmp_path):
    why, remedy = absent(tmp_path, {})
    assert why.startswith("no NVIDIA GPU")
    assert remedy == "", "nothing to be done"


@needs_no_gpu
def test_a_card_without_the_library(tmp_path):
    bus(tmp_path, "nvidia")
    why, remedy = absent(tmp_path, {})
    assert "0000:1b:00.0" in why
    assert "libnvidia-ml.so.1" in remedy


@needs_no_gpu
def test_a_card_that_nouveau_drives(tmp_path):
    bus(tmp_path, "nouveau")
    _, remedy = absent(tmp_path, {})
    assert "nouveau" in remedy


@needs_no_gpu
def test_only_nvidias_other_devices(tmp_path):
    bus(tmp_path, "snd_hda_intel")
    put(tmp_path / "sys/bus/pci/devices/0000:1b:00.0/class", "0x040300")
    why, _ = absent(tmp_path, {})
    assert why.startswith("no NVIDIA GPU")


@needs_no_gpu
def test_the_driver_without_the_library(tmp_path):
    put(tmp_path / "proc/driver/nvidia/version", "NVRM version: 580.95.05")
    why, remedy = absent(tmp_path, {})
    assert "driver is loaded" in why
    assert "libnvidia-ml.so.1" in remedy


def test_a_library_that_cannot_be_loaded(tmp_path):
    why, remedy = absent(tmp_path, nowhere(tmp_path))
    assert "cannot be loaded" in why
    assert remedy


@needs_no_gpu
def test_a_look_at_nothing_is_cheap(tmp_path):
    numbers = "\t".join(["10"] + ["0"] * 14)
    devices = "\n".join(f"{n:04x}\t80860d57\t{numbers}\tsomething" for n in range(300))
    put(tmp_path / "proc/bus/pci/devices", devices)
    out = child(
        tmp_path,
        {},
        """
        collector = make()
        seen = []
        for _ in range(2):
            try:
                collector.read()
            except Absent:
                pass
            if not seen:
                sys.addaudithook(
                    lambda event, _: seen.append(event) if event in {"open", "import"} else None
                )
                seen.append("second look")
        print(seen.count("open"), seen.count("import"), "pynvml" in sys.modules)
        """,
    )
    opened, imported, has_pynvml = out.split()
    assert int(opened) <= 4, (
        "what a look costs is the files it opens; 0.2 ms where this was written"
    )
    assert (imported, has_pynvml) == ("0", "False")


def test_the_library_that_comes_with_an_update(tmp_path):
    """After two versions were found, the next look maps the file that is there by then."""
    old = Standin(tmp_path / "old", [h100(0)], is_real=True)
    old.fail("nvmlInitWithFlags", LIB_RM_VERSION_MISMATCH)
    folder = tmp_path / "lib"
    folder.mkdir()
    library = folder / "libnvidia-ml.so.1"
    shutil.copy(old.library, library)
    out = child(
        tmp_path,
        {"LD_LIBRARY_PATH": str(folder), "WATTLAS_NVML_STATE": str(tmp_path / "old")},
        """
        collector = make()
        try:
            collector.read()
        except Absent as absent:
            print(absent.why)
        print("libnvidia-ml" in Path("/proc/self/maps").read_text())
        """,
    )
    assert out.splitlines() == [
        "NVML and the loaded NVIDIA driver are of two versions",
        "False",
    ]
    old.close()
