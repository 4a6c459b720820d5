import pytest

from agent.estimate.machine import Disk
from collectors.machine import detect

XEON = """processor\t: {n}
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 85
model name\t: {name}
stepping\t: 7
physical id\t: {package}
siblings\t: 4
core id\t\t: {core}
cpu cores\t: 2
flags\t\t: fpu vme{extra}
"""


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


@pytest.fixture
def roots(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "sys").mkdir()
    return tmp_path / "proc", tmp_path / "sys"


def xeon(roots, name, *, sockets=1, cores=2, smt=2, extra="", sysfs=True):
    procfs, sys_root = roots
    blocks, n = [], 0
    for thread in range(smt):
        for package in range(sockets):
            for core in range(cores):
                blocks.append(XEON.format(n=n, name=name, package=package, core=core, extra=extra))
                if sysfs:
                    top = sys_root / f"devices/system/cpu/cpu{n}/topology"
                    write(top / "physical_package_id", str(package))
                    write(top / "core_id", str(core))
                n += 1
        assert thread < smt
    write(procfs / "cpuinfo", "\n".join(blocks))
    write(procfs / "meminfo", "MemTotal:       395872384 kB\nMemFree: 1 kB")


def disk(roots, name, gigabytes, rotational=0):
    top = roots[1] / "block" / name
    write(top / "size", str(gigabytes * 10**9 // 512))
    write(top / "queue/rotational", str(rotational))


def test_bare_metal_with_two_sockets(roots):
    xeon(roots, "Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz", sockets=2, cores=24)
    disk(roots, "nvme0n1", 1920)
    disk(roots, "sda", 4000, rotational=1)
    disk(roots, "sdb", 480)
    for virtual in ("loop0", "dm-0", "md0", "sr0", "zram0", "nvme0c0n1"):
        disk(roots, virtual, 1)
    disk(roots, "sdc", 0)
    machine = detect(*roots)
    assert machine.part.name == "Xeon Platinum 8259CL"
    assert (machine.sockets, machine.cpu_share, machine.virtual) == (2, 1.0, False)
    assert machine.package_ids == (0, 1)
    assert machine.memory_gb == 378
    assert [(d.device, d.kind) for d in machine.disks] == [
        ("nvme0", "nvme"),
        ("sda", "hdd"),
        ("sdb", "ssd"),
    ]


@pytest.mark.parametrize("sysfs", [True, False])
def test_a_vm_has_a_share(roots, sysfs):
    name = "Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz"
    xeon(roots, name, cores=2, extra=" hypervisor", sysfs=sysfs)
    disk(roots, "vda", 100)
    machine = detect(*roots)
    assert machine.virtual
    assert machine.cpu_share == pytest.approx(2 / 24)
    assert machine.disks == (Disk("vda", "virtual", 100 * 10**9 // 512 * 512),)


def test_a_vm_from_which_smt_is_hidden_has_threads(roots):
    name = "Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz"
    xeon(roots, name, cores=4, smt=1, extra=" hypervisor")
    assert detect(*roots).cpu_share == pytest.approx(2 / 24)


def test_a_vm_whose_cpu_is_hidden_is_known_by_its_signature(roots):
    xeon(roots, "Intel(R) Xeon(R) CPU @ 2.80GHz", cores=4, extra=" hypervisor")
    machine = detect(*roots)
    assert machine.part.microarchitecture.name == "cascadelake-sp"
    assert not machine.part.known
    assert machine.cpu_share == pytest.approx(4 / 20)


ARM = """processor\t: {n}
BogoMIPS\t: 243.75
Features\t: fp asimd
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1
"""


def arm(roots, cpus, product):
    write(roots[0] / "cpuinfo", "\n".join(ARM.format(n=n) for n in range(cpus)))
    write(roots[1] / "class/dmi/id/sys_vendor", "Amazon EC2")
    write(roots[1] / "class/dmi/id/product_name", product)


def test_arm_in_the_cloud_is_told_by_core_and_vendor(roots):
    arm(roots, 4, "m6g.xlarge")
    machine = detect(*roots)
    assert machine.part.name == "Graviton2"
    assert machine.virtual
    assert machine.cpu_share == pytest.approx(4 / 64)


def test_bare_metal_in_the_cloud_is_no_vm(roots):
    arm(roots, 64, "m6g.metal")
    machine = detect(*roots)
    assert not machine.virtual
    assert machine.cpu_share == 1


def test_nothing_to_read_still_gives_a_machine(roots):
    machine = detect(*roots)
    assert machine.part.microarchitecture.name == "generic"
    assert machine.memory_gb is None
    assert machine.disks is None


def test_garbage_still_gives_a_machine(roots):
    write(roots[0] / "cpuinfo", "processor : 0\nphysical id : x\ncore id : -\nmodel : \x00\ufffd")
    write(roots[0] / "meminfo", "MemTotal: lots")
    write(roots[1] / "block/sda/size", "many")
    assert detect(*roots).disks == ()
