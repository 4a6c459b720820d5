"""What a machine is made of, from composed trees (tests/fixtures/inventory/README.txt)."""

from pathlib import Path

import pytest
from unit.collectors.trees import FIXTURES, plant, readable_by_all, without_rights

from agent.collector import Paths
from agent.lifecycle.hardware import Chassis, Detected, MemoryModule
from collectors.inventory import detect, plausible_gigabytes


def found(root: Path, name: str) -> Detected:
    folder = FIXTURES / "inventory" / name
    plant(root, (folder / "tree.txt").read_text())
    table = folder / "dmi.hex"
    if table.exists():
        put_table(root, bytes.fromhex(table.read_text().replace("\n", "")))
    return detect(Paths(root / "proc", root / "sys"))


def put_table(root: Path, table: bytes) -> Path:
    path = root / "sys/firmware/dmi/tables/DMI"
    path.parent.mkdir(parents=True)
    path.write_bytes(table)
    return path


def test_a_rack_server(tmp_path):
    machine = found(tmp_path, "rack-2s")
    assert not machine.virtual
    assert (machine.cpu_model, machine.architecture) == ("Xeon Gold 6230", "cascadelake-sp")
    assert (machine.sockets, machine.cores) == (2, 20)
    assert machine.modules == (MemoryModule(32.0, "DDR4"),) * 12
    assert not machine.modules_assumed
    assert machine.power_supplies == 2
    assert machine.chassis is Chassis.RACK
    assert machine.product == "Dell Inc. PowerEdge R740"
    assert machine.notes == ()


def test_only_drives_of_its_own(tmp_path):
    drives = found(tmp_path, "rack-2s").drives
    assert [(d.device, d.kind, round(d.gigabytes)) for d in drives] == [
        ("nvme0", "nvme", 3841),
        ("nvme1", "nvme", 3841),
        ("sda", "ssd", 480),
        ("sdb", "hdd", 4001),
        ("sdc", "hdd", 4001),
    ]


def test_a_blade_without_tables(tmp_path):
    machine = found(tmp_path, "blade-as-user")
    assert machine.chassis is Chassis.BLADE
    assert machine.modules_assumed
    assert sum(m.gigabytes for m in machine.modules) == 768  # 790,000,000 kB are 753.4 GiB
    assert len(machine.modules) == 24
    assert machine.power_supplies is None
    table, volume = machine.notes
    assert "DMI: not there" in table
    assert volume.startswith("sda: HPE LOGICAL VOLUME is a RAID controller's volume")


def test_a_virtual_machine_has_no_parts(tmp_path):
    assert found(tmp_path, "vm") == Detected(virtual=True)


def test_nothing_readable_is_unknown_not_nothing(tmp_path):
    machine = detect(Paths(tmp_path / "proc", tmp_path / "sys"))
    assert machine.sockets is None
    assert machine.modules is None
    assert machine.drives is None
    assert machine.power_supplies is None
    assert machine.chassis is Chassis.UNKNOWN
    assert any("sockets" in note for note in machine.notes)


def test_a_table_that_only_root_may_read():
    with readable_by_all() as root:
        plant(root, (FIXTURES / "inventory/blade-as-user/tree.txt").read_text())
        put_table(root, b"").chmod(0)
        machine = without_rights(lambda: detect(Paths(root / "proc", root / "sys")))
    assert any("only root may read it" in note and "asset" in note for note in machine.notes)
    assert machine.modules_assumed


def test_a_table_that_lists_too_little_is_not_believed(tmp_path):
    plant(tmp_path, (FIXTURES / "inventory/rack-2s/tree.txt").read_text())
    hexadecimal = (FIXTURES / "inventory/rack-2s/dmi.hex").read_text().replace("\n", "")
    put_table(tmp_path, bytes.fromhex(hexadecimal)[:900])
    machine = detect(Paths(tmp_path / "proc", tmp_path / "sys"))
    assert machine.modules_assumed
    assert sum(m.gigabytes for m in machine.modules) == 384
    assert any("the firmware lists" in note and "believed" in note for note in machine.notes)


@pytest.mark.parametrize(
    ("seen", "sold"),
    [
        *((8, 8), (15, 15), (31, 32), (62, 64), (94, 96), (126, 128), (188, 192), (251, 256)),
        *((376, 384), (503, 512), (754, 768), (1007, 1024), (1511, 1536), (2015, 2048)),
    ],
)
def test_memory_that_is_sold(seen, sold):
    assert plausible_gigabytes(seen) == sold
