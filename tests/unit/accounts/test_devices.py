"""What is known of accelerators, whichever collector said it."""

from agent.devices import STALE_SECONDS, Devices
from agent.preference import SILENT_SECONDS
from agent.quantities import Component, Seconds
from agent.samples import Accelerator, Figure, Figures, Inventory
from agent.work import Scope

GPU = Component.GPU


def about(device="GPU-0", index="0", collector="nvml", at=0.0, **more):
    return Accelerator(collector, GPU, device, Seconds(at), index, "NVIDIA H100 80GB HBM3", **more)


def figures(at, *values, device="GPU-0", collector="nvml"):
    return Figures(collector, GPU, device, Seconds(at), values)


def known(devices, now=0.0):
    return {view.about.device: dict(view.figures) for view in devices.views(now)}


def test_the_newest_of_each_figure_is_kept():
    devices = Devices()
    devices.take(about())
    devices.take(figures(1.0, (Figure.CLOCK, "sm", 1.7e9), (Figure.TEMPERATURE, "core", 60.0)))
    devices.take(figures(2.0, (Figure.CLOCK, "sm", 1.8e9)))
    assert known(devices) == {
        "GPU-0": {(Figure.CLOCK, "sm"): 1.8e9, (Figure.TEMPERATURE, "core"): 60.0}
    }


def test_what_is_not_renewed_is_unknown_after_a_while():
    devices = Devices()
    devices.take(about())
    devices.take(figures(1.0, (Figure.CLOCK, "sm", 1.7e9)))
    assert known(devices, 1.0 + STALE_SECONDS) != {"GPU-0": {}}
    assert known(devices, 20.0 + STALE_SECONDS) == {"GPU-0": {}}


def test_two_sources_do_not_take_turns():
    """A counter that is said by both, one of them late, would seem to fall."""
    devices = Devices()
    devices.take(about())
    devices.take(figures(1.0, (Figure.ECC_ERRORS, "corrected", 5.0)))
    devices.take(figures(2.0, (Figure.ECC_ERRORS, "corrected", 3.0), collector="dcgm"))
    assert known(devices)["GPU-0"][Figure.ECC_ERRORS, "corrected"] == 5.0
    late = 2.0 + SILENT_SECONDS
    devices.take(figures(late, (Figure.ECC_ERRORS, "corrected", 6.0), collector="dcgm"))
    assert known(devices)["GPU-0"][Figure.ECC_ERRORS, "corrected"] == 6.0
    devices.take(figures(late + 1, (Figure.ECC_ERRORS, "corrected", 7.0)))
    assert known(devices)["GPU-0"][Figure.ECC_ERRORS, "corrected"] == 7.0


def test_one_that_was_taken_out_is_not_shown_any_more():
    devices = Devices()
    devices.take(Inventory("nvml", GPU, ("GPU-0", "GPU-1"), Seconds(0.0)))
    devices.take(about())
    devices.take(about("GPU-1", "1"))
    devices.take(Inventory("nvml", GPU, ("GPU-1",), Seconds(5.0)))
    assert list(known(devices)) == ["GPU-1"]


def test_one_that_another_source_still_lists_stays():
    devices = Devices()
    for collector in ("nvml", "dcgm"):
        devices.take(Inventory(collector, GPU, ("GPU-0",), Seconds(0.0)))
    devices.take(about())
    devices.take(Inventory("nvml", GPU, (), Seconds(5.0)))
    assert list(known(devices)) == ["GPU-0"]


def test_a_report_may_name_a_device_by_label_index_or_address():
    devices = Devices()
    devices.take(about("GPU-0", "3", bus="0000:17:00.0"))
    scope = Scope(GPU, "GPU-0")
    assert devices.scopes == {"3": scope, "GPU-0": scope, "0000:17:00.0": scope}


def test_other_parts_are_shown_as_they_come_and_made_anew_only_when_they_change():
    devices = Devices()
    assert devices.parts(0.0) == ()
    clock, heat = (Figure.CLOCK, "", 2.9e9), (Figure.TEMPERATURE, "package", 71.0)
    devices.take(Figures("thermal", Component.CPU, "package-0", Seconds(1.0), (clock, heat)))
    devices.take(figures(1.0, (Figure.CLOCK, "sm", 1.7e9)))
    first = devices.parts(2.0)
    (part,) = first
    assert (part.component, part.device) == (Component.CPU, "package-0")
    assert part.figures == {
        (Figure.CLOCK, ""): 2.9e9,
        (Figure.TEMPERATURE, "package"): 71.0,
    }
    devices.take(figures(2.0, (Figure.CLOCK, "sm", 1.8e9)))  # an accelerator's
    assert devices.parts(3.0) is first
    cooler = ((Figure.TEMPERATURE, "package", 52.0),)
    devices.take(Figures("thermal", Component.CPU, "package-0", Seconds(60.0), cooler))
    assert devices.parts(60.0)[0].figures[Figure.TEMPERATURE, "package"] == 52.0
    gone = devices.parts(2.0 + STALE_SECONDS)
    assert dict(gone[0].figures) == {(Figure.TEMPERATURE, "package"): 52.0}
    assert devices.parts(200.0 + STALE_SECONDS) == ()
    assert devices.views(60.0) == []


def test_throttling_is_known_after_a_restart_and_forgotten_after_a_boot():
    devices, totals = Devices(), {"ticks_skipped": 2.0}
    held = (Figure.THROTTLED, "thermal", 42.5)
    clock = (Figure.CLOCK, "", 2.9e9)
    devices.take(Figures("thermal", Component.CPU, "package-0", Seconds(1.0), (clock, held)))
    shown = devices.parts(1.0)
    devices.remember(totals)
    again = Devices()
    again.recall(totals, 7.0, same_boot=True)
    (part,) = again.parts(7.0)
    assert dict(part.figures) == {(Figure.THROTTLED, "thermal"): 42.5}
    longer = (Figure.THROTTLED, "thermal", 50.0)
    again.take(Figures("thermal", Component.CPU, "package-0", Seconds(8.0), (longer,)))
    assert again.parts(8.0)[0].figures[Figure.THROTTLED, "thermal"] == 50.0
    booted = Devices()
    booted.recall(totals, 1.0, same_boot=False)
    assert booted.parts(1.0) == ()
    assert totals == {"ticks_skipped": 2.0}
    assert shown[0].figures[Figure.THROTTLED, "thermal"] == 42.5
