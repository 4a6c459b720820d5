"""Who counts when several sources see the same thing."""

import itertools

import pytest

from agent.meter import StreamIdentity
from agent.meter.arbitration import arrange
from agent.quantities import Component, Quality

C, Q = Component, Quality


def s(source, component, device, quality, counted=True):
    return StreamIdentity(source, component, device, quality, counted)


RAPL0 = s("rapl", C.CPU, "package-0", Q.MEASURED)
RAPL1 = s("rapl", C.CPU, "package-1", Q.MEASURED)
CORE0 = s("rapl", C.CPU, "core-0", Q.MEASURED)
UNCORE0 = s("rapl", C.CPU, "uncore-0", Q.MEASURED)
PSYS = s("rapl", C.PLATFORM, "psys", Q.MEASURED)
RAPL_DRAM = s("rapl", C.DRAM, "dram-0", Q.MEASURED)
HWMON_CPU = s("hwmon", C.CPU, "socket", Q.INTEGRATED)
HWMON_CPU0 = s("hwmon", C.CPU, "package-0", Q.INTEGRATED)
HWMON_CPU1 = s("hwmon", C.CPU, "package-1", Q.INTEGRATED)
HWMON_COUNTER = s("hwmon", C.CPU, "Esocket0", Q.MEASURED)
EST_CPU = s("estimate", C.CPU, "all", Q.ESTIMATED)
EST_DRAM = s("estimate", C.DRAM, "all", Q.ESTIMATED)
EST_PLATFORM = s("estimate", C.PLATFORM, "all", Q.ESTIMATED)
GPU1 = s("nvml", C.GPU, "GPU-1", Q.MEASURED)
GPU1_POWER = s("nvml", C.GPU, "GPU-1", Q.INTEGRATED)
GPU2 = s("nvml", C.GPU, "GPU-2", Q.MEASURED)
GPU2_POWER = s("nvml", C.GPU, "GPU-2", Q.INTEGRATED)
BMC_GPU = s("redfish", C.GPU, "Chassis/GPU.Slot.1", Q.INTEGRATED)
BMC_CPU = s("redfish", C.CPU, "CPU1", Q.INTEGRATED)
REDFISH = s("redfish", C.PLATFORM, "PSU", Q.INTEGRATED)
IPMI = s("ipmi", C.PLATFORM, "dcmi", Q.INTEGRATED)
DISK1 = s("hwmon", C.STORAGE, "nvme0", Q.INTEGRATED)
DISK2 = s("hwmon", C.STORAGE, "nvme1", Q.INTEGRATED)
EST_DISKS = s("estimate", C.STORAGE, "all", Q.ESTIMATED)


def gives_way(*streams):
    """Return stream -> the streams it gives way to, for every stream that may count."""
    found = arrange(streams)
    return {
        streams[i]: {streams[b] for b in found.blockers[i]}
        for i in range(len(streams))
        if i not in found.left_out
    }


def test_one_source_alone_counts():
    assert gives_way(EST_CPU) == {EST_CPU: set()}


def test_a_counter_before_a_sensor_before_a_model():
    assert gives_way(EST_CPU, HWMON_CPU, RAPL0) == {
        RAPL0: set(),
        HWMON_CPU: {RAPL0},
        EST_CPU: {RAPL0, HWMON_CPU},
    }


def test_a_stand_in_for_the_whole_waits_for_every_package():
    assert gives_way(RAPL0, RAPL1, EST_CPU)[EST_CPU] == {RAPL0, RAPL1}


def test_a_stand_in_for_one_package_waits_for_that_package_only():
    way = gives_way(RAPL0, RAPL1, HWMON_CPU0, HWMON_CPU1, EST_CPU)
    assert way[HWMON_CPU0] == {RAPL0}
    assert way[HWMON_CPU1] == {RAPL1}
    assert way[EST_CPU] == {RAPL0, RAPL1, HWMON_CPU0, HWMON_CPU1}


def test_the_packages_of_one_source_do_not_block_each_other():
    assert gives_way(RAPL0, RAPL1) == {RAPL0: set(), RAPL1: set()}


def test_core_and_uncore_never_count():
    assert set(gives_way(RAPL0, CORE0, UNCORE0, EST_CPU)) == {RAPL0, EST_CPU}
    assert set(gives_way(CORE0, UNCORE0)) == set()


def test_psys_counts_only_where_there_is_no_package():
    assert set(gives_way(RAPL0, PSYS, EST_PLATFORM)) == {RAPL0, EST_PLATFORM}
    assert gives_way(PSYS, EST_PLATFORM) == {PSYS: set(), EST_PLATFORM: {PSYS}}


def test_what_a_collector_calls_uncounted_stands_in_nobodys_way():
    mirror = s("rapl", C.CPU, "package-0-die-1", Q.MEASURED, counted=False)
    assert gives_way(mirror, EST_CPU) == {EST_CPU: set()}


def test_components_do_not_mix():
    way = gives_way(RAPL0, EST_DRAM, EST_PLATFORM, RAPL_DRAM)
    assert way == {RAPL0: set(), EST_PLATFORM: set(), RAPL_DRAM: set(), EST_DRAM: {RAPL_DRAM}}


def test_rapl_before_the_same_counter_through_hwmon():
    assert gives_way(HWMON_COUNTER, RAPL0) == {RAPL0: set(), HWMON_COUNTER: {RAPL0}}


class TestDeviceLevel:
    def test_a_gpus_sensor_waits_for_that_gpus_counter(self):
        way = gives_way(GPU1, GPU1_POWER, GPU2_POWER)
        assert way == {GPU1: set(), GPU1_POWER: {GPU1}, GPU2_POWER: set()}

    def test_gpus_of_one_server_add_up(self):
        assert gives_way(GPU1, GPU2) == {GPU1: set(), GPU2: set()}

    def test_another_gpu_collector_overlaps_on_the_same_device_only(self):
        dcgm1 = s("dcgm", C.GPU, "GPU-1", Q.INTEGRATED)
        dcgm3 = s("dcgm", C.GPU, "GPU-3", Q.INTEGRATED)
        way = gives_way(GPU1, GPU2, dcgm1, dcgm3)
        assert way[dcgm1] == {GPU1}
        assert way[dcgm3] == set()

    def test_disks_beside_a_model_of_all_disks(self):
        assert gives_way(DISK1, DISK2, EST_DISKS)[EST_DISKS] == {DISK1, DISK2}
        assert gives_way(DISK1, DISK2)[DISK2] == set()


class TestOutOfBand:
    def test_a_bmcs_gpu_waits_for_every_gpu_seen_in_band(self):
        assert gives_way(GPU1, GPU2, BMC_GPU)[BMC_GPU] == {GPU1, GPU2}

    def test_in_band_sensor_before_the_bmcs(self):
        way = gives_way(BMC_CPU, HWMON_CPU)
        assert way == {HWMON_CPU: set(), BMC_CPU: {HWMON_CPU}}

    def test_a_bmc_before_a_model(self):
        assert gives_way(BMC_CPU, EST_CPU) == {BMC_CPU: set(), EST_CPU: {BMC_CPU}}

    def test_redfish_before_ipmi(self):
        # reference/measurement.md: "Prefer Redfish …; ipmi-dcmi is the fallback"
        assert gives_way(IPMI, REDFISH) == {REDFISH: set(), IPMI: {REDFISH}}


EVERYTHING = [
    RAPL0, RAPL1, CORE0, PSYS, RAPL_DRAM, HWMON_CPU, HWMON_CPU0, HWMON_COUNTER, EST_CPU, EST_DRAM,
    EST_PLATFORM, GPU1, GPU1_POWER, GPU2, BMC_GPU, BMC_CPU, REDFISH, IPMI, DISK1, EST_DISKS,
]  # fmt: skip


@pytest.mark.parametrize("turn", range(0, len(EVERYTHING), 3))
def test_the_order_of_arrival_changes_nothing(turn):
    assert gives_way(*EVERYTHING[turn:], *EVERYTHING[:turn]) == gives_way(*EVERYTHING)


def test_nobody_gives_way_in_a_circle():
    way = gives_way(*EVERYTHING)
    settled: set[StreamIdentity] = set()
    while len(settled) < len(way):
        free = {stream for stream in way if stream not in settled and way[stream] <= settled}
        assert free
        settled |= free


def test_whoever_overlaps_gives_way_one_way_or_the_other():
    way = gives_way(*EVERYTHING)
    for a, b in itertools.combinations(way, 2):
        assert not (b in way[a] and a in way[b])
        if a.component == b.component == C.CPU and a.source != b.source:
            same = {a.device, b.device} & {"package-0"}
            assert b in way[a] or a in way[b] or same, (a, b)


def test_groups_hold_every_stream_that_may_count_once():
    found = arrange(EVERYTHING)
    members = sorted(i for group in found.groups for i in group)
    assert members == [i for i in range(len(EVERYTHING)) if i not in found.left_out]
    for group in found.groups:
        assert len({EVERYTHING[i].component for i in group}) == 1
        for i in group:
            assert set(found.blockers[i]) | set(found.fallbacks[i]) <= set(group)
