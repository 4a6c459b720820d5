"""The table of peaks: each figure reproduced, each name exact, each row with its source."""

import csv
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.flops.catalog import cores_of, entries, peaks_of, pipes_of
from agent.flops.pipes import PRECISIONS, flop_rates


def rows(name):
    with (files("agent.flops") / name).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


PEAKS = rows("peaks.csv")
KNOWN = [row for row in PEAKS if row["chip"]]
LOWER_TENSOR = {"fp16_tensor"}
"""Labels whose peak the vendor gives at the tensor clock."""


@pytest.mark.parametrize("row", KNOWN, ids=lambda row: row["sku"])
def test_each_peak_is_units_times_rate_times_clock(row):
    name = row["names"].split("|")[0]
    pipes = pipes_of(name)
    peaks = peaks_of(name)
    compared = 0
    for pipe, label in PRECISIONS.items():
        if label in peaks and pipe in pipes.flop_per_clock:
            clock = row["tensor_clock_mhz" if label in LOWER_TENSOR else "clock_mhz"]
            rates = flop_rates(pipes, {pipe: 1.0}, float(clock) * 1e6)
            assert rates[label] == pytest.approx(peaks[label], rel=0.01), label
            compared += 1
    assert compared >= 3


@pytest.mark.parametrize("row", PEAKS, ids=lambda row: row["sku"])
def test_formats_below_fp16_keep_their_proportion(row):
    """Half the bits, twice the rate: what a vendor's table must show, and a typo would not."""
    peaks = peaks_of(row["names"].split("|")[0])
    fp16 = peaks["fp16_tensor"]
    sized = {"tf32_tensor": 0.5, "fp8_tensor": 2.0, "fp4_tensor": 4.0}
    if row["sku"] == "RTX 4090":
        sized["tf32_tensor"] = 0.25  # accumulates in FP32, at half rate on GeForce
    for label, factor in sized.items():
        if label in peaks:
            assert peaks[label] == pytest.approx(fp16 * factor, rel=0.03), label


def test_each_row_names_its_source_and_what_it_was_checked_against():
    for row in PEAKS:
        assert len(row["source"]) > 10, row["sku"]
        assert len(row["checked"]) > 10, row["sku"]
        assert row["names"], row["sku"]
    chips = rows("chips.csv")
    assert all(len(row["source"]) > 10 for row in chips)
    assert {row["chip"] for row in KNOWN} == {row["chip"] for row in chips}


def test_no_name_is_in_two_rows():
    names = [name for row in PEAKS for name in row["names"].split("|")]
    assert len(names) == len(set(names)) == len(entries())


def test_figures_by_hand():
    assert peaks_of("NVIDIA H100 80GB HBM3") == pytest.approx(
        {
            "fp64": 33.5e12,
            "fp32": 66.9e12,
            "fp16": 133.8e12,
            "fp64_tensor": 66.9e12,
            "tf32_tensor": 494.7e12,
            "fp16_tensor": 989.4e12,
            "fp8_tensor": 1978.9e12,
        }
    )
    assert peaks_of("NVIDIA A100-PCIE-40GB")["fp16_tensor"] == pytest.approx(312e12)
    assert peaks_of("NVIDIA GB200")["fp4_tensor"] == pytest.approx(10e15)
    assert peaks_of("NVIDIA B200")["fp4_tensor"] == pytest.approx(9e15)
    assert "fp8_tensor" not in peaks_of("NVIDIA A100-SXM4-40GB")


@pytest.mark.parametrize(
    ("name", "cores"),
    [
        ("Tesla V100-SXM2-32GB", 5120),
        ("NVIDIA A100-SXM4-40GB", 6912),
        ("NVIDIA A30", 3584),
        ("NVIDIA A40", 10752),
        ("NVIDIA L4", 7424),
        ("NVIDIA L40S", 18176),
        ("NVIDIA GeForce RTX 4090", 16384),
        ("NVIDIA H100 80GB HBM3", 16896),
        ("NVIDIA H100 PCIe", 14592),
        ("NVIDIA H200", 16896),
        ("NVIDIA GH200 480GB", 16896),
        ("NVIDIA B200", None),
        ("AMD Instinct MI300X", None),
    ],
)
def test_cuda_cores(name, cores):
    assert peaks_of(name)
    assert cores_of(name) == cores


LIKENESSES = [
    "",
    "H100",
    "B200",
    "NVIDIA H100",
    "NVIDIA H100 80GB HBM2e",
    "NVIDIA H100 64GB HBM2",
    "NVIDIA H200 NVL",
    "NVIDIA H20",
    "NVIDIA H20-3e",
    "NVIDIA H800",
    "NVIDIA H800 PCIe",
    "NVIDIA A800-SXM4-80GB",
    "NVIDIA A800 80GB PCIe",
    "NVIDIA A100",
    "NVIDIA A100-SXM-64GB",
    "NVIDIA A100X",
    "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
    "NVIDIA H100 80GB HBM3 MIG 3g.40gb",
    "GRID A100-40C",
    "NVIDIA L40",
    "NVIDIA L4-4Q",
    "NVIDIA A30-4-24C",
    "NVIDIA GB200 NVL4",
    "NVIDIA GB300",
    "NVIDIA B300 SXM6 AC",
    "NVIDIA B200 MIG 1g.23gb",
    "NVIDIA GeForce RTX 4090 D",
    "NVIDIA GeForce RTX 4090 Laptop GPU",
    "Tesla V100-SXM3-32GB",
    "Tesla V100S-PCIE-32GB",
    "Tesla V100-SXM2-32GB-LS",
    "AMD Instinct MI250X / MI250",
    "AMD Instinct MI308X",
    "AMD Instinct MI300X VF",
    "Intel(R) Data Center GPU Max 1100",
    "Ascend 910B",
]


@pytest.mark.parametrize("name", LIKENESSES)
def test_a_name_that_only_looks_alike_has_nothing(name):
    assert (peaks_of(name), pipes_of(name), cores_of(name)) == ({}, None, None)


@given(st.text(max_size=40))
def test_any_other_text_has_nothing(name):
    assert bool(peaks_of(name)) == (name in entries())


@given(st.sampled_from(sorted(entries())), st.text(min_size=1, max_size=12), st.data())
def test_a_listed_name_with_anything_put_in_is_another_name(name, more, data):
    at = data.draw(st.integers(0, len(name)))
    longer = name[:at] + more + name[at:]
    if longer not in entries():
        assert (peaks_of(longer), pipes_of(longer), cores_of(longer)) == ({}, None, None)
    shorter = name[:at] + name[at + 1 :]
    if shorter not in entries():
        assert peaks_of(shorter) == {}


def test_what_a_caller_does_to_its_peaks_stays_with_the_caller():
    peaks_of("NVIDIA H200")["fp64"] = 1.0
    assert peaks_of("NVIDIA H200")["fp64"] == pytest.approx(33.5e12)
