"""The tree of files: what the counters say is what was true."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from hardware import PRESETS, Machine, cloud_vm, desktop_psys, epyc_2s, xeon_2s, xeon_12s
from hardware.hwmon import amd_energy
from hardware.power import Constant, Sine
from hardware.timeline import Timeline


def number(path: Path) -> int:
    text = path.read_text()
    assert text.endswith("\n")
    return int(text)


def counted(machine: Machine, index: str, times: list[float]) -> float:
    """Read a zone at each time and add up the differences, as an agent would."""
    zone = machine.zone_path(index)
    modulus = number(zone / "max_energy_range_uj") + unit_of(machine, index) / 1000
    total, before = 0.0, None
    for t in times:
        machine.write(t, proc=False)
        now = number(zone / "energy_uj")
        if before is not None:
            total += (now - before) % modulus
        before = now
    return total / 1e6


def unit_of(machine: Machine, index: str) -> int:
    return next(z.unit_nanojoules for z in machine.spec.zones if z.index == index)


@pytest.mark.parametrize(
    ("preset", "index", "device", "wraps"),
    [
        (xeon_2s, "intel-rapl:0", "package-0", 3),
        (xeon_2s, "intel-rapl:0:0", "dram-0", 1),
        (epyc_2s, "intel-rapl:1", "package-1", 10),
        (desktop_psys, "intel-rapl:1", "psys", 1),
        (xeon_12s, "intel-rapl:b", "package-11", 2),
    ],
)
def test_counters_follow_the_truth_through_wraps(
    preset: Callable[[Path], Machine], index: str, device: str, wraps: int, tmp_path: Path
) -> None:
    times = [n * 7.3 for n in range(1000)]
    with preset(tmp_path) as machine:
        energy = counted(machine, index, times)
        truth = machine.joules(device, 0.0, times[-1])
        assert truth > wraps * 0.5 * number(machine.zone_path(index) / "max_energy_range_uj") / 1e6
        # the counter refreshes every millisecond, counts whole units, and is cut to whole µJ
        assert energy == pytest.approx(truth, abs=0.001 * 200 + 1e-3)


def test_ranges_are_the_kernels(tmp_path: Path) -> None:
    def ranges(machine: Machine) -> set[int]:
        with machine:
            zones = machine.sysfs / "class/powercap"
            return {number(path) for path in zones.glob("*:*/max_energy_range_uj")}

    assert ranges(xeon_2s(tmp_path / "xeon")) == {262_143_328_850, 65_712_999_613}
    assert ranges(epyc_2s(tmp_path / "epyc")) == {65_532_610_987}


def test_powercap_has_the_kernels_shape(tmp_path: Path) -> None:
    with desktop_psys(tmp_path) as machine:
        zones = machine.sysfs / "class/powercap"
        assert sorted(path.name for path in zones.iterdir()) == [
            "intel-rapl",
            "intel-rapl-mmio",
            "intel-rapl-mmio:0",
            "intel-rapl:0",
            "intel-rapl:0:0",
            "intel-rapl:0:1",
            "intel-rapl:1",
        ]
        assert (zones / "intel-rapl:0:1").resolve() == (
            machine.sysfs / "devices/virtual/powercap/intel-rapl/intel-rapl:0/intel-rapl:0:1"
        )
        names = {path.name: (path / "name").read_text().strip() for path in zones.glob("*:*")}
        assert names["intel-rapl:1"] == "psys"
        assert names["intel-rapl-mmio:0"] == names["intel-rapl:0"] == "package-0"
        assert (zones / "intel-rapl:0/energy_uj").stat().st_mode & 0o777 == 0o400
        machine.write(500.0)
        assert number(zones / "intel-rapl:0/energy_uj") == number(
            zones / "intel-rapl-mmio:0/energy_uj"
        )


def test_zone_indices_are_hexadecimal(tmp_path: Path) -> None:
    with xeon_12s(tmp_path) as machine:
        assert (machine.zone_path("intel-rapl:a") / "name").read_text() == "package-10\n"
        assert (machine.zone_path("intel-rapl:b:0") / "name").read_text() == "dram\n"


def test_mirrored_dies_show_the_sockets_one_counter(tmp_path: Path) -> None:
    with epyc_2s(tmp_path, mirrored_dies=True) as machine:
        machine.write(1234.5)
        packages = {
            (path / "name").read_text().strip(): number(path / "energy_uj")
            for path in (machine.sysfs / "class/powercap").glob("intel-rapl:[0-9a-f]")
        }
        assert len(packages) == 8
        for socket in (0, 1):
            values = {packages[f"package-{socket}-die-{die}"] for die in range(4)}
            assert len(values) == 1
        assert packages["package-0-die-0"] != packages["package-1-die-0"]


def test_power_sensors_show_the_power(tmp_path: Path) -> None:
    wall = Sine(300.0, 100.0, 50.0)
    with xeon_2s(tmp_path / "xeon", {"wall": wall}) as machine:
        meter = machine.sysfs / "class/hwmon/hwmon0"
        assert (meter / "name").read_text() == "power_meter\n"
        machine.write(20.7)
        truth = wall.joules(20.0) - wall.joules(19.0)
        assert number(meter / "power1_average") == pytest.approx(truth * 1e6, abs=1)
    chips = (amd_energy(["package-0", "package-1"]),)
    power = {"package-0": Constant(200.0)}
    with epyc_2s(tmp_path / "epyc", power, chips=chips) as machine:
        machine.write(1000.0)
        chip = machine.sysfs / "class/hwmon/hwmon0"
        assert number(chip / "energy1_input") == 200_000_000_000
        assert (chip / "energy2_label").read_text() == "Esocket1\n"


def test_a_chip_without_a_power_file_gives_volts_and_amperes(tmp_path: Path) -> None:
    with desktop_psys(tmp_path, {"psys": Constant(36.0)}) as machine:
        machine.write(5.0)
        chip = machine.sysfs / "class/hwmon/hwmon0"
        assert not list(chip.glob("power[0-9]*"))
        milliwatts = number(chip / "in1_input") * number(chip / "curr1_input") / 1000
        assert milliwatts == pytest.approx(36_000, rel=1e-3)


def test_a_reboot_starts_counters_and_boot_id_anew(tmp_path: Path) -> None:
    with xeon_2s(tmp_path, {"package-0": Constant(100.0)}) as machine:
        boot_id = machine.procfs / "sys/kernel/random/boot_id"
        machine.reboot(100.0, off_seconds=40.0)
        machine.write(99.0)
        first = boot_id.read_text()
        machine.write(150.0)
        assert boot_id.read_text() != first
        assert len(boot_id.read_text()) == 37
        joules = number(machine.zone_path("intel-rapl:0") / "energy_uj") / 1e6
        assert joules == pytest.approx(1000.0, abs=0.2)
        assert (machine.procfs / "uptime").read_text().startswith("10.00 ")
        assert machine.joules("package-0", 0.0, 150.0) == pytest.approx(11_000.0)
        assert machine.watts("package-0", 120.0) == 0.0


def test_a_suspend_holds_the_counters(tmp_path: Path) -> None:
    with xeon_2s(tmp_path, {"package-1": Constant(50.0)}) as machine:
        machine.suspend(100.0, 700.0)
        assert counted(machine, "intel-rapl:1", [0.0, 99.0, 701.0]) == pytest.approx(5050, abs=0.1)
        assert machine.timeline.boottime(701.0) - machine.timeline.boottime(99.0) == 602.0
        assert machine.timeline.monotonic(701.0) - machine.timeline.monotonic(99.0) == 2.0


def test_a_reset_touches_one_device_and_no_clock(tmp_path: Path) -> None:
    with xeon_2s(tmp_path, {"package-1": Constant(50.0)}) as machine:
        machine.reset(100.0, "package-1")
        machine.write(110.0)
        joules = number(machine.zone_path("intel-rapl:1") / "energy_uj") / 1e6
        assert joules == pytest.approx(500.0, abs=0.1)
        assert number(machine.zone_path("intel-rapl:1:0") / "energy_uj") > 100e6
        assert machine.timeline.boottime(110.0) == machine.timeline.uptime + 110.0


def test_the_wall_clock_steps(tmp_path: Path) -> None:
    with cloud_vm(tmp_path) as machine:
        machine.timeline = Timeline(epoch=1e9)
        machine.step_wall(10.0, 3600.0)
        machine.step_wall(20.0, -3600.0)
        assert machine.timeline.wall(9.0) == 1e9 + 9
        assert machine.timeline.wall(15.0) == 1e9 + 3615
        assert machine.timeline.wall(25.0) == 1e9 + 25
        machine.write(15.0)
        booted = int(machine.timeline.wall(15.0) - machine.timeline.boottime(15.0))
        assert f"\nbtime {booted}\n" in (machine.procfs / "stat").read_text()


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_psutil_reads_the_tree(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PRESETS[preset](tmp_path) as machine:
        monkeypatch.setattr(psutil, "PROCFS_PATH", str(machine.procfs))
        cpu = machine.spec.processor
        before = psutil.cpu_times(percpu=True)
        disk, net = psutil.disk_io_counters(perdisk=True), psutil.net_io_counters(pernic=True)
        machine.write(100.0)
        after = psutil.cpu_times(percpu=True)
        assert len(after) == cpu.sockets * cpu.per_socket
        busy = after[0].user + after[0].system - before[0].user - before[0].system
        assert busy + after[0].idle - before[0].idle == pytest.approx(100.0, abs=0.05)
        spare = machine.joules("package-0", 0.0, 100.0) - 100 * cpu.idle_watts
        expected = spare / (cpu.peak_watts - cpu.idle_watts)
        assert busy == pytest.approx(expected, abs=0.05)
        total = psutil.virtual_memory().total
        assert total == machine.spec.memory_gibibytes << 30
        up = machine.timeline.boottime(100.0)
        assert psutil.boot_time() == int(machine.timeline.wall(100.0) - up)
        for name, now in psutil.disk_io_counters(perdisk=True).items():
            assert now.write_bytes - disk[name].write_bytes == 100 * 50 * 8 * 512
        sent = psutil.net_io_counters(pernic=True)["eth0"].bytes_sent
        assert sent - net["eth0"].bytes_sent == 200_000_000


def test_a_cloud_vm_shows_no_sensor(tmp_path: Path) -> None:
    with cloud_vm(tmp_path) as machine:
        assert not list((machine.sysfs / "class/powercap").iterdir())
        assert not list((machine.sysfs / "class/hwmon").iterdir())
        assert "hypervisor" in (machine.procfs / "cpuinfo").read_text()
        assert number(machine.sysfs / "block/nvme0n1/size") * 512 == 100_000_000_000
