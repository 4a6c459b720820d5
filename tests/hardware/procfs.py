"""Texts of `/proc`, and the processors, disks and network of `/sys`, as the kernel prints them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardware.files import link, put, put_all, share

_HERTZ = 100
MIN_MEGAHERTZ = 800


@dataclass(frozen=True)
class Processor:
    """The processors of a machine: all sockets alike."""

    name: str
    sockets: int
    cores: int
    """Per socket."""
    threads: int
    """Per core."""
    megahertz: int
    max_megahertz: int
    idle_watts: float
    """Of one socket; with `peak_watts` this turns power into utilisation."""
    peak_watts: float
    vendor: str = "GenuineIntel"
    family: int = 6
    model: int = 85
    hypervisor: bool = False

    @property
    def per_socket(self) -> int:
        """Logical processors of one socket."""
        return self.cores * self.threads

    def numbers(self, socket: int) -> range:
        """Return the logical processors of a socket."""
        return range(socket * self.per_socket, (socket + 1) * self.per_socket)


@dataclass(frozen=True)
class Disk:
    """A block device."""

    name: str
    gigabytes: int
    rotational: bool = False
    major: int = 259


def cpuinfo(cpu: Processor) -> str:
    """Return `/proc/cpuinfo`; Arm's says little and gives no name."""
    if cpu.vendor == "ARM":
        return "".join(
            f"processor\t: {number}\nBogoMIPS\t: 2000.00\nFeatures\t: fp asimd evtstrm sve\n"
            "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n"
            f"CPU part\t: 0x{cpu.model:x}\nCPU revision\t: 0\n\n"
            for number in range(cpu.sockets * cpu.per_socket)
        )
    flags = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat sse sse2 ht avx avx2"
    if cpu.hypervisor:
        flags += " hypervisor"
    blocks = []
    for socket in range(cpu.sockets):
        for place, number in enumerate(cpu.numbers(socket)):
            blocks.append(
                f"processor\t: {number}\nvendor_id\t: {cpu.vendor}\ncpu family\t: {cpu.family}\n"
                f"model\t\t: {cpu.model}\nmodel name\t: {cpu.name}\nstepping\t: 7\n"
                f"microcode\t: 0x1\ncpu MHz\t\t: {cpu.megahertz}.000\ncache size\t: 22528 KB\n"
                f"physical id\t: {socket}\nsiblings\t: {cpu.per_socket}\n"
                f"core id\t\t: {place // cpu.threads}\ncpu cores\t: {cpu.cores}\n"
                f"apicid\t\t: {number}\ninitial apicid\t: {number}\nfpu\t\t: yes\n"
                f"fpu_exception\t: yes\ncpuid level\t: 22\nwp\t\t: yes\nflags\t\t: {flags}\n"
                f"bugs\t\t: spectre_v1\nbogomips\t: {cpu.megahertz * 2}.00\nclflush size\t: 64\n"
                f"cache_alignment\t: 64\naddress sizes\t: 46 bits physical, 48 bits virtual\n"
                "power management:\n\n"
            )
    return "".join(blocks)


def stat(cpu: Processor, busy_seconds: Sequence[float], up_seconds: float, btime: int) -> str:
    """Return `/proc/stat` for sockets that have been busy so long since boot."""
    total = [0, 0, 0]
    lines = []
    for socket, busy in enumerate(busy_seconds):
        busy_ticks = int(min(max(busy, 0.0), up_seconds) * _HERTZ)
        user = busy_ticks * 4 // 5
        times = (user, busy_ticks - user, int(up_seconds * _HERTZ) - busy_ticks)
        tail = f" {times[0]} 0 {times[1]} {times[2]} 0 0 0 0 0 0\n"
        lines += [f"cpu{number}{tail}" for number in cpu.numbers(socket)]
        total = [a + b * cpu.per_socket for a, b in zip(total, times, strict=True)]
    ticks = int(up_seconds * _HERTZ)
    return (
        f"cpu  {total[0]} 0 {total[1]} {total[2]} 0 0 0 0 0 0\n{''.join(lines)}"
        f"intr {ticks * 9} 0 {ticks}\nctxt {ticks * 23}\nbtime {btime}\nprocesses {ticks // 50}\n"
        f"procs_running 2\nprocs_blocked 0\nsoftirq {ticks * 4} 0 {ticks} 0 0 0 0 0 0 0 0\n"
    )


def meminfo(kibibytes: int) -> str:
    """Return `/proc/meminfo` with a third of the memory in use."""
    values = {
        "MemTotal": kibibytes,
        "MemFree": kibibytes // 2,
        "MemAvailable": kibibytes * 2 // 3,
        "Buffers": kibibytes // 100,
        "Cached": kibibytes // 8,
        "SwapCached": 0,
        "Active": kibibytes // 4,
        "Inactive": kibibytes // 10,
        "SwapTotal": 0,
        "SwapFree": 0,
        "Shmem": kibibytes // 200,
        "Slab": kibibytes // 50,
        "SReclaimable": kibibytes // 80,
    }
    return "".join(f"{name + ':':<15}{value:>9} kB\n" for name, value in values.items())


def diskstats(disks: Sequence[Disk], up_seconds: float) -> str:
    """Return `/proc/diskstats`: each disk reads 20 and writes 50 sectors of 4 KiB a second."""
    reads, writes, ticks = int(up_seconds * 20), int(up_seconds * 50), int(up_seconds * 30)
    return "".join(
        f"{disk.major:4d} {number:7d} {disk.name} {reads} 0 {reads * 8} {reads // 2} "
        f"{writes} 0 {writes * 8} {writes} 0 {ticks} {ticks} 0 0 0 0 0 0\n"
        for number, disk in enumerate(disks)
    )


def net_dev(up_seconds: float) -> str:
    """Return `/proc/net/dev`: 1 MB/s in, 2 MB/s out."""
    received, sent = int(up_seconds * 1e6), int(up_seconds * 2e6)
    return (
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|"
        "bytes    packets errs drop fifo colls carrier compressed\n"
        "    lo: 1000 10 0 0 0 0 0 0 1000 10 0 0 0 0 0 0\n"
        f"  eth0: {received} {received // 1000} 0 0 0 0 0 0 {sent} {sent // 1000} 0 0 0 0 0 0\n"
    )


def kilohertz(cpu: Processor, watts: float, *, throttled: bool = False) -> int:
    """Return the clock of a socket at a power, in steps of 100 MHz: it follows the load."""
    if throttled:
        return cpu.megahertz * 6 // 1000 * 100_000
    load = (watts - cpu.idle_watts) / (cpu.peak_watts - cpu.idle_watts)
    span = cpu.max_megahertz - MIN_MEGAHERTZ
    return (MIN_MEGAHERTZ + int(span * min(max(load, 0.0), 1.0))) // 100 * 100_000


def clock_file(sysfs: Path, cpu: Processor, socket: int) -> Path:
    """Return the file that a socket's clock is in; those of its other CPUs are the same file."""
    return sysfs / f"devices/system/cpu/cpufreq/policy{cpu.numbers(socket)[0]}/scaling_cur_freq"


def throttle_file(sysfs: Path, cpu: Processor, socket: int) -> Path:
    """Return the file with the time for which a socket was held down, which all its CPUs have."""
    first = cpu.numbers(socket)[0]
    return sysfs / f"devices/system/cpu/cpu{first}/thermal_throttle/package_throttle_total_time_ms"


def share_processors(sysfs: Path, cpu: Processor) -> None:
    """Give the files of a socket's first CPU to the others."""
    for socket in range(cpu.sockets):
        first, *others = cpu.numbers(socket)
        for one in (clock_file(sysfs, cpu, socket), throttle_file(sysfs, cpu, socket)):
            if one.exists():
                top = sysfs / "devices/system/cpu"
                path = str(one.relative_to(top))
                share(one, [top / path.replace(f"{first}/", f"{n}/", 1) for n in others])


def build_processors(sysfs: Path, cpu: Processor) -> None:
    """Make `/sys/devices/system/cpu` with topology and cpufreq; the clocks are live files."""
    root = sysfs / "devices/system/cpu"
    count = cpu.sockets * cpu.per_socket
    for name in ("online", "present", "possible"):
        put(root / name, f"0-{count - 1}" if count > 1 else "0")
    for socket in range(cpu.sockets):
        numbers = cpu.numbers(socket)
        package = f"{numbers[0]}-{numbers[-1]}"
        for place, number in enumerate(numbers):
            core = place // cpu.threads
            first = numbers[0] + core * cpu.threads
            siblings = f"{first}-{first + cpu.threads - 1}" if cpu.threads > 1 else str(first)
            directory = root / f"cpu{number}"
            put_all(
                directory / "topology",
                {
                    "physical_package_id": socket,
                    "die_id": 0,
                    "core_id": core,
                    "thread_siblings_list": siblings,
                    "core_cpus_list": siblings,
                    "package_cpus_list": package,
                    "core_siblings_list": package,
                },
            )
            if not cpu.hypervisor:
                policy = root / f"cpufreq/policy{number}"
                put_all(
                    policy,
                    {
                        "cpuinfo_max_freq": cpu.max_megahertz * 1000,
                        "cpuinfo_min_freq": MIN_MEGAHERTZ * 1000,
                        "scaling_max_freq": cpu.max_megahertz * 1000,
                        "scaling_governor": "schedutil",
                        "affected_cpus": number,
                    },
                )
                link(directory / "cpufreq", policy)


def build_disks(sysfs: Path, disks: Sequence[Disk]) -> None:
    """Make `/sys/block` and `/sys/class/block`."""
    (sysfs / "block").mkdir(parents=True, exist_ok=True)
    for number, disk in enumerate(disks):
        directory = sysfs / "devices/pci0000:00/0000:00:17.0" / "block" / disk.name
        put_all(
            directory,
            {
                "size": disk.gigabytes * 1_000_000_000 // 512,
                "removable": 0,
                "ro": 0,
                "dev": f"{disk.major}:{number}",
            },
        )
        put_all(
            directory / "queue",
            {"rotational": int(disk.rotational), "logical_block_size": 512},
        )
        put(directory / "device/model", f"Simulated {disk.name}")
        link(sysfs / "block" / disk.name, directory)
        link(sysfs / "class/block" / disk.name, directory)


def build_network(sysfs: Path) -> None:
    """Make `/sys/class/net`: the loopback and one card."""
    card = sysfs / "devices/pci0000:00/0000:00:1c.0/net/eth0"
    put_all(card, {"speed": 25_000, "operstate": "up", "mtu": 1500, "type": 1})
    (card.parent.parent / "uevent").write_bytes(b"DRIVER=ice\n")
    link(card / "device", card.parent.parent)
    loopback = sysfs / "devices/virtual/net/lo"
    put_all(loopback, {"operstate": "unknown", "mtu": 65_536, "type": 772})
    link(sysfs / "class/net/eth0", card)
    link(sysfs / "class/net/lo", loopback)
