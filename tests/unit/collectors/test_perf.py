"""CPU counters through the real perf_event_open: what this kernel has, and what it refuses.

Answers that this kernel does not give, and a PMU that this machine does not have, are put in front
of the system call in a process of its own (tests/hardware/perf_stand_in.c).
"""

import errno
import os
from pathlib import Path

import pytest
from hardware.faults import NoCompiler
from hardware.perf import build_stand_in, run_perf
from unit.collectors.perf_host import (
    WIDE_FP32,
    WIDE_FP64,
    collector,
    counting,
    cpus,
    descriptors,
    host,
    let_pass,
    on_x86,
    refused,
    within,
)
from unit.collectors.trees import put, readable_by_all, without_rights

from agent.collector import Absent, Transient
from agent.samples import Method
from collectors.perf import Perf, PerfSettings
from collectors.perf_events import identify, plan_for
from collectors.perf_syscall import perf_event_open

pytestmark = on_x86


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory):
    try:
        return build_stand_in(tmp_path_factory.mktemp("perf"))
    except NoCompiler as error:
        pytest.skip(str(error))


# ---- this machine, as it is


def test_this_machine_gives_real_counts_or_the_documented_answer():
    """On bare metal: counts. In a VM without a PMU: ENOENT, said as such. Elsewhere: why not."""
    before = descriptors()
    perf = collector(Path("/"))
    known = identify(Path("/proc"))
    plan = plan_for(known) if known else None
    number = answer_to(plan) if plan else None
    if number is None and plan is not None:
        perf.read()
        let_pass()
        (first, *_) = perf.read()
        assert first.method is Method.COUNTER
        assert first.flop >= 0
    else:
        absent = refused(perf)
        assert isinstance(absent, Absent)
        words = "no counter" if plan is None else errno.errorcode[number]
        assert words in absent.why
        if number == errno.ENOENT:
            assert "shows no performance counters" in absent.why
            assert absent.again_seconds is None
    perf.close()
    assert descriptors() == before


def answer_to(plan):
    """Return what the kernel itself answers when it is asked for the plan's first event."""
    groups = next(iter(plan.pmus.values()))
    try:
        os.close(perf_event_open(4, groups[0].events[0].config, 0))
    except OSError as error:
        return error.errno
    return None


def test_without_rights_it_says_which_right_and_how_to_get_it():
    if Path("/proc/sys/kernel/perf_event_paranoid").read_text().strip() in {"0", "-1"}:
        pytest.skip("every user may count here")

    def look():
        error = refused(collector(tree))
        return type(error).__name__, error.why, error.remedy, error.again_seconds

    with readable_by_all() as root:
        tree = host(root)
        kind, why, remedy, again = without_rights(look)
    assert kind == "Absent"
    assert "EACCES" in why
    assert "sudo wattlas install --drop-in perf" in remedy
    assert "sysctl kernel.perf_event_paranoid=0" in remedy
    assert again == 300


# ---- what can be known before the kernel is asked


def test_a_cpu_whose_counters_are_not_known(tmp_path):
    absent = refused(collector(host(tmp_path, model=0x3F)))
    assert isinstance(absent, Absent)
    assert "GenuineIntel family 6 model 0x3f" in absent.why


def test_a_machine_that_is_not_x86(tmp_path):
    host(tmp_path)
    put(tmp_path / "proc/cpuinfo", "CPU implementer\t: 0x41\nCPU part\t: 0xd4f\n")
    assert "not x86" in refused(collector(tmp_path)).why


@pytest.mark.parametrize("linux", ["5.4.0-100-generic", "nonsense"])
def test_a_kernel_that_counts_amd_wrongly(tmp_path, linux):
    absent = refused(collector(host(tmp_path, "AuthenticAMD", 25, 1, linux=linux)))
    assert isinstance(absent, Absent)
    assert "Linux before 5.6" in absent.why


@pytest.mark.parametrize(("text", "reason"), [("banana", "garbage"), ("", "garbage")])
def test_a_list_of_cpus_that_is_none(tmp_path, text, reason):
    host(tmp_path)
    put(tmp_path / "sys/devices/system/cpu/online", text)
    error = refused(collector(tmp_path))
    assert isinstance(error, Transient)
    assert error.reason == reason


# ---- what the kernel answers, in a process of its own with the answer put in


@pytest.mark.parametrize(
    ("number", "kind", "words", "remedy"),
    [
        (errno.EACCES, "Absent", "not allowed", "--drop-in perf"),
        (errno.EPERM, "Absent", "not allowed", "seccomp"),
        (errno.ENOENT, "Absent", "shows no performance counters", "virtual PMU"),
        (errno.EOPNOTSUPP, "Absent", "shows no performance counters", "virtual PMU"),
        (errno.ENODEV, "Absent", "shows no performance counters", "virtual PMU"),
        (errno.ENOSYS, "Absent", "no performance counters", ""),
        (errno.EMFILE, "Absent", "too few file descriptors", "LimitNOFILE"),
        (errno.ENFILE, "Absent", "too few file descriptors", "LimitNOFILE"),
        (errno.EBUSY, "Transient", "EBUSY", ""),
    ],
)
def test_each_refusal_says_what_it_means(tmp_path, stand_in, number, kind, words, remedy):
    answer = run_perf(host(tmp_path), stand_in, error=number, readings=1)
    (said,) = answer["said"]
    assert said["outcome"] == kind
    assert words in said["why"]
    assert errno.errorcode[number] in said["why"]
    assert remedy in said["remedy"]
    assert said["again"] == (300 if number in {errno.EACCES, errno.EPERM} else None)
    assert (answer["open"], answer["left"]) == (1, 0)


@counting
def test_eight_counters_count_both_precisions(tmp_path, stand_in):
    answer = run_perf(host(tmp_path), stand_in, counters=8)
    first, samples = answer["said"]
    assert first == []
    found = {sample["precision"]: sample for sample in samples}
    assert found.keys() == {"fp64", "fp32"}
    for precision, weight in (("fp64", WIDE_FP64), ("fp32", WIDE_FP32)):
        sample = found[precision]
        within(sample["flop"], weight, len(cpus()), *answer["spans"])
        assert (sample["collector"], sample["component"]) == ("perf", "cpu")
        assert (sample["device"], sample["method"]) == ("all", "counter")
    assert answer["open"] == 8 * len(cpus()) + 1  # and the list of CPUs
    assert answer["left"] == 0


@counting
def test_four_counters_without_avx512_count_the_total_exactly(tmp_path, stand_in):
    answer = run_perf(host(tmp_path, model=0x4F), stand_in, counters=4)
    (sample,) = answer["said"][1]
    assert sample["precision"] == "mixed"
    within(sample["flop"], 1 + 2 + 4 + 8, len(cpus()), *answer["spans"])
    assert (answer["open"], answer["left"]) == (4 * len(cpus()) + 1, 0)


@counting
def test_four_counters_with_avx512_count_only_if_turns_are_allowed(tmp_path, stand_in):
    (said,) = run_perf(host(tmp_path), stand_in, counters=4, readings=1)["said"]
    assert said["outcome"] == "Absent"
    assert "8 events are needed" in said["why"]
    assert "multiplex = true" in said["remedy"]
    allowed = run_perf(host(tmp_path), stand_in, counters=4, settings={"multiplex": True})
    assert {sample["precision"] for sample in allowed["said"][1]} == {"fp64", "fp32"}


@counting
def test_amd_counts_one_event(tmp_path, stand_in):
    answer = run_perf(host(tmp_path, "AuthenticAMD", 25, 17), stand_in, counters=6)
    (sample,) = answer["said"][1]
    assert sample["precision"] == "mixed"
    within(sample["flop"], 1, len(cpus()), *answer["spans"])


@counting
def test_the_soft_limit_of_descriptors_is_raised_as_far_as_needed(tmp_path, stand_in):
    answer = run_perf(host(tmp_path), stand_in, counters=8, limits=(40, 4096))
    assert answer["soft"] == 8 * len(cpus()) + 256
    assert len(answer["said"][1]) == 2


@counting
def test_a_hard_limit_that_is_too_low_leaves_no_descriptor_behind(tmp_path, stand_in):
    """The kernel's own EMFILE, and then the rest of the agent must be able to open files."""
    (said,) = run_perf(host(tmp_path), stand_in, counters=8, limits=(14, 14), readings=1)["said"]
    assert said["outcome"] == "Absent"
    assert "EMFILE" in said["why"]
    assert "LimitNOFILE" in said["remedy"]
    # Also once some are open: in the middle of the first CPU's events, or with one CPU complete.
    for files in (8, 14, 9 + 8 * (len(cpus()) - 1) + 3):
        later = run_perf(host(tmp_path), stand_in, counters=8, files=files, readings=1)
        assert "EMFILE" in later["said"][0]["why"]
        assert (later["open"], later["left"]) == (1, 0)  # the list of CPUs is kept until close


def test_defaults():
    assert PerfSettings().interval_seconds == 5.0
    assert PerfSettings().multiplex is False
    assert Perf.Settings is PerfSettings
