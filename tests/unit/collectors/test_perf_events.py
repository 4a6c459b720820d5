"""Which events are counted where, and what one count stands for."""

import pytest

from collectors.perf_events import (
    CpuId,
    cpu_list,
    identify,
    linux_version,
    plan_for,
)

INTEL, AMD = "GenuineIntel", "AuthenticAMD"
# FLOP per count: lanes of the width and precision; an FMA is counted twice by the hardware.
FP64 = {0x01C7: 1, 0x04C7: 2, 0x10C7: 4}
FP32 = {0x02C7: 1, 0x08C7: 4, 0x20C7: 8}
FP64_WIDE = FP64 | {0x40C7: 8}
FP32_WIDE = FP32 | {0x80C7: 16}
NARROW = {"cpu": {"fp64": FP64, "fp32": FP32}}
WIDE = {"cpu": {"fp64": FP64_WIDE, "fp32": FP32_WIDE}}
ATOM = {"fp64": {0x01C8: 1}, "fp32": {0x02C8: 1}}


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        (CpuId(INTEL, 6, 0x4F), NARROW),  # Broadwell-EP
        (CpuId(INTEL, 6, 0x9E), NARROW),  # Coffee Lake
        (CpuId(INTEL, 6, 0x55), WIDE),  # Skylake-SP, Cascade Lake, Cooper Lake
        (CpuId(INTEL, 6, 0x6A), WIDE),  # Ice Lake-SP
        (CpuId(INTEL, 6, 0x8F), WIDE),  # Sapphire Rapids
        (CpuId(INTEL, 6, 0xCF), WIDE),  # Emerald Rapids
        (CpuId(INTEL, 6, 0xAD), WIDE),  # Granite Rapids
        (CpuId(INTEL, 6, 0xAF), {"cpu": ATOM}),  # Sierra Forest
        (CpuId(INTEL, 6, 0xAA), {"cpu_core": NARROW["cpu"], "cpu_atom": ATOM}),  # Meteor Lake
        (CpuId(AMD, 0x17, 0x01), {"cpu": {"fp64": {0xF003: 1}, "fp32": {0x0F03: 1}}}),  # Naples
        (CpuId(AMD, 0x17, 0x31), {"cpu": {"mixed": {0xFF03: 1}}}),  # Rome
        (CpuId(AMD, 0x19, 0x01), {"cpu": {"mixed": {0xFF03: 1}}}),  # Milan
        (CpuId(AMD, 0x19, 0x50), {"cpu": {"mixed": {0xFF03: 1}}}),  # Cezanne
        (CpuId(AMD, 0x19, 0x11), {"cpu": {"mixed": {0x1F03: 1}}}),  # Genoa
        (CpuId(AMD, 0x19, 0x61), {"cpu": {"mixed": {0x1F03: 1}}}),  # Raphael
        (CpuId(AMD, 0x1A, 0x02), {"cpu": {"mixed": {0x0F03: 1}}}),  # Turin
    ],
    ids=str,
)
def test_events_and_weights(cpu, expected):
    plan = plan_for(cpu)
    found = {
        name: {group.precision: {e.config: e.flop for e in group.events} for group in groups}
        for name, groups in plan.pmus.items()
    }
    assert found == expected


@pytest.mark.parametrize(
    "cpu",
    [
        CpuId(INTEL, 6, 0x3F),  # Haswell: no such events
        CpuId(INTEL, 6, 0x57),  # Xeon Phi
        CpuId(INTEL, 6, 0x97),  # Alder Lake: none on its small cores
        CpuId(INTEL, 6, 0xFE),
        CpuId(INTEL, 15, 0x55),
        CpuId(AMD, 0x15, 0x02),
        CpuId(AMD, 0x1B, 0x00),
        CpuId("HygonGenuine", 0x18, 0x01),
        CpuId("CentaurHauls", 7, 0x5B),
    ],
    ids=str,
)
def test_a_cpu_whose_counters_are_not_known_has_no_plan(cpu):
    assert plan_for(cpu) is None


def test_four_counters_hold_every_width_up_to_256_bits_once():
    few = plan_for(CpuId(INTEL, 6, 0x4F)).few
    (group,) = few
    assert group.precision == "mixed"
    assert {e.config: e.flop for e in group.events} == {
        0x03C7: 1,  # both scalars
        0x04C7: 2,
        0x18C7: 4,  # 128-bit single and 256-bit double
        0x20C7: 8,
    }
    # each umask bit of the plan with precisions is in exactly one of the four, at its weight
    single = FP64 | FP32
    for config, flop in single.items():
        holders = [e for e in group.events if e.config >> 8 & config >> 8]
        assert [e.flop for e in holders] == [flop]


def test_with_512_bits_four_counters_are_too_few_for_exact_weights():
    assert plan_for(CpuId(INTEL, 6, 0x55)).few == ()
    weights = set(FP64_WIDE.values()) | set(FP32_WIDE.values())
    assert len(weights) == 5


def test_amd_needs_a_kernel_that_pairs_counters():
    assert plan_for(CpuId(AMD, 0x19, 0x11)).since_linux == (5, 6)


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0\n", {0}),
        ("0-3\n", {0, 1, 2, 3}),
        ("0-1,4,6-7\n", {0, 1, 4, 6, 7}),
        ("\n", set()),
        ("", set()),
    ],
)
def test_cpu_list(text, cpus):
    assert cpu_list(text) == cpus


@pytest.mark.parametrize("text", ["a", "0-", "-1", "0-x", "1.5", "0-99999999", "0;1"])
def test_cpu_list_that_is_none(text):
    with pytest.raises(ValueError):
        cpu_list(text)


def test_identify(tmp_path):
    assert identify(tmp_path) is None
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\n\n")
    assert identify(tmp_path) is None
    file.write_text(
        "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n"
        "model name\t: Intel(R) Xeon(R) Platinum 8480+\n\nprocessor\t: 1\nmodel\t: 1\n"
    )
    assert identify(tmp_path) == CpuId(INTEL, 6, 0x8F)
    assert str(identify(tmp_path)) == "GenuineIntel family 6 model 0x8f"
    file.write_text("vendor_id : GenuineIntel\ncpu family : six\nmodel : 1\n")
    assert identify(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("6.8.0-45-generic\n", (6, 8)),
        ("5.4.0-1103-aws", (5, 4)),
        ("6.18-rc1", (6, 18)),
        ("6.18.0-rc1+", (6, 18)),
        ("4.18.0-513.el8.x86_64", (4, 18)),
        ("garbage", None),
    ],
)
def test_linux_version(tmp_path, text, version):
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "sys/kernel/osrelease").write_text(text)
    assert linux_version(tmp_path) == version
    assert linux_version(tmp_path / "nowhere") is None
