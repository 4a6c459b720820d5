"""What hardware this is, as far as the estimator needs to know: CPU, sockets, memory, drives.

Reads /proc/cpuinfo, /proc/meminfo, /sys/devices/system/cpu, /sys/block and /sys/class/dmi/id, each
below a root that a test can replace. Nothing missing is an error: the estimator has a stand-in
for all of it.
"""

import re
from pathlib import Path

import msgspec

from agent.estimate.catalog import DEFAULT_CPU_MODEL, describe, find
from agent.estimate.machine import Disk, Machine
from agent.estimate.naming import family_from_cpuid

SECTOR_BYTES = 512
"""Unit of /sys/block/*/size, whatever the drive's own sectors are (kernel, Documentation/ABI)."""

NAMESPACE = re.compile(r"n\d+$")
"""Several namespaces share one NVMe drive, nvme0, which is also what its hwmon sensor is called."""
_NOT_A_DRIVE = re.compile(r"(?:loop|ram|zram|dm-|md|sr|fd|nbd|drbd|rbd|zd)\d|nvme\d+c\d+n\d+")
_VIRTUAL_DRIVE = re.compile(r"(?:vd|xvd)[a-z]+")

_HYPERVISORS = (
    "kvm",
    "qemu",
    "vmware",
    "virtualbox",
    "virtual machine",
    "google compute engine",
    "alibaba cloud ecs",
    "openstack",
    "hvm domu",
    "bhyve",
    "amazon ec2",
    "parallels",
)

_ARM_CORES = {
    ("0x41", "0xd0c"): "Neoverse-N1",
    ("0x41", "0xd40"): "Neoverse-V1",
    ("0x41", "0xd49"): "Neoverse-N2",
    ("0x41", "0xd4f"): "Neoverse-V2",
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x43", "0x0af"): "ThunderX2 99xx",
    ("0x48", "0xd01"): "Kunpeng-920",
    ("0x70", "0x663"): "FT-2000+/64",
    ("0xc0", "0xac3"): "AmpereOne",
    ("0xc0", "0xac4"): "AmpereOne",
}
"""Implementer and part of the main ID register (Arm; the makers' technical reference manuals)."""

_AMAZON_ARM = {
    "Cortex-A72": "Graviton",
    "Neoverse-N1": "Graviton2",
    "Neoverse-V1": "Graviton3",
    "Neoverse-V2": "Graviton4",
}


def detect(paths_procfs: Path = Path("/proc"), paths_sysfs: Path = Path("/sys")) -> Machine:
    """Describe the machine whose procfs and sysfs these are."""
    processors = _processors(_text(paths_procfs / "cpuinfo"))
    first = processors[0] if processors else {}
    virtual = _is_virtual(first, paths_sysfs)
    model = _model(first, paths_sysfs)
    packages, cores, threads = _topology(processors, paths_sysfs)
    disks = _disks(paths_sysfs, virtual)
    machine = describe(
        model,
        sockets=None if virtual else (len(packages) or None),
        cores=_cores(model, cores, threads) if virtual else (cores or None),
        memory_gb=_memory_gb(_text(paths_procfs / "meminfo")),
        disks=disks,
        virtual=virtual,
        architecture=None if find(model) else _architecture(first),
    )
    if not virtual and len(packages) == machine.sockets:
        machine = msgspec.structs.replace(machine, package_ids=packages)
    return machine


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() else default


def _processors(cpuinfo: str) -> list[dict[str, str]]:
    """One mapping per logical CPU; on Arm, what stands at the end holds for all of them."""
    found = []
    for block in re.split(r"\n\s*\n", cpuinfo):
        fields: dict[str, str] = {}
        for line in block.splitlines():
            key, colon, value = line.partition(":")
            if colon:
                fields.setdefault(key.strip(), value.strip())
        if "processor" in fields:
            found.append(fields)
    return found


def _dmi(sysfs: Path, name: str) -> str:
    return _text(sysfs / "class/dmi/id" / name)


def _is_virtual(first: dict[str, str], sysfs: Path) -> bool:
    if "hypervisor" in first.get("flags", "").split():
        return True
    product = _dmi(sysfs, "product_name").lower()
    if product.endswith(".metal") or ".metal-" in product:
        return False
    vendor = _dmi(sysfs, "sys_vendor").lower()
    return any(word in f"{vendor} {product}" for word in _HYPERVISORS)


def _model(first: dict[str, str], sysfs: Path) -> str:
    name = first.get("model name") or first.get("cpu model") or ""
    if not name and "CPU part" in first:
        key = (first.get("CPU implementer", "").lower(), first["CPU part"].lower())
        name = _ARM_CORES.get(key, "aarch64")
        if "amazon" in _dmi(sysfs, "sys_vendor").lower():
            name = _AMAZON_ARM.get(name, name)
        elif name == "Neoverse-N1" and "ampere" in _dmi(sysfs, "sys_vendor").lower():
            name = "Ampere Altra"
    return name or first.get("Hardware") or DEFAULT_CPU_MODEL


def _architecture(first: dict[str, str]) -> str | None:
    try:
        return family_from_cpuid(
            first.get("vendor_id", ""),
            int(first.get("cpu family", "")),
            int(first.get("model", "")),
            int(first.get("stepping", "0")),
        )
    except ValueError:
        return None


def _topology(processors: list[dict[str, str]], sysfs: Path) -> tuple[tuple[int, ...], int, int]:
    """Socket numbers, physical cores and logical CPUs."""
    cores: set[tuple[int, int, int]] = set()
    threads = 0
    for topology in sorted((sysfs / "devices/system/cpu").glob("cpu[0-9]*/topology")):
        package = _number(topology / "physical_package_id")
        core = _number(topology / "core_id")
        if package is None or core is None:
            continue
        threads += 1
        # core_id repeats on each die of some parts.
        cores.add((max(package, 0), _number(topology / "die_id") or 0, core))
    if not cores:
        threads = len(processors)
        for index, fields in enumerate(processors):
            package = _whole(fields.get("physical id"), 0)
            cores.add((package, 0, _whole(fields.get("core id"), index)))
    packages = tuple(sorted({package for package, _, _ in cores}))
    return packages, len(cores), max(threads, len(processors))


def _cores(model: str, cores: int, threads: int) -> int | None:
    """A VM's share in cores. Where SMT is hidden from it, its CPUs are threads all the same."""
    part = find(model)
    if part is None or not cores:
        return cores or None
    per_core = part.threads // part.cores
    return cores if threads > cores else max(-(-threads // per_core), 1)


def _memory_gb(meminfo: str) -> float | None:
    found = re.search(r"^MemTotal:\s+(\d+) kB", meminfo, re.MULTILINE)
    # Modules are sold in GiB; the firmware keeps a little, so what is seen is rounded up.
    return float(-(-int(found.group(1)) // 2**20)) if found else None


def _disks(sysfs: Path, virtual: bool) -> tuple[Disk, ...] | None:
    block = sysfs / "block"
    if not block.is_dir():
        return None
    found: dict[str, Disk] = {}
    for entry in sorted(block.iterdir(), key=lambda path: path.name):
        name = entry.name
        sectors = _number(entry / "size") or 0
        if _NOT_A_DRIVE.match(name) or not sectors:
            continue
        if virtual or _VIRTUAL_DRIVE.fullmatch(name):
            kind = "virtual"
        elif name.startswith("nvme"):
            kind, name = "nvme", NAMESPACE.sub("", name)
        else:
            kind = "hdd" if _number(entry / "queue/rotational") == 1 else "ssd"
        size = sectors * SECTOR_BYTES + (found[name].size_bytes if name in found else 0)
        found[name] = Disk(name, kind, size)
    return tuple(found.values())
