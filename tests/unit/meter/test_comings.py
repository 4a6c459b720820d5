"""Stories of sources that appear late, are retired, and come back."""

import pytest
from unit.meter.rig import C, Q, Rig, Source, estimate, hwmon, rapl


def approx(value, tolerance=1e-6):
    return pytest.approx(value, rel=1e-9, abs=tolerance)


class TestLateComers:
    @pytest.mark.parametrize("lag", [0.0, 0.4])
    def test_a_better_source_takes_over_from_its_first_reading(self, lag):
        cpu, model = rapl(lag=lag), estimate(watts=80.0)
        rig = Rig(cpu, model)
        rig.run(11, model)
        for _ in range(11):
            rig.pass_time(0.5)
            rig.read(cpu)
            rig.pass_time(0.5)
            rig.read(model)
            rig.settle()
        assert rig.seconds(cpu) + rig.seconds(model) == approx(20.5 - lag)
        assert rig.seconds(model) == approx(10.5 - lag, 0.5)
        assert rig.joules(cpu) == approx(100.0 * rig.seconds(cpu))
        assert rig.host_gap() == 0.0

    def test_its_first_reading_may_be_older_than_what_was_counted(self):
        bmc = Source("redfish", C.PLATFORM, "PSU", Q.INTEGRATED, lag=3.0)
        model = estimate(C.PLATFORM, watts=80.0)
        rig = Rig(bmc, model, intervals={"redfish": 5.0})
        rig.run(10, model)
        for _ in range(8):
            rig.tick(bmc, model)
            rig.run(4, model)
        assert rig.seconds(model) == approx(9.0)  # from 1 s to 10 s; the first reading is of 8 s
        assert rig.seconds(bmc) == approx(33.0)

    def test_what_was_counted_before_a_reboot_does_not_delay_it(self):
        cpu, model = rapl(), estimate(watts=80.0)
        rig = Rig(cpu, model, boottime=1e6)
        rig.run(11, model)
        rig.reboot(off=30.0)
        rig.run(11, cpu, model)
        assert rig.joules(cpu) == approx(1000.0)

    def test_psys_gives_up_when_packages_appear(self):
        psys = Source("rapl", C.PLATFORM, "psys", Q.MEASURED)
        cpu = rapl()
        rig = Rig(psys, cpu)
        rig.run(11, psys)
        rig.run(11, psys, cpu)
        assert rig.joules(psys) == approx(1100.0)
        assert rig.joules(cpu) == approx(1000.0)
        assert rig.stream(psys)[0].cross_check


class TestRetire:
    def test_its_silence_is_no_gap_and_its_total_stays(self):
        cpu = rapl()
        rig = Rig(cpu)
        rig.run(11, cpu)
        rig.meter.retire(["rapl"])
        rig.run(100)
        view, _ = rig.stream(cpu)
        assert (view.joules, view.gap_seconds, view.watts, view.retired) == (
            approx(1000.0), 0.0, None, True
        )  # fmt: skip
        assert rig.host_gap() == 0.0
        assert rig.meter.missing_now() == []

    @pytest.mark.parametrize("silent", [0, 2, 60])
    def test_its_stand_in_takes_over_where_it_ended(self, silent):
        cpu, model = rapl(), estimate(watts=80.0)
        rig = Rig(cpu, model)
        rig.run(11, cpu, model)
        rig.run(silent, model)
        rig.pass_time(0.5)
        rig.read(cpu)
        rig.meter.retire(["rapl"])
        rig.restart()
        rig.pass_time(0.5)
        rig.read(model)
        rig.settle()
        rig.run(10, model)
        assert rig.seconds(cpu) == approx(10.5 + silent)
        assert rig.seconds(model) == approx(10.5)
        assert not rig.stream(model)[0].cross_check
        assert rig.host_gap() == 0.0

    def test_pending_energy_of_the_stand_in_counts_when_the_counter_retires_dark(self):
        cpu, model = rapl(), estimate(watts=80.0)
        rig = Rig(cpu, model)
        rig.run(11, cpu, model)
        rig.run(60, model)
        rig.meter.retire(["rapl"])
        rig.tick(model)
        assert rig.joules(model) == approx(61 * 80.0)
        assert rig.joules(cpu) == approx(1000.0)

    def test_back_again_it_starts_anew(self):
        cpu, model = rapl(), estimate(watts=80.0)
        rig = Rig(cpu, model)
        rig.run(11, cpu, model)
        rig.meter.retire(["rapl"])
        rig.meter.take([cpu.sample(rig.boottime - 0.5)], rig.boottime, rig.wall)
        assert rig.stream(cpu)[0].retired  # a reading from before it was retired
        rig.run(10, model)
        rig.run(11, cpu, model)
        assert not rig.stream(cpu)[0].retired
        assert rig.joules(cpu) == approx(2000.0)
        assert rig.gap(cpu) == 0.0
        assert rig.seconds(cpu) + rig.seconds(model) == approx(31.0)
        assert rig.meter.state.resets == {}

    def test_retired_in_the_dark_it_comes_back_in_the_light(self):
        cpu = hwmon()
        rig = Rig(cpu)
        rig.run(11, cpu)
        rig.run(20)
        rig.meter.retire(["hwmon"])
        rig.run(20)
        rig.run(11, cpu)
        assert rig.gap(cpu) == approx(20.0)
        assert rig.joules(cpu) == approx(2000.0)
        assert rig.host_gap() == approx(20.0)

    def test_gone_and_back_twice_before_its_stand_in_speaks(self):
        cpu, bmc = hwmon(), Source("redfish", C.CPU, "CPU", Q.INTEGRATED, watts=90.0)
        rig = Rig(cpu, bmc, intervals={"redfish": 10.0})
        rig.tick(cpu, bmc)
        rig.run(2, cpu)
        for _ in range(2):
            rig.meter.retire(["hwmon"])
            rig.run(1)
            rig.run(3, cpu)
        rig.tick(cpu, bmc)
        # hwmon: 2 s, then 1 s away and 1 s to its first reading, twice
        assert rig.seconds(cpu) == approx(7.0)
        assert rig.seconds(bmc) == approx(4.0)
        assert rig.host_gap() == 0.0

    def test_a_reboot_wakes_nobody(self):
        cpu, model = rapl(), estimate(watts=80.0)
        rig = Rig(cpu, model)
        rig.run(11, cpu, model)
        rig.meter.retire(["rapl"])
        rig.run(5, model)
        rig.reboot(off=60.0, up=10.0)
        rig.run(5, model)
        assert rig.stream(cpu)[0].retired
        assert rig.gap(cpu) == 0.0
        assert rig.seconds(model) == approx(5.0 + 4.0)
        assert rig.host_gap() == approx(71.0)
