"""AMD's real Python package against a libamd_smi.so that this test compiles.

The package looks for its library when it is imported, once in a process, so each case is a process
of its own. Skipped where the package (PyPI: amdsmi) or a C compiler is not installed.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from unit.collectors.drm_trees import card, table

PACKAGE = importlib.util.find_spec("amdsmi")
pytestmark = pytest.mark.skipif(
    PACKAGE is None or shutil.which("gcc") is None, reason="needs amdsmi from PyPI, and gcc"
)
SOURCE = r"""
#include <stdint.h>
#include <stdlib.h>
static int reads;
int amdsmi_init(uint64_t flags) { return getenv("SMI_INIT") ? atoi(getenv("SMI_INIT")) : 0; }
int amdsmi_shut_down(void) { return 0; }
int amdsmi_get_socket_handles(uint32_t *count, void **handles) {
    *count = 1;
    if (handles) handles[0] = (void *)1;
    return 0;
}
int amdsmi_get_processor_handles(void *socket, uint32_t *count, void **handles) {
    *count = 1;
    if (handles) handles[0] = (void *)2;
    return 0;
}
int amdsmi_get_gpu_device_bdf(void *handle, uint64_t *bdf) {
    *bdf = (uint64_t)0x0 << 16 | 0x43 << 8 | 0 << 3 | 0;
    return handle == (void *)2 ? 0 : 1;
}
int amdsmi_get_energy_count(void *handle, uint64_t *count, float *resolution, uint64_t *time) {
    int code = getenv("SMI_ENERGY") ? atoi(getenv("SMI_ENERGY")) : 0;
    if (code && reads++) return code;
    *count = 65536ull * 1000;
    *resolution = 15.3f;
    *time = 1;
    return 0;
}
"""
SCRIPT = """
import json, sys
from pathlib import Path
from unit.collectors.trees import context, reading
from collectors.amdgpu import Amdgpu

gpu = Amdgpu(Amdgpu.Settings(**json.loads(sys.argv[2])), context(Path(sys.argv[1])))
readings = [reading(gpu) for _ in range(2)]
gpu.close()
print(json.dumps([readings, "amdsmi" in sys.modules]))
"""


@pytest.fixture(scope="module")
def rocm(tmp_path_factory):
    """Compile the library with every symbol that the package binds at its import."""
    root = tmp_path_factory.mktemp("rocm")
    (root / "lib").mkdir()
    wrapper = (Path(PACKAGE.submodule_search_locations[0]) / "amdsmi_wrapper.py").read_text()
    bound = set(re.findall(r"_libraries\['libamd_smi.so'\]\.(\w+)", wrapper))
    others = bound - set(re.findall(r"int (amdsmi_\w+)\(", SOURCE))
    not_supported = "".join(f"int {name}() {{ return 2; }}\n" for name in sorted(others))
    (root / "smi.c").write_text(SOURCE + not_supported)
    library = root / "lib/libamd_smi.so"
    command = ["gcc", "-shared", "-fPIC", "-w", "-o", str(library), str(root / "smi.c")]
    subprocess.run(command, check=True)
    return root


def run(root, rocm, settings=None, **environment):
    tests = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(root), json.dumps(settings or {})],
        env={**os.environ, "PYTHONPATH": str(tests), "ROCM_PATH": str(rocm), **environment},
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    readings, loaded = json.loads(done.stdout)
    energies = [
        [(key, s[key]) for s in r.get("samples", ()) for key in ("joules", "watts") if key in s]
        for r in readings
    ]
    return energies, readings[-1], loaded


def newer(root):
    """Make a card whose table has a revision of the future."""
    card(
        root,
        0,
        "0000:43:00.0",
        "amdgpu",
        device="0x75ff",
        gpu_metrics=table(1, 10, 4000, 24, 1),
        hwmon__power1_input=131_000_000,
    )


def test_the_library_gives_the_energy_of_a_card_newer_than_our_tables(tmp_path, rocm):
    """65536000 counts are 1000 J at 2^-16 J; at the rounded 15.3 uJ they would be 1002.7."""
    newer(tmp_path)
    energies, _, loaded = run(tmp_path, rocm)
    assert energies == [[("joules", 1000.0)]] * 2
    assert loaded


def test_it_is_not_loaded_where_the_table_is_known_or_the_settings_forbid(tmp_path, rocm):
    newer(tmp_path / "new")
    energies, _, loaded = run(tmp_path / "new", rocm, {"use_amdsmi": False})
    assert (energies, loaded) == ([[("watts", 131.0)]] * 2, False)
    files = {"gpu_metrics": table(1, 3, 120, 24, 65536 * 9)}
    card(tmp_path / "old", 0, "0000:43:00.0", "amdgpu", **files)
    energies, _, loaded = run(tmp_path / "old", rocm)
    assert (energies, loaded) == ([[("joules", 9.0)]] * 2, False)


def test_without_the_library_there_is_power_and_nothing_is_printed(tmp_path):
    newer(tmp_path)
    energies, _, loaded = run(tmp_path, tmp_path / "nowhere")
    assert energies == [[("watts", 131.0)]] * 2
    assert not loaded


@pytest.mark.parametrize("code", [2, 10, 49])
def test_a_library_that_does_not_start_leaves_power(tmp_path, rocm, code):
    newer(tmp_path)
    energies, _, _ = run(tmp_path, rocm, SMI_INIT=str(code))
    assert energies == [[("watts", 131.0)]] * 2


def test_a_reading_that_fails_is_a_gap_and_not_power(tmp_path, rocm):
    newer(tmp_path)
    energies, last, _ = run(tmp_path, rocm, SMI_ENERGY="10")
    assert energies == [[("joules", 1000.0)], []]
    assert last == {"outcome": "Transient", "reason": "io"}


def test_another_card_is_not_taken_for_this_one(tmp_path, rocm):
    newer(tmp_path)
    device = tmp_path / "sys/devices/pci0000:00/0000:43:00.0"
    moved = device.with_name("0000:44:00.0")
    device.rename(moved)
    link = tmp_path / "sys/class/drm/card0"
    link.unlink()
    link.symlink_to("../../devices/pci0000:00/0000:44:00.0/drm/card0")
    (moved / "drm/card0/device").unlink()
    (moved / "drm/card0/device").symlink_to("../../../0000:44:00.0")
    energies, _, _ = run(tmp_path, rocm)
    assert energies == [[("watts", 131.0)]] * 2
