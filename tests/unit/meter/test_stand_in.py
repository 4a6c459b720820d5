"""Stories of sensors that go dark, and of those that step in: nothing lost, nothing twice."""

import pytest
from unit.meter.rig import SHORT_RANGE, C, Q, Rig, Source, estimate, hwmon, rapl


def approx(value, tolerance=1e-6):
    return pytest.approx(value, rel=1e-9, abs=tolerance)


class TestHoles:
    def test_a_missed_reading_of_a_sensor_is_bridged(self):
        cpu = hwmon()
        rig = Rig(cpu)
        for i in range(201):
            rig.tick(*([] if i % 20 == 10 else [cpu]))
        assert rig.joules(cpu) == approx(20_000.0)
        assert rig.gap(cpu) == 0.0

    def test_a_long_hole_of_a_sensor_is_a_gap_from_its_last_reading(self):
        cpu = hwmon()
        rig = Rig(cpu)
        rig.run(2, cpu)
        seen = []
        for _ in range(10):
            rig.tick()
            seen.append(rig.gap(cpu))
        assert seen[:3] == [0.0, 0.0, 0.0]
        assert seen[3:] == [approx(float(n)) for n in range(4, 11)]
        assert rig.host_gap() == approx(10.0)
        rig.run(2, cpu)
        assert rig.gap(cpu) == approx(11.0)
        assert rig.joules(cpu) == approx(200.0)

    def test_a_slow_sensor_may_miss_three_of_its_own_intervals(self):
        bmc = Source("redfish", C.PLATFORM, "PSU", Q.INTEGRATED)
        rig = Rig(bmc, intervals={"redfish": 5.0})
        rig.tick(bmc)
        rig.run(15)
        rig.tick(bmc)
        assert rig.gap(bmc) == 0.0
        rig.run(18)
        assert rig.gap(bmc) == approx(18.0)

    def test_a_counter_is_not_called_dark_while_it_can_be_bridged(self):
        cpu = rapl(wraps_at=SHORT_RANGE)
        rig = Rig(cpu)
        rig.run(2, cpu)
        rig.run(109)
        assert rig.gap(cpu) == 0.0
        rig.run(1)  # 65.5 kJ at 600 W: 109.2 s
        assert rig.gap(cpu) == approx(110.0)

    def test_a_64_bit_counter_that_died_is_dark_after_an_hour(self):
        gpu = Source("nvml", C.GPU, "GPU-1", Q.MEASURED, wraps_at=2**64 * 1e-6)
        rig = Rig(gpu)
        rig.run(2, gpu)
        rig.run(62, seconds=60.0)
        assert rig.gap(gpu) == approx(62 * 60.0)

    def test_no_power_is_shown_for_a_dark_sensor(self):
        cpu = hwmon()
        rig = Rig(cpu)
        rig.run(2, cpu)
        rig.run(4)
        assert rig.stream(cpu)[0].watts is None
        assert [identity.source for identity in rig.meter.missing_now()] == ["hwmon"]

    def test_a_sensor_that_answers_late_recovers(self):
        # a BMC whose answer takes 3 s and carries the time of the question
        bmc = Source("redfish", C.PLATFORM, "PSU", Q.INTEGRATED, lag=3.0)
        rig = Rig(bmc, intervals={"redfish": 5.0})
        rig.tick(bmc)
        rig.run(60)
        for _ in range(20):
            rig.run(4)
            rig.tick(bmc)
        assert rig.seconds(bmc) == approx(90.0)
        assert rig.seconds(bmc) + rig.gap(bmc) == approx(160.0)

    def test_two_holes_in_one_batch_are_two_gaps(self):
        cpu, model = rapl(watts=50.0), estimate(watts=70.0)
        rig = Rig(cpu, model)
        rig.run(3, cpu, model)
        samples = []
        for _ in range(2):
            rig.pass_time(1.0)
            samples.append(cpu.sample(rig.boottime))
            rig.read(model)
            cpu.reset(cpu.counter() - 1000.0 if samples else 0.0)
            rig.pass_time(1.0)
            samples.append(cpu.sample(rig.boottime))
            rig.read(model)
        cpu.reset(5.0)
        rig.meter.take(samples, rig.boottime, rig.wall)
        rig.settle()
        assert rig.gap(cpu) == approx(2.0)
        assert rig.joules(cpu) == approx(50.0 * 4)
        assert rig.joules(model) == approx(70.0 * 2)
        assert rig.host_gap() == 0.0


class TestHostGap:
    def test_holes_of_two_parts_at_once_count_once(self):
        cpu, gpu = hwmon(), Source("nvml", C.GPU, "GPU-1", Q.INTEGRATED)
        rig = Rig(cpu, gpu)
        rig.run(3, cpu, gpu)
        rig.run(9, gpu)
        rig.run(10)
        rig.run(9, cpu)
        rig.run(3, cpu, gpu)
        assert (rig.gap(cpu), rig.gap(gpu)) == (approx(20.0), approx(20.0))
        assert rig.host_gap() == approx(29.0)

    def test_a_hole_that_comes_to_light_later_counts_only_what_it_adds(self):
        cpu, gpu = rapl(), Source("nvml", C.GPU, "GPU-1", Q.INTEGRATED)
        rig = Rig(cpu, gpu)
        rig.run(3, cpu, gpu)
        for _ in range(3):
            rig.run(9)  # a gap of 10 s of the GPU; the counter may still bridge it
            rig.run(21, gpu)
        assert rig.host_gap() == approx(30.0)
        cpu.reset()
        rig.run(3, cpu, gpu)
        assert rig.gap(cpu) == approx(91.0)
        assert rig.host_gap() == approx(91.0)


class TestStandIn:
    def test_it_counts_while_the_better_is_dark_and_not_longer(self):
        cpu, model = hwmon(), estimate(watts=80.0)
        rig = Rig(cpu, model)
        rig.run(11, cpu, model)
        rig.run(30, model)
        rig.run(10, cpu, model)
        assert rig.joules(cpu) == approx(1900.0)
        assert rig.joules(model) == approx(31 * 80.0)
        assert rig.seconds(cpu) + rig.seconds(model) == approx(50.0)
        assert rig.host_gap() == 0.0
        rig.check_books()

    def test_a_counter_that_comes_back_takes_its_time_back(self):
        cpu, model = rapl(), estimate(watts=80.0)
        rig = Rig(cpu, model)
        rig.run(11, cpu, model)
        rig.run(60, model)
        rig.run(10, cpu, model)
        assert rig.joules(cpu) == approx(8000.0)
        assert rig.joules(model) == 0.0

    def test_a_counter_that_comes_back_reset_leaves_it_to_the_stand_in(self):
        cpu, model = rapl(), estimate(watts=80.0)
        rig = Rig(cpu, model)
        rig.run(11, cpu, model)
        rig.run(60, model)
        cpu.reset()
        rig.run(11, cpu, model)
        assert rig.joules(model) == approx(61 * 80.0)
        assert rig.joules(cpu) == approx(2000.0)
        assert rig.host_gap() == 0.0

    def test_the_stand_ins_own_hole_is_not_smeared_over(self):
        cpu, model = rapl(watts=50.0), estimate(watts=80.0)
        rig = Rig(cpu, model)
        rig.run(11, cpu, model)
        rig.run(20, model)
        rig.run(10)  # both dark
        rig.run(20, model)
        cpu.reset()
        rig.run(2, cpu, model)
        assert rig.gap(cpu) == approx(51.0)
        assert rig.gap(model) == approx(11.0)
        assert rig.seconds(model) == approx(40.0)
        assert rig.joules(model) == approx(40 * 80.0)
        assert rig.host_gap() == approx(11.0)
        rig.check_books()

    def test_a_hole_that_a_slow_stand_in_reports_on_later(self):
        cpu = hwmon()
        bmc = Source("redfish", C.CPU, "CPU", Q.INTEGRATED, watts=90.0)
        rig = Rig(cpu, bmc, intervals={"redfish": 10.0})
        for i in range(61):
            rig.tick(*([cpu] if not 21 <= i < 27 else []), *([bmc] if i % 10 == 0 else []))
        assert rig.gap(cpu) == approx(7.0)
        assert rig.joules(bmc) == approx(7 * 90.0)
        assert rig.host_gap() == 0.0

    def test_one_dark_package_of_two_is_a_gap_that_the_whole_cannot_fill(self):
        first, second, model = rapl(), rapl("package-1"), estimate(watts=200.0)
        rig = Rig(first, second, model)
        rig.run(11, first, second, model)
        first.reset()
        rig.tick(first, second, model)
        assert rig.gap(first) == approx(1.0)
        assert rig.joules(model) == 0.0
        assert rig.host_gap() == approx(1.0)
        assert [identity.device for identity in rig.meter.missing_now()] == ["package-0"]

    def test_each_package_has_its_own_stand_in(self):
        cpus = [rapl(), rapl("package-1")]
        sensors = [hwmon(watts=90.0), hwmon("package-1", watts=95.0)]
        rig = Rig(*cpus, *sensors)
        rig.run(11, *cpus, *sensors)
        rig.run(5, cpus[0], *sensors)
        cpus[1].reset()
        rig.tick(*cpus, *sensors)
        assert rig.joules(sensors[0]) == 0.0
        assert rig.joules(sensors[1]) == approx(6 * 95.0)
        assert rig.host_gap() == 0.0

    def test_the_second_steps_in_for_the_first_stand_in(self):
        cpu, sensor, model = rapl(watts=50.0), hwmon(watts=60.0), estimate(watts=70.0)
        rig = Rig(cpu, sensor, model)
        rig.run(6, cpu, sensor, model)
        rig.run(10, sensor, model)
        rig.run(10, model)
        cpu.reset()
        rig.run(5, cpu, sensor, model)
        assert rig.joules(cpu) == approx(9 * 50.0)
        assert rig.joules(sensor) == approx(10 * 60.0)
        assert rig.joules(model) == approx(11 * 70.0)
        assert rig.host_gap() == 0.0

    def test_it_shows_the_power_that_counts(self):
        cpu, model = hwmon(), estimate(watts=80.0)
        rig = Rig(cpu, model)
        rig.run(3, cpu, model)
        assert [v.counts_now for v in rig.meter.views()] == [True, False]
        rig.run(4, model)
        assert [v.counts_now for v in rig.meter.views()] == [False, True]
        assert rig.meter.missing_now() == []
