import pytest
from unit.collectors.drm_trees import card, replay, table
from unit.collectors.trees import Clock, context, fixtures, put

from agent.collector import Transient
from agent.samples import Accelerator, EnergyCounter, Figure, Figures, PowerReading, Utilization
from collectors import drm_boards
from collectors.amdgpu import Amdgpu
from collectors.sysfs import Attribute, failed

UUID = "GPU-2cd01acb9ccb3d2d"


def make(root, clock=None, **settings):
    return Amdgpu(Amdgpu.Settings(**settings), context(root, clock))


def energy(samples):
    """Return joules or watts by device."""
    found = {s.device: s.joules for s in samples if isinstance(s, EnergyCounter)}
    return found | {s.device: s.watts for s in samples if isinstance(s, PowerReading)}


def figures(samples):
    (sample,) = [s for s in samples if isinstance(s, Figures)]
    return {(figure, label): value for figure, label, value in sample.values}


def fail(monkeypatch, name, number):
    """Let every read of a file fail as a driver makes it: the open works, the read does not."""
    read = Attribute.read_bytes

    def failing(self, *size):
        if self.path.name == name:
            raise failed(self.path, OSError(number, ""))
        return read(self, *size)

    monkeypatch.setattr(Attribute, "read_bytes", failing)


@pytest.mark.parametrize("folder", fixtures("amdgpu"), ids=lambda folder: folder.name)
def test_recorded_machine(folder, tmp_path):
    replay(folder, tmp_path, lambda ctx: Amdgpu(Amdgpu.Settings(), ctx))


def mi210(root, number=0, address="0000:43:00.0", **files):
    files = {"unique_id": UUID[4:], "gpu_metrics": table(1, 3, 120, 24, 65536 * 9), **files}
    return card(root, number, address, "amdgpu", **files)


def test_a_second_die_has_no_energy_whatever_its_power_says(tmp_path):
    """The first die's counter is of both: any watts here would be counted twice."""
    mi210(
        tmp_path,
        device="0x7408",
        gpu_metrics=table(1, 3, 120, 24, 0),
        hwmon__power1_average=128_000_000,
        gpu_busy_percent=100,
    )
    gpu = make(tmp_path)
    assert energy(gpu.read()) == {}
    assert not gpu.problems()


def test_while_it_is_reset_the_gpu_gives_nothing_and_permission_is_not_the_reason(
    tmp_path, monkeypatch
):
    mi210(tmp_path)
    gpu = make(tmp_path)
    assert energy(gpu.read()) == {UUID: 9.0}
    fail(monkeypatch, "gpu_metrics", 1)  # EPERM
    with pytest.raises(Transient, match="reset or suspended") as caught:
        gpu.read()
    assert (caught.value.reason, caught.value.remedy) == ("busy", "")


@pytest.mark.parametrize("number", [5, 16, 61])  # EIO, EBUSY, ENODATA
def test_a_counter_that_fails_is_not_replaced_by_power(tmp_path, monkeypatch, number):
    """The counter tells of this time once it is back: power beside it would count it twice."""
    mi210(tmp_path, hwmon__power1_average=42_000_000)
    gpu = make(tmp_path)
    assert energy(gpu.read()) == {UUID: 9.0}
    fail(monkeypatch, "gpu_metrics", number)
    with pytest.raises(Transient) as caught:
        gpu.read()
    assert caught.value.reason == "io"


@pytest.mark.parametrize("counts", [0xFFFFFFFFFFFFFFFF])
def test_a_table_without_energy_this_time_is_no_power_either(tmp_path, counts):
    device = mi210(tmp_path, hwmon__power1_average=42_000_000)
    gpu = make(tmp_path)
    gpu.read()
    put(device / "gpu_metrics", table(1, 3, 120, 24, counts))
    with pytest.raises(Transient, match="no energy this time"):
        gpu.read()
    put(device / "gpu_metrics", table(1, 3, 120, 24, 65536 * 11))
    assert energy(gpu.read()) == {UUID: 11.0}


def test_a_cut_table_is_garbage(tmp_path):
    device = mi210(tmp_path)
    gpu = make(tmp_path)
    gpu.read()
    put(device / "gpu_metrics", table(1, 3, 120, 24, 1)[:100])
    with pytest.raises(Transient, match="says it has 120 bytes and has 100") as caught:
        gpu.read()
    assert caught.value.reason == "garbage"


def test_a_virtual_function_without_tables_has_power(tmp_path, monkeypatch):
    mi210(tmp_path, device="0x74b5", hwmon__power1_input=191_000_000)
    fail(monkeypatch, "gpu_metrics", 95)  # EOPNOTSUPP
    assert energy(make(tmp_path).read()) == {UUID: 191.0}


def test_an_unknown_revision_has_power(tmp_path):
    mi210(
        tmp_path,
        device="0x75ff",
        gpu_metrics=table(1, 10, 4000, 24, 65536),
        hwmon__power1_input=191_000_000,
    )
    assert energy(make(tmp_path).read()) == {UUID: 191.0}


def test_a_mean_is_preferred_to_a_moment(tmp_path):
    mi210(
        tmp_path,
        device="0x744c",
        hwmon__power1_average=89_000_000,
        hwmon__power1_input=95_000_000,
    )
    assert energy(make(tmp_path).read()) == {UUID: 89.0}


@pytest.mark.parametrize("microwatts", [0, 4_294_967_295_000_000])
def test_no_power_and_too_much_are_garbage(tmp_path, microwatts):
    mi210(tmp_path, device="0x744c", hwmon__power1_average=microwatts)
    gpu = make(tmp_path)
    gpu.read()
    with pytest.raises(Transient, match="no card that is awake draws") as caught:
        gpu.read()
    assert caught.value.reason == "garbage"


def test_a_consumer_card_is_asked_for_its_table_once_a_look(tmp_path, monkeypatch):
    clock = Clock()
    mi210(tmp_path, device="0x744c", hwmon__power1_average=89_000_000)
    gpu = make(tmp_path, clock)
    reads = []
    read = Attribute.read_bytes

    def counting(self, *size):
        reads.append(self.path.name)
        return read(self, *size)

    monkeypatch.setattr(Attribute, "read_bytes", counting)
    for _ in range(3):
        assert energy(gpu.read()) == {UUID: 89.0}
    assert reads.count("gpu_metrics") == 1
    clock.now += 60
    gpu.read()
    assert reads.count("gpu_metrics") == 2


def test_an_apu_counts_only_when_told_to(tmp_path):
    """MI300A: its counter is of CPU, GPU and memory together."""
    mi210(tmp_path, device="0x74a0", gpu_metrics=table(1, 8, 3872, 24, 65536 * 7))
    for count_apu in (False, True):
        (sample,) = [
            s for s in make(tmp_path, count_apu=count_apu).read() if isinstance(s, EnergyCounter)
        ]
        assert (sample.joules, sample.counted) == (7.0, count_apu)


def test_an_apu_is_known_by_its_table_too(tmp_path):
    mi210(
        tmp_path,
        device="0x1681",
        gpu_metrics=table(2, 1, 120, 24, 5),
        hwmon__power1_average=17_000_000,
    )
    (sample,) = [s for s in make(tmp_path).read() if isinstance(s, PowerReading)]
    assert (sample.watts, sample.counted) == (17.0, False)


def test_an_apu_whose_power_is_not_supported_has_none(tmp_path, monkeypatch):
    """lm-sensors #144: power1_average of a Raven answers EINVAL."""
    mi210(tmp_path, device="0x15d8", hwmon__power1_average=1, hwmon__in1_label="vddnb")
    fail(monkeypatch, "power1_average", 22)
    gpu = make(tmp_path)
    assert energy(gpu.read()) == {}
    assert not gpu.problems()


def test_a_card_without_a_power_sensor_says_so(tmp_path):
    mi210(tmp_path, device="0x6611", hwmon__temp1_input=45_000)
    gpu = make(tmp_path)
    assert energy(gpu.read()) == {}
    assert [(p.what, p.reason) for p in gpu.problems()] == [(UUID, "unsupported")]


def test_what_a_chip_does_not_have_is_left_out_without_complaint(tmp_path, monkeypatch):
    mi210(tmp_path, hwmon__temp1_input=40_000, hwmon__temp1_label="edge", gpu_busy_percent=1)
    fail(monkeypatch, "temp1_input", 95)
    gpu = make(tmp_path)
    samples = gpu.read()
    assert not any(isinstance(s, Figures) for s in samples)
    assert not gpu.problems()


@pytest.mark.parametrize("percent", [101, 65535, -1])
def test_a_utilisation_out_of_range_is_none(tmp_path, percent):
    mi210(tmp_path, gpu_busy_percent=percent)
    gpu = make(tmp_path)
    samples = gpu.read()
    assert energy(samples) == {UUID: 9.0}
    assert not any(isinstance(s, Utilization) for s in samples)
    assert [(p.what, p.reason) for p in gpu.problems()] == [(UUID, "garbage")]


def test_units(tmp_path):
    mi210(
        tmp_path,
        hwmon__temp2_input=-5_000,
        hwmon__temp2_label="junction",
        hwmon__freq1_input=1_700_000_000,
        hwmon__freq1_label="sclk",
        hwmon__power1_cap=299_500_000,
        mem_info_vram_used=0,
        mem_info_vram_total=68_702_699_520,
    )
    assert figures(make(tmp_path).read()) == {
        (Figure.MEMORY_USED, ""): 0.0,
        (Figure.MEMORY_TOTAL, ""): 68_702_699_520.0,
        (Figure.TEMPERATURE, "hotspot"): -5.0,
        (Figure.CLOCK, "sm"): 1.7e9,
        (Figure.POWER_LIMIT, ""): 299.5,
    }


@pytest.mark.parametrize("unique_id", ["", "0", "0000000000000000", "not hex", "1" * 17])
def test_without_a_unique_id_the_label_is_the_address(tmp_path, unique_id):
    mi210(tmp_path, unique_id=unique_id)
    assert energy(make(tmp_path).read()) == {"0000:43:00.0": 9.0}


def test_a_short_unique_id_is_padded_as_rocminfo_pads_it(tmp_path):
    mi210(tmp_path, unique_id="ABC")
    assert energy(make(tmp_path).read()) == {"GPU-0000000000000abc": 9.0}


def test_two_boards_of_one_unique_id_stay_two_devices(tmp_path):
    mi210(tmp_path, 0, "0000:43:00.0")
    mi210(tmp_path, 1, "0000:44:00.0")
    assert energy(make(tmp_path).read()) == {"0000:43:00.0": 9.0, "0000:44:00.0": 9.0}


def test_a_label_that_cannot_be_told_now_is_waited_for(tmp_path, monkeypatch):
    """Were the address taken in its place, the board would become another one later."""
    clock = Clock()
    mi210(tmp_path)
    gpu = make(tmp_path, clock)
    with monkeypatch.context() as patch:
        fail(patch, "unique_id", 1)
        with pytest.raises(Transient) as caught:
            gpu.read()
        assert caught.value.reason == "busy"
    clock.now += 1
    assert energy(gpu.read()) == {UUID: 9.0}


def test_a_board_being_taken_down_keeps_its_label(tmp_path):
    device = mi210(tmp_path, hwmon__power1_cap=300_000_000)
    gpu = make(tmp_path)
    gpu.read()
    (device / "unique_id").unlink()
    (device / "hwmon/hwmon0/power1_cap").unlink()
    assert energy(gpu.read()) == {UUID: 9.0}
    samples = gpu.read()
    assert energy(samples) == {UUID: 9.0}
    assert [type(s) for s in samples] == [EnergyCounter]
    assert not gpu.problems()


def test_a_board_whose_index_moved_is_described_again(tmp_path):
    clock = Clock()
    mi210(tmp_path, 0, "0000:43:00.0")
    gpu = make(tmp_path, clock)
    gpu.read()
    mi210(tmp_path, 1, "0000:03:00.0", unique_id="7")
    clock.now += 60
    described = {s.device: s.index for s in gpu.read() if isinstance(s, Accelerator)}
    assert described == {"GPU-0000000000000007": "0", UUID: "1"}


def test_scales_are_exact():
    assert 1_000_001 * drm_boards.MILLI.up / drm_boards.MILLI.down == 1000.001
    assert 2_400 * drm_boards.MEGA.up / drm_boards.MEGA.down == 2.4e9
